#!/usr/bin/env python3
# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Build the environment of this repository: `.venv`, with ROS 2 and everything else in it.

Run by `make env` with the system's Python; needs nothing but the standard library. Where ROS 2
is sourced it is used, otherwise real ROS 2 comes as wheels from PyPI. A second run does only what
changed. This file keeps to syntax that old Pythons know, so that they are told what is wrong.
"""

import sys

OLDEST, NEWEST = (3, 10), (3, 13)


def python_complaint(version, found=()):
    """None if this Python will do, else what is wrong and its cure.

    `version`: (major, minor) of the Python at hand. `found`: names of suitable ones on PATH.
    """
    if OLDEST <= tuple(version) <= NEWEST:
        return None
    cure = (f'run `make env PYTHON={found[0]}`' if found else
            'install one (Debian and Ubuntu: apt install python3 python3-venv) and run '
            '`make env PYTHON=/path/to/python3`')
    here, oldest, newest = ('.'.join(map(str, each)) for each in (version, OLDEST, NEWEST))
    return f'this is Python {here}, but lorat_ros needs {oldest} to {newest}: {cure}'


def suitable_pythons():
    """Names of Pythons on PATH that would do, the newest first."""
    import shutil
    names = [f'python3.{minor}' for minor in range(NEWEST[1], OLDEST[1] - 1, -1)]
    return [name for name in names if shutil.which(name)]


def main():
    """Build the environment; returns the exit status."""
    complaint = python_complaint(sys.version_info[:2], suitable_pythons())
    if complaint:
        sys.stderr.write(f'make env: {complaint}\n')
        return 1
    from builder import build
    return build()


if __name__ == '__main__':
    sys.exit(main())
