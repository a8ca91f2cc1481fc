# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Feed targets with many inputs, guided by coverage (needs ``pip install atheris``).

::

    cd test && ../.venv/bin/python -m fuzzing.run --inputs 100000

Prints a table, and keeps inputs that crash, hang or take over 2 GB under ``--output``. Each such
input becomes a test.
"""
from __future__ import annotations

import argparse
import re
import subprocess
import sys
import time
from pathlib import Path

from fuzzing.targets import TARGETS

SECONDS, MEGABYTES, LONGEST = 10, 2048, 4096      # of one input
CHILD = '''
import sys
from pathlib import Path
import atheris
with atheris.instrument_imports(include=['lorat_ros']):
    from fuzzing.targets import TARGETS
    name, folder, *arguments = sys.argv[1:]
    read = TARGETS[name].open(Path(folder))
    for seed in TARGETS[name].seeds(Path(folder)):      # imports what the target needs
        read(seed)
atheris.Setup([name, *arguments], read)
atheris.Fuzz()
'''


def fuzz(name: str, inputs: int, output: Path) -> tuple[str, int]:
    """
    Fuzz one target.

    :returns: a row of the table, and the number of faults (0 or 1: it ends at the first).
    """
    folder = output / re.sub(r'\W+', '-', name)
    scratch, corpus, found = (folder / part for part in ('scratch', 'corpus', 'found'))
    for place in (scratch, corpus, found):
        place.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(TARGETS[name].seeds(scratch)):
        (corpus / f'seed-{number:02d}').write_bytes(seed)
    start = time.monotonic()
    log = folder / 'log.txt'
    with log.open('w') as stream:
        code = subprocess.run(
            [sys.executable, '-c', CHILD, name, str(scratch), f'-runs={inputs}',
             f'-max_len={LONGEST}', f'-timeout={SECONDS}', f'-rss_limit_mb={MEGABYTES}',
             f'-artifact_prefix={found}/', str(corpus)],
            stdout=stream, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL).returncode
    text = log.read_text(errors='replace')
    done = re.findall(r'^#(\d+)', text, re.MULTILINE)
    covered = re.findall(r'\bcov: (\d+)', text)
    fault = '' if code == 0 else f'FAULT, see {log} and {found}'
    return (f'| {name} | {int(done[-1]) if done else 0:,} | {covered[-1] if covered else "-"} '
            f'| {time.monotonic() - start:.0f} | {fault or "none"} |', int(code != 0))


def main(arguments: list[str] | None = None) -> int:
    """Command line; returns 1 if there were faults."""
    parser = argparse.ArgumentParser(description=__doc__.split('\n\n')[0])
    parser.add_argument('--inputs', type=int, default=100_000, help='of each target')
    parser.add_argument('--targets', nargs='+', choices=list(TARGETS), default=list(TARGETS),
                        metavar='NAME', help=f'default: all ({", ".join(TARGETS)})')
    parser.add_argument('--output', type=Path, default=Path('fuzzing-found'), metavar='FOLDER')
    args = parser.parse_args(arguments)
    print('| target | inputs | branches covered | seconds | faults |\n|---|---|---|---|---|',
          flush=True)
    faults = 0
    for name in args.targets:
        row, fault = fuzz(name, args.inputs, args.output)
        faults += fault
        print(row, flush=True)
    return int(faults > 0)


if __name__ == '__main__':
    sys.exit(main())
