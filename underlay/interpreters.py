# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Run what needs neither ROS nor torch under every supported Python that this machine has.

    make interpreters                                          # all of them, then a table
    .venv/bin/python underlay/interpreters.py --only 3.13      # one of them

Each gets an environment of its own in build/interpreters, from wheels alone; the oldest one gets
NumPy 1.26, the others the newest. Interpreters are looked for on PATH, in pyenv's folder and among
uv's; none is installed. The missing ones are named, and are no failure.
"""
from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from environment import NEWEST, OLDEST

ROOT = Path(__file__).resolve().parents[1]
WORK = ROOT / 'build' / 'interpreters'
VERSIONS = tuple(f'{OLDEST[0]}.{minor}' for minor in range(OLDEST[1], NEWEST[1] + 1))
#: Groups of setup.py that these tests need.
GROUPS = ('core', 'opencv', 'mavlink', 'test')
OLD_NUMPY = 'numpy==1.26.*'
TESTS = ('test/test_boxes.py', 'test/test_overlay.py', 'test/models', 'test/target',
         'test/tracking', 'test/mavlink')
#: They compare with networks: torch is some 200 MB, for each interpreter.
WITH_TORCH = ('test/tracking/test_fartrack.py', 'test/tracking/test_lorat.py')
PROBE = 'import sys; print("%d.%d" % sys.version_info[:2])'


def candidates(version: str) -> Iterator[str]:
    """Where an interpreter of a version may be, the likeliest first."""
    on_path = shutil.which(f'python{version}')
    if on_path:
        yield on_path
    pyenv = Path(os.environ.get('PYENV_ROOT') or Path.home() / '.pyenv')
    yield from (str(path) for path in sorted(pyenv.glob(f'versions/{version}.*/bin/python'),
                                             reverse=True))
    if shutil.which('uv'):
        found = subprocess.run(['uv', 'python', 'find', '--no-python-downloads', version],
                               capture_output=True, text=True)
        if found.returncode == 0:
            yield found.stdout.strip()


def find(version: str) -> str | None:
    """An interpreter of a version that runs; None: there is none."""
    for path in candidates(version):
        # pyenv puts names on PATH that answer with an error.
        said = subprocess.run([path, '-c', PROBE], capture_output=True, text=True)
        if said.returncode == 0 and said.stdout.strip() == version:
            return path
    return None


def missing() -> list[str]:
    """Supported versions without an interpreter here."""
    return [version for version in VERSIONS if find(version) is None]


def install(version: str, interpreter: str) -> Path:
    """Make or update the environment of a version; returns its Python. CalledProcessError."""
    from wheels import requirements
    prefix = WORK / version
    python = prefix / 'bin' / 'python'
    if not python.exists():
        subprocess.run([interpreter, '-m', 'venv', prefix], check=True)
    known = requirements()
    wanted = [one for group in GROUPS for one in known[group]]
    if version == VERSIONS[0]:
        wanted.append(OLD_NUMPY)
    subprocess.run([python, '-m', 'pip', 'install', '--quiet', '--no-input',
                    '--disable-pip-version-check', 'setuptools', 'wheel', *wanted], check=True)
    return python


def run(python: Path, tests: list[str]) -> tuple[int, str]:
    """Run tests under an interpreter; returns pytest's status and its last line."""
    environment = {name: value for name, value in os.environ.items()
                   if name not in ('AMENT_PREFIX_PATH', 'LD_LIBRARY_PATH')}
    environment['PYTHONPATH'] = str(ROOT)
    done = subprocess.run(
        [python, '-m', 'pytest', '-q', '-p', 'no:cacheprovider', *tests,
         *(f'--ignore={path}' for path in WITH_TORCH)],
        cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True)
    lines = done.stdout.strip().splitlines() or ['it said nothing']
    if done.returncode:
        print(done.stdout, file=sys.stderr)
    return done.returncode, lines[-1].strip('= ')


def main() -> int:
    """Print a line per version; 1 if tests failed under one that is here, else 0."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--only', choices=VERSIONS, help='this version alone')
    parser.add_argument('tests', nargs='*', default=list(TESTS), help='paths, for pytest')
    args = parser.parse_args()
    bad, rows = False, []
    for version in [args.only] if args.only else VERSIONS:
        interpreter = find(version)
        if interpreter is None:
            rows.append((version, 'missing', 'not on PATH, nor in pyenv or uv'))
            continue
        try:
            status, said = run(install(version, interpreter), args.tests)
        except subprocess.CalledProcessError as error:
            status, said = 1, f'no environment: {error}'
        bad |= status != 0
        rows.append((version, 'ran' if status == 0 else 'FAILED', said))
    print('\n'.join(f'CPython {version:5} {state:8} {said}' for version, state, said in rows))
    return int(bad)


if __name__ == '__main__':
    sys.exit(main())
