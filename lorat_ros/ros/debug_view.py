# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The picture of what the tracker sees: drawn only for those who look, and not too often.

It is drawn in a thread that stands back behind all others: the next frame does not wait for it.
"""
from __future__ import annotations

import time
from typing import NamedTuple, Optional

import cv2
import numpy as np
from rclpy.lifecycle import LifecycleNode
from rclpy.qos import QoSProfile
from rclpy.qos_overriding_options import QoSOverridingOptions
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Header

from lorat_ros.boxes import Box
from lorat_ros.overlay import draw_overlay
from lorat_ros.ros.health import Health
from lorat_ros.ros.images import compressed_message, image_message
from lorat_ros.ros.messages import header_message
from lorat_ros.ros.parameters import Parameters
from lorat_ros.ros.received import AnyHeader
from lorat_ros.ros.worker import Worker
from lorat_ros.target.target import TargetStep

NICENESS = 10
NAG_PERIOD = 5.0  # seconds before the log repeats a complaint


class View(NamedTuple):
    """A frame to be drawn, uint8 (height, width, 3) BGR, and for which of the two topics."""

    image: np.ndarray
    header: Header
    step: TargetStep
    raw: bool
    jpeg: bool


class DebugView:
    """`~/debug_image` and `~/debug_image/compressed`, with the header of the frame shown.

    A frame that is still waiting to be drawn when the next one comes is left out.
    """

    def __init__(self, node: LifecycleNode, parameters: Parameters, health: Health) -> None:
        self._node, self._parameters, self._health = node, parameters, health
        options = QoSOverridingOptions.with_default_policies()
        self._raw = node.create_lifecycle_publisher(
            Image, '~/debug_image', QoSProfile(depth=1), qos_overriding_options=options)
        # As with the camera's own images, the sibling follows a remap of the raw topic.
        sibling = f'{node.resolve_topic_name("~/debug_image")}/compressed'
        self._jpeg = node.create_lifecycle_publisher(
            CompressedImage, sibling, QoSProfile(depth=1), qos_overriding_options=options)
        self._rate = RateLimit()
        self._artist: Worker[View] = Worker(self._publish, self._complain, 'debug image', NICENESS)

    def show(self, image: np.ndarray, header: AnyHeader, step: TargetStep) -> None:
        """Have a frame, uint8 (height, width, 3) BGR, drawn and published if anybody looks.

        The image must stay as it is from now on.
        """
        raw = self._raw.get_subscription_count() > 0
        jpeg = self._jpeg.get_subscription_count() > 0
        if (raw or jpeg) and self._rate.allows(self._parameters['debug_image.max_rate'],
                                               time.monotonic()):
            self._artist.give(View(image, header_message(header), step, raw, jpeg))

    def close(self) -> None:
        """Give the topics back."""
        self._artist.stop()
        for publisher in (self._raw, self._jpeg):
            self._node.destroy_lifecycle_publisher(publisher)

    def _publish(self, view: View) -> None:
        begun = time.perf_counter()
        picture = self._draw(view.image, view.step)
        if view.raw:
            self._raw.publish(image_message(picture, view.header))
        if view.jpeg:
            quality = self._parameters['debug_image.jpeg_quality']
            self._jpeg.publish(compressed_message(picture, view.header, quality))
        self._health.count_drawn(1e3 * (time.perf_counter() - begun))

    def _complain(self, error: Exception) -> None:
        if self._node.context.ok():  # otherwise the graph is gone, and nobody looks
            self._node.get_logger().error(f'a debug image could not be made: {error!r}',
                                          throttle_duration_sec=NAG_PERIOD)

    def _draw(self, image: np.ndarray, step: TargetStep) -> np.ndarray:
        widest = self._parameters['debug_image.max_width']
        scale = 1.0
        if 0 < widest < image.shape[1]:
            scale = widest / image.shape[1]
            size = (widest, max(1, round(image.shape[0] * scale)))
            image = cv2.resize(np.ascontiguousarray(image), size, interpolation=cv2.INTER_AREA)
        return draw_overlay(
            image, box=_scaled(step.box or step.prediction, scale),
            search_window=_scaled(step.search_window, scale),
            score=step.score if step.target_id else None, status=step.state.value,
            fps=self._health.fps, name=step.target_id)


class RateLimit:
    """Lets through at most so many per second, evenly, whatever comes in."""

    def __init__(self) -> None:
        self._next = 0.0

    def allows(self, rate: float, now: float) -> bool:
        """Whether something may pass now; ``rate`` per second, ``now`` in seconds."""
        if now < self._next:
            return False
        # From the planned moment, not from now: 15 of 30 frames are every second one, although
        # no frame comes exactly on time. After a pause there is nothing to catch up with.
        period = 1.0 / rate
        self._next = max(self._next + period, now + period / 2)
        return True


def _scaled(box: Optional[Box], scale: float) -> Optional[Box]:
    if box is None:
        return None
    x, y, w, h = (value * scale for value in box)
    return x, y, w, h
