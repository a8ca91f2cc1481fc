# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What goes wrong around a node: floods, readers that do not read, processes that are killed."""
from __future__ import annotations

import itertools
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from builtin_interfaces.msg import Time
from conftest import executable
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from lorat_ros.boxes import iou_xywh
from lorat_ros.ros.health import UNCOUNTED
from lorat_ros.ros.images import image_message
from lorat_ros.ros.messages import box_of
from lorat_ros.ros.shared_memory import complaint
from rosgraph_msgs.msg import Clock
from support.graph import Client, picture, TARGET, value_of
from vision_msgs.msg import Detection2DArray

NAME = '/lorat_tracker'
#: A program for python -c: a reader (or writer) of the tracker's topics that gets stuck.
STUCK = '''
import time
import rclpy
from rclpy.qos import QoSProfile, HistoryPolicy
from sensor_msgs.msg import Image
from vision_msgs.msg import Detection2DArray
rclpy.init()
node = rclpy.create_node('stuck')
keep_all = QoSProfile(depth=1, history=HistoryPolicy.KEEP_ALL)
heard = []
node.create_subscription(Detection2DArray, '/lorat_tracker/detections', heard.append, keep_all)
camera = node.create_publisher(Image, '/image', 1)
while not heard:
    rclpy.spin_once(node, timeout_sec=0.1)
print('stuck now', flush=True)
time.sleep(600)
'''


@pytest.fixture(scope='module')
def tracker(module_node):
    """One tracker for all that it has to survive."""
    return module_node('tracker_node')


@pytest.fixture(scope='module')
def graph(tracker) -> Iterator[Client]:
    client = Client(NAME)
    client.wait_for_matches()
    yield client
    client.close()


@pytest.fixture
def client(graph: Client) -> Client:
    """That tracker, without a target."""
    graph.reset()
    graph.wait_for_status(state='idle', lifecycle='active')
    graph.arrays.clear()
    graph.singles.clear()
    return graph


def counts(client: Client) -> dict[str, int]:
    """What the newest diagnostics have counted."""
    client.health.pop('image input', None)
    status = client.wait_for_health('image input', '')
    found = {name: value_of(status, name) for name in (
        'received', 'processed', 'dropped', 'failed', 'missed')}
    return {name: int(text) for name, text in found.items() if text != UNCOUNTED}


def nothing_is_open(client: Client) -> dict[str, int]:
    """Wait until every image that came is accounted for; returns the counts."""
    def balanced() -> dict[str, int]:
        now = counts(client)
        return now if now['received'] == sum(
            now[name] for name in ('processed', 'dropped', 'failed')) else {}
    return client.wait_until(balanced, 'each image is processed, dropped or failed')


def test_a_flood_is_dropped_and_counted(client: Client) -> None:
    target = client.track()
    begun = nothing_is_open(client)
    if 'missed' not in begun:
        pytest.skip(UNCOUNTED)
    before = client.sent - begun['received'] - begun['missed']
    frames = [client.frame() for _ in range(60)]
    for _ in range(5):      # faster than any camera
        for frame in frames:
            client.send(frame)
        client.spin_for(0.1)
    after = client.exchange(client.frame())
    assert after.detections[0].id == target.id
    # Nothing is lost silently.
    now = nothing_is_open(client)
    assert now['received'] + now['missed'] == client.sent - before
    lost = now['dropped'] + now['missed'] - begun['dropped'] - begun['missed']
    assert lost > 100


def test_a_reader_that_never_reads_holds_nobody_up(client: Client, node_process) -> None:
    target = client.track()
    stuck = node_process([sys.executable, '-c', STUCK], exit_codes=(-signal.SIGKILL,))
    client.wait_until(lambda: client.exchange(client.frame()) and 'stuck now' in stuck.output,
                      'the reader is stuck')
    for _ in range(60):
        answer = client.exchange(client.frame())
    assert answer.detections[0].id == target.id
    # Nor does one that is gone without a word.
    stuck.signal(signal.SIGKILL)
    stuck.wait()
    for _ in range(30):
        answer = client.exchange(client.frame())
    assert answer.detections[0].id == target.id


def test_a_second_node_of_the_same_name_is_named_by_both(client: Client, tracker,
                                                         node_process) -> None:
    second = node_process('tracker_node')
    for node in (tracker, second):
        node.wait_for_output('2 nodes are called /lorat_tracker: their detections come on one')
    second.stop()
    client.wait_for_health('image input', 'bgr8')
    client.wait_until(lambda: value_of(client.health['image input'], 'nodes of this name') == '1',
                      'it is alone again')


