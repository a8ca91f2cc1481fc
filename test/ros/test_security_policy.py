# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""config/lorat.policy.xml names exactly what the running nodes publish, hear, serve and call."""
from __future__ import annotations

import ast
import importlib.util
import socket
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

import cv2
import numpy as np
import pytest
import rclpy
from rclpy.node import Node
from support.graph import PATIENCE
from support.listener import Listener

POLICY = Path(__file__).resolve().parents[2] / 'config' / 'lorat.policy.xml'
#: Attribute of the policy: how the graph is asked for it, and what stands in the policy.
KINDS = {
    ('topics', 'publish'): 'get_publisher_names_and_types_by_node',
    ('topics', 'subscribe'): 'get_subscriber_names_and_types_by_node',
    ('services', 'reply'): 'get_service_names_and_types_by_node',
    ('services', 'request'): 'get_client_names_and_types_by_node',
}
#: Nodes, each in all the ways in which it subscribes to different things.
WAYS = {
    'lorat_tracker': (('raw', 'tracker_node', []),
                      ('jpeg', 'tracker_node', ['image_transport:=compressed',
                                                'use_sim_time:=true'])),
    'follow_node': (('real', 'follow_node', []),
                    ('simulated', 'follow_node', ['use_sim_time:=true'])),
    'video_publisher': (('all', 'video_publisher', [
        'path:={clip}', 'compressed:=true', 'horizontal_fov:=60.0', 'lock_step:=true',
        'loop:=true', 'use_sim_time:=true']),),
    'mavlink_camera': (('raw', 'mavlink_camera_node', ['url:=udpin:127.0.0.1:{port}']),
                       ('jpeg', 'mavlink_camera_node', ['url:=udpin:127.0.0.1:{port}',
                                                        'image_transport:=compressed',
                                                        'use_sim_time:=true'])),
}
NEEDS = {'mavlink_camera': 'pymavlink'}
NEW = '~/get_type_description'  # since Jazzy


def free_port() -> int:
    """A UDP port that nobody has."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(('127.0.0.1', 0))
        return probe.getsockname()[1]


def allowed(node: str) -> dict[tuple[str, str], set[str]]:
    """What the policy allows a node, as written there."""
    found: dict[tuple[str, str], set[str]] = {kind: set() for kind in KINDS}
    profiles = ElementTree.parse(POLICY).findall(f'.//profile[@node="{node}"]')
    assert len(profiles) == 1
    for group in profiles[0]:
        for attribute, value in group.attrib.items():
            assert value == 'ALLOW'
            found[group.tag, attribute] |= {entry.text for entry in group}
    return found


def seen(observer: Node, node: str, namespace: str) -> dict[tuple[str, str], set[str]]:
    """What a running node has, in the policy's words: relative to node or namespace."""
    found = {}
    for kind, question in KINDS.items():
        names = [name for name, _ in getattr(observer, question)(node, f'/{namespace}')]
        found[kind] = {name.replace(f'/{namespace}/{node}/', '~/', 1)
                       .removeprefix(f'/{namespace}/') for name in names}
    return found


def united(*found: dict) -> dict[tuple[str, str], set[str]]:
    return {kind: set().union(*(each[kind] for each in found)) for kind in KINDS}


@pytest.fixture(scope='module')
def observer() -> Iterator[Listener]:
    with Listener('observer') as listener:
        yield listener


@pytest.mark.parametrize('node', WAYS)
def test_the_policy_is_what_the_node_has(observer: Listener, node_process, node: str,
                                         tmp_path: Path) -> None:
    if node in NEEDS and importlib.util.find_spec(NEEDS[node]) is None:
        pytest.skip(f'{NEEDS[node]} is an optional extra')
    cv2.imwrite(str(tmp_path / '0.png'), np.zeros((8, 8, 3), np.uint8))
    expected = allowed(node)
    for namespace, executable, parameters in WAYS[node]:
        arguments = [word for parameter in parameters
                     for word in ('-p', parameter.format(port=free_port(), clip=tmp_path))]
        node_process(executable, '--ros-args', '-r', f'__ns:=/{namespace}', *arguments)
    found: list = []

    def all_there() -> bool:
        try:
            found[:] = [seen(observer.node, node, namespace)
                        for namespace, _, _ in WAYS[node]]
        except rclpy.node.NodeNameNonExistentError:
            return False
        return united(*found) == expected
    observer.spin_until(all_there, PATIENCE)
    really = united(*found)
    if NEW not in really['services', 'reply']:
        expected['services', 'reply'].discard(NEW)
    assert really == expected


def test_every_node_has_an_enclave_of_its_name_and_nothing_is_named_twice() -> None:
    enclaves = ElementTree.parse(POLICY).findall('./enclaves/enclave')
    assert {enclave.get('path') for enclave in enclaves} == {
        f'/{profile.get("node")}' for enclave in enclaves for profile in enclave.iter('profile')}
    assert set(WAYS) <= {profile.get('node') for enclave in enclaves
                         for profile in enclave.iter('profile')}
    for group in (group for enclave in enclaves for profile in enclave.iter('profile')
                  for group in profile):
        names = [entry.text for entry in group]
        assert len(names) == len(set(names)) and names


@pytest.mark.parametrize(('launch_file', 'node', 'fixed'), [
    ('tracker', 'lorat_tracker', {'node_name': 'lorat_tracker', 'namespace': ''}),
    ('mavlink_camera', 'mavlink_camera', {'tracker': 'lorat_tracker', 'namespace': ''})])
def test_launch_files_keep_the_names_of_the_policy(launch_file: str, node: str, fixed: dict
                                                   ) -> None:
    """Whoever starts them without arguments needs no other policy."""
    tree = ast.parse((POLICY.parents[1] / 'launch' / f'{launch_file}.launch.py').read_text())
    defaults = {call.args[0].value: keyword.value.value for call in ast.walk(tree)
                if isinstance(call, ast.Call) and ast.unparse(call.func) == 'DeclareLaunchArgument'
                for keyword in call.keywords if keyword.arg == 'default_value'
                and isinstance(keyword.value, ast.Constant)}
    heard = {name.removeprefix('~/'): name for name in allowed(node)['topics', 'subscribe']
             if '/' not in name.removeprefix('~/')}
    topics = {name for name in defaults if name in heard}
    assert {'image', 'camera_info'} <= topics
    assert {name: defaults[name] for name in topics} == {name: heard[name] for name in topics}
    assert {name: defaults[name] for name in fixed} == fixed


def test_the_example_operator_asks_for_nothing_that_is_not_there() -> None:
    tracker, operator = allowed('lorat_tracker'), allowed('operator')

    def of_tracker(names: set[str]) -> set[str]:
        return {name.replace('lorat_tracker/', '~/') for name in names
                if name.startswith('lorat_tracker/')}
    assert of_tracker(operator['topics', 'publish']) == {
        '~/init_box', '~/init_point', '~/candidates'} <= tracker['topics', 'subscribe']
    assert of_tracker(operator['topics', 'subscribe']) <= tracker['topics', 'publish']
    assert of_tracker(operator['services', 'request']) == {'~/reset', '~/enable'}
