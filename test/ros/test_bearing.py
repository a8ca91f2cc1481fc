# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""`~/bearing` and `~/marker` of the real tracker, and the messages that they are made of."""
from __future__ import annotations

import math
from collections.abc import Iterator

import cv2
import numpy as np
import pytest
from builtin_interfaces.msg import Time
from geometry_msgs.msg import Vector3Stamped
from lorat_ros.ros.bearing import calibration_of, LENGTH, marker_message
from lorat_ros.ros.messages import box_of
from lorat_ros.target.bearing import Bearing, Calibration, Camera
from sensor_msgs.msg import CameraInfo, RegionOfInterest
from std_msgs.msg import Header
from support.graph import Client
from visualization_msgs.msg import Marker

NAME = '/aim/lorat_tracker'
HEADER = Header(frame_id='camera', stamp=Time(sec=7))
AHEAD = Bearing(np.array((0.0, 0.0, 1.0)), 0.2)
INFO = CameraInfo(width=320, height=240, distortion_model='plumb_bob', d=[-0.1, 0.01, 0, 0, 0],
                  k=(300.0, 0.0, 160.0, 0.0, 300.0, 120.0, 0.0, 0.0, 1.0),
                  r=(1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0))


def test_a_camera_info_is_read_whole() -> None:
    message = CameraInfo(
        width=1280, height=960, distortion_model='equidistant', d=[0.1, 0.2, 0.3, 0.4],
        k=list(range(9)), r=list(range(9, 18)), p=list(range(20, 32)), binning_x=2, binning_y=4,
        roi=RegionOfInterest(x_offset=8, y_offset=16, width=640, height=480))
    assert calibration_of(message) == Calibration(
        (1280, 960), tuple(range(9)), 'equidistant', (0.1, 0.2, 0.3, 0.4), tuple(range(9, 18)),
        tuple(range(20, 32)), (2, 4), (8, 16, 640, 480))


def test_the_arrow_is_as_long_as_the_target_is_far() -> None:
    known, unknown = (marker_message(HEADER, 'eye', AHEAD, width) for width in (2.0, 0.0))
    assert known.header == HEADER and known.ns == 'eye' and known.type == Marker.ARROW
    assert known.points[1].z == pytest.approx(1.0 / math.tan(0.1))
    assert unknown.points[1].z == pytest.approx(LENGTH)
    assert known.lifetime.sec > 0
    assert marker_message(HEADER, 'eye', None, 2.0).action == Marker.DELETE


@pytest.fixture(scope='module')
def client(module_node) -> Iterator[Client]:
    module_node('tracker_node', '--ros-args', '-r', '__ns:=/aim', '-r', 'image:=/camera',
                '-r', 'camera_info:=/info', '-p', 'score_lost:=0.0', '-p', 'score_recover:=0.0')
    client = Client(NAME, '/camera')
    client.wait_for_matches()
    yield client
    client.close()


def test_the_tracker_says_where_its_target_is(client: Client) -> None:
    listen, infos = client.node.create_subscription, client.node.create_publisher(
        CameraInfo, '/info', 1)
    bearings: list[Vector3Stamped] = []
    markers: list[Marker] = []
    listen(Vector3Stamped, f'{NAME}/bearing', bearings.append, 10)
    listen(Marker, f'{NAME}/marker', markers.append, 10)
    client.wait_until(infos.get_subscription_count, 'it wants the calibration')
    client.track()

    def heard() -> bool:  # whose endpoints see each other do not hear each other yet
        infos.publish(INFO)
        client.exchange(client.frame())
        client.spin_for(0.2)
        return bool(bearings and markers)
    client.wait_until(heard, 'bearing and marker')
    frame = client.frame()
    [detection] = client.exchange(frame).detections
    client.wait_until(lambda: bearings[-1].header == markers[-1].header == frame.header,
                      'those of this frame')
    vector = bearings[-1].vector
    expected = Camera(calibration_of(INFO)).bearing(box_of(detection)).ray
    assert (vector.x, vector.y, vector.z) == pytest.approx(tuple(expected))
    tip = markers[-1].points[1]
    assert (tip.x, tip.y, tip.z) == pytest.approx(tuple(LENGTH * expected))
    # The same images as a binned region of a larger sensor (REP-104): another ray, the right one.
    larger = CameraInfo(
        width=1280, height=960, distortion_model='plumb_bob', d=INFO.d, r=INFO.r, binning_x=2,
        binning_y=2, k=(900.0, 0.0, 640.0, 0.0, 900.0, 480.0, 0.0, 0.0, 1.0),
        roi=RegionOfInterest(x_offset=400, y_offset=100, width=640, height=480))
    frame = client.frame()

    def binned() -> bool:
        nonlocal detection, frame
        infos.publish(larger)
        client.spin_for(0.2)
        frame = client.frame()
        [detection] = client.exchange(frame).detections
        client.spin_for(0.2)
        return bearings[-1].header == frame.header and abs(bearings[-1].vector.x - vector.x) > 0.01
    client.wait_until(binned, 'a bearing by the new calibration')
    x, y, w, h = box_of(detection)
    middle = (400 + 2 * (x + w / 2), 100 + 2 * (y + h / 2))  # in pixels of the whole sensor
    [[ahead]] = cv2.undistortPoints(np.array([[middle]]), np.array(larger.k).reshape(3, 3),
                                    np.array(larger.d))
    seen = bearings[-1].vector
    assert (seen.x / seen.z, seen.y / seen.z) == pytest.approx(tuple(ahead), abs=2e-3)
    # Without a target there is neither, and the arrow goes.
    client.reset()
    bearings.clear()
    client.exchange(client.frame())
    client.wait_until(lambda: markers[-1].action == Marker.DELETE, 'the arrow goes')
    assert not bearings
    # A calibration of other images would point elsewhere: it is not used.
    INFO.width = 640
    client.track()

    def refused() -> bool:
        infos.publish(INFO)
        client.spin_for(0.2)
        bearings.clear()
        client.exchange(client.frame())
        client.spin_for(0.2)
        return not bearings
    client.wait_until(refused, 'no bearing any more')
