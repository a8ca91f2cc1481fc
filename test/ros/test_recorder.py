# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The recorder, heard and spoken to over real DDS: the handshake, what it keeps, how it ends."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from builtin_interfaces.msg import Time
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.qos import DurabilityPolicy, QoSProfile
from sensor_msgs.msg import Image
from std_msgs.msg import Header
from support.listener import Listener
from vision_msgs.msg import Detection2D, Detection2DArray

from lorat_ros.ros.images import image_message
from lorat_ros.ros.messages import box_of, detection_message, detections_message, diagnostic_status
from lorat_ros.tools.recording import READY

INIT = (10.0, 20.0, 30.0, 40.0)


class Speaker(Listener):
    """Says what a tracker says, on a tracker's topics, when the test wants it."""

    def __init__(self) -> None:
        """Offer a tracker's topics, and the camera's."""
        super().__init__('lorat_tracker')
        latched = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
        make = self.node.create_publisher
        self._status = make(DiagnosticArray, '~/status', latched)
        self._detections = make(Detection2DArray, '~/detections', 10)
        self._pictures = make(Image, '~/debug_image', 10)
        self._diagnostics = make(DiagnosticArray, '/diagnostics', 10)
        self.camera = make(Image, 'image', 1)
        self.boxes = self.listen(Detection2D, '~/init_box')

    def say(self, state: str, stamp: int = 1, **values: str) -> None:
        """Publish a status; its message is for people."""
        self._status.publish(DiagnosticArray(header=header(stamp), status=[
            diagnostic_status('lorat_tracker: target', b'\0', f'{state}, in words',
                              {'state': state, **values})]))

    def report(self, name: str, **values: str) -> None:
        """Publish diagnostics."""
        self._diagnostics.publish(DiagnosticArray(status=[
            diagnostic_status(name, b'\0', 'ready', values)]))

    def answer(self, stamp: int, box: tuple[float, ...] | None, side: int = 64) -> None:
        """Publish the detections of one frame, and its picture."""
        found = box and detection_message(header(stamp), box, 0.75, '1', 'target')
        self._detections.publish(detections_message(header(stamp), found))
        picture = np.full((side, side, 3), 40 * stamp, np.uint8)
        self._pictures.publish(image_message(picture, header(stamp)))

    def await_recorder(self) -> None:
        """Return when all that is said will be heard."""
        assert self.spin_until(lambda: self._detections.get_subscription_count()
                               and self._pictures.get_subscription_count()
                               and self._diagnostics.get_subscription_count())
        self.spin(0.5)  # the other side may learn of it a little later

    def is_heard(self) -> bool:
        """Whether somebody listens to the status."""
        return self._status.get_subscription_count() > 0

    def leave(self) -> None:
        """Take the camera away."""
        self.node.destroy_publisher(self.camera)


def header(stamp: int) -> Header:
    """A header of second `stamp`."""
    return Header(stamp=Time(sec=stamp), frame_id='camera')


def options(output: Path, box: tuple[float, ...] = INIT, **parameters: float) -> list[str]:
    """Arguments of the executable."""
    arguments = ['--ros-args', '-p', f'init_box:={list(box)}', '-p', f'output:="{output}"']
    for name, value in parameters.items():
        arguments += ['-p', f'{name}:={value}']
    return arguments


def test_the_box_is_sent_once_the_tracker_is_active_and_then_it_is_ready(
        node_process: Callable, tmp_path: Path) -> None:
    with Speaker() as tracker:
        tracker.say('idle', lifecycle='inactive', init='none yet')
        recorder = node_process('recorder', *options(tmp_path))
        assert tracker.spin_until(tracker.is_heard)
        assert not tracker.spin_until(lambda: tracker.boxes, 1.0)  # an inactive node refuses it
        tracker.say('idle', lifecycle='active', init='accepted: an earlier box')
        assert tracker.spin_until(lambda: tracker.boxes)
        assert box_of(tracker.boxes[0]) == INIT
        assert tracker.boxes[0].header.stamp == Time()  # the next frame
        tracker.spin(0.5)
        assert READY not in recorder.output
        tracker.say('idle', lifecycle='active', init='waiting for a frame: box …')
        recorder.wait_for_output(READY)
        assert recorder.stop() == 0
    assert 'Traceback' not in recorder.output


def test_a_refused_box_ends_it_with_the_reason(node_process: Callable, tmp_path: Path) -> None:
    with Speaker() as tracker:
        tracker.say('idle', lifecycle='active', init='none yet')
        recorder = node_process('recorder', *options(tmp_path), exit_codes=(1,))
        assert tracker.spin_until(lambda: tracker.boxes)
        tracker.say('idle', lifecycle='active', init='refused: it is not to my liking')
        assert tracker.spin_until(lambda: recorder.returncode == 1)
    assert 'it is not to my liking' in recorder.output


def test_a_fault_of_the_tracker_ends_it_at_once(node_process: Callable, tmp_path: Path) -> None:
    with Speaker() as tracker:
        tracker.say('idle', lifecycle='unconfigured', fault='cannot configure: no such model')
        recorder = node_process('recorder', *options(tmp_path), exit_codes=(1,))
        assert tracker.spin_until(lambda: recorder.returncode == 1)
    assert 'no such model' in recorder.output


