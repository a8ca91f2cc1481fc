# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The tracker's life: transitions, models that cannot be loaded, start and end of the process."""
from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import pytest
from diagnostic_msgs.msg import DiagnosticStatus
from lorat_ros.boxes import iou_xywh
from lorat_ros.ros.messages import box_of
from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import CompressedImage, Image
from support.bundles import copy_of_default
from support.graph import TARGET, Client, picture, value_of

ANY_SCORE = ('-p', 'score_lost:=0.0', '-p', 'score_recover:=0.0')


@pytest.fixture(scope='module')
def client(module_node) -> Iterator[Client]:
    """A tracker that waits for transitions."""
    module_node('tracker_node', '--ros-args', '-p', 'autostart:=false',
                '-r', '__node:=eye', '-r', 'image:=/eye/image', *ANY_SCORE)
    client = Client('/eye', '/eye/image')
    client.wait_for_status(lifecycle='unconfigured', state='idle')
    yield client
    client.close()


@pytest.fixture
def unconfigured(client: Client) -> Client:
    """That tracker as it was at its start, except for parameters."""
    for state, transition in (('active', 'deactivate'), ('inactive', 'cleanup')):
        if client.lifecycle() == state:
            assert client.transition(transition)
    client.wait_for_status(lifecycle='unconfigured')
    return client


# -- transitions ------------------------------------------------------------------------------

def test_every_transition_and_back_again(unconfigured: Client) -> None:
    client = unconfigured
    assert client.set_parameter('model', '') == ''
    for _ in range(2):
        assert client.transition('configure')
        client.wait_for_status(lifecycle='inactive', fault='')
        assert client.node.count_subscribers('/eye/image') == 0
        assert client.transition('activate')
        client.wait_for_status(lifecycle='active')
        client.wait_for_matches()
        assert client.track().id
        assert client.transition('deactivate')
        client.wait_for_status(lifecycle='inactive', state='idle', id='')
        assert client.transition('cleanup')
        client.wait_for_status(lifecycle='unconfigured')


def test_a_box_for_an_inactive_node_is_refused_with_the_cure(unconfigured: Client) -> None:
    unconfigured.wait_until(
        lambda: unconfigured.node.count_subscribers('/eye/init_box') > 0, 'the box is heard')
    unconfigured.send_box(TARGET)
    status = unconfigured.wait_for_status(init='refused')
    assert 'the node is unconfigured, expected active: activate it' in value_of(status, 'init')
    for part in ('engine', 'image input'):  # not asked for yet is not broken
        assert unconfigured.wait_for_health(part, 'the node is unconfigured').level == \
            DiagnosticStatus.WARN
    assert not unconfigured.reset()
    assert not unconfigured.enable(True)
    # Once that is past, nothing of it is said any more, nor of a wish that nobody had.
    for transition, lifecycle in (('configure', 'inactive'), ('activate', 'active'),
                                  ('deactivate', 'inactive'), ('activate', 'active')):
        assert unconfigured.transition(transition)
        status = unconfigured.wait_for_status(lifecycle=lifecycle)
        assert value_of(status, 'init') == 'none yet'


# -- bundles ----------------------------------------------------------------------------------

def missing(folder: Path) -> Path:
    return folder / 'no' / 'such' / 'bundle'


def truncated(folder: Path) -> Path:
    bundle = copy_of_default(folder)
    graph = bundle / 'search.onnx'
    graph.write_bytes(graph.read_bytes()[:1000])
    return bundle


def altered(folder: Path) -> Path:
    bundle = copy_of_default(folder)
    graph = bundle / 'search.onnx'
    content = bytearray(graph.read_bytes())
    content[len(content) // 2] ^= 0xff
    graph.write_bytes(content)
    return bundle


def stranger(folder: Path) -> Path:
    return copy_of_default(folder, lambda manifest: manifest.update(family='osprey'))


@pytest.mark.parametrize(('make', 'error', 'cure'), [
    (missing, 'does not exist', 'give the folder'),
    (truncated, 'has 1000 bytes, expected', 'anew'),
    (altered, 'has checksum', 'anew'),
    (stranger, "family 'osprey' is unknown, expected one of kestrel", 'update lorat_ros'),
])
def test_a_bad_bundle_fails_the_transition_and_the_node_lives_on(
        unconfigured: Client, tmp_path: Path, make: Callable[[Path], Path], error: str,
        cure: str) -> None:
    client = unconfigured
    assert client.set_parameter('model', str(make(tmp_path))) == ''
    assert not client.transition('configure')
    assert client.lifecycle() == 'unconfigured'
    fault = value_of(client.wait_for_status(fault='cannot configure'), 'fault')
    assert error in fault and cure in fault
    report = client.wait_for_health('engine', error)
    assert fault in report.message and report.level == DiagnosticStatus.ERROR
    # The cure works without a restart.
    assert client.set_parameter('model', '') == ''
    assert client.transition('configure')
    client.wait_for_status(lifecycle='inactive', fault='')


def test_thresholds_in_the_wrong_order_fail_the_transition(unconfigured: Client) -> None:
    client = unconfigured
    assert client.set_parameter('score_lost', 0.9) == ''
    assert not client.transition('configure')
    client.wait_for_status(fault='raise score_recover or lower score_lost')
    assert client.set_parameter('score_lost', 0.0) == ''
    assert client.transition('configure')


# -- start and end of the process -------------------------------------------------------------

def test_a_bad_model_at_start_leaves_the_node_up_and_says_so(node_process) -> None:
    process = node_process('tracker_node', '--ros-args', '-p', 'model:=osprey-xl')
    process.wait_for_output("cannot configure: model 'osprey-xl' is not installed")
    assert 'Traceback' not in process.output
    assert process.returncode is None
    assert process.stop() == 0


@pytest.mark.parametrize(('arguments', 'error'), [
    (['-p', 'threads:=99'], 'parameter threads: 99 is not allowed, expected integer from 1 to'),
    (['-p', 'use_sim_time:=3'], 'use_sim_time'),
    (['--params-file', '/no/such/file.yaml'], '/no/such/file.yaml'),
])
def test_bad_arguments_end_the_process_with_one_line(node_process, arguments: list,
                                                    error: str) -> None:
    process = node_process('tracker_node', '--ros-args', *arguments, exit_codes=(1,))
    assert process.wait(60) == 1
    assert error in process.output
    assert 'Traceback' not in process.output


@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM])
def test_signals_end_the_process_cleanly_also_twice(node_process, number: int) -> None:
    process = node_process('tracker_node')
    process.wait_for_output('engine onnx')
    while process.returncode is None:  # not only before it is obeyed, also while it cleans up
        process.signal(number)
        time.sleep(0.02)
    assert process.returncode == 0
    assert 'Traceback' not in process.output


