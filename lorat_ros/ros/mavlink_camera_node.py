# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
A MAVLink camera that tracks, for ground stations: its commands become the tracker's init boxes.

    ros2 run lorat_ros mavlink_camera_node --ros-args -p url:=udpout:192.168.1.10:14550
"""
from __future__ import annotations

import sys
import threading
import time
import traceback
from collections.abc import Sequence
from typing import Optional

from builtin_interfaces.msg import Time
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from rclpy.clock import Clock, ClockType
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile
from std_msgs.msg import Header
from std_srvs.srv import Trigger
from vision_msgs.msg import Detection2D, Detection2DArray

from lorat_ros.mavlink.camera import Camera, Settings
from lorat_ros.mavlink.dialect import GROUND_STATION, Result
from lorat_ros.mavlink.links import make_link
from lorat_ros.mavlink.refusals import Refusals
from lorat_ros.mavlink.reporting import Answers, TrackerView
from lorat_ros.mavlink.signing import exposure, read_key
from lorat_ros.mavlink.targets import Box, CommandError, pixel_box, Target
from lorat_ros.mavlink.wire import Wire
from lorat_ros.ros.image_watch import ImageWatch, Seen, SILENCE, WATCH_PERIOD
from lorat_ros.ros.messages import (box_of, diagnostic_array, diagnostic_status, nanoseconds,
                                    point_of)
from lorat_ros.ros.parameters import ParameterError, Parameters, Settable, Spec
from lorat_ros.ros.running import serve

PAUSE = 0.05         # seconds between two looks at what the tracker says
REPORT_PERIOD = 1.0  # seconds between diagnostics
EVERYBODY = [0]      # allowed_system_ids that keep nobody out

SPECS = (
    Spec('url', 'udpout:127.0.0.1:14550',
         'udpin:HOST:PORT (listen), udpout:HOST:PORT (speak first), tcp:HOST:PORT, or a serial '
         'device such as /dev/ttyUSB0,921600.', Settable.AT_START),
    Spec('system_id', 1, 'Ours: that of the vehicle which carries the camera.',
         Settable.AT_START, low=1, high=255),
    Spec('component_id', 100, 'Ours: cameras have 100 to 105.', Settable.AT_START,
         low=1, high=255),
    Spec('allowed_system_ids', (GROUND_STATION,),
         'System ids whose commands are carried out, by default that of ground stations; [0] = '
         'all.', Settable.AT_START,
         also=lambda ids: ids == EVERYBODY or bool(ids) and all(1 <= n <= 255 for n in ids),
         also_text='numbers from 1 to 255, or [0] alone for all'),
    Spec('signing_key_file', '',
         'File with the MAVLink 2 signing key (32 bytes or 64 hexadecimal digits): everything is '
         'signed, and nothing else is heard; empty = no signing.', Settable.AT_START),
    Spec('point_size', 64.0, 'Side in pixels of the box around a point without a radius.',
         Settable.ALWAYS, low=2.0, high=10000.0),
    Spec('default_rate', 1.0,
         'Tracking statuses per second for those that have not asked; 0.0 = none.',
         Settable.AT_START, low=0.0, high=100.0),
    Spec('max_rate', 30.0, 'Most tracking statuses per second, whatever is asked.',
         Settable.AT_START, low=0.1, high=100.0),
    Spec('box_timeout', 1.0,
         'Seconds without a new box after which a tracking tracker is reported as error.',
         Settable.ALWAYS, low=0.05, high=60.0),
    Spec('video_delay', 0.0,
         "Seconds by which the operator's picture is behind the camera: so much is taken off the "
         'stamp of the newest image.', Settable.ALWAYS, low=0.0, high=10.0),
    Spec('image_transport', 'raw', 'Which images tell their size where no camera_info comes.',
         Settable.AT_START, choices=('raw', 'compressed')),
    Spec('tracker', 'lorat_tracker', 'Name of the tracker node, relative to our namespace or '
         'whole.', Settable.AT_START),
    Spec('camera_name', 'tracking camera', 'What ground stations show; at most 32 bytes.',
         Settable.AT_START),
)


class MavlinkCameraNode(Node):
    """Wires a camera component to one tracker.

    :raises ValueError: pymavlink is missing, or a parameter given at start cannot be used.
    """

    def __init__(self) -> None:
        super().__init__('mavlink_camera')
        self._settings = Parameters(self, SPECS)
        self._lock = threading.Lock()  # of the view: executor and camera thread both use it
        self._view = TrackerView(self._settings['box_timeout'])
        self._said: dict[str, str] = {}
        self._answers, self._going = Answers(), True
        self._watch = ImageWatch(self, self._settings['image_transport'])
        self._connect(self.resolve_topic_name(self._settings['tracker']))
        self._camera = self._make_camera()
        self._thread = threading.Thread(target=self._run, name='mavlink')

    def _make_camera(self) -> Camera:
        value = self._settings
        ids = value['system_id'], value['component_id']
        log, path = self.get_logger(), value['signing_key_file']
        key = read_key(path) if path else None
        if path and (exposed := exposure(path)):
            log.warning(exposed)
        try:
            self._link = make_link(value['url'], log.warning)
        except ValueError as error:
            raise ParameterError(f'parameter url: {error}') from error
        ids_given = list(value['allowed_system_ids'])
        allowed = () if ids_given == EVERYBODY else tuple(ids_given)
        self._refusals = Refusals(log.warning)
        log.info(f'MAVLink camera {ids[0]}/{ids[1]} on {value["url"]}, '
                 f'{"signed" if key else "not signed"}, commands from '
                 f'{"systems " + ", ".join(map(str, allowed)) if allowed else "all systems"}')
        return Camera(self._link, Wire(*ids, key, refusals=self._refusals), self, Settings(
            *ids, allowed, value['default_rate'], value['max_rate'], model=value['camera_name']),
            log.error)

    def _connect(self, tracker: str) -> None:
        self._tracker = tracker
        latched = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
        self._init = self.create_publisher(Detection2D, f'{tracker}/init_box', 1)
        self._reset = self.create_client(Trigger, f'{tracker}/reset')
        self._diagnostics = self.create_publisher(DiagnosticArray, '/diagnostics', 10)
        for kind, topic, heard, qos in (
                (DiagnosticArray, 'status', self._on_status, latched),
                (Detection2DArray, 'detections', self._on_detections, 10),
                (Detection2D, 'prediction', self._on_prediction, 10)):
            self.create_subscription(kind, f'{tracker}/{topic}', heard, qos)
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        self.create_timer(WATCH_PERIOD, self._watch.choose, clock=steady)
        self.create_timer(REPORT_PERIOD, self._report_health, clock=steady)

    def autostart(self) -> None:
        """Begin to speak."""
        self._thread.start()

    def close(self) -> None:
        """Hang up; nothing is sent after this returns."""
        self._going = False
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        while self._going:
            try:
                self._link.wait(min(PAUSE, self._camera.next_due() - time.monotonic()))
                with self._lock:
                    self._camera.report = self._view.report(time.monotonic())
                self._camera.image_wh = self._watch.seen.size_wh
                self._camera.step(time.monotonic())
            except Exception:  # a ground station that falls silent is worse than any of it
                if self._going and self.context.ok():
                    self.get_logger().error(traceback.format_exc(),
                                            throttle_duration_sec=5.0)
                time.sleep(PAUSE)
        self._link.close()

    # -- what a ground station asks for, in the camera's thread -------------------------------

    def track(self, target: Target) -> None:
        """Send the tracker an init box on the newest image; CommandError if that is impossible."""
        seen = self._watch.seen
        if complaint := self._complaint(seen):
            raise CommandError(Result.TEMPORARILY_REJECTED, complaint)
        box = pixel_box(target, seen.size_wh, self._settings['point_size'])
        stamp = max(seen.stamp - int(1e9 * self._settings['video_delay']), 0)
        self._answers.asked(time.monotonic())
        self._init.publish(_init_message(box, stamp))
        self.get_logger().info('init box x {:.1f} y {:.1f} w {:.1f} h {:.1f}'.format(*box))

    def stop(self) -> None:
        """Make the tracker forget its target; CommandError if it cannot be reached."""
        if not self._reset.service_is_ready():
            raise CommandError(Result.TEMPORARILY_REJECTED,
                               f'no tracker offers {self._tracker}/reset')
        self._reset.call_async(Trigger.Request())
        self.get_logger().info('stop')

    def _complaint(self, seen: Seen) -> str:
        """Why the tracker takes no box now; empty if it does."""
        said = self._said
        if not said or not self._init.get_subscription_count():
            return f'no tracker is heard as {self._tracker}'
        if said.get('lifecycle', 'active') != 'active':
            return said.get('fault') or f'the tracker is {said["lifecycle"]}, not active'
        if said.get('enabled') == 'false':
            return 'the tracker is paused'
        if 0 in seen.size_wh:
            return 'no image yet, so its size is not known'
        # It would wait for the next image, and refuse the box if that is much newer. A tracker
        # whose boxes may be old may be slow.
        if not seen.is_shared(max(SILENCE, self._settings['box_timeout'])):
            return 'the tracker gets no images of this camera'
        return ''

    # -- what the tracker says, in the executor -----------------------------------------------

    def _on_status(self, message: DiagnosticArray) -> None:
        for status in message.status:
            said = {pair.key: pair.value for pair in status.values}
            self._said = said
            with self._lock:
                self._view.status(said.get('state', ''), said.get('fault', ''), time.monotonic())
            init = said.get('init', '')
            if self._answers.refuses(init, time.monotonic()):
                self._camera.say(init)

    def _on_detections(self, message: Detection2DArray) -> None:
        self._watch.processed(nanoseconds(message.header.stamp))
        box = box_of(message.detections[0]) if message.detections else None
        with self._lock:
            self._view.stale = self._settings['box_timeout']
            self._view.measured(box, self._size(), time.monotonic())

    def _on_prediction(self, message: Detection2D) -> None:
        with self._lock:
            self._view.predicted(box_of(message), self._size(), time.monotonic())

    def _size(self) -> Optional[tuple[int, int]]:
        size = self._watch.seen.size_wh
        return None if 0 in size else size

    def _report_health(self) -> None:
        name = self.get_fully_qualified_name().lstrip('/')
        refused = self._refusals.complaint()
        level, said = DiagnosticStatus.OK, 'open'
        if refused:
            level, said = DiagnosticStatus.WARN, refused
        if not self._link.is_open:
            level, said = DiagnosticStatus.ERROR, 'lost, trying again'
        seen = self._watch.seen
        self._diagnostics.publish(diagnostic_array(self.get_clock().now().to_msg(), [
            diagnostic_status(f'{name}: link', level, said, {
                'url': self._link.name, 'heard': self._camera.peers,
                'image size': '{}x{}'.format(*seen.size_wh),
                'said': self._camera.report.kind.name, 'tracker': self._complaint(seen) or 'ready',
                'signing': 'on' if self._settings['signing_key_file'] else 'off',
                'commands refused': self._refusals.commands(),
                'packets ignored': self._refusals.packets()})]))


def _init_message(box: Box, stamp: int) -> Detection2D:
    message = Detection2D(header=Header(stamp=Time(sec=stamp // 10**9, nanosec=stamp % 10**9)))
    point = point_of(message.bbox.center)
    point.x, point.y = float(box[0] + box[2] / 2), float(box[1] + box[3] / 2)
    message.bbox.size_x, message.bbox.size_y = float(box[2]), float(box[3])
    return message


def main(args: Optional[Sequence[str]] = None) -> int:
    """Run the node until Ctrl-C or SIGTERM. Returns 1 if it cannot start, else 0."""
    return serve(MavlinkCameraNode, 'mavlink_camera_node', args)


if __name__ == '__main__':
    sys.exit(main())
