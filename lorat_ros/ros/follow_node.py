# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
The node `follow_node`: makes velocity commands (REP-147) of what a tracker sees.

Off until `~/enable`. It commands only what a detection asks for that is younger than `max_age`,
by its stamp and by its arrival. In every other case the command is zero: within 0.2 s of a lost
or stale target, of being switched off, of an exception, and when the process is told to end. What
it cannot do is to speak after it was killed: the autopilot must have a timeout of its own.

    ros2 run lorat_ros follow_node --ros-args -r detections:=lorat_tracker/detections \
        -r camera_info:=/camera/camera_info -r cmd_vel:=/ap/cmd_vel
"""
from __future__ import annotations

import signal
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any, Optional

import rclpy
from builtin_interfaces.msg import Time
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from geometry_msgs.msg import TwistStamped
from rcl_interfaces.msg import SetParametersResult
from rclpy.clock import Clock, ClockType
from rclpy.duration import Duration
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.qos import QoSProfile
from rclpy.signals import SignalHandlerOptions
from std_srvs.srv import SetBool
from vision_msgs.msg import Detection2DArray

from lorat_ros.ros.bearing import CameraInput
from lorat_ros.ros.follow_parameters import settings_of, SPECS, WATCH_PERIOD
from lorat_ros.ros.messages import box_of, diagnostic_array, diagnostic_status, nanoseconds
from lorat_ros.ros.parameters import Parameters
from lorat_ros.ros.running import CANNOT_START
from lorat_ros.target.bearing import CameraError
from lorat_ros.target.follow import Command, FollowLaw, settings_complaint, STOP

REPEAT = 0.1  # seconds between zero commands while there is nothing to follow
FAREWELL = 0.5  # seconds that they go on after it was switched off
REPORT_PERIOD = 1.0  # seconds between diagnostics
OFF, FOLLOWING, AWAITING = 'off', 'following', 'no detection yet'


def _zero_if_it_fails(callback: Callable[..., Any]) -> Callable[..., Any]:
    """Let no exception pass by: zero command, off, and the reason in the log."""
    @wraps(callback)
    def guarded(node: FollowNode, *args: Any) -> Any:
        try:
            return callback(node, *args)
        except Exception as error:
            node.fail(error)
            return args[-1] if len(args) > 1 else None  # a service's response
    return guarded


class FollowNode(Node):
    """Follows the target of one tracker.

    :raises ParameterError: a parameter given at start cannot be used.
    :raises ValueError: parameters that do not go together.
    """

    def __init__(self) -> None:
        super().__init__('follow_node')
        self._settings = Parameters(self, SPECS)
        self._law = FollowLaw(settings_of(self._settings.__getitem__))
        self._steady = Clock(clock_type=ClockType.STEADY_TIME)
        self._enabled, self._why = False, OFF
        self._command = STOP
        self._stamp: Optional[int] = None  # of the newest detection, nanoseconds
        self._arrived, self._said_at = 0, 0.0
        self._farewell = 0.0  # monotonic seconds until which zero is repeated while off
        self._camera = CameraInput(self, self._settings['image_rectified'])
        self._commands = self.create_publisher(TwistStamped, 'cmd_vel', QoSProfile(depth=1))
        self._diagnostics = self.create_publisher(DiagnosticArray, '/diagnostics',
                                                  QoSProfile(depth=10))
        self.create_subscription(Detection2DArray, 'detections', self._on_detections,
                                 QoSProfile(depth=1))
        self.create_service(SetBool, '~/enable', self._on_enable)
        # Steady: a clock that stands still must not keep the watchdog from looking.
        self.create_timer(WATCH_PERIOD, self._watch, clock=self._steady)
        self.create_timer(REPORT_PERIOD, self._report, clock=self._steady)

    # -- what comes in --------------------------------------------------------------------------

    @_zero_if_it_fails
    def _on_detections(self, message: Detection2DArray) -> None:
        stamp, now = nanoseconds(message.header.stamp), self._now()
        before = self._stamp
        if not self._enabled or (before is not None and stamp <= before <= now + self._max_age):
            return  # off, or no newer than what is known (unless the clock jumped back)
        self._stamp, self._arrived = stamp, self._arrival_clock()
        why = self._too_old(stamp, now)
        if not why and not message.detections:
            why = 'no target'
        if why:
            self._stop(why)
            return
        try:
            bearing = self._camera.camera().bearing(box_of(message.detections[0]))
        except CameraError as error:
            self._stop(str(error))
            return
        command = self._law.step(bearing, 0.0 if before is None else (stamp - before) / 1e9)
        self._because(FOLLOWING)
        self._say(command, self._moment())

    @_zero_if_it_fails
    def _on_enable(self, request: SetBool.Request, response: SetBool.Response) -> SetBool.Response:
        if not request.data:
            self._switch_off(OFF)
            response.success, response.message = True, 'off: the command is zero'
            return response
        try:
            self._camera.camera()
        except CameraError as error:
            response.success, response.message = False, f'stays off: {error}'
            return response
        if not self._enabled:
            self._stamp, self._arrived = None, self._arrival_clock()
            self._law.stop()
        self._enabled = True
        self._because(AWAITING)
        response.success, response.message = True, 'follows from the next detection on'
        return response

    @_zero_if_it_fails
    def _watch(self) -> None:
        if self._enabled:
            silent = self._arrival_clock() - self._arrived
            why = '' if self._stamp is None else self._too_old(self._stamp, self._now())
            if silent > self._max_age:
                why = f'no detections for more than {self._max_age / 1e9:.2f} s'
            if why and self._why == FOLLOWING:
                self._stop(why)
            elif why and self._is_time_to_repeat():
                self._say(STOP, self._now())
        elif time.monotonic() < self._farewell and self._is_time_to_repeat():
            self._say(STOP, self._now())

    def set_parameters_atomically(self, parameter_list: Sequence[Parameter]
                                  ) -> SetParametersResult:
        """Set parameters, or refuse with value, expectation and cure."""
        if not hasattr(self, '_settings'):  # rclpy's own, while the node is being made
            return super().set_parameters_atomically(parameter_list)
        changes = {parameter.name: parameter.value for parameter in parameter_list}
        reason = self._settings.complaint(parameter_list, unconfigured=True) or \
            settings_complaint(settings_of(lambda name: changes.get(name, self._settings[name])))
        if reason:
            return SetParametersResult(successful=False, reason=reason)
        result = super().set_parameters_atomically(parameter_list)
        if result.successful:
            self._law = FollowLaw(settings_of(self._settings.__getitem__))  # begins at zero
        return result

    # -- what goes out --------------------------------------------------------------------------

    def fail(self, error: Exception) -> None:
        """Zero and off, whatever happened; only `~/enable` begins again."""
        self._switch_off(f'fault, off: {type(error).__name__}: {error}')
        self.get_logger().error(''.join(
            traceback.format_exception(type(error), error, error.__traceback__)))

    def close(self) -> None:
        """Say zero for the last time, and wait until it is heard."""
        if self._enabled or self._command != STOP:
            self._switch_off('the process ends')
            self._commands.wait_for_all_acked(Duration(seconds=0.5))

    def _switch_off(self, why: str) -> None:
        self._enabled, self._command = False, STOP
        self._farewell = time.monotonic() + FAREWELL
        self._say(STOP, self._now())  # first of all
        self._law.stop()
        self._because(why)

    def _stop(self, why: str) -> None:
        self._say(self._law.stop(), self._moment())
        self._because(why)

    def _say(self, command: Command, stamp: int) -> None:
        message = TwistStamped()
        message.header.frame_id = self._settings['frame_id']
        message.header.stamp = Time(sec=stamp // 10**9, nanosec=stamp % 10**9)
        message.twist.linear.x, message.twist.linear.z = command.forward, command.up
        message.twist.angular.z = command.yaw_rate
        self._commands.publish(message)
        self._command, self._said_at = command, time.monotonic()

    def _because(self, why: str) -> None:
        kind = why.split(':')[0]
        if kind != self._why.split(':')[0]:
            self.get_logger().info(why if why in (OFF, FOLLOWING) else f'zero command: {why}')
        self._why = why

    def _report(self) -> None:
        level = DiagnosticStatus.OK if self._why in (OFF, FOLLOWING) else DiagnosticStatus.WARN
        if self._why.startswith('fault'):
            level = DiagnosticStatus.ERROR
        name = self.get_fully_qualified_name().lstrip('/')
        self._diagnostics.publish(diagnostic_array(self.get_clock().now().to_msg(), [
            diagnostic_status(f'{name}: follower', level, self._why, {
                'enabled': str(self._enabled).lower(), 'detections': self.resolve_topic_name(
                    'detections'), 'camera_info': self._camera.topic,
                **{field: f'{value:.3f}' for field, value in self._command._asdict().items()}})]))

    # -- time -----------------------------------------------------------------------------------

    @property
    def _max_age(self) -> int:
        return int(self._settings['max_age'] * 1e9)

    def _now(self) -> int:
        return self.get_clock().now().nanoseconds

    def _moment(self) -> int:
        """The stamp of a command: now, but not before the frame that it answers.

        A simulated clock may come later than what happened by it.
        """
        now = self._now()
        stamp = now if self._stamp is None else self._stamp
        return stamp if now < stamp <= now + self._max_age else now

    def _arrival_clock(self) -> int:
        """Nanoseconds that only run forward; simulated ones where time is simulated.

        A simulated vehicle stands still while its time does.
        """
        clock = self.get_clock() if self.get_clock().ros_time_is_active else self._steady
        return clock.now().nanoseconds

    def _too_old(self, stamp: int, now: int) -> str:
        """Say why a stamp is not of the present; empty if it is."""
        age = now - stamp
        if age > self._max_age:
            return (f'stale: the newest detection is {age / 1e9:.3f} s old, expected at most '
                    f'max_age {self._max_age / 1e9:.2f}: is camera or tracker too slow?')
        if age < -self._max_age:
            return (f'stale: the newest detection is stamped {-age / 1e9:.3f} s in the future: '
                    'synchronise the clocks, or set use_sim_time on both sides')
        return ''

    def _is_time_to_repeat(self) -> bool:
        return time.monotonic() - self._said_at >= REPEAT


def main(args: Optional[Sequence[str]] = None) -> int:
    """Run the node until Ctrl-C or SIGTERM. Returns 1 if it could not be made, else 0."""
    ending = []
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ending.append(True))
    node = None
    try:
        # Not rclpy's own handlers: they close the topics before zero can be said.
        rclpy.init(args=args, signal_handler_options=SignalHandlerOptions.NO)
        node = FollowNode()
        executor = SingleThreadedExecutor()
        executor.add_node(node)
        while not ending:  # the watchdog's timer lets it look often enough
            executor.spin_once(timeout_sec=WATCH_PERIOD)
    except CANNOT_START as error:
        if node is not None:
            raise
        print(f'follow_node cannot start: {" ".join(str(error).split())}', file=sys.stderr)
        return 1
    finally:
        if node is not None:
            node.close()
            node.destroy_node()
        rclpy.try_shutdown()
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)
    return 0


if __name__ == '__main__':
    sys.exit(main())
