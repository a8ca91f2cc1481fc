# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
What `rosbags` must know to read the messages of a recording, and what is in them.

A recording of Humble has no message definitions in it, and rosbags knows those of ROS itself
only: vision_msgs is told here. Its versions 3 and 4 name a box's centre differently
(``center.x`` and ``center.position.x``), but their bytes are the same.
"""
from __future__ import annotations

from types import MappingProxyType
from typing import Any, Optional

import numpy as np
from rosbags.typesys import get_types_from_msg, get_typestore, Stores
from rosbags.typesys.store import Typestore

#: Definitions of vision_msgs 4, the lines that matter; a test compares them with its files.
VISION_MSGS = MappingProxyType({
    'Point2D': 'float64 x\nfloat64 y',
    'Pose2D': 'vision_msgs/Point2D position\nfloat64 theta',
    'BoundingBox2D': 'vision_msgs/Pose2D center\nfloat64 size_x\nfloat64 size_y',
    'ObjectHypothesis': 'string class_id\nfloat64 score',
    'ObjectHypothesisWithPose':
        'ObjectHypothesis hypothesis\ngeometry_msgs/PoseWithCovariance pose',
    'Detection2D': 'std_msgs/Header header\nObjectHypothesisWithPose[] results\n'
                   'BoundingBox2D bbox\nstring id',
    'Detection2DArray': 'std_msgs/Header header\nDetection2D[] detections',
})
RAW, COMPRESSED = 'sensor_msgs/msg/Image', 'sensor_msgs/msg/CompressedImage'
DETECTION, DETECTIONS = 'vision_msgs/msg/Detection2D', 'vision_msgs/msg/Detection2DArray'


def typestore(vision_msgs: MappingProxyType[str, str] = VISION_MSGS) -> Typestore:
    """Make the store of message types for recordings that bring no definitions themselves."""
    store = get_typestore(Stores.ROS2_HUMBLE)
    types = {}
    for name, text in vision_msgs.items():
        types.update(get_types_from_msg(text, f'vision_msgs/msg/{name}'))
    store.register(types)
    return store


def stamp_of(message: Any) -> int:
    """The stamp in a message's header, nanoseconds; 0 where it was never set."""
    stamp = message.header.stamp
    return stamp.sec * 1_000_000_000 + stamp.nanosec


def box_of(detection: Any) -> Optional[np.ndarray]:
    """
    The box of a Detection2D, (4,) xywh in pixels; None if it has no size or is not finite.

    A box that is turned becomes the upright one around it.
    """
    centre, size = detection.bbox.center, (detection.bbox.size_x, detection.bbox.size_y)
    point = getattr(centre, 'position', centre)         # vision_msgs 4, or 3
    cosine, sine = abs(np.cos(centre.theta)), abs(np.sin(centre.theta))
    w, h = size[0] * cosine + size[1] * sine, size[0] * sine + size[1] * cosine
    box = np.array([point.x - w / 2, point.y - h / 2, w, h])
    return box if np.isfinite(box).all() and min(size) > 0 else None


def detections_of(message: Any) -> list[Any]:
    """The detections in a Detection2D or a Detection2DArray."""
    return list(message.detections) if hasattr(message, 'detections') else [message]


def identity_of(detection: Any) -> str:
    """The id that tells a target from others; empty where nobody set it."""
    return str(getattr(detection, 'id', '') or getattr(detection, 'tracking_id', ''))
