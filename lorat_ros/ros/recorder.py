# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Gives a tracker its init box and records what it says, until the images end.

Writes recording.json, boxes.txt and annotated.mp4 into a folder. With an init box it waits until
the tracker is active, sends the box (stamp 0: the next frame) over ``~/init_box``, and says
"ready" when ``~/status`` shows that the tracker has it. Whoever starts the camera only then has
its first frame as the init frame.

    ros2 run lorat_ros recorder --ros-args -p init_box:=[300.0,200.0,64.0,48.0] -p output:=run1
"""
from __future__ import annotations

import signal
import sys
import time
from pathlib import Path
from typing import Any, Optional

import cv2
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile
from sensor_msgs.msg import Image
from vision_msgs.msg import Detection2D, Detection2DArray

from lorat_ros.boxes import centre_xywh
from lorat_ros.ros.images import to_bgr
from lorat_ros.ros.malloc import keep_image_memory
from lorat_ros.ros.messages import box_of, nanoseconds, point_of
from lorat_ros.ros.parameters import BOX, NO_BOX, Parameters, Settable, Spec
from lorat_ros.ros.running import run_to_end
from lorat_ros.tools.recording import (FrameRecord, READY, Recording, StatusRecord, VIDEO_NAME)

SETTLE = 1.5  # seconds of silence that end a recording; /diagnostics comes once a second
WAITING, REFUSED, ACCEPTED = 'waiting for a frame', 'refused', 'accepted'

SPECS = (
    Spec('tracker', 'lorat_tracker',
         'Name of the tracker node, relative to our namespace or whole.', Settable.AT_START),
    Spec('init_box', NO_BOX, 'Target as [x, y, w, h] in pixels; four zeros = send none.',
         Settable.AT_START, **BOX),
    Spec('output', 'recording', 'Folder to write into; it is made.', Settable.AT_START),
    Spec('fps', 30.0, 'Frame rate of the video that is written.', Settable.AT_START,
         low=0.01, high=10000.0),
    Spec('start_timeout', 60.0, 'Seconds the tracker may take until it waits for a frame.',
         Settable.AT_START, low=0.0, high=86400.0),
    Spec('idle_timeout', 20.0, 'Seconds without any result after which the recording ends.',
         Settable.AT_START, low=0.0, high=86400.0),
)


class RecorderError(RuntimeError):
    """There is nothing to record; the message says why and what to do."""


class Recorder(Node):
    """Listens to one tracker."""

    def __init__(self) -> None:
        super().__init__('recorder')
        self._settings = Parameters(self, SPECS)
        self._box = tuple(self._value('init_box'))
        self._folder = Path(self._value('output')).expanduser()
        self._folder.mkdir(parents=True, exist_ok=True)
        self.recording = Recording()
        self._video: Optional[cv2.VideoWriter] = None
        self._heard = time.monotonic()
        self._subscribe(self._value('tracker'))
        self._executor = SingleThreadedExecutor()
        self._executor.add_node(self)

    def _subscribe(self, tracker: str) -> None:
        self._tracker = self.resolve_topic_name(tracker)
        self._images = self.resolve_topic_name('image')
        latched = QoSProfile(depth=10, durability=DurabilityPolicy.TRANSIENT_LOCAL)
        self._init = self.create_publisher(Detection2D, f'{tracker}/init_box', 1)
        for kind, topic, heard, qos in (
                (DiagnosticArray, f'{tracker}/status', self._on_status, latched),
                (Detection2DArray, f'{tracker}/detections', self._on_detections, 50),
                (Image, f'{tracker}/debug_image', self._on_debug_image, 5),
                (DiagnosticArray, '/diagnostics', self._on_diagnostics, 10)):
            self.create_subscription(kind, topic, heard, qos)

    def run(self) -> int:
        """Record until the images end; returns 0, or 1 if there was nothing to record."""
        try:
            self._give_init_box()
            self._listen()
        except RecorderError as error:
            self.get_logger().error(str(error))
            return 1
        finally:
            signal.signal(signal.SIGINT, signal.SIG_IGN)  # what was heard is written in any case
            if self._video is not None:
                self._video.release()
            self.recording.save(self._folder)
        frames, pictures = len(self.recording.frames), len(self.recording.pictures)
        self.get_logger().info(f'{frames} frames, {pictures} pictures in {self._folder}')
        return 0 if frames else 1

    def _give_init_box(self) -> None:
        """Return when the tracker has the box and waits for a frame to find it on."""
        if self._box != NO_BOX:
            self._await(lambda: self._status('lifecycle') == 'active'
                        and self._init.get_subscription_count(), 'it is not active')
            before = self._status('init')  # an earlier target's answer is not ours
            self._init.publish(self._init_message())
            self._await(lambda: self._status('init') != before and
                        self._status('init').startswith((WAITING, REFUSED, ACCEPTED)),
                        'it is active, but says nothing of the init box')
            if self._status('init').startswith(REFUSED):
                raise RecorderError(f'{self._tracker}: init box {self._status("init")}')
        self.get_logger().info(READY)

    def _await(self, happens: Any, otherwise: str) -> None:
        give_up = time.monotonic() + self._value('start_timeout')
        while not happens():
            if self._status('fault'):
                raise RecorderError(f'{self._tracker}: {self._status("fault")}')
            if time.monotonic() > give_up:
                raise RecorderError(
                    f'{self._tracker}: {otherwise} after {self._value("start_timeout")} s. '
                    f'Its last word: {self._status("state") or "none"}. '
                    'Is it running, with the same ROS_DOMAIN_ID and this name?')
            self._executor.spin_once(timeout_sec=0.1)

    def _listen(self) -> None:
        """Return when the camera has gone and all is silent, or after too long a silence."""
        camera_seen = False
        self._heard = time.monotonic()
        while True:
            self._executor.spin_once(timeout_sec=0.1)
            silence = time.monotonic() - self._heard
            camera = self.count_publishers(self._images) > 0
            camera_seen |= camera
            if camera_seen and not camera and silence > SETTLE:
                return
            if silence > self._value('idle_timeout'):
                self.get_logger().warning(f'no result for {silence:.0f} s: the recording ends')
                return

    def _on_detections(self, message: Detection2DArray) -> None:
        self._heard = time.monotonic()
        box = score = None
        for detection in message.detections[:1]:
            x, y, w, h = (float(v) for v in box_of(detection))
            box = (x, y, w, h)
            score = max((r.hypothesis.score for r in detection.results), default=None)
        self.recording.frames.append(FrameRecord(nanoseconds(message.header.stamp), box, score))

    def _on_status(self, message: DiagnosticArray) -> None:
        stamp = nanoseconds(message.header.stamp)
        for status in message.status:
            values = _values(status)
            record = StatusRecord(stamp, values.get('state', status.message), values)
            if not self.recording.statuses or self.recording.statuses[-1].state != record.state:
                self.get_logger().info(f'status {record.state}')
            self.recording.statuses.append(record)

    def _on_debug_image(self, message: Image) -> None:
        self._heard = time.monotonic()
        picture = to_bgr(message)
        if self._video is None:
            self._size_wh = (picture.shape[1], picture.shape[0])
            self._video = cv2.VideoWriter(str(self._folder / VIDEO_NAME),
                                          cv2.VideoWriter_fourcc(*'mp4v'), self._value('fps'),
                                          self._size_wh)
            if not self._video.isOpened():
                raise RecorderError(
                    f'{self._folder / VIDEO_NAME}: this OpenCV cannot write mp4 there: make the '
                    'folder writable, or install an OpenCV whose FFmpeg has the codec mp4v')
        if (picture.shape[1], picture.shape[0]) != self._size_wh:  # the camera changed its mode
            picture = cv2.resize(picture, self._size_wh, interpolation=cv2.INTER_AREA)
        self._video.write(picture)
        self.recording.pictures.append(nanoseconds(message.header.stamp))

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        for status in message.status:
            if status.name.partition(': ')[0] == self._tracker.lstrip('/'):
                self.recording.diagnostics[status.name] = {
                    'level': status.level[0], 'message': status.message,
                    'values': _values(status)}

    def _status(self, key: str) -> str:
        """Return a value of the tracker's last status, or the empty text."""
        said = self.recording.statuses
        return said[-1].values.get(key, '') if said else ''

    def _init_message(self) -> Detection2D:
        message = Detection2D()  # stamp 0: the next frame
        point = point_of(message.bbox.center)
        point.x, point.y = centre_xywh(self._box)
        message.bbox.size_x, message.bbox.size_y = self._box[2], self._box[3]
        return message

    def _value(self, name: str) -> Any:
        return self._settings[name]


def _values(status: DiagnosticStatus) -> dict[str, str]:
    return {pair.key: pair.value for pair in status.values}


def main(args: Optional[list[str]] = None) -> int:
    """Run the node; 0 when something was recorded, 1 when not, 2 when it cannot start."""
    keep_image_memory()
    return run_to_end(Recorder, 'recorder', args)


if __name__ == '__main__':
    sys.exit(main())
