# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Boxes as messages and back, in both layouts of vision_msgs."""
from __future__ import annotations

import pytest
from builtin_interfaces.msg import Time
from diagnostic_msgs.msg import DiagnosticStatus
from geometry_msgs.msg import Pose2D as OldPose2D
from hypothesis import given
from hypothesis import strategies as st
from lorat_ros.ros.messages import (box_of, detection_message, detections_message,
                                    diagnostic_array, diagnostic_status, nanoseconds, point_of)
from std_msgs.msg import Header
from vision_msgs.msg import BoundingBox2D

HEADER = Header(frame_id='cam', stamp=Time(sec=12, nanosec=34))
COORDINATE = st.floats(-1e5, 1e5)


def test_a_detection_says_where_what_and_when() -> None:
    message = detection_message(HEADER, (10.0, 20.0, 30.0, 40.0), 0.75, 'x7', 'boat')
    assert message.header == HEADER
    centre = point_of(message.bbox.center)
    assert (centre.x, centre.y) == (25.0, 40.0)
    assert (message.bbox.size_x, message.bbox.size_y) == (30.0, 40.0)
    assert message.id == 'x7'
    [result] = message.results
    assert (result.hypothesis.class_id, result.hypothesis.score) == ('boat', 0.75)


@given(st.tuples(COORDINATE, COORDINATE, st.floats(0.1, 1e5), st.floats(0.1, 1e5)))
def test_a_box_survives_the_way_there_and_back(box: tuple) -> None:
    assert box_of(detection_message(HEADER, box, 0.5, '', '')) == pytest.approx(box, abs=1e-6)


def test_the_array_has_none_or_one_under_the_same_header() -> None:
    detection = detection_message(HEADER, (1, 2, 3, 4), 1, '', '')
    assert list(detections_message(HEADER, detection).detections) == [detection]
    empty = detections_message(HEADER, None)
    assert list(empty.detections) == [] and empty.header == HEADER


def test_the_centre_is_found_in_either_layout() -> None:
    old = OldPose2D(x=1.0, y=2.0)  # vision_msgs 3.x: x and y are the centre's own
    assert (point_of(old).x, point_of(old).y) == (1.0, 2.0)
    new = BoundingBox2D().center  # of the vision_msgs that is installed here
    point_of(new).x = 3.0
    assert getattr(new, 'position', new).x == 3.0


def test_stamps_and_diagnostics() -> None:
    assert nanoseconds(Time(sec=2, nanosec=5)) == 2_000_000_005
    status = diagnostic_status('n', DiagnosticStatus.WARN, 'm', {'a': 1, 'b': True}, 'h')
    assert [(v.key, v.value) for v in status.values] == [('a', '1'), ('b', 'True')]
    array = diagnostic_array(Time(sec=1), [status])
    assert array.header.stamp.sec == 1 and list(array.status) == [status]
