# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""mavlink_camera.launch.py and mavlink_url: read as a text, run where `launch` is installed."""
from __future__ import annotations

import ast
import signal
import sys
from pathlib import Path

import pytest
from lorat_ros.ros.mavlink_camera_node import SPECS
from support.launching import needs_launch, RUN

LAUNCH = Path(__file__).resolve().parents[2] / 'launch'


def test_arguments_that_stand_for_parameters_do_so() -> None:
    tree = ast.parse((LAUNCH / 'mavlink_camera.launch.py').read_text())
    table = next(node.value for node in tree.body if isinstance(node, ast.Assign)
                 and node.targets[0].id == 'PARAMETERS')
    declared = {ast.literal_eval(call.args[0]) for call in ast.walk(tree)
                if isinstance(call, ast.Call) and getattr(call.func, 'id', '') ==
                'DeclareLaunchArgument'}
    known = {spec.name: spec.type.name for spec in SPECS}
    ros = {'str': 'STRING', 'int': 'INTEGER', 'float': 'DOUBLE', 'List[int]': 'INTEGER_ARRAY'}
    assert table.keys
    for key, kind in zip(table.keys, table.values):
        assert ros[ast.unparse(kind)] == known[key.value]
        assert key.value in declared


@needs_launch
@pytest.mark.parametrize(('name', 'arguments', 'system'), [
    ('mavlink_camera.launch.py',
     ('url:={url}', 'system_id:=9', 'allowed_system_ids:=[254]', 'video_delay:=0.2'), 9),
    ('tracker.launch.py', ('mavlink_url:={url}', 'autostart:=false', 'namespace:=front'), 1),
])
def test_the_camera_is_started_as_the_arguments_say(node_process, name: str, arguments: tuple,
                                                    system: int) -> None:
    pytest.importorskip('pymavlink', reason='pymavlink is an optional extra')
    from support.ground_station import free_port, GroundStation
    port = free_port()
    station = GroundStation(f'udpin:127.0.0.1:{port}')
    launch = node_process([sys.executable, '-c', RUN, str(LAUNCH / name), *(
        argument.format(url=f'udpout:127.0.0.1:{port}') for argument in arguments)])
    beat = station.wait_for('HEARTBEAT')
    assert (beat.get_srcSystem(), beat.get_srcComponent()) == (system, 100)
    station.close()
    launch.signal(signal.SIGINT, group=True)
    assert launch.wait(30) == 0
    allowed = 'systems 254' if system == 9 else 'systems 255'
    assert f'not signed, commands from {allowed}' in launch.output
    assert 'Traceback' not in launch.output
