# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Make a site of the pages in docs/ and of all docstrings: build/docs. Run by `make docs`.

Installs the extra `docs` of setup.py into the environment if it is not there. A warning is an
error: a link that leads nowhere, a page that no other one names, a module that does not import, a
docstring that is no reStructuredText.
"""
from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

from wheels import requirements

ROOT = Path(__file__).resolve().parents[1]
SITE = ROOT / 'build' / 'docs'
MODULES = ('sphinx', 'myst_parser')


def install() -> None:
    """Install what makes the site; raises CalledProcessError, pip says why."""
    subprocess.run([sys.executable, '-m', 'pip', 'install', '--quiet', '--no-input',
                    '--disable-pip-version-check', '--constraint',
                    Path(__file__).with_name('constraints.txt'), *requirements()['docs']],
                   check=True)


def main() -> int:
    """Make the site; returns 0, or 1 after the warnings on stderr."""
    if any(importlib.util.find_spec(name) is None for name in MODULES):
        install()
    done = subprocess.run([
        sys.executable, '-m', 'sphinx', '-q', '-W', '--keep-going', '-c', ROOT / 'docs',
        '-d', ROOT / 'build' / 'doctrees', '-b', 'html', ROOT, SITE])
    if done.returncode == 0:
        print(f'{SITE / "docs" / "index.html"}')
    return done.returncode


if __name__ == '__main__':
    sys.exit(main())