# -- more than one, and other transports ------------------------------------------------------

def test_two_nodes_in_namespaces_do_not_hear_each_other(node_process) -> None:
    clients = []
    for namespace in ('/left', '/right'):
        node_process('tracker_node', '--ros-args', '-r', f'__ns:={namespace}', *ANY_SCORE)
        clients.append(Client(f'{namespace}/lorat_tracker', f'{namespace}/image'))
    left, right = clients
    left.wait_for_matches()
    right.wait_for_matches()
    left.track(target_id='of the left')
    assert not right.exchange(right.frame()).detections
    right.track(target_id='of the right')
    assert left.exchange(left.frame()).detections[0].id == 'of the left'
    left.close()
    right.close()


def compressed(client: Client, suffix: str) -> CompressedImage:
    _, data = cv2.imencode(f'.{suffix}', picture())
    return CompressedImage(header=client.header(), format=suffix, data=data.tobytes())


def test_compressed_images_follow_a_remap_and_start_with_the_parameter(node_process) -> None:
    x, y, w, h = TARGET
    process = node_process(
        'tracker_node', '--ros-args', '-p', 'image_transport:=compressed',
        '-r', 'image:=/front/picture', '-p', f'init_box:=[{x}, {y}, {w}, {h}]',
        '-p', 'image_timeout:=0.5', *ANY_SCORE)
    client = Client('/lorat_tracker', '/front/picture/compressed', compressed=True)
    client.frame = lambda: compressed(client, 'jpg')
    client.wait_for_matches()
    # The first image already was the parameter's.
    client.wait_for_status(state='tracking', init='accepted: box x 120.0 y 90.0')
    [detection] = client.exchange(compressed(client, 'png')).detections
    assert float(iou_xywh(box_of(detection), TARGET)) > 0.2
    for suffix in ('jpg', 'png'):
        cut = compressed(client, suffix)
        cut.data = cut.data[:len(cut.data) // 2]
        client.send(cut)
        client.wait_for_health('image input', 'truncated JPEG' if suffix == 'jpg' else
                               'truncated PNG')
        [after] = client.exchange(compressed(client, 'jpg')).detections
        assert after.id == detection.id
    # A camera whose every frame is cut off, each at another place, does not flood the log.
    for length in range(1000, 1040):
        cut = compressed(client, 'jpg')
        cut.data = cut.data[:length]
        client.send(cut)
        client.spin_for(0.05)
    [after] = client.exchange(compressed(client, 'jpg')).detections
    client.spin_for(1.5)  # until the next diagnostics
    failed = int(value_of(client.health['image input'], 'failed'))
    assert failed > 10
    assert process.output.count('a frame could not be used') <= failed // 3
    client.close()


def test_best_effort_is_taken_where_only_that_is_offered_and_a_wrong_type_is_named(
        node_process) -> None:
    process = node_process('tracker_node', '--ros-args', '-p', 'image_timeout:=0.5', *ANY_SCORE)
    client = Client('/lorat_tracker', image_qos=QoSProfile(
        depth=1, reliability=ReliabilityPolicy.BEST_EFFORT))
    client.wait_for_matches()
    client.track()
    assert value_of(client.wait_for_health('image input', '320x240'), 'qos').startswith(
        'best_effort')
    client.node.destroy_publisher(client._image)
    wrong = client.node.create_publisher(CompressedImage, '/image', 1)
    elsewhere = client.node.create_publisher(Image, '/elsewhere', 1)
    client.wait_for_health('image input', 'publishes sensor_msgs/msg/CompressedImage there. '
                           'Set image_transport to compressed')
    client.node.destroy_publisher(wrong)
    client.wait_for_health('image input', 'it has no publisher, such images are on: /elsewhere')
    process.wait_for_output('such images are on: /elsewhere')
    client.node.destroy_publisher(elsewhere)
    client.close()
