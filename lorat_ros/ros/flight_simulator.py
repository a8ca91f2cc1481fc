# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
A drone with a camera, flown by `follow_node` after what the tracker sees, for `lorat simulate`.

It gives out the time (`/clock`) and goes in lock step: a frame is sent, tracker and follower
answer it with its stamp, the world moves on by one frame. So a flight does not depend on how fast
the machine is. Where the camera is silent nobody answers; time then passes ten times slower than
on the wall, so that the follower's watchdog is not late for want of a processor.
"""
from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Any, Optional

from builtin_interfaces.msg import Time
from geometry_msgs.msg import TwistStamped
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import CameraInfo, Image
from std_msgs.msg import Header
from std_srvs.srv import SetBool, Trigger
from vision_msgs.msg import Detection2D, Detection2DArray

from lorat_ros.boxes import Box, centre_xywh
from lorat_ros.ros.images import image_message
from lorat_ros.ros.malloc import keep_image_memory
from lorat_ros.ros.messages import box_of, nanoseconds, point_of
from lorat_ros.ros.parameters import ParameterError, Parameters, Settable, Spec
from lorat_ros.ros.running import run_to_end
from lorat_ros.target.follow import Command, STOP
from lorat_ros.tools.simulate_figures import Flight, save_flights
from lorat_ros.tools.simulate_world import (CALIBRATION, FPS, Scenario, SCENARIOS, Studio,
                                            Vehicle)

BEGIN = 1000 * 10**9  # nanoseconds: when the first flight begins
FRAME = round(1e9 / FPS)
TICK, SLOWER = 10_000_000, 10  # of the clock while the camera is silent
SETTLE = 0.3  # seconds in which what is under way arrives: nothing of it is of the flight
SHOWN = 100  # frames on which the tracker may take up the target

SPECS = (
    Spec('scenarios', ','.join(SCENARIOS), 'Which flights, with commas between them.',
         Settable.AT_START),
    Spec('output', 'flights.json', 'File to write what happened to.', Settable.AT_START),
    Spec('patience', 60.0, 'Seconds to wait for an answer of tracker or follower.',
         Settable.AT_START, low=0.1, high=3600.0),
)


class SimulatorError(RuntimeError):
    """The graph does not answer; the message says who."""


class FlightSimulator(Node):
    """Flies one scenario after the other."""

    def __init__(self) -> None:
        super().__init__('flight_simulator')
        self._settings = Parameters(self, SPECS)
        self._names = self._settings['scenarios'].split(',')
        unknown = [name for name in self._names if name not in SCENARIOS]
        if unknown:
            raise ParameterError(f'parameter scenarios: {unknown[0]!r} is not known, expected '
                                 f'some of {", ".join(SCENARIOS)}: set these')
        self._now, self._frames = BEGIN, 0
        self._answer: Optional[Detection2DArray] = None
        self._commands: list[tuple[int, Command]] = []
        self._clock = self.create_publisher(Clock, '/clock', 10)
        self._images = self.create_publisher(Image, 'image', 2)
        self._infos = self.create_publisher(CameraInfo, 'camera_info', 2)
        self._init = self.create_publisher(Detection2D, 'lorat_tracker/init_box', 1)
        self.create_subscription(Detection2DArray, 'lorat_tracker/detections', self._on_answer, 50)
        self.create_subscription(TwistStamped, 'cmd_vel', self._on_command, 50)
        self._reset = self.create_client(Trigger, 'lorat_tracker/reset')
        self._enable = self.create_client(SetBool, 'follow_node/enable')
        self._executor = SingleThreadedExecutor()
        self._executor.add_node(self)
        self._studio = Studio()

    def run(self) -> int:
        """Fly all scenarios and write what happened; 0, or 1 if somebody did not answer."""
        try:
            self._await(lambda: self._images.get_subscription_count()
                        and self._infos.get_subscription_count()
                        and self._init.get_subscription_count(), 'the tracker to subscribe')
            flights = {}
            for name in self._names:
                self.get_logger().info(f'flight {name}')
                flights[name] = self._fly(SCENARIOS[name])
        except SimulatorError as error:
            self.get_logger().error(str(error))
            return 1
        save_flights(self._settings['output'], flights)
        return 0

    def _fly(self, scenario: Scenario) -> Flight:
        vehicle, flight = Vehicle(), Flight()
        self._frames = 0
        self._show_target(vehicle, scenario)
        self._spin(SETTLE)
        self._frames = 0  # the same noise in every flight, however many frames that took
        self._call(self._enable, SetBool.Request(data=True), 'enable the follower')
        self._commands.clear()
        begin, command = self._now, STOP
        for index in range(round(scenario.seconds * FPS)):
            t = index / FPS
            if scenario.silent_after is not None and t >= scenario.silent_after:
                break
            gone = scenario.gone_after is not None and t >= scenario.gone_after
            place = scenario.path(t)
            box = self._send_frame(vehicle, None if gone else place, answered=True)
            command = self._commands[-1][1]
            truth = None if gone else self._studio.true_box(vehicle, place)
            flight.add((self._now - begin) / 1e9, vehicle, place, truth, box)
            vehicle.step(command, FRAME / 1e9)
        if scenario.silent_after is not None:
            flight.silent_from = (self._now - begin) / 1e9
            end = begin + round(scenario.seconds * 1e9)
            while self._now < end:
                self._tick(TICK)
                self._spin(TICK / 1e9 * SLOWER)
                place = scenario.path((self._now - begin) / 1e9)
                vehicle.step(self._commands[-1][1], TICK / 1e9)
                flight.add((self._now - begin) / 1e9, vehicle, place, None, None)
        flight.commands = [((stamp - begin) / 1e9, *said) for stamp, said in self._commands]
        self._call(self._enable, SetBool.Request(data=False), 'switch the follower off')
        self._call(self._reset, Trigger.Request(), 'reset the tracker')
        return flight

    def _show_target(self, vehicle: Vehicle, scenario: Scenario) -> None:
        """Let the tracker take up the target, while the world stands still."""
        place = scenario.path(0.0)
        box = self._studio.true_box(vehicle, place)
        message = Detection2D(id='raft')  # stamp 0: the next frame
        point = point_of(message.bbox.center)
        point.x, point.y = centre_xywh(box)
        message.bbox.size_x, message.bbox.size_y = box[2:]
        self._init.publish(message)
        for _ in range(SHOWN):
            self._spin(SETTLE)  # the box shall be there before the frame
            if self._send_frame(vehicle, place, answered=False) is not None:
                return
        raise SimulatorError(f'the tracker has not taken up the target {box} in {SHOWN} frames')

    def _send_frame(self, vehicle: Vehicle, place: Optional[tuple[float, float]],
                    answered: bool) -> Optional[Box]:
        """Send one frame; returns the box that the tracker says.

        :param answered: wait for the follower's command too.
        """
        self._tick(FRAME)
        header = Header(frame_id='camera', stamp=_time(self._now))
        self._infos.publish(CameraInfo(
            header=header, width=CALIBRATION.image_wh[0], height=CALIBRATION.image_wh[1],
            distortion_model=CALIBRATION.model, k=CALIBRATION.k, r=CALIBRATION.r))
        image = self._studio.frame(vehicle, place, self._frames)
        self._frames += 1
        self._images.publish(image_message(image, header))
        self._await(self._is_answered, 'the detections of a frame')
        if answered:
            self._await(lambda: self._commands and self._commands[-1][0] >= self._now,
                        'the command for a frame')
        found = self._answer.detections if self._answer else []
        return box_of(found[0]) if found else None

    def _is_answered(self) -> bool:
        return (self._answer is not None
                and nanoseconds(self._answer.header.stamp) == self._now)

    def _tick(self, nanoseconds_: int) -> None:
        self._now += nanoseconds_
        self._clock.publish(Clock(clock=_time(self._now)))

    def _on_answer(self, message: Detection2DArray) -> None:
        self._answer = message

    def _on_command(self, message: TwistStamped) -> None:
        twist = message.twist
        self._commands.append((nanoseconds(message.header.stamp), Command(
            twist.linear.x, twist.linear.z, twist.angular.z)))

    def _call(self, client: Any, request: Any, what: str) -> None:
        self._await(client.service_is_ready, f'the service to {what}')
        future = client.call_async(request)
        self._await(future.done, f'the answer to {what}')
        if not future.result().success:
            raise SimulatorError(f'cannot {what}: {future.result().message}')

    def _await(self, happens: Callable[[], Any], what: str) -> None:
        give_up = time.monotonic() + self._settings['patience']
        while not happens():
            if time.monotonic() > give_up:
                raise SimulatorError(f'waited in vain for {what}; see the logs of the nodes')
            self._executor.spin_once(timeout_sec=0.1)

    def _spin(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            self._executor.spin_once(timeout_sec=left)


def _time(stamp: int) -> Time:
    return Time(sec=stamp // 10**9, nanosec=stamp % 10**9)


def main(args: Optional[list[str]] = None) -> int:
    """Fly; 0 when all flights ended, 1 when somebody did not answer, 2 when it cannot start."""
    keep_image_memory()
    return run_to_end(FlightSimulator, 'flight_simulator', args)


if __name__ == '__main__':
    sys.exit(main())
