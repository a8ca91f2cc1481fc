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

import pytest
from conftest import executable
from lorat_ros.ros.shared_memory import complaint
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


@pytest.fixture
def tracker(node_process):
    return node_process('tracker_node', exit_codes=(0, -signal.SIGKILL))


@pytest.fixture
def client(tracker) -> Iterator[Client]:
    client = Client(NAME)
    client.wait_for_matches()
    yield client
    client.close()


def test_a_flood_is_dropped_and_counted(client: Client) -> None:
    target = client.track()
    client.health.pop('image input')
    begun = client.wait_for_health('image input', 'bgr8')
    before = client.sent - int(value_of(begun, 'received')) - int(value_of(begun, 'missed'))
    frames = [client.frame() for _ in range(60)]
    for _ in range(5):      # faster than any camera
        for frame in frames:
            client.send(frame)
        client.spin_for(0.1)
    after = client.exchange(client.frame())
    assert after.detections[0].id == target.id
    client.health.pop('image input')
    status = client.wait_for_health('image input', 'bgr8')
    received, processed, dropped, failed, missed = (int(value_of(status, name)) for name in (
        'received', 'processed', 'dropped', 'failed', 'missed'))
    # Nothing is lost silently: one may be at work, and one may wait.
    assert 0 <= received - processed - dropped - failed <= 2
    assert received + missed == client.sent - before
    assert dropped + missed > 100


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


def test_a_tracker_that_was_killed_comes_back_without_a_target(client: Client, tracker,
                                                               node_process) -> None:
    client.track(target_id='before')
    tracker.signal(signal.SIGKILL)
    tracker.wait()
    client.statuses.clear()
    node_process('tracker_node')
    client.wait_for_matches()
    status = client.wait_for_status(state='idle', lifecycle='active')
    assert value_of(status, 'id') == '' and value_of(status, 'init') == 'none yet'
    assert client.exchange(client.frame()).detections == []
    assert client.track(target_id='after').id == 'after'


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


def test_parameters_change_while_images_come(client: Client) -> None:
    target = client.track()
    for round_, value in enumerate((0.0, 3.0, 0.5) * 5):
        client.send(client.frame())
        assert client.set_parameters({'coast_seconds': value, 'class_id': f'kind {round_}',
                                      'reacquire': ('off', 'search')[round_ % 2]}) == ''
    answer = client.exchange(client.frame()).detections[0]
    assert (answer.id, answer.results[0].hypothesis.class_id) == (target.id, 'kind 14')


def test_on_a_starved_processor_frames_are_dropped_and_the_newest_is_answered(
        client: Client, node_process) -> None:
    target = client.track()
    busy = [subprocess.Popen([sys.executable, '-c', 'while True: pass'])
            for _ in range(2 * (os.cpu_count() or 1))]
    try:
        for _ in range(20):
            for _ in range(5):
                client.send(client.frame())
            answer: Detection2DArray = client.exchange(client.frame())
    finally:
        for process in busy:
            process.kill()
            process.wait()
    assert answer.detections[0].id == target.id


def _may_mount() -> bool:
    return os.geteuid() == 0 and shutil.which('unshare') is not None and subprocess.run(
        ['unshare', '--mount', 'mount', '-t', 'tmpfs', 'none', '/dev/shm'],
        capture_output=True).returncode == 0


needs_mounts = pytest.mark.skipif(not _may_mount(), reason='a small /dev/shm of its own takes '
                                  'root, unshare and the right to mount')


def _in_small_memory(size: str, fill: str = 'true') -> list[str]:
    """A tracker in a mount namespace of its own, where /dev/shm has that size."""
    script = f'mount -t tmpfs -o size={size} none /dev/shm && {fill}; exec '
    return ['unshare', '--mount', 'sh', '-c', script + ' '.join(executable('tracker_node'))]


@needs_mounts
def test_with_little_shared_memory_images_come_another_way(node_process) -> None:
    node_process(_in_small_memory('128k'))
    client = Client(NAME)
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
