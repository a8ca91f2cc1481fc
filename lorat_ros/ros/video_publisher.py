# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
A video file or a folder of frames as a camera.

Publishes ``image`` (bgr8), on request ``image/compressed`` (JPEG) and ``camera_info`` (a pinhole
without distortion), and ends with status 0 after the last frame.

    ros2 run lorat_ros video_publisher --ros-args -p path:=clip.mp4 -p wait_for_subscribers:=1
"""
from __future__ import annotations

import math
import os
import sys
import time
from collections.abc import Iterator
from typing import Any, Optional, TextIO

import numpy as np
from builtin_interfaces.msg import Time
from rclpy.duration import Duration
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import CameraInfo, CompressedImage, Image
from std_msgs.msg import Header
from vision_msgs.msg import Detection2DArray

from lorat_ros.ros.images import compressed_message, image_message
from lorat_ros.ros.malloc import keep_image_memory
from lorat_ros.ros.messages import nanoseconds
from lorat_ros.ros.parameters import ParameterError, Parameters, Settable, Spec
from lorat_ros.ros.running import run_to_end
from lorat_ros.tools.frames import open_frames

RELIABILITIES = {'reliable': ReliabilityPolicy.RELIABLE,
                 'best_effort': ReliabilityPolicy.BEST_EFFORT}
REMINDER = 5.0  # seconds between two words about what is awaited

LONGEST = 86400.0  # seconds; whoever wants to wait longer than a day means something else

SPECS = (
    Spec('path', '', 'Video file or folder of frames; required.', Settable.AT_START),
    Spec('rate', 0.0, "Frames per second; 0.0 = the video's own (30 for a folder of frames).",
         Settable.AT_START, low=0.0, high=10000.0),
    Spec('loop', False, 'Start again after the last frame, with stamps that go on.',
         Settable.ALWAYS),
    Spec('lock_step', False,
         'Publish a frame when the `detections` of the one before have come, with the same '
         'stamp: at `rate` or as fast as the tracker is, and no frame is dropped.',
         Settable.AT_START),
    Spec('lock_step_timeout', 2.0, 'Seconds after which an answer in lock step is given up.',
         Settable.ALWAYS, low=0.0, high=LONGEST),
    Spec('wait_for_subscribers', 0,
         'Publish nothing before the images have this many subscribers.', Settable.AT_START,
         low=0, high=1000),
    Spec('start_delay', 0.0, 'Seconds to wait after that; 0.5 lets slow subscribers settle.',
         Settable.AT_START, low=0.0, high=LONGEST),
    Spec('reliability', 'reliable', 'What is offered: reliable, or best_effort (as cameras do).',
         Settable.AT_START, choices=tuple(RELIABILITIES)),
    Spec('depth', 10, 'Frames kept for subscribers that have not got them yet.',
         Settable.AT_START, low=1, high=1000),
    Spec('compressed', False, 'Publish `image/compressed` as well, as JPEG.', Settable.AT_START),
    Spec('jpeg_quality', 90, 'Quality of those.', Settable.ALWAYS, low=1, high=100),
    Spec('horizontal_fov', 0.0,
         'Degrees; above 0.0 `camera_info` is published with each frame.', Settable.AT_START,
         low=0.0, high=179.0),
    Spec('frame_id', 'camera', 'In every header.', Settable.ALWAYS),
    Spec('stamps_file', '',
         'Write the index and the stamp (nanoseconds) of each frame to this file.',
         Settable.AT_START),
)


class VideoPublisher(Node):
    """Publishes the frames of one clip."""

    def __init__(self) -> None:
        super().__init__('video_publisher')
        self._settings = Parameters(self, SPECS)
        if not self._value('path'):
            raise ParameterError("parameter path: it is '', expected a video file or a folder of "
                                 'frames; set it with --ros-args -p path:=FILE_OR_FOLDER')
        self._frames = open_frames(self._value('path'), self._value('rate') or None)
        qos = QoSProfile(depth=self._value('depth'),
                         reliability=RELIABILITIES[self._value('reliability')])
        self._images = self.create_publisher(Image, 'image', qos)
        self._compressed = self.create_publisher(
            CompressedImage, self._images.topic_name + '/compressed', qos) \
            if self._value('compressed') else None
        self._infos = self.create_publisher(CameraInfo, 'camera_info', qos) \
            if self._value('horizontal_fov') else None
        if self._value('lock_step'):
            self.create_subscription(Detection2DArray, 'detections', self._on_answer, 10)
        self._answered = self._last_stamp = 0
        self._executor = SingleThreadedExecutor()
        self._executor.add_node(self)

    def run(self) -> int:
        """Publish everything; returns the exit status, 0."""
        name = self._value('stamps_file')
        self._wait_for_subscribers()
        self._pause(self._value('start_delay'))
        with open(name or os.devnull, 'w', buffering=1, encoding='utf-8') as stamps:
            begin = time.monotonic()
            count = self._publish_all(stamps)
        for publisher in filter(None, (self._images, self._compressed)):
            publisher.wait_for_all_acked(Duration(seconds=5))
        seconds = max(time.monotonic() - begin, 1e-6)
        self.get_logger().info(f'published {count} frames of {self._frames.path} in '
                               f'{seconds:.1f} s ({count / seconds:.1f} fps)')
        return 0

    def _publish_all(self, stamps: TextIO) -> int:
        period, count = 1 / self._frames.fps, 0
        due = time.monotonic()
        for image in self._clip():
            message = image_message(image, Header())  # filled while it is waited for its time
            # In lock step, too: stamps that follow each other faster than the clip's frames did
            # would tell whoever counts seconds that less time has passed in it.
            self._pause(due - time.monotonic())
            due = max(due + period, time.monotonic())  # late: no hurry to catch up
            stamp = self._publish(image, message)
            stamps.write(f'{count} {stamp}\n')
            count += 1
            if self._value('lock_step'):
                self._await_answer(stamp, count)
        return count

    def _clip(self) -> Iterator[np.ndarray]:
        yield from self._frames
        while self._value('loop'):
            yield from self._frames

    def _publish(self, image: np.ndarray, message: Image) -> int:
        """Send one frame under one header; returns its stamp in nanoseconds."""
        stamp = max(self.get_clock().now().nanoseconds, self._last_stamp + 1)
        self._last_stamp = stamp
        header = Header(frame_id=self._value('frame_id'),
                        stamp=Time(sec=stamp // 10**9, nanosec=stamp % 10**9))
        message.header = header
        self._images.publish(message)
        if self._compressed:
            self._compressed.publish(
                compressed_message(image, header, self._value('jpeg_quality')))
        if self._infos:
            self._infos.publish(_camera_info(header, image, self._value('horizontal_fov')))
        return stamp

    def _wait_for_subscribers(self) -> None:
        wanted, reminder = self._value('wait_for_subscribers'), time.monotonic()
        while self._subscribers() < wanted:
            if time.monotonic() >= reminder:
                self.get_logger().info(
                    f'waiting: {self._subscribers()} of {wanted} subscribers to '
                    f'{self._images.topic_name}; are they started, with the same ROS_DOMAIN_ID?')
                reminder += REMINDER
            self._pause(0.02)

    def _subscribers(self) -> int:
        publishers = filter(None, (self._images, self._compressed))
        return sum(publisher.get_subscription_count() for publisher in publishers)

    def _on_answer(self, message: Detection2DArray) -> None:
        self._answered = max(self._answered, nanoseconds(message.header.stamp))

    def _await_answer(self, stamp: int, count: int) -> None:
        patience = self._value('lock_step_timeout')
        give_up = time.monotonic() + patience
        while self._answered < stamp and time.monotonic() < give_up:
            self._executor.spin_once(timeout_sec=max(0.0, give_up - time.monotonic()))
        if self._answered < stamp:
            self.get_logger().warning(f'no detections for frame {count - 1} in {patience} s: is '
                                      '`detections` remapped to those of the tracker?')

    def _pause(self, seconds: float) -> None:
        """Let time pass while parameters and the like are served."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            self._executor.spin_once(timeout_sec=left)
        self._executor.spin_once(timeout_sec=0)

    def _value(self, name: str) -> Any:
        return self._settings[name]


def _camera_info(header: Header, image: np.ndarray, horizontal_fov: float) -> CameraInfo:
    """Return an ideal pinhole's calibration; ``horizontal_fov`` in degrees."""
    height, width = image.shape[:2]
    focal = width / 2 / math.tan(math.radians(horizontal_fov) / 2)
    k = (focal, 0.0, width / 2, 0.0, focal, height / 2, 0.0, 0.0, 1.0)
    p = (focal, 0.0, width / 2, 0.0, 0.0, focal, height / 2, 0.0, 0.0, 0.0, 1.0, 0.0)
    r = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)
    return CameraInfo(header=header, height=height, width=width, distortion_model='plumb_bob',
                      d=[0.0] * 5, k=k, r=r, p=p)


def main(args: Optional[list[str]] = None) -> int:
    """Run the node until the clip ends (0), it is interrupted (0), or cannot start (2)."""
    keep_image_memory()
    return run_to_end(VideoPublisher, 'video_publisher', args)


if __name__ == '__main__':
    sys.exit(main())