def test_transitions_in_every_order_while_images_come(client: Client) -> None:
    names = ('configure', 'activate', 'deactivate', 'cleanup')
    allowed = {('unconfigured', 'configure'): 'inactive', ('inactive', 'activate'): 'active',
               ('active', 'deactivate'): 'inactive', ('inactive', 'cleanup'): 'unconfigured'}
    state = 'active'
    for wish in itertools.chain(*itertools.permutations(names)):
        for _ in range(3):
            client.send(client.frame())
        expected = allowed.get((state, wish))
        assert client.transition(wish) == (expected is not None), (state, wish)
        state = expected or state
    assert client.lifecycle() == state
    while state != 'active':
        state = {'unconfigured': 'inactive', 'inactive': 'active'}[state]
        assert client.transition('configure' if state == 'inactive' else 'activate')
    client.wait_for_matches()
    assert client.track().results[0].hypothesis.score > 0.5
    nothing_is_open(client)  # also what waited when it was deactivated


def test_pauses_while_images_come_lose_none_silently(client: Client) -> None:
    target = client.track()
    for _ in range(2):
        for on in (False, True):
            for _ in range(3):
                client.send(client.frame())
            assert client.enable(on)
    assert client.exchange(client.frame()).detections[0].id == target.id
    nothing_is_open(client)


def test_a_camera_that_goes_comes_back_as_another(client: Client) -> None:
    target = client.track()
    assert client.set_parameter('image_timeout', 0.5) == ''
    client.unplug()
    client.wait_for_health('image input', 'it has no publisher')
    client.wait_for_status(state='tracking', frame_age='.')
    client.plug_in()
    scene = picture(640, 480)
    for encoding, image in (('rgb8', scene[..., ::-1]), ('bgr8', scene)):
        for rate in (8.0, 100.0):
            for _ in range(4):
                frame = image_message(image, client.header())
                frame.encoding = encoding
                frame.header.frame_id = f'a camera of {rate:g}'
                [detection] = client.exchange(frame).detections
                client.spin_for(1 / rate)
            assert (detection.id, detection.header) == (target.id, frame.header)
            assert iou_xywh(np.array(box_of(detection)), np.array(TARGET)) > 0.5
    client.wait_for_health('image input', '640x480 bgr8')
    client.wait_until(lambda: value_of(client.statuses[-1], 'id') == target.id
                      and client.statuses[-1].level == DiagnosticStatus.OK, 'all is well')
    assert client.set_parameter('image_timeout', 2.0) == ''


def test_a_recording_in_a_loop_repeats_its_stamps(client: Client) -> None:
    target = client.track()
    frames = [client.frame(stamp=number * 10**8) for number in range(50_000, 50_006)]
    for frame in [*frames, *frames, *[frames[0]] * 3]:
        client.arrays.clear()
        answer = client.exchange(frame)
        assert answer.header == frame.header and answer.detections[0].id == target.id
    # A box for a picture to which the loop has not come round waits for it: the last round's is
    # not what its operator sees.
    client.send_box(TARGET, 'again', stamp=50_003 * 10**8)
    client.wait_for_status(init='waiting', id=target.id)
    client.arrays.clear()
    assert client.exchange(frames[2]).detections[0].id == target.id
    assert client.exchange(frames[3]).detections[0].id == 'again'


def test_simulated_time_that_jumps_back_or_stands_still_stops_nothing(client: Client) -> None:
    heard: list[DiagnosticArray] = []
    topics = [client.node.create_subscription(DiagnosticArray, '/diagnostics', heard.append, 10)]
    clock = client.node.create_publisher(Clock, '/clock', 10)
    target = client.track()
    assert client.set_parameter('use_sim_time', True) == ''
    client.wait_until(clock.get_subscription_count, 'the clock is heard')
    for second in (1000, 1001, 5, 6, 0, 1):  # a simulator that is reset, and again
        clock.publish(Clock(clock=Time(sec=second)))
        frame = client.frame(stamp=second * 10**9 + 1)
        [detection] = client.exchange(frame).detections
        assert (detection.id, detection.header) == (target.id, frame.header)
    # Nobody moves the clock any more: what the node says of itself comes all the same.
    heard.clear()
    client.wait_until(lambda: any(array.header.stamp.sec == 1 for array in heard), 'a report')
    assert client.reset()
    client.wait_for_status(state='idle', init='forgotten')
    assert client.set_parameter('use_sim_time', False) == ''
    client.node.destroy_publisher(clock)
    client.node.destroy_subscription(topics[0])


