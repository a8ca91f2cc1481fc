# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""package.xml: valid, and naming what the package needs with keys that rosdep knows."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest
from catkin_pkg.package import Package, parse_package

REQUIRED = {
    'rclpy', 'sensor_msgs', 'vision_msgs', 'geometry_msgs', 'std_srvs', 'diagnostic_msgs',
    'visualization_msgs', 'cv_bridge', 'launch', 'launch_ros', 'python3-numpy', 'python3-opencv',
    # in ros/rosdistro's rosdep/python.yaml, by pip on every platform
    'python3-onnxruntime-pip',
}
ROS_MODULE = re.compile(r'(rclpy|cv_bridge|launch|launch_ros|ament_index_python|'
                        r'builtin_interfaces|rcl_interfaces|\w+_msgs|\w+_srvs)$')


@pytest.fixture(scope='module')
def package(repository: Path) -> Package:
    return parse_package(str(repository))


def test_is_valid_and_of_format_three(package: Package) -> None:
    warnings: list[str] = []
    package.validate(warnings=warnings)
    assert not warnings
    assert package.package_format == 3
    assert package.get_build_type() == 'ament_python'
    assert package.licenses == ['Apache-2.0']


def test_names_what_is_needed(package: Package) -> None:
    assert {depend.name for depend in package.exec_depends} >= REQUIRED


def test_names_every_ros_package_that_is_imported(package: Package, repository: Path) -> None:
    imported = set()
    for folder in ('lorat_ros', 'launch'):
        for path in (repository / folder).rglob('*.py'):
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.ImportFrom) and node.module and not node.level:
                    imported.add(node.module.split('.')[0])
                elif isinstance(node, ast.Import):
                    imported.update(alias.name.split('.')[0] for alias in node.names)
    needed = {name for name in imported if ROS_MODULE.match(name)}
    assert 'rclpy' in needed
    assert needed <= {depend.name for depend in package.exec_depends}


def test_one_version_everywhere(package: Package, repository: Path) -> None:
    setup = re.search(r"version='([^']+)'", (repository / 'setup.py').read_text())
    front = re.search(r"__version__ = '([^']+)'",
                      (repository / 'lorat_ros' / '__init__.py').read_text())
    assert setup and front
    assert setup[1] == front[1] == package.version
