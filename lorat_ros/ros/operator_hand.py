# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Points at a target as people do, and notes the ray that comes of it: for the pictures in docs/.

Clicks two corners on ``~/init_point`` of the tracker when a given image has come; later it gives
a box on ``~/init_box`` with the stamp of an image that is already old. Writes the images that it
pointed at, and what it heard on ``~/marker``, into a folder. Ends when the images end.
"""
from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any, Optional

import cv2
import numpy as np
from geometry_msgs.msg import Point
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from sensor_msgs.msg import CameraInfo, Image
from vision_msgs.msg import Detection2D
from visualization_msgs.msg import Marker

from lorat_ros.boxes import centre_xywh
from lorat_ros.ros.images import to_bgr
from lorat_ros.ros.messages import nanoseconds, point_of
from lorat_ros.ros.parameters import BOX, NO_BOX, Parameters, Settable, Spec
from lorat_ros.ros.running import run_to_end
from lorat_ros.tools.operator_scenes import HEARD_NAME, POINTED_NAME

SILENCE = 1.5  # seconds without image that end it, once the camera has gone
BETWEEN_CLICKS = 0.05  # seconds
AGAIN = 'again'  # id of the target that the box starts

SPECS = (
    Spec('tracker', 'lorat_tracker', 'Name of the tracker node.', Settable.AT_START),
    Spec('output', 'operator', 'Folder to write into; it is made.', Settable.AT_START),
    Spec('click_at', 10, 'Number of the image that is clicked on, from 0.', Settable.AT_START,
         low=0, high=10**9),
    Spec('click_box', NO_BOX, 'Target in that image as [x, y, w, h].', Settable.AT_START, **BOX),
    Spec('box_at', 235, 'Number of the image that the box is drawn on.', Settable.AT_START,
         low=0, high=10**9),
    Spec('box', NO_BOX, 'Target in that image as [x, y, w, h].', Settable.AT_START, **BOX),
    Spec('box_sent_at', 265, 'Number of the image after which the box is sent.',
         Settable.AT_START, low=0, high=10**9),
)


class OperatorHand(Node):
    """Counts images, and points when their time has come."""

    def __init__(self) -> None:
        super().__init__('operator_hand')
        self._settings = Parameters(self, SPECS)
        self._folder = Path(self._value('output'))
        self._folder.mkdir(parents=True, exist_ok=True)
        tracker = self._value('tracker')
        self._clicks = self.create_publisher(Point, f'{tracker}/init_point', 1)
        self._boxes = self.create_publisher(Detection2D, f'{tracker}/init_box', 1)
        self._images, self._stamp_of_box = 0, None
        self._heard: dict[str, Any] = {'stamps': {}, 'markers': {}, 'k': [], 'size': []}
        self._latest = time.monotonic()
        self.create_subscription(Image, 'image', self._on_image, 10)
        self.create_subscription(CameraInfo, 'camera_info', self._on_camera_info, 10)
        self.create_subscription(Marker, f'{tracker}/marker', self._on_marker, 50)
        self._topic = self.resolve_topic_name('image')
        self._executor = SingleThreadedExecutor()
        self._executor.add_node(self)

    def run(self) -> int:
        """Point until the images end; returns 0, or 1 if not all was pointed at."""
        seen = False
        while True:
            self._executor.spin_once(timeout_sec=0.1)
            camera = self.count_publishers(self._topic) > 0
            seen |= camera
            if seen and not camera and time.monotonic() - self._latest > SILENCE:
                break
        (self._folder / HEARD_NAME).write_text(json.dumps(self._heard) + '\n')
        return 0 if self._images > self._value('box_sent_at') else 1

    def _on_image(self, message: Image) -> None:
        self._latest = time.monotonic()
        number, self._images = self._images, self._images + 1
        stamp = nanoseconds(message.header.stamp)
        if number == self._value('click_at'):
            self._keep('click', stamp, to_bgr(message))
            x, y, w, h = self._value('click_box')
            self._clicks.publish(Point(x=x, y=y))
            time.sleep(BETWEEN_CLICKS)
            self._clicks.publish(Point(x=x + w, y=y + h))
        if number == self._value('box_at'):
            self._keep('box', stamp, to_bgr(message))
            self._stamp_of_box = message.header.stamp
        if number == self._value('box_sent_at'):
            self._keep('sent', stamp, to_bgr(message))
            self._send_box()

    def _send_box(self) -> None:
        box = self._value('box')
        message = Detection2D(id=AGAIN)
        message.header.stamp = self._stamp_of_box
        centre = point_of(message.bbox.center)
        centre.x, centre.y = centre_xywh(box)
        message.bbox.size_x, message.bbox.size_y = box[2], box[3]
        self._boxes.publish(message)

    def _on_camera_info(self, message: CameraInfo) -> None:
        self._heard.update(k=[float(v) for v in message.k],
                           size=[message.width, message.height])

    def _on_marker(self, message: Marker) -> None:
        if message.action == Marker.ADD:
            points = [[p.x, p.y, p.z] for p in message.points]
            self._heard['markers'][str(nanoseconds(message.header.stamp))] = points

    def _keep(self, name: str, stamp: int, image: np.ndarray) -> None:
        self._heard['stamps'][name] = stamp
        cv2.imwrite(str(self._folder / POINTED_NAME.format(name)), image)

    def _value(self, name: str) -> Any:
        return self._settings[name]


def main(args: Optional[list[str]] = None) -> int:
    """Run the node until the images end; 0 if everything was pointed at."""
    return run_to_end(OperatorHand, 'operator_hand', args)


if __name__ == '__main__':
    sys.exit(main())
