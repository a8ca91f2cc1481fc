# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""tracker.launch.py: read as a text everywhere, run where `launch` is installed."""
from __future__ import annotations

import ast
import importlib.util
import signal
import sys
import time
from pathlib import Path
from types import ModuleType
from xml.etree import ElementTree

import pytest
import yaml
from lorat_ros.engines.session import ENGINE_NAMES
from lorat_ros.ros.parameters import SPECS
from support.graph import Client
from support.launching import needs_launch, RUN

ROOT = Path(__file__).resolve().parents[2]
LAUNCH_FILE, CONFIG = ROOT / 'launch' / 'tracker.launch.py', ROOT / 'config'
PROFILES = 'FASTDDS_DEFAULT_PROFILES_FILE'
ARGUMENTS = {'image', 'camera_info', 'image_transport', 'params_file', 'model', 'engine',
             'namespace', 'node_name', 'use_sim_time', 'autostart', 'rviz', 'mavlink_url',
             'log_level', 'init_box', 'init_point', 'candidates'}


def declared() -> dict[str, str]:
    """Names and descriptions of the arguments, as they are written in the file."""
    calls = [node for node in ast.walk(ast.parse(LAUNCH_FILE.read_text()))
             if isinstance(node, ast.Call) and getattr(node.func, 'id', '') ==
             'DeclareLaunchArgument']
    return {ast.literal_eval(call.args[0]): ast.unparse(
        next(k.value for k in call.keywords if k.arg == 'description')) for call in calls}


def test_every_argument_is_declared_by_a_literal_name_with_a_description() -> None:
    found = declared()
    assert set(found) == ARGUMENTS
    assert all(found.values())
    for engine in ENGINE_NAMES:
        assert engine in found['engine']


def test_arguments_are_declared_outside_of_every_function() -> None:
    """Within one, as in an OpaqueFunction, `--show-args` would not show them."""
    tree = ast.parse(LAUNCH_FILE.read_text())
    names = [node.id for function in ast.walk(tree) if isinstance(function, ast.FunctionDef)
             for node in ast.walk(function) if isinstance(node, ast.Name)]
    assert 'OpaqueFunction' in names and 'DeclareLaunchArgument' not in names


def test_arguments_that_stand_for_parameters_do_so() -> None:
    tree = ast.parse(LAUNCH_FILE.read_text())
    table = next(node.value for node in tree.body if isinstance(node, ast.Assign)
                 and node.targets[0].id == 'PARAMETERS')
    known = {spec.name: spec.type.name for spec in SPECS} | {'use_sim_time': 'BOOL'}
    ros = {'str': 'STRING', 'bool': 'BOOL'}
    assert table.keys
    for key, kind in zip(table.keys, table.values):
        assert ros[kind.id] == known[key.value]
        assert key.value in ARGUMENTS


@pytest.mark.parametrize(('file', 'images'), [('fastdds.xml', 8), ('fastdds_tracker.xml', 2)])
def test_the_profiles_make_room_for_images(file: str, images: int) -> None:
    tree = ElementTree.parse(CONFIG / file)
    texts = {element.tag.split('}')[-1]: element.text for element in tree.iter()}
    assert int(texts['segment_size']) >= images * 1920 * 1080 * 3
    assert texts['useBuiltinTransports'] == 'false'


def test_rviz_shows_the_debug_image_and_the_ray_of_the_default_name() -> None:
    config = yaml.safe_load((CONFIG / 'tracker.rviz').read_text())
    shown = {display['Class']: display.get('Topic', {}).get('Value')
             for display in config['Visualization Manager']['Displays']}
    assert shown['rviz_default_plugins/Image'] == '/lorat_tracker/debug_image'
    assert shown['rviz_default_plugins/Marker'] == '/lorat_tracker/marker'
    launch = LAUNCH_FILE.read_text()  # which follows a node of another name
    assert all(f"('{topic}', " in launch for topic in shown.values() if topic)


