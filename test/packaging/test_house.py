# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The house's rules, read off the sources: rooms, floors, who may import whom, and sizes."""

from __future__ import annotations

import ast
import graphlib
import re
import shutil
import subprocess
from pathlib import Path

import pytest

TOP_LEVEL = {
    '.ci', '.gitignore', 'CHANGELOG.rst', 'CONTRIBUTING.md', 'LICENSE', 'Makefile', 'README.md',
    'config', 'docker', 'docs', 'launch', 'lorat_ros', 'package.xml', 'pyproject.toml', 'resource',
    'setup.cfg', 'setup.py', 'test', 'underlay',
}
FLOOR = {
    'boxes': 1, 'images': 1, 'mavlink': 1, 'models': 1,
    'overlay': 2, 'engines': 2,
    'tracking': 3, 'networks': 3,
    'target': 4, 'tools': 4, 'training': 4,
    'ros': 5,
}
# The one door through which an engine reaches a network's definition: the torch reference.
DOORS = {('engines/torch.py', 'networks')}
WORKSHOP = {'networks', 'training'}  # nothing that runs in the node imports these
WORKSHOP_USERS = {'networks', 'training', 'tools'}
TORCH_ROOMS = ('networks/', 'training/', 'engines/torch')  # of engines: torch.py, torch_*.py
ROS_MODULE = re.compile(r'(rclpy|rclcpp|cv_bridge|launch|launch_ros|ament_index_python|rosbag2_py|'
                        r'tf2_\w+|builtin_interfaces|rcl_interfaces|\w+_msgs|\w+_srvs)$')
LONGEST = 300
LONGER_WITH_REASON: dict[str, str] = {}  # path: why it cannot be two modules

SOURCES = Path(__file__).resolve().parents[2]
PACKAGE = SOURCES / 'lorat_ros'
MODULES = sorted(str(path.relative_to(PACKAGE)) for path in PACKAGE.rglob('*.py'))
FRONT = '__init__.py'


def imports_of(source: str, module: str) -> set[str]:
    """Full names of all that a source imports, anywhere in it; `module`: its path."""
    names = set()
    parents = ['lorat_ros', *Path(module).parts[:-1]]
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = parents[:len(parents) - node.level + 1] if node.level else []
            base += [node.module] if node.module else []
            names.update('.'.join([*base, alias.name]) for alias in node.names)
    return names


def room_of(module: str) -> str:
    """The room that a module's path lies in."""
    return Path(module).parts[0].removesuffix('.py')


def rooms_imported(module: str) -> set[str]:
    """Rooms of the package that a module imports from, other than its own."""
    names = imports_of((PACKAGE / module).read_text(), module)
    rooms = {name.split('.')[1] for name in names
             if name.startswith('lorat_ros.') and name.split('.')[1] in FLOOR}
    return rooms - {room_of(module)}


def test_the_walk_sees_every_kind_of_import() -> None:
    source = ('import torch.nn as nn\nfrom lorat_ros import boxes\nfrom ..models import catalog\n'
              'from .session import Session\ndef late():\n    from rclpy.node import Node\n')
    assert imports_of(source, 'engines/onnx.py') == {
        'torch.nn', 'lorat_ros.boxes', 'lorat_ros.models.catalog',
        'lorat_ros.engines.session.Session', 'rclpy.node.Node'}


def test_every_room_is_on_a_floor() -> None:
    assert {room_of(module) for module in MODULES if module != FRONT} <= FLOOR.keys()


@pytest.mark.parametrize('module', [name for name in MODULES if name != FRONT])
def test_imports_go_downward(module: str) -> None:
    upward = {room for room in rooms_imported(module)
              if FLOOR[room] > FLOOR[room_of(module)] and (module, room) not in DOORS}
    assert not upward, f'{module} is on floor {FLOOR[room_of(module)]} and imports from {upward}'


def test_rooms_are_no_circle() -> None:
    graph: dict[str, set[str]] = {room: set() for room in FLOOR}
    for module in MODULES:
        if module != FRONT:
            graph[room_of(module)] |= {room for room in rooms_imported(module)
                                       if (module, room) not in DOORS}
    list(graphlib.TopologicalSorter(graph).static_order())  # raises CycleError, naming the circle


@pytest.mark.parametrize('module', [name for name in MODULES if name != FRONT])
def test_the_workshop_stays_out_of_the_node(module: str) -> None:
    if room_of(module) not in WORKSHOP_USERS:
        found = {room for room in rooms_imported(module) & WORKSHOP if (module, room) not in DOORS}
        assert not found, f'{module} may run in the node, yet imports from {found}'


@pytest.mark.parametrize('module', MODULES)
def test_torch_and_ros_stay_in_their_rooms(module: str) -> None:
    names = {name.split('.')[0] for name in imports_of((PACKAGE / module).read_text(), module)}
    if not module.startswith(TORCH_ROOMS):
        assert not names & {'torch', 'torchvision'}
    if not module.startswith('ros/'):
        assert not {name for name in names if ROS_MODULE.match(name)}


@pytest.mark.parametrize('path', sorted(
    str(path.relative_to(SOURCES)) for folder in ('lorat_ros', 'launch', 'underlay')
    for path in (SOURCES / folder).rglob('*.py')))
def test_size_and_licence_of_sources(path: str) -> None:
    lines = (SOURCES / path).read_text().splitlines()
    assert len(lines) <= LONGEST or path in LONGER_WITH_REASON, f'{path} has {len(lines)} lines'
    assert '# SPDX-License-Identifier: Apache-2.0' in lines[:4]


def test_top_level() -> None:
    if not (SOURCES / '.git').exists() or not shutil.which('git'):
        pytest.skip('no git checkout or no git: what belongs to the repository cannot be told')
    listed = subprocess.run(['git', '-c', f'safe.directory={SOURCES}', '-C', SOURCES, 'ls-files'],
                            capture_output=True, text=True, check=True).stdout.splitlines()
    assert {Path(name).parts[0] for name in listed} == TOP_LEVEL
