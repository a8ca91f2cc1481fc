# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A ground station points at a target: MAVLink in, real nodes in processes, MAVLink out."""
from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

pytest.importorskip('pymavlink', reason='pymavlink is an optional extra: pip install pymavlink')

from builtin_interfaces.msg import Time
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState
from lorat_ros.boxes import iou_xywh
from lorat_ros.mavlink.dialect import Command, Result, Tracking
from lorat_ros.ros.mavlink_camera_node import SPECS
from lorat_ros.ros.messages import (box_of, detection_message, diagnostic_array,
                                    diagnostic_status, nanoseconds)
from rcl_interfaces.srv import GetParameters
from rclpy.parameter import Parameter
from rclpy.qos import DurabilityPolicy, QoSProfile
from sensor_msgs.msg import CameraInfo
from std_msgs.msg import Header
from support.ground_station import free_port, GroundStation, INFORMATION, STATUS
from support.listener import Listener
from support.picture import HEIGHT, picture, TARGET, WIDTH
from vision_msgs.msg import Detection2D, Detection2DArray

X, Y, W, H = TARGET
NARROW, LOW = 200, 160
OPTIONS = '--ros-args', '-p', 'rate:=15.0', '-p', 'loop:=true'


def clip(folder: Path, width: int, height: int) -> Path:
    """A camera that stands still, with the target at TARGET."""
    folder.mkdir()
    for number in range(3):
        cv2.imwrite(str(folder / f'{number}.png'), picture(width, height))
    return folder


def corners(width: int, height: int) -> tuple[float, ...]:
    """TARGET in shares of an image."""
    return X / width, Y / height, (X + W) / width, (Y + H) / height


class Operator(Listener):
    """Sees what the tracker is asked for, and activates it."""

    def __init__(self) -> None:
        """Listen, and wait until all that is said will be heard."""
        super().__init__()
        self.boxes = self.listen(Detection2D, '/lorat_tracker/init_box')
        self._client = self.node.create_client(ChangeState, '/lorat_tracker/change_state')
        assert self.spin_until(lambda: self.node.count_publishers('/lorat_tracker/init_box'))

    def activate(self) -> None:
        """Configure and activate the tracker."""
        assert self.spin_until(self._client.service_is_ready)
        for transition in (Transition.TRANSITION_CONFIGURE, Transition.TRANSITION_ACTIVATE):
            future = self._client.call_async(
                ChangeState.Request(transition=Transition(id=transition)))
            assert self.spin_until(future.done) and future.result().success
        self.spin(0.3)


def kind(wanted: Tracking) -> Callable:
    return lambda status: status.tracking_status == wanted


def box_in(status: object, width: int, height: int) -> tuple[float, ...]:
    """The rectangle of a status in pixels, x, y, w, h."""
    left, top = status.rec_top_x * width, status.rec_top_y * height
    return left, top, status.rec_bottom_x * width - left, status.rec_bottom_y * height - top


def overlap(status: object, width: int, height: int) -> float:
    """How well a status says where the target is."""
    return float(iou_xywh(np.array(box_in(status, width, height)), np.array(TARGET)))


def wait_for_size(station: GroundStation, width: int, height: int) -> None:
    """Until the camera knows how large its images are."""
    station.wait_for(INFORMATION, lambda info: (info.resolution_h, info.resolution_v) == (
        width, height), lambda: station.command(Command.REQUEST_MESSAGE, 259.0))


