# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Do all dependencies have wheels for every Python and machine that is promised? Asks pip.

    .venv/bin/python underlay/wheels.py             # what the running nodes need
    .venv/bin/python underlay/wheels.py train vot   # these extras of setup.py

pip resolves them, with all that they need in turn, as it would on that machine, and installs
nothing. Where an index has no separate metadata it has to fetch the wheels: torch is large.
"""
from __future__ import annotations

import argparse
import ast
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

SETUP = Path(__file__).resolve().parents[1] / 'setup.py'
PYTHONS = ('3.10', '3.12', '3.13')  # of Humble, of Jazzy and Kilted, and the newest
MACHINES = ('x86_64', 'aarch64')
#: glibc of the wheels, newest first: Ubuntu 22.04 (Humble) has 2.35.
GLIBC = (35, 34, 31, 28, 27, 24, 17)
OLD_NAMES = {'x86_64': ('manylinux2014', 'manylinux2010', 'manylinux1'),
             'aarch64': ('manylinux2014',)}
CORE = 'core'
NODES = (CORE, 'opencv', 'openvino', 'mavlink')
PATIENCE = 900  # seconds for one question
NOT_FOUND = 'No matching distribution found for'


def requirements() -> dict[str, list[str]]:
    """Return what setup.py asks for: `core`, and its extras by name."""
    calls = [node for node in ast.walk(ast.parse(SETUP.read_text(encoding='utf-8')))
             if isinstance(node, ast.Call) and getattr(node.func, 'id', '') == 'setup']
    keywords = {keyword.arg: keyword.value for keyword in calls[0].keywords}
    return {CORE: ast.literal_eval(keywords['install_requires']),
            **ast.literal_eval(keywords['extras_require'])}


def platforms(machine: str) -> list[str]:
    """Return the platform tags whose wheels run there."""
    return [*(f'manylinux_2_{minor}_{machine}' for minor in GLIBC),
            *(f'{name}_{machine}' for name in OLD_NAMES[machine])]


def command(wanted: Sequence[str], python: str, machine: str, folder: str) -> list[str]:
    """Return the question to pip: would these be installed there, from wheels alone?"""
    tag = 'cp' + python.replace('.', '')
    words = [sys.executable, '-m', 'pip', 'install', '--dry-run', '--quiet', '--ignore-installed',
             '--disable-pip-version-check', '--only-binary=:all:', '--target', folder,
             '--implementation', 'cp', '--python-version', python]
    for abi in (tag, 'abi3', 'none'):
        words += ['--abi', abi]
    for platform in platforms(machine):
        words += ['--platform', platform]
    return [*words, *wanted]


def ask(wanted: Sequence[str], python: str, machine: str) -> str:
    """Return nothing if all of it resolves, else pip's reason in one line."""
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(command(wanted, python, machine, folder), capture_output=True,
                              text=True, timeout=PATIENCE)
    return '' if done.returncode == 0 else reason(done.stderr)


def reason(said: str) -> str:
    """Return the line of pip's complaint that says most."""
    errors = [line.removeprefix('ERROR: ').strip() for line in said.splitlines()
              if line.startswith('ERROR: ')]
    named = [line for line in errors if NOT_FOUND in line]
    return (named or errors or [said.strip()[-200:] or 'pip failed and said nothing'])[0]


def missing(groups: Mapping[str, Sequence[str]], python: str, machine: str) -> list[str]:
    """Return a line per group that does not resolve."""
    together = list(dict.fromkeys(one for group in groups.values() for one in group))
    if not ask(together, python, machine):
        return []
    lines = []
    for name, wanted in groups.items():  # which of them?
        why = ask(wanted, python, machine)
        if why:
            lines.append(f'{name}: {why}')
    return lines or [f'together: {ask(together, python, machine)}']


def main() -> int:
    """Print a line per Python and machine; 0 if everything has wheels, else 1."""
    known = requirements()
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('group', nargs='*', default=list(NODES), metavar='GROUP',
                        help=f'{", ".join(known)} (default: {" ".join(NODES)})')
    wanted = parser.parse_args().group
    unknown = [name for name in wanted if name not in known]
    if unknown:
        parser.error(f'{unknown[0]}: setup.py has only {", ".join(known)}')
    groups = {name: known[name] for name in wanted}
    bad = False
    for python in PYTHONS:
        for machine in MACHINES:
            lines = missing(groups, python, machine)
            bad |= bool(lines)
            print(f'CPython {python} {machine:8} '
                  f'{"; ".join(lines) if lines else "all from wheels"}', flush=True)
    return int(bad)


if __name__ == '__main__':
    sys.exit(main())