def test_a_tracker_that_never_comes_is_named(node_process: Callable, tmp_path: Path) -> None:
    recorder = node_process('recorder', *options(tmp_path, start_timeout=1.0), exit_codes=(1,))
    assert recorder.wait(30) == 1
    assert '/lorat_tracker: it is not active after 1.0 s' in recorder.output
    assert 'Is it running' in recorder.output


@pytest.fixture
def recording(node_process: Callable, tmp_path: Path) -> Path:
    """What is in the folder after a short life: found, lost, found; then the camera leaves."""
    with Speaker() as tracker:
        tracker.say('idle', lifecycle='active', init='none yet')
        recorder = node_process('recorder', *options(tmp_path / 'out'))
        assert tracker.spin_until(lambda: tracker.boxes)
        tracker.say('idle', lifecycle='active', init='waiting for a frame: box …')
        recorder.wait_for_output(READY)
        tracker.await_recorder()
        for stamp, box in ((2, INIT), (3, None), (4, None), (5, (11.0, 21.0, 31.0, 41.0))):
            tracker.answer(stamp, box, side=64 if stamp < 5 else 80)  # a change of mode
            tracker.say('tracking' if box else 'lost', stamp, lifecycle='active')
            tracker.spin(0.15)
        tracker.report('lorat_tracker: engine', model='kestrel', **{'x p50/p95 [ms]': '1 / 2'})
        for stranger in ('other_node', 'lorat_tracker_2', 'front/lorat_tracker'):
            tracker.report(f'{stranger}: engine', model='nobody')
        tracker.spin(0.3)
        tracker.leave()
        assert tracker.spin_until(lambda: recorder.returncode is not None)
        assert recorder.returncode == 0
    return tmp_path / 'out'


def test_what_is_kept(recording: Path) -> None:
    content = json.loads((recording / 'recording.json').read_text())
    seconds = [frame['stamp'] // 10**9 for frame in content['frames']]
    assert seconds == [2, 3, 4, 5]
    assert [frame['box'] for frame in content['frames']] == [
        list(INIT), None, None, [11.0, 21.0, 31.0, 41.0]]
    assert [frame['status'] for frame in content['frames']] == [
        'tracking', 'lost', 'lost', 'tracking']
    assert content['frames'][0]['score'] == 0.75
    assert list(content['diagnostics']) == ['lorat_tracker: engine']
    lines = (recording / 'boxes.txt').read_text().splitlines()
    assert lines[1] == '2000000000,10.000,20.000,30.000,40.000,0.7500,tracking'
    assert lines[2] == '3000000000,nan,nan,nan,nan,nan,lost'
    # All pictures, in the size of the first.
    assert [stamp // 10**9 for stamp in content['pictures']] == [2, 3, 4, 5]
    video = cv2.VideoCapture(str(recording / 'annotated.mp4'))
    levels = []
    while (frame := video.read())[0]:
        assert frame[1].shape == (64, 64, 3)
        levels.append(round(float(frame[1].mean()) / 40))
    assert levels == [2, 3, 4, 5]


def test_a_video_that_cannot_be_written_ends_it(node_process: Callable, tmp_path: Path) -> None:
    (tmp_path / 'annotated.mp4').mkdir()  # nobody can write a file over it
    with Speaker() as tracker:
        tracker.say('idle', lifecycle='active')
        recorder = node_process('recorder', *options(tmp_path, (0.0,) * 4), exit_codes=(1,))
        recorder.wait_for_output(READY)
        tracker.await_recorder()
        tracker.answer(2, INIT)
        assert tracker.spin_until(lambda: recorder.returncode == 1)
    assert f'{tmp_path}/annotated.mp4: this OpenCV cannot write mp4 there' in recorder.output
    assert 'Traceback' not in recorder.output
    assert (tmp_path / 'recording.json').exists()


def test_ctrl_c_keeps_what_was_heard(node_process: Callable, tmp_path: Path) -> None:
    with Speaker() as tracker:
        tracker.say('idle', lifecycle='active')
        recorder = node_process('recorder', *options(tmp_path, (0.0,) * 4))  # sends no box
        recorder.wait_for_output(READY)
        tracker.await_recorder()
        tracker.answer(2, INIT)
        tracker.spin(0.5)
        assert recorder.stop() == 0
        assert not tracker.boxes
    assert len(json.loads((tmp_path / 'recording.json').read_text())['frames']) == 1
    assert 'Traceback' not in recorder.output


@pytest.mark.parametrize(('box', 'complaint'), [
    ((1.0, 2.0), 'expected double array: four finite numbers x, y, w, h'),
    ((1, 2, 3, 4), 'is integer array, expected double array'),
    ((1.0, 2.0, 0.0, 4.0), 'with w and h above 0.0'),
])
def test_bad_parameters_are_named(node_process: Callable, tmp_path: Path, box: tuple,
                                  complaint: str) -> None:
    recorder = node_process('recorder', *options(tmp_path, box), exit_codes=(2,))
    assert recorder.wait(30) == 2
    assert 'recorder: parameter init_box: ' in recorder.output and complaint in recorder.output
    assert 'Traceback' not in recorder.output


def test_a_parameter_file_that_is_not_there_is_named(node_process: Callable) -> None:
    recorder = node_process('recorder', '--ros-args', '--params-file', '/no/such/file.yaml',
                            exit_codes=(2,))
    assert recorder.wait(30) == 2
    assert '/no/such/file.yaml' in recorder.output
    assert 'Traceback' not in recorder.output
