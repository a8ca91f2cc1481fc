# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""package.xml: valid, and naming what the package needs with keys that rosdep knows."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest
from catkin_pkg.changelog import Changelog, populate_changelog_from_rst
from catkin_pkg.changelog_generator import FORTHCOMING_LABEL
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


def test_says_what_a_release_needs(package: Package, repository: Path) -> None:
    """What bloom takes from package.xml: each field is there, and nothing in it is unfinished."""
    assert re.fullmatch(r'[a-z][a-z0-9_]*', package.name)
    assert re.fullmatch(r'\d+\.\d+\.\d+', package.version)
    assert len(package.description) > 40 and 'TODO' not in package.description
    assert [one.email for one in package.maintainers] and all(
        '@' in one.email and 'todo' not in one.email.lower() for one in package.maintainers)
    (licence,) = package.licenses
    assert licence.file and 'Apache License' in (repository / licence.file).read_text()[:200]
    assert {url.type for url in package.urls} <= {'website', 'repository', 'bugtracker'}
    assert all(url.url.startswith('https://') for url in package.urls)


def test_setup_says_the_same(package: Package, repository: Path) -> None:
    calls = [node for node in ast.walk(ast.parse((repository / 'setup.py').read_text()))
             if isinstance(node, ast.Call) and getattr(node.func, 'id', '') == 'setup']
    said = {one.arg: one.value.value for one in calls[0].keywords
            if isinstance(one.value, ast.Constant)}
    (maintainer,), (licence,) = package.maintainers, package.licenses
    assert (said['version'], said['maintainer'], said['maintainer_email'], said['license']) == (
        package.version, maintainer.name, maintainer.email, licence)


def test_the_changelog_is_ready_for_a_release(package: Package, repository: Path) -> None:
    """The newest release is this version; what came since is forthcoming, as catkin writes it."""
    text = (repository / 'CHANGELOG.rst').read_text()
    titles = re.findall(r'^(.+)\n-{3,}$', text, re.M)
    released = [title for title in titles if title != FORTHCOMING_LABEL]
    assert titles.index(FORTHCOMING_LABEL) == 0 if FORTHCOMING_LABEL in titles else released
    # What catkin_prepare_release makes of it.
    text = text.replace(f'{FORTHCOMING_LABEL}\n-', '999.0.0 (2026-01-01)\n-', 1)
    changelog = Changelog(package.name)
    populate_changelog_from_rst(changelog, text)
    found = [(version, content) for version, _, content in changelog.foreach_version()]
    assert len(found) == len(titles) and all(content for _, content in found)
    newest = [version for version, _ in found if version != '999.0.0']
    assert not newest or newest[0] == package.version


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
