# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The environment's Python finds ROS 2 and the package by itself, whoever starts it."""

from __future__ import annotations

import runpy
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
LOOK = """
import os, shutil, sys
import rclpy, lorat_ros
from ament_index_python.packages import get_package_share_directory
from vision_msgs.msg import Detection2DArray
rclpy.init()
rclpy.create_node('look').create_publisher(Detection2DArray, 'look', 1)
rclpy.shutdown()
print(get_package_share_directory('lorat_ros'), shutil.which('lorat'), sep='\\n')
"""

pytestmark = pytest.mark.skipif(Path(sys.prefix) != ROOT / '.venv',
                                reason='not run by the .venv of `make env`')


@pytest.mark.skipif(not (find_spec('rclpy').origin or '').startswith(sys.prefix),
                    reason='ROS 2 is sourced: it is found through the shell that sourced it')
@pytest.mark.parametrize('inherited', [
    {},
    # what a process of another such environment passes on
    {'_ROS_WHEELS_BOOTSTRAP_COMPLETE': '1', 'LD_LIBRARY_PATH': '/another/.venv/lib',
     'AMENT_PREFIX_PATH': '/another/.venv'},
], ids=['nothing', 'another environment'])
def test_needs_no_source(inherited: dict[str, str], tmp_path: Path) -> None:
    result = subprocess.run([sys.executable, '-c', LOOK], cwd=tmp_path, capture_output=True,
                            env={'PATH': '/usr/bin:/bin', 'HOME': str(tmp_path), **inherited},
                            text=True, timeout=60)
    assert result.returncode == 0, result.stderr
    assert result.stdout.split() == [f'{sys.prefix}/share/lorat_ros', f'{sys.prefix}/bin/lorat']


def test_commands_on_path_use_the_environment(tmp_path: Path) -> None:
    result = subprocess.run([Path(sys.prefix, 'bin', 'lorat'), '--help'], cwd=tmp_path, text=True,
                            env={'PATH': '/usr/bin:/bin', 'HOME': str(tmp_path)},
                            capture_output=True, timeout=60)
    assert result.returncode == 0, result.stderr
    assert 'usage: lorat' in result.stdout


def test_inherited_libraries_of_another_environment_are_dropped(tmp_path: Path) -> None:
    startup = runpy.run_path(str(ROOT / 'underlay' / 'startup.py'))
    other, mine = tmp_path / 'other', tmp_path / 'mine'
    (other / 'lib').mkdir(parents=True)
    (other / 'pyvenv.cfg').touch()
    environ = {'_ROS_WHEELS_BOOTSTRAP_COMPLETE': '1', 'PATH': '/usr/bin',
               'LD_LIBRARY_PATH': f'{other}/lib:/usr/local/cuda/lib64'}
    startup['prepare'](environ, str(mine))
    assert environ == {'LD_LIBRARY_PATH': '/usr/local/cuda/lib64', 'PATH': f'{mine}/bin:/usr/bin',
                       'AMENT_PREFIX_PATH': str(mine)}
    environ.update({'_ROS_WHEELS_BOOTSTRAP_COMPLETE': '1', 'LD_LIBRARY_PATH': f'{mine}/lib'})
    before = dict(environ)
    startup['prepare'](environ, str(mine))
    assert environ == before  # its own bootstrapping stands, or Python would restart for ever
