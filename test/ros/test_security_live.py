# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""docs/security.md, done: a secured graph, where the middleware has DDS Security, and with sros2.

Keys and permissions are made of config/lorat.policy.xml, and everything runs under Enforce.
"""
from __future__ import annotations

import importlib.util
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import cv2
import pytest
from support.graph import picture, TARGET
from support.listener import Listener

POLICY = Path(__file__).resolve().parents[2] / 'config' / 'lorat.policy.xml'
ENCLAVES = [enclave.get('path') for enclave in ElementTree.parse(POLICY).iter('enclave')]
HAS_MAVLINK = importlib.util.find_spec('pymavlink') is not None
NODES = ('lorat_tracker', 'video_publisher', 'follow_node', *['mavlink_camera'] * HAS_MAVLINK)
FILES = ('identity_ca.cert.pem', 'cert.pem', 'key.pem', 'permissions_ca.cert.pem',
         'governance.p7s', 'permissions.p7s')
INIT = 'import rclpy; rclpy.init(args={!r}); rclpy.create_node("probe")'
WITHOUT_SECURITY = re.compile(r"[^\n]*(doesn't have the security libraries|does not have security "
                              r'support|not built with security|security is not)[^\n]*')

#: Whoever points and watches: does what its enclave lets it do, and tries what it does not.
OPERATOR = '''
import sys
import rclpy
from geometry_msgs.msg import TwistStamped
from rcl_interfaces.srv import SetParameters
from std_srvs.srv import Trigger
from vision_msgs.msg import Detection2D, Detection2DArray
from lorat_ros.ros.messages import point_of
rclpy.init()
node = rclpy.create_node('operator')
found = []
node.create_subscription(Detection2DArray, 'lorat_tracker/detections',
                         lambda array: found.extend(array.detections), 10)
init_box = node.create_publisher(Detection2D, 'lorat_tracker/init_box', 1)
box = Detection2D(id='the one')
x, y, box.bbox.size_x, box.bbox.size_y = TARGET
centre = point_of(box.bbox.center)
centre.x, centre.y = x + box.bbox.size_x / 2, y + box.bbox.size_y / 2
while not found:
    init_box.publish(box)
    rclpy.spin_once(node, timeout_sec=0.2)
print('detected', found[0].id, flush=True)
reset = node.create_client(Trigger, 'lorat_tracker/reset')
reset.wait_for_service()
answer = reset.call_async(Trigger.Request())
rclpy.spin_until_future_complete(node, answer)
print('reset', answer.result().success, flush=True)
for what, attempt in {
        'publish cmd_vel': lambda: node.create_publisher(TwistStamped, 'cmd_vel', 1),
        'publish detections': lambda: node.create_publisher(
            Detection2DArray, 'lorat_tracker/detections', 1),
        'call set_parameters': lambda: node.create_client(
            SetParameters, 'lorat_tracker/set_parameters')}.items():
    try:
        attempt()
        print('may', what, flush=True)
    except Exception as error:
        print('may not', what, flush=True)
while not set(sys.argv[1].split()) <= set(node.get_node_names()):
    rclpy.spin_once(node, timeout_sec=0.2)
print('all there', flush=True)
node.destroy_node()
rclpy.shutdown()
'''.replace('TARGET', repr(TARGET))


def variables(keys: Path) -> dict[str, str]:
    return {'ROS_SECURITY_KEYSTORE': str(keys), 'ROS_SECURITY_ENABLE': 'true',
            'ROS_SECURITY_STRATEGY': 'Enforce'}


def start_under(keys: Path, enclave: str) -> str:
    """What the middleware says if a process is started in an enclave."""
    code = INIT.format(['--ros-args', '--enclave', enclave])
    return subprocess.run([sys.executable, '-c', code], env={**os.environ, **variables(keys)},
                          capture_output=True, text=True, timeout=60).stderr


@pytest.fixture(scope='module')
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A keystore with the enclaves; skips, with the middleware's own words, where it is no use."""
    folder = tmp_path_factory.mktemp('probe')
    (folder / 'enclaves' / 'probe').mkdir(parents=True)
    for name in FILES:
        (folder / 'enclaves' / 'probe' / name).touch()
    if found := WITHOUT_SECURITY.search(start_under(folder, '/probe')):
        pytest.skip(f'the middleware was built without DDS Security: {found[0].strip()}')
    if importlib.util.find_spec('sros2') is None:
        pytest.skip('sros2 is not installed: apt install ros-$ROS_DISTRO-sros2')
    from sros2 import keystore
    keys = tmp_path_factory.mktemp('keystore') / 'keys'
    keystore.create_keystore(keys)
    for enclave in ENCLAVES:
        keystore.create_enclave(keys, enclave)
        keystore.create_permission(keys, enclave, POLICY)
    return keys


