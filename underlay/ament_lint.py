# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Run those of ROS 2's own linters that are installed; the others are named. Part of `make lint`.

ament_copyright is not among them: it knows whole licence texts only, no SPDX lines; a test
(test/packaging/test_house.py) holds those.
"""
from __future__ import annotations

import importlib.util
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
#: Module of each linter to its arguments.
LINTERS: Mapping[str, Sequence[str]] = {
    'ament_flake8': ('--config', 'underlay/flake8.ini',
                     'lorat_ros', 'launch', 'test', 'underlay', 'setup.py'),
    # How long a first line is and how it begins, PEP 257 leaves to taste; ours is in CONTRIBUTING.
    'ament_pep257': ('lorat_ros', 'launch', 'underlay', '--add-ignore', 'D205', 'D208', 'D209',
                     'D213', 'D400', 'D401', 'D402', 'D403', 'D415'),
    'ament_xmllint': ('package.xml', 'config'),
}


#: Linter to the program that it starts.
NEEDS: Mapping[str, str] = {'ament_xmllint': 'xmllint'}


def check(name: str, arguments: Sequence[str]) -> bool:
    """Run a linter if it is there, and say what became of it; False: it complained."""
    if importlib.util.find_spec(name) is None:
        print(f'{name}: not here (apt install ros-$ROS_DISTRO-{name.replace("_", "-")})')
        return True
    if name in NEEDS and shutil.which(NEEDS[name]) is None:
        print(f'{name}: {NEEDS[name]} is not here (apt install libxml2-utils)')
        return True
    done = subprocess.run([sys.executable, '-m', f'{name}.main', *arguments], cwd=ROOT,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    print(f'{name}: {"passed" if done.returncode == 0 else done.stdout.strip()}')
    return done.returncode == 0


def main() -> int:
    """Run all; 0 if none complained."""
    return int(not all([check(name, arguments) for name, arguments in LINTERS.items()]))


if __name__ == '__main__':
    sys.exit(main())