def test_from_the_operators_rectangle_to_the_status_and_back_to_idle(
        node_process: Callable, tmp_path: Path) -> None:
    port = free_port()
    station = GroundStation(f'udpin:127.0.0.1:{port}')
    node_process('mavlink_camera_node', '--ros-args', '-p', f'url:=udpout:127.0.0.1:{port}')
    tracker = node_process('tracker_node', '--ros-args', '-p', 'score_lost:=0.0',
                           '-p', 'score_recover:=0.0', '-p', 'autostart:=false')
    station.wait_for('HEARTBEAT')
    assert station.command(Command.SET_MESSAGE_INTERVAL, 275.0, 5e4) == Result.ACCEPTED
    station.wait_for(STATUS, kind(Tracking.IDLE))
    where = corners(WIDTH, HEIGHT)
    rectangle = Command.CAMERA_TRACK_RECTANGLE
    with Operator() as operator:
        assert station.command(rectangle, *where) == Result.TEMPORARILY_REJECTED
        operator.activate()
        assert station.command(rectangle, *where) == Result.TEMPORARILY_REJECTED
        texts = ' '.join(message.text for message in station.all('STATUSTEXT'))
        assert 'the tracker is unconfigured, not active' in texts
        assert 'no image yet, so its size is not known' in texts

        stamps = tmp_path / 'stamps'
        camera = node_process('video_publisher', *OPTIONS, '-p', f'stamps_file:={stamps}',
                              '-p', f'path:={clip(tmp_path / "wide", WIDTH, HEIGHT)}')
        wait_for_size(station, WIDTH, HEIGHT)  # from the images
        assert station.command(rectangle, 0.5, 0.5, 0.4, 0.6) == Result.DENIED
        # The camera may have come to know the images before the tracker has.
        assert station.insist(rectangle, *where) == Result.ACCEPTED
        assert operator.spin_until(lambda: operator.boxes)
    [box] = operator.boxes
    assert box_of(box) == pytest.approx(TARGET, abs=1e-3)
    published = [int(line.split()[1]) for line in stamps.read_text().splitlines()]
    assert nanoseconds(box.header.stamp) in published  # the frame that the operator saw
    status = station.wait_for(STATUS, kind(Tracking.ACTIVE))
    assert overlap(status, WIDTH, HEIGHT) > 0.5
    assert station.command(Command.CAMERA_STOP_TRACKING) == Result.ACCEPTED
    assert np.isnan(station.wait_for(STATUS, kind(Tracking.IDLE)).rec_top_x)

    # Another camera in its place, of another size, which camera_info tells.
    assert camera.stop() == 0
    node_process('video_publisher', *OPTIONS, '-p', 'horizontal_fov:=60.0',
                 '-p', f'path:={clip(tmp_path / "narrow", NARROW, LOW)}')
    wait_for_size(station, NARROW, LOW)
    assert station.insist(rectangle, *corners(NARROW, LOW)) == Result.ACCEPTED
    status = station.wait_for(STATUS, kind(Tracking.ACTIVE))
    assert overlap(status, NARROW, LOW) > 0.5

    assert tracker.stop() == 0
    assert np.isnan(station.wait_for(STATUS, kind(Tracking.ERROR)).rec_top_x)  # no old box
    station.close()


class Speaker(Listener):
    """Says what a tracker and a camera say, when the test wants it."""

    def __init__(self) -> None:
        """Offer their topics."""
        super().__init__('lorat_tracker')
        latched = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
        make = self.node.create_publisher
        self._status = make(DiagnosticArray, '~/status', latched)
        self._prediction = make(Detection2D, '~/prediction', 10)
        self._detections = make(Detection2DArray, '~/detections', 10)
        self._info = make(CameraInfo, 'camera_info', 10)
        self.boxes = self.listen(Detection2D, '~/init_box')

    def say(self, state: str, init: str = 'none yet', predicts: bool = False,
            sees: bool = True) -> None:
        """One moment's word; the tracker sees the image, or gets none of this camera yet."""
        header = Header(stamp=Time(sec=10))
        self._info.publish(CameraInfo(header=header, width=WIDTH, height=HEIGHT))
        self._status.publish(diagnostic_array(header.stamp, [diagnostic_status(
            'lorat_tracker: target', b'\0', state,
            {'state': state, 'init': init, 'lifecycle': 'active', 'enabled': 'true'})]))
        if sees:
            self._detections.publish(Detection2DArray(header=header))
        if predicts:
            self._prediction.publish(detection_message(header, TARGET, 0.5, '1', 'target'))
        self.spin(0.02)


def test_predictions_are_coasting_and_refusals_are_told(node_process: Callable) -> None:
    port = free_port()
    station = GroundStation(f'udpin:127.0.0.1:{port}')
    node_process('mavlink_camera_node', '--ros-args', '-p', f'url:=udpout:127.0.0.1:{port}',
                 '-p', 'video_delay:=2.5', '-p', 'box_timeout:=0.5')
    station.wait_for('HEARTBEAT')
    assert station.command(Command.SET_MESSAGE_INTERVAL, 275.0, 5e4) == Result.ACCEPTED
    with Speaker() as tracker:
        station.wait_for(INFORMATION, lambda info: info.resolution_h == WIDTH, lambda: (
            tracker.say('idle', sees=False), station.command(Command.REQUEST_MESSAGE, 259.0)))
        point = Command.CAMERA_TRACK_POINT, 0.5, 0.5
        # Until both sides of every topic know each other there is no tracker for the camera. Then
        # it is there, but of a box on an image that it never got nothing would come.
        station.wait_for(
            'STATUSTEXT', lambda text: text.text == 'the tracker gets no images of this camera',
            lambda: (tracker.say('idle', sees=False), station.command(*point)))
        assert not tracker.boxes
        station.wait_for('COMMAND_ACK', lambda ack: ack.result == Result.ACCEPTED,
                         lambda: (tracker.say('idle'), station.command(*point)))
        assert tracker.spin_until(lambda: tracker.boxes)
        station.wait_for('STATUSTEXT', lambda text: text.text == 'refused: it hides',
                         lambda: tracker.say('idle', 'refused: it hides'))
        [box] = tracker.boxes
        assert box_of(box) == (WIDTH / 2 - 32, HEIGHT / 2 - 32, 64, 64)
        assert box.header.stamp == Time(sec=7, nanosec=500_000_000)  # what the operator saw
        status = station.wait_for(STATUS, kind(Tracking.COASTING),
                                  lambda: tracker.say('coasting', predicts=True))
        assert box_in(status, WIDTH, HEIGHT) == pytest.approx(TARGET, abs=1e-3)
        status = station.wait_for(STATUS, kind(Tracking.ERROR), lambda: tracker.say('coasting'))
        assert np.isnan(status.rec_top_x)
    station.close()