@needs_launch
def test_arguments_override_the_file_only_where_they_are_given(node_process, tmp_path) -> None:
    parameters = tmp_path / 'mine.yaml'
    parameters.write_text('/**:\n  ros__parameters:\n    class_id: boat\n    threads: 2\n'
                          '    image_transport: compressed\n    autostart: true\n')
    launch = node_process(
        [sys.executable, '-c', RUN, str(LAUNCH_FILE), f'params_file:={parameters}',
         'namespace:=front', 'node_name:=eye', 'image:=/camera/picture', 'autostart:=false',
         'engine:=onnx'])
    client = Client('/front/eye', '/camera/picture')
    values = client.values(['class_id', 'threads', 'image_transport', 'autostart', 'engine',
                            'model', 'use_sim_time'])
    assert [values[0].string_value, values[1].integer_value, values[2].string_value,
            values[3].bool_value, values[4].string_value, values[5].string_value,
            values[6].bool_value] == ['boat', 2, 'compressed', False, 'onnx', '', False]
    assert client.lifecycle() == 'unconfigured'
    client.close()
    # Ctrl-C at a terminal reaches the whole group, and impatient people press it again.
    for _ in range(2):
        launch.signal(signal.SIGINT, group=True)
        time.sleep(0.1)
    assert launch.wait(30) == 0
    assert 'process has finished cleanly' in launch.output
    assert 'Traceback' not in launch.output


@needs_launch
@pytest.mark.parametrize(('environment', 'names'), [
    ({}, [PROFILES]),
    ({'ROS_DISTRO': 'humble'}, ['FASTRTPS_DEFAULT_PROFILES_FILE']),
    ({'FASTDDS_BUILTIN_TRANSPORTS': 'LARGE_DATA'}, []),
    ({'FASTRTPS_DEFAULT_PROFILES_FILE': '/mine.xml'}, []),
])
def test_a_transport_is_chosen_unless_the_user_has_one(
        monkeypatch: pytest.MonkeyPatch, environment: dict, names: list) -> None:
    for name in ('ROS_DISTRO', 'FASTDDS_BUILTIN_TRANSPORTS', 'FASTDDS_DEFAULT_PROFILES_FILE',
                 'FASTRTPS_DEFAULT_PROFILES_FILE'):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    actions = launch_module().large_image_transport()
    assert [action.name[0].text for action in actions] == names
    assert all(action.value[0].text == str(CONFIG / 'fastdds.xml') for action in actions)


@needs_launch
@pytest.mark.parametrize(('profile', 'own'), [
    (str(CONFIG / 'fastdds.xml'), {PROFILES: str(CONFIG / 'fastdds_tracker.xml')}),
    ('/mine.xml', {}), ('', {})])
def test_the_tracker_gets_less_room_unless_the_user_has_chosen(
        monkeypatch: pytest.MonkeyPatch, profile: str, own: dict) -> None:
    from launch import LaunchContext
    for name in (PROFILES, 'FASTRTPS_DEFAULT_PROFILES_FILE'):
        monkeypatch.delenv(name, raising=False)
    if profile:
        monkeypatch.setenv(PROFILES, profile)
    assert launch_module().room_of_the_tracker(LaunchContext()) == own


@needs_launch
@pytest.mark.parametrize(('chosen', 'own'), [
    ('', 'glibc.malloc.arena_max=1'),
    ('glibc.malloc.check=1', 'glibc.malloc.check=1:glibc.malloc.arena_max=1'),
    ('glibc.malloc.arena_max=4', None)])
def test_threads_share_a_heap_unless_the_user_has_chosen(
        monkeypatch: pytest.MonkeyPatch, chosen: str, own: str | None) -> None:
    from launch import LaunchContext
    monkeypatch.setenv('GLIBC_TUNABLES', chosen)
    found = launch_module().c_library_of_the_tracker(LaunchContext())
    assert found == ({} if own is None else {'GLIBC_TUNABLES': own})


def launch_module() -> ModuleType:
    spec = importlib.util.spec_from_file_location('tracker_launch', LAUNCH_FILE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
