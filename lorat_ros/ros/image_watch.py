# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
How large a camera's images are, which was the newest, and whether the tracker gets them, too.

All of it at the least possible cost.
"""
from __future__ import annotations

import time
from typing import NamedTuple, Union

from rclpy.node import Node
from rclpy.qos import QoSProfile, QoSReliabilityPolicy
from sensor_msgs.msg import CameraInfo, CompressedImage, Image

from lorat_ros.boxes import wh_of
from lorat_ros.ros.images import ImageError, to_bgr
from lorat_ros.ros.messages import nanoseconds

WATCH_PERIOD = 0.5   # seconds between two decisions on what to subscribe to
SILENCE = 2.0        # seconds after which a topic counts as silent
DECODE_PERIOD = 2.0  # seconds between two looks into a compressed image


class Seen(NamedTuple):
    """The newest image: (width, height) in pixels, (0, 0) = not known; its stamp; when it came.

    ``stamp`` is in nanoseconds of the camera's clock, ``at`` in seconds of time.monotonic. Of the
    same clock are ``begun``, the stamp of the first image of this camera (one of another size, or
    one that was silent, is another), and ``processed``, that of the tracker's last; -1 = none.
    """

    size_wh: tuple[int, int] = (0, 0)
    stamp: int = 0
    at: float = -float('inf')
    begun: int = 0
    processed: int = -1

    def is_shared(self, patience: float) -> bool:
        """
        Whether the tracker, too, gets the images of this camera.

        DDS connects a camera with each of its listeners at a time of its own: what we have seen
        the tracker may never have got.

        :param patience: seconds by which it may be behind.
        """
        return self.processed >= max(self.begun, self.stamp - round(patience * 1e9))


class ImageWatch:
    """Listens to `camera_info`, and only while that is silent to the images themselves.

    :attr:`seen` is replaced as a whole and may be read from any thread.

    :param transport: raw or compressed: which images.
    """

    def __init__(self, node: Node, transport: str) -> None:
        self._node, self._transport, self.seen = node, transport, Seen()
        self._qos = QoSProfile(depth=1, reliability=QoSReliabilityPolicy.BEST_EFFORT)
        self._images = None
        self._informed = self._decoded = -float('inf')
        self._began = time.monotonic()
        node.create_subscription(CameraInfo, 'camera_info', self._on_info, self._qos)

    def choose(self) -> None:
        """Subscribe to the images or leave them, as camera_info is silent or not."""
        now = time.monotonic()
        silent = now - max(self._informed, self._began) > WATCH_PERIOD if self._informed < 0 \
            else now - self._informed > SILENCE
        if silent and self._images is None:
            topic = self._node.resolve_topic_name('image')
            kind, topic = ((Image, 'image') if self._transport == 'raw'
                           else (CompressedImage, f'{topic}/compressed'))
            self._images = self._node.create_subscription(kind, topic, self._on_image, self._qos)
        elif not silent and self._images is not None:
            self._node.destroy_subscription(self._images)
            self._images = None

    def processed(self, stamp: int) -> None:
        """Take note of an image that the tracker has seen: the newest, when none reaches us."""
        seen = self.seen._replace(processed=stamp)
        silent = time.monotonic() - seen.at > SILENCE
        self.seen = seen._replace(stamp=stamp) if silent else seen

    def _on_info(self, message: CameraInfo) -> None:
        self._informed = time.monotonic()
        self._see(image_size(message), message)

    def _on_image(self, message: Union[Image, CompressedImage]) -> None:
        size = self.seen.size_wh
        if isinstance(message, Image):
            size = (message.width, message.height)
        elif time.monotonic() - self._decoded > DECODE_PERIOD:
            self._decoded = time.monotonic()
            try:
                size = wh_of(to_bgr(message))
            except ImageError:  # the tracker tells of it
                return
        self._see(size, message)

    def _see(self, size_wh: tuple[int, int], message: Union[CameraInfo, Image, CompressedImage]
             ) -> None:
        before, stamp, now = self.seen, nanoseconds(message.header.stamp), time.monotonic()
        same = size_wh == before.size_wh and now - before.at <= SILENCE
        # A clock that steps back is still this camera's: the tracker's stamps do so as well.
        begun = min(before.begun, stamp) if same else stamp
        self.seen = Seen(size_wh, stamp, now, begun, before.processed)


def image_size(info: CameraInfo) -> tuple[int, int]:
    """Return (width, height) of the images that a CameraInfo belongs to, as REP-104 says.

    Its own width and height are those of the whole sensor; the images may show a region of it,
    and may be binned.
    """
    width = info.roi.width or info.width
    height = info.roi.height or info.height
    return width // max(info.binning_x, 1), height // max(info.binning_y, 1)