@pytest.fixture(scope='module')
def secured(keys: Path, module_node: Callable, tmp_path_factory: pytest.TempPathFactory
            ) -> Callable:
    """Start a program in its enclave; the tracker and a camera run already."""
    clip = tmp_path_factory.mktemp('clip')
    cv2.imwrite(str(clip / '0.png'), picture())
    cv2.imwrite(str(clip / '1.png'), picture())

    def start(program: str | list[str], enclave: str, *parameters: str, exit_codes=(0,)):
        given = [word for parameter in parameters for word in ('-p', parameter)]
        return module_node(program, '--ros-args', '--enclave', enclave, *given,
                           environment=variables(keys), exit_codes=exit_codes)
    start('tracker_node', '/lorat_tracker', 'score_lost:=0.0', 'score_recover:=0.0')
    start('video_publisher', '/video_publisher', f'path:={clip}', 'loop:=true', 'rate:=15.0')
    start('follow_node', '/follow_node')
    if HAS_MAVLINK:
        start('mavlink_camera_node', '/mavlink_camera', 'url:=udpout:127.0.0.1:14550')
    return start


def test_who_has_its_enclave_does_what_that_allows_and_no_more(secured: Callable, tmp_path: Path
                                                               ) -> None:
    program = tmp_path / 'operator.py'
    program.write_text(OPERATOR)
    # Of what it has refused Fast DDS forgets a timer: built with assertions it ends by them.
    ends = (0, -signal.SIGABRT)
    operator = secured([sys.executable, str(program), ' '.join(NODES)], '/operator',
                       exit_codes=ends)
    said = operator.wait_for_output('all there', timeout=60).splitlines()
    assert operator.wait() in ends
    for line in ('detected the one', 'reset True', 'may not publish cmd_vel',
                 'may not publish detections', 'may not call set_parameters'):
        assert line in said
    assert not [line for line in said if line.startswith('may ') and ' not ' not in line]


def test_without_an_enclave_nobody_starts(keys: Path) -> None:
    assert 'SECURITY ERROR' in start_under(keys, '/stranger')


def test_whoever_is_not_secured_sees_and_reaches_nobody(
        secured: Callable, module_node: Callable, tmp_path_factory: pytest.TempPathFactory
        ) -> None:
    clip = tmp_path_factory.mktemp('open')
    cv2.imwrite(str(clip / '0.png'), picture())
    module_node('video_publisher', '--ros-args', '-r', '__ns:=/open', '-p', f'path:={clip}',
                '-p', 'loop:=true')
    with Listener('stranger') as stranger:
        # By the time it has found one of its own kind it would have found the others, too.
        assert stranger.spin_until(lambda: stranger.node.count_publishers('/open/image'))
        stranger.spin(1.0)
        for topic in ('/image', '/lorat_tracker/detections', '/lorat_tracker/status'):
            assert stranger.node.count_publishers(topic) == 0
        assert stranger.node.count_subscribers('/lorat_tracker/init_box') == 0
        assert ('lorat_tracker', '/') not in stranger.node.get_node_names_and_namespaces()