def test_strangers_are_refused_and_named_and_the_key_is_kept_to_itself(
        node_process: Callable, tmp_path: Path) -> None:
    key, path, port = bytes(range(200, 232)), tmp_path / 'mavlink.key', free_port()
    path.write_text(key.hex())
    path.chmod(0o644)
    node = node_process('mavlink_camera_node', '--ros-args', '-p',
                        f'url:=udpin:127.0.0.1:{port}', '-p', f'signing_key_file:={path}')
    url = f'udpout:127.0.0.1:{port}'
    stations = friend, stranger, plain = (
        GroundStation(url, key=key), GroundStation(url, 245, key), GroundStation(url, 250))
    for station in (friend, stranger):
        station.wait_for('HEARTBEAT', meanwhile=station.heartbeat)
    stop = Command.CAMERA_STOP_TRACKING
    with Listener() as ear:
        heard = ear.listen(DiagnosticArray, '/diagnostics')

        def link() -> DiagnosticStatus | None:
            return next((status for array in reversed(heard) for status in array.status
                         if status.name == 'mavlink_camera: link'), None)
        assert ear.spin_until(link) and link().level == DiagnosticStatus.OK
        assert stranger.command(stop) == Result.DENIED
        plain.send(plain.frame(stop))
        # It is heard, but there is no tracker.
        assert friend.command(stop) == Result.TEMPORARILY_REJECTED
        heard.clear()
        assert ear.spin_until(lambda: link() and link().level == DiagnosticStatus.WARN)
        for cure in ('add 245 to the parameter allowed_system_ids',
                     'commands of system 250 are not signed'):
            assert cure in link().message and cure in node.output
        said = {pair.key: pair.value for pair in link().values}
        assert set(said['commands refused'].split(', ')) == {
            'system 245 not allowed once', 'system 250 not signed once'}
        assert (said['packets ignored'], said['signing']) == ('1 not signed', 'on')
        values = ear.node.create_client(GetParameters, '/mavlink_camera/get_parameters')
        assert ear.spin_until(values.service_is_ready)
        future = values.call_async(GetParameters.Request(names=[spec.name for spec in SPECS]))
        assert ear.spin_until(future.done)
        told = f'{future.result()} {heard} {node.output}'
    assert 'has mode 644, expected 600' in node.output
    assert 'signed, commands from systems 255' in node.output
    assert str(path) in told and key.hex() not in told and repr(list(key))[1:-1] not in told
    for station in stations:
        station.close()


def test_a_url_that_is_none_ends_it_with_one_line(node_process: Callable) -> None:
    node = node_process('mavlink_camera_node', '--ros-args', '-p', 'url:=nowhere',
                        exit_codes=(1,))
    assert node.wait(30) == 1
    assert "parameter url: url 'nowhere' is no link, expected udpin:HOST:PORT" in node.output
    assert 'Traceback' not in node.output


@pytest.mark.parametrize('ids', [[], [300], [-1], [0, 256], [0, 255], [0, 0]])
def test_system_ids_that_are_none_are_refused(ids: list[int]) -> None:
    spec = next(spec for spec in SPECS if spec.name == 'allowed_system_ids')
    parameter = Parameter(spec.name, Parameter.Type.INTEGER_ARRAY, ids)
    assert 'expected integer array: numbers from 1 to 255, or [0] alone for all' in \
        spec.complaint(parameter)


def test_every_parameter_is_in_the_documentation(repository: Path) -> None:
    page = (repository / 'docs' / 'mavlink.md').read_text()
    missing = [spec.name for spec in SPECS if f'`{spec.name}`' not in page]
    assert not missing
