# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What must be on the machine before the environment can be built, and the cure if it is not.

Every check takes what it looks at as parameters, so that a test can hand it another machine.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Callable, Mapping
from pathlib import Path

WHEELS_MACHINE = 'x86_64'


class Problem(Exception):
    """The environment cannot be built; the message says why and what to do."""


def sourced_ros(environ: Mapping[str, str], own_prefix: Path) -> str | None:
    """The name of the ROS 2 distribution that is sourced, None if there is none.

    `own_prefix`: the environment to build. Being inside it does not count as sourced.
    """
    prefixes = [Path(entry) for entry in environ.get('AMENT_PREFIX_PATH', '').split(os.pathsep)
                if entry]
    foreign = [prefix for prefix in prefixes if prefix != own_prefix]
    return environ.get('ROS_DISTRO') if foreign else None


def check_platform(system: str, machine: str) -> None:
    """The wheels of ROS 2 exist for one platform only."""
    if (system, machine) != ('Linux', WHEELS_MACHINE):
        raise Problem(
            f'ROS 2 is not sourced, and its wheels exist only for Linux on {WHEELS_MACHINE}, not '
            f'for {system} on {machine}: install ROS 2 (https://docs.ros.org), source it '
            '(`source /opt/ros/<distribution>/setup.bash`) and run `make env` again')


def check_venv(find_module: Callable[[str], object] = importlib.util.find_spec) -> None:
    """Debian's Python comes without venv and ensurepip."""
    missing = [name for name in ('venv', 'ensurepip') if find_module(name) is None]
    if missing:
        raise Problem(
            f'{sys.executable} has no module {" and ".join(missing)}: install it '
            '(Debian and Ubuntu: sudo apt install python3-venv) and run `make env` again')


def check_compiler(environ: Mapping[str, str],
                   find_program: Callable[..., str | None] = shutil.which) -> None:
    """The bindings of vision_msgs are compiled, C and C++."""
    for variable, name in (('CXX', 'g++'), ('CC', 'gcc')):
        wanted = (environ.get(variable) or name).split()[0]
        if find_program(wanted, path=environ.get('PATH')) is None:
            raise Problem(
                f'no {wanted} on PATH, but the message bindings have to be compiled: install it '
                '(Debian and Ubuntu: sudo apt install g++) and run `make env` again')


def check_headers(include: Path) -> None:
    """`include`: the folder where this Python keeps its C headers."""
    if not (include / 'Python.h').is_file():
        raise Problem(
            f'{include}/Python.h is missing, but the message bindings have to be compiled: '
            'install it (Debian and Ubuntu: sudo apt install python3-dev), run `make env` again')


def check_ros(distribution: str, imports: Callable[[str], bool]) -> None:
    """A sourced ROS 2 must work under this Python and have what the package needs.

    `imports(name)` says whether this Python can import a module in the sourced environment.
    """
    if not imports('rclpy'):
        raise Problem(
            f'ROS 2 {distribution} is sourced, but {sys.executable} (Python '
            f'{sys.version_info.major}.{sys.version_info.minor}) cannot import its rclpy: run '
            '`make env PYTHON=/usr/bin/python3`, or whichever Python that ROS 2 was built for')
    for package in ('vision_msgs', 'sensor_msgs', 'diagnostic_msgs', 'visualization_msgs',
                    'std_srvs', 'geometry_msgs', 'lifecycle_msgs'):
        if not imports(f'{package}.msg') and not imports(f'{package}.srv'):
            raise Problem(
                f'ROS 2 {distribution} is sourced, but has no {package}: install it '
                f'(sudo apt install ros-{distribution}-{package.replace("_", "-")}) and run '
                '`make env` again')


def can_import(name: str) -> bool:
    """Whether this Python, in the environment it was started in, can import a module."""
    return subprocess.run([sys.executable, '-c', f'import {name}'], stdin=subprocess.DEVNULL,
                          stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode == 0


def check_all(distribution: str | None, environ: Mapping[str, str]) -> None:
    """Check this machine; raises Problem at the first thing that is missing.

    `distribution`: the ROS 2 that is sourced, None for the one from wheels.
    """
    check_venv()
    if distribution:
        check_ros(distribution, can_import)
        return
    check_platform(os.uname().sysname, os.uname().machine)
    check_compiler(environ)
    check_headers(Path(sysconfig.get_path('include')))