def test_parameters_change_while_images_come(client: Client) -> None:
    target = client.track()
    for round_, value in enumerate((0.0, 3.0, 0.5) * 5):
        client.send(client.frame())
        assert client.set_parameters({'coast_seconds': value, 'class_id': f'kind {round_}',
                                      'reacquire': ('off', 'search')[round_ % 2]}) == ''
    answer = client.exchange(client.frame()).detections[0]
    assert (answer.id, answer.results[0].hypothesis.class_id) == (target.id, 'kind 14')


def test_on_a_starved_processor_frames_are_dropped_and_the_newest_is_answered(client: Client
                                                                              ) -> None:
    target = client.track()
    before = nothing_is_open(client)
    if 'missed' not in before:
        pytest.skip(UNCOUNTED)
    busy = [subprocess.Popen([sys.executable, '-c', 'while True: pass'])
            for _ in range(2 * (os.cpu_count() or 1))]
    try:
        for _ in range(20):
            for _ in range(5):
                client.send(client.frame())
            answer: Detection2DArray = client.exchange(client.frame())
            assert answer.detections[0].id == target.id
    finally:
        for process in busy:
            process.kill()
            process.wait()
    now = nothing_is_open(client)
    more = {name: now[name] - before[name] for name in now}
    assert more['received'] + more['missed'] == 120 and more['failed'] == 0
    assert 20 <= more['processed'] < 120 and more['dropped'] + more['missed'] > 0


def test_a_tracker_that_was_killed_comes_back_without_a_target(node_process) -> None:
    # Of another name: the shared one is not to be hurt.
    name = ('--ros-args', '-r', '__ns:=/hurt')
    first = node_process('tracker_node', *name, exit_codes=(-signal.SIGKILL,))
    client = Client('/hurt/lorat_tracker', '/hurt/image')
    client.wait_for_matches()
    client.track(target_id='before')
    memory = [Path('/dev/shm', name) for name in first.segments()]
    assert all(path.exists() for path in memory)
    first.signal(signal.SIGKILL)
    first.wait()
    assert not any(path.exists() for path in memory)  # tests leave no room taken behind
    client.statuses.clear()
    node_process('tracker_node', *name)
    client.wait_for_matches()
    status = client.wait_for_status(state='idle', lifecycle='active')
    assert value_of(status, 'id') == '' and value_of(status, 'init') == 'none yet'
    assert client.exchange(client.frame()).detections == []
    assert client.track(target_id='after').id == 'after'
    client.close()


def _may_mount() -> bool:
    return os.geteuid() == 0 and shutil.which('unshare') is not None and subprocess.run(
        ['unshare', '--mount', 'mount', '-t', 'tmpfs', 'none', '/dev/shm'],
        capture_output=True).returncode == 0


needs_mounts = pytest.mark.skipif(not _may_mount(), reason='a small /dev/shm of its own takes '
                                  'root, unshare and the right to mount')


def _in_small_memory(size: str, fill: str = 'true') -> list[str]:
    """A tracker in a mount namespace of its own, where /dev/shm has that size."""
    script = f'mount -t tmpfs -o size={size} none /dev/shm && {fill}; exec '
    command = [*executable('tracker_node'), '--ros-args', '-r', '__ns:=/small']
    return ['unshare', '--mount', 'sh', '-c', script + ' '.join(command)]


@needs_mounts
def test_with_little_shared_memory_images_come_another_way(node_process) -> None:
    node_process(_in_small_memory('128k'))
    client = Client('/small/lorat_tracker', '/small/image')
    try:
        client.wait_for_matches()
        client.send_box(TARGET)
        assert client.exchange(client.frame(picture(200, 160))).detections
    finally:
        client.close()


@needs_mounts
def test_without_any_the_reason_is_said_before_the_end(node_process) -> None:
    node = node_process(_in_small_memory('16k', 'head -c 16k /dev/zero > /dev/shm/full'),
                        exit_codes=(-signal.SIGBUS, -signal.SIGKILL))
    node.wait_for_output('expected at least 65536: DDS may end this process (SIGBUS). Remove')
    node.signal(signal.SIGKILL)


def test_the_room_there_is_can_be_asked(tmp_path) -> None:
    assert complaint(tmp_path / 'none') == ''
    assert complaint(tmp_path) == ''      # no test would run without room there
