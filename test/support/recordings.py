# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Real ROS 2 recordings, sqlite3 and mcap, of a drawn scene with a moving disc."""
from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

import cv2
import numpy as np
from rosbags.rosbag2 import StoragePlugin, Writer
from rosbags.typesys.store import Typestore
from support.pools import disc, scene

from lorat_ros.training.bag_messages import (COMPRESSED, DETECTION, DETECTIONS, RAW, typestore,
                                             VISION_MSGS)

#: vision_msgs 3 has the same messages but for the pose of a box.
VISION_MSGS_3 = MappingProxyType({
    **{k: v for k, v in VISION_MSGS.items() if k not in ('Point2D', 'Pose2D')},
    'BoundingBox2D': 'geometry_msgs/Pose2D center\nfloat64 size_x\nfloat64 size_y'})
START, STEP = 1_700_000_000_000_000_000, 50_000_000      # nanoseconds
IMAGE, TRUTH = '/camera/image_raw', '/truth/detections'

Told = tuple[int, list[tuple[str, Sequence[float]]]]     # a stamp, and (id, box xywh) of each


class Recorder:
    """Makes messages and writes them; ``version`` of vision_msgs is 3 or 4."""

    def __init__(self, path: Path, plugin: StoragePlugin = StoragePlugin.MCAP, version: int = 4
                 ) -> None:
        self.version = version
        self.store: Typestore = typestore(VISION_MSGS if version == 4 else VISION_MSGS_3)
        self.writer = Writer(path, version=9, storage_plugin=plugin)
        self.writer.open()
        self._topics: dict[str, Any] = {}

    def make(self, kind: str, **fields: Any) -> Any:
        """A message of a type of the store."""
        return self.store.types[kind](**fields)

    def header(self, stamp: int) -> Any:
        """A header with a stamp in nanoseconds."""
        return self.make('std_msgs/msg/Header', frame_id='camera',
                         stamp=self.make('builtin_interfaces/msg/Time', sec=stamp // 10**9,
                                         nanosec=stamp % 10**9))

    def write(self, topic: str, kind: str, message: Any, received: int) -> None:
        """Write a message on a topic."""
        if topic not in self._topics:
            self._topics[topic] = self.writer.add_connection(topic, kind, typestore=self.store)
        self.writer.write(self._topics[topic], received,
                          self.store.serialize_cdr(message, kind))

    def image(self, stamp: int, pixels: np.ndarray, encoding: str = 'bgr8', topic: str = IMAGE,
              received: int = 0) -> None:
        """Write an image whose buffer is ``pixels``, (height, width, …)."""
        data = np.ascontiguousarray(pixels).reshape(-1).view(np.uint8)
        height, width = pixels.shape[:2]
        self.write(topic, RAW, self.make(
            RAW, header=self.header(stamp), height=height, width=width, encoding=encoding,
            is_bigendian=0, step=data.size // height, data=data), received or stamp)

    def compressed(self, stamp: int, image: np.ndarray, topic: str = IMAGE) -> None:
        """Write an image as PNG."""
        self.write(topic, COMPRESSED, self.make(
            COMPRESSED, header=self.header(stamp), format='bgr8; png compressed bgr8',
            data=cv2.imencode('.png', image)[1].reshape(-1)), stamp)

    def _detection(self, stamp: int, name: str, box: Sequence[float]) -> Any:
        x, y, w, h = (float(v) for v in box)
        if self.version == 4:
            centre = self.make('vision_msgs/msg/Pose2D', theta=0.0, position=self.make(
                'vision_msgs/msg/Point2D', x=x + w / 2, y=y + h / 2))
        else:
            centre = self.make('geometry_msgs/msg/Pose2D', x=x + w / 2, y=y + h / 2, theta=0.0)
        bounds = self.make('vision_msgs/msg/BoundingBox2D', center=centre, size_x=w, size_y=h)
        return self.make(DETECTION, header=self.header(stamp), results=[], bbox=bounds, id=name)

    def detections(self, told: Told, topic: str = TRUTH, received: int = 0) -> None:
        """Write a Detection2DArray."""
        stamp, found = told
        self.write(topic, DETECTIONS, self.make(
            DETECTIONS, header=self.header(stamp),
            detections=[self._detection(stamp, *one) for one in found]), received or stamp)

    def detection(self, stamp: int, box: Sequence[float], topic: str = TRUTH) -> None:
        """Write a Detection2D."""
        self.write(topic, DETECTION, self._detection(stamp, 'target', box), stamp)

    def close(self) -> None:
        """End the recording."""
        self.writer.close()


def moving_disc(frames: int) -> Iterable[tuple[int, np.ndarray, tuple[float, ...]]]:
    """Stamps, images (120, 160, 3) and true boxes."""
    ground = scene(np.random.default_rng(5))
    for number in range(frames):
        image, x = ground.copy(), 30 + 5 * number
        disc(image, x, 60, 15, (40, 200, 240))
        yield START + number * STEP, image, (x - 15, 45, 31, 31)


def forget_definitions(path: Path) -> None:
    """Take the message definitions out of a sqlite3 recording: Humble writes none."""
    for file in path.glob('*.db3'):
        with sqlite3.connect(file) as base:
            base.execute('DELETE FROM message_definitions')
        base.close()


def write_recording(path: Path, plugin: StoragePlugin = StoragePlugin.MCAP, version: int = 4,
                    frames: int = 8) -> Path:
    """A recording of a camera and of detections of one target."""
    recorder = Recorder(path, plugin, version)
    for stamp, image, box in moving_disc(frames):
        recorder.image(stamp, image)
        recorder.detections((stamp, [('target', box)]))
    recorder.close()
    return path
