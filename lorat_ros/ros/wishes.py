# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The topics on which people and detectors say what to follow: boxes, clicks, candidates."""
from __future__ import annotations

from collections.abc import Callable
from typing import Optional

from geometry_msgs.msg import Point
from rclpy.node import Node
from rclpy.qos import QoSProfile
from vision_msgs.msg import Detection2D, Detection2DArray

from lorat_ros.boxes import BoxError
from lorat_ros.ros.init_request import InitRequest
from lorat_ros.ros.messages import box_of, nanoseconds, score_of
from lorat_ros.ros.parameters import Parameters
from lorat_ros.ros.pipeline import Pipeline
from lorat_ros.target.clicks import Clicks


class Wishes:
    """`~/init_box`, `~/init_point` and `~/candidates`, heard in every state of the node.

    :param active: returns the pipeline of an active node, None while it is not active.
    :param refuse: called for a wish that comes while it is not.
    :param done: called after every wish that may have changed what there is to say.
    """

    def __init__(self, node: Node, parameters: Parameters,
                 active: Callable[[], Optional[Pipeline]], refuse: Callable[[], None],
                 done: Callable[[], None]) -> None:
        self._parameters, self._active = parameters, active
        self._refuse, self._done = refuse, done
        self._clicks = Clicks()
        listen = node.create_subscription
        listen(Detection2D, '~/init_box', self._on_box, QoSProfile(depth=1))
        listen(Point, '~/init_point', self._on_point, QoSProfile(depth=10))
        listen(Detection2DArray, '~/candidates', self._on_candidates, QoSProfile(depth=1))

    def _on_box(self, message: Detection2D) -> None:
        pipeline = self._active()
        if pipeline is None:
            self._refuse()
        else:
            pipeline.request_init(InitRequest(
                box_of(message), nanoseconds(message.header.stamp), message.id))
        self._done()

    def _on_point(self, message: Point) -> None:
        pipeline = self._active()
        if pipeline is None:
            self._refuse()
        else:
            self._click(pipeline, message.x, message.y)
        self._done()

    def _click(self, pipeline: Pipeline, x: float, y: float) -> None:
        try:
            box = self._clicks.take(x, y, self._parameters['init_point_size'])
        except BoxError as error:
            pipeline.tell(f'refused: {error}')
            return
        if box is None:
            pipeline.tell(f'waiting for the opposite corner: the first is x {x:.1f} y {y:.1f}')
        else:
            pipeline.request_init(InitRequest(box))

    def _on_candidates(self, message: Detection2DArray) -> None:
        pipeline = self._active()
        if pipeline is not None:
            best_first = sorted(message.detections, key=score_of, reverse=True)
            pipeline.offer([box_of(detection) for detection in best_first])
