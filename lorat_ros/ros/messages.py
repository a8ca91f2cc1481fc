# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Boxes as vision_msgs and back, and lists of values as diagnostic_msgs.

vision_msgs 3.x (Humble) and 4.x (Jazzy and later) place a box's centre differently; which one is
at hand is seen by the field that exists, never by the name of a distribution.
"""
from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from typing import Any, Optional

from builtin_interfaces.msg import Time
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from lorat_ros.boxes import Box, centre_xywh
from rclpy.clock import ROSClock
from std_msgs.msg import Header
from vision_msgs.msg import Detection2D, Detection2DArray, ObjectHypothesisWithPose

from lorat_ros.ros.received import AnyHeader, ReceivedHeader, ReceivedStamp


def detection_message(header: Header, box: Box, score: float, target_id: str,
                      class_id: str) -> Detection2D:
    """Return a measured box (x, y, w, h in pixels) under the header of its image."""
    message = Detection2D(header=header, id=target_id)
    point = point_of(message.bbox.center)
    point.x, point.y = (float(v) for v in centre_xywh(box))
    message.bbox.size_x, message.bbox.size_y = float(box[2]), float(box[3])
    result = ObjectHypothesisWithPose()
    result.hypothesis.class_id = class_id
    result.hypothesis.score = float(score)
    message.results.append(result)
    return message


def detections_message(header: Header, detection: Optional[Detection2D]) -> Detection2DArray:
    """Return an array of no element or one under the header of the image."""
    return Detection2DArray(header=header, detections=[] if detection is None else [detection])


def header_message(header: AnyHeader) -> Header:
    """Return a header as other messages take it."""
    return header.message() if isinstance(header, ReceivedHeader) else header


def box_of(detection: Detection2D) -> Box:
    """Return (x, y, w, h) in pixels: top-left corner and size. Nothing is checked here.

    The angle of the box is not looked at: a tracker's target is upright.
    """
    point, bbox = point_of(detection.bbox.center), detection.bbox
    return (point.x - bbox.size_x / 2, point.y - bbox.size_y / 2, bbox.size_x, bbox.size_y)


def score_of(detection: Detection2D) -> float:
    """Return the best score of a detection's hypotheses; 0.0 without one, or if it is nan."""
    scores = [result.hypothesis.score for result in detection.results]
    return max((score for score in scores if score == score), default=0.0)


def point_of(centre: Any) -> Any:
    """Return what holds x and y of a bounding box's centre, in either layout of vision_msgs."""
    return getattr(centre, 'position', centre)


def nanoseconds(stamp: Time | ReceivedStamp) -> int:
    """Return a stamp as nanoseconds since the epoch of its clock."""
    return stamp.sec * 1_000_000_000 + stamp.nanosec


def nanoseconds_of(clock: ROSClock) -> int:
    """Return what a node's clock shows; unless time is simulated that is the system's clock."""
    # rclpy's own way makes objects, which takes twenty times as long.
    return clock.now().nanoseconds if clock.ros_time_is_active else time.time_ns()


def diagnostic_status(name: str, level: bytes, message: str, values: Mapping[str, Any],
                      hardware_id: str = '') -> DiagnosticStatus:
    """Return a status with its values as text, in the order given."""
    return DiagnosticStatus(
        name=name, level=level, message=message, hardware_id=hardware_id,
        values=[KeyValue(key=key, value=str(value)) for key, value in values.items()])


def diagnostic_array(stamp: Time, statuses: Iterable[DiagnosticStatus]) -> DiagnosticArray:
    """Return the statuses under a stamp; they belong to no frame."""
    return DiagnosticArray(header=Header(stamp=stamp), status=list(statuses))
