# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
The follower as a process in a real graph: what it commands, and above all when it must not.

Most of it runs in simulated time that this test gives out ten times slower than the clock on the
wall: what the node owes within 0.2 s of ROS time is then asserted to the letter, by stamps, while
a process that the machine lets wait for half a second still passes.
"""
from __future__ import annotations

import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from builtin_interfaces.msg import Time
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from geometry_msgs.msg import TwistStamped
from lorat_ros.ros.follow_parameters import PROMISE
from lorat_ros.ros.messages import detection_message, detections_message, nanoseconds
from rcl_interfaces.srv import SetParameters
from rclpy.parameter import Parameter
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import CameraInfo
from std_msgs.msg import Header
from std_srvs.srv import SetBool
from support.graph import PATIENCE
from support.listener import Listener
from vision_msgs.msg import Detection2DArray

LEFT, RIGHT = (100.0, 200.0, 60.0, 60.0), (500.0, 200.0, 60.0, 60.0)
SLOWER = 10  # simulated seconds take so many real ones
STEP = 10_000_000  # nanoseconds of simulated time between two looks
FAULTY = '''
import sys
from lorat_ros.ros import follow_node
class Law(follow_node.FollowLaw):
    def step(self, bearing, seconds):
        if bearing.ray[0] > 0.2:
            raise ZeroDivisionError('what nobody thought of')
        return super().step(bearing, seconds)
follow_node.FollowLaw = Law
sys.exit(follow_node.main())
'''


class Flight:
    """Camera, tracker, operator and vehicle of one follower; `now` is in nanoseconds."""

    def __init__(self, ear: Listener, name: str, simulated: bool) -> None:
        self.ear, self.name, self.simulated = ear, name, simulated
        self.commands: list[TwistStamped] = ear.listen(TwistStamped, f'/{name}/cmd_vel')
        self.health: list[DiagnosticArray] = ear.listen(DiagnosticArray, '/diagnostics')
        make = ear.node.create_publisher
        self._clock, self._infos = make(Clock, '/clock', 10), make(
            CameraInfo, f'/{name}/camera_info', 10)
        self._detections = make(Detection2DArray, f'/{name}/detections', 10)
        self._enable = ear.node.create_client(SetBool, f'/{name}/follow_node/enable')
        self._set = ear.node.create_client(SetParameters, f'/{name}/follow_node/set_parameters')
        self._time = 5_000 * 10**9

    @property
    def now(self) -> int:
        return self._time if self.simulated else time.time_ns()

    def call(self, client, request):
        assert client.wait_for_service(30)
        future = client.call_async(request)
        assert self.ear.spin_until(future.done)
        return future.result()

    def enable(self, on: bool) -> SetBool.Response:
        return self.call(self._enable, SetBool.Request(data=on))

    def set(self, name: str, value: object) -> str:
        [result] = self.call(self._set, SetParameters.Request(
            parameters=[Parameter(name, value=value).to_parameter_msg()])).results
        return '' if result.successful else result.reason

    def wait(self, nanoseconds_: int) -> None:
        """Let ROS time pass."""
        if not self.simulated:
            self.ear.spin(nanoseconds_ / 1e9)
            return
        end = self._time + nanoseconds_
        while self._time < end:
            self._time += min(STEP, end - self._time)
            self._clock.publish(Clock(clock=stamp_of(self._time)))
            self.ear.spin(STEP / 1e9 * SLOWER)

    def pass_to_next_frame(self) -> None:
        """Let 30 ms pass, which nothing but the camera uses."""
        if self.simulated:
            self._time += 30_000_000
            self._clock.publish(Clock(clock=stamp_of(self._time)))
        self.ear.spin(0.03)

    def calibrate(self, focal: float) -> None:
        """Send a camera of 640 x 480; 0.0 = not calibrated."""
        k = (focal, 0.0, 319.5 * bool(focal), 0.0, focal, 239.5 * bool(focal), 0.0, 0.0,
             1.0 * bool(focal))
        assert self.ear.spin_until(lambda: self._infos.get_subscription_count() > 0)
        for _ in range(5):  # best effort
            self._infos.publish(CameraInfo(width=640, height=480, k=k))
            self.ear.spin(0.05)

    def start(self) -> None:
        """Calibrate and enable; who has just been started may not hear the first messages yet."""
        give_up = time.monotonic() + PATIENCE
        self.calibrate(500.0)
        while not (answer := self.enable(True)).success:
            assert time.monotonic() < give_up, answer.message
            self.calibrate(500.0)

    def show(self, box: tuple | None, age: int = 0) -> int:
        """Send what the tracker says of a frame; returns its stamp."""
        header = Header(frame_id='camera', stamp=stamp_of(self.now - age))
        detection = None if box is None else detection_message(header, box, 0.9, '1', 'target')
        self._detections.publish(detections_message(header, detection))
        return nanoseconds(header.stamp)

    def follow(self, box: tuple, frames: int = 6) -> int:
        """Let it follow; returns the stamp of the last frame, which has had its answer."""
        assert self.ear.spin_until(lambda: self._detections.get_subscription_count() > 0)
        for _ in range(frames):
            self.pass_to_next_frame()
            stamp, seen = self.show(box), len(self.commands)
            assert self.ear.spin_until(lambda seen=seen: len(self.commands) > seen)
        return stamp

    def zero_after(self, begin: int) -> int:
        """Wait for the first zero command from now on; returns nanoseconds since `begin`."""
        seen = len(self.commands)
        assert self.ear.spin_until(lambda: any(map(is_zero, self.commands[seen:])))
        first = next(command for command in self.commands[seen:] if is_zero(command))
        return nanoseconds(first.header.stamp) - begin


def stamp_of(value: int) -> Time:
    return Time(sec=value // 10**9, nanosec=value % 10**9)


def is_zero(command: TwistStamped) -> bool:
    linear, angular = command.twist.linear, command.twist.angular
    return not any((linear.x, linear.y, linear.z, angular.x, angular.y, angular.z))


@pytest.fixture(scope='module')
def graph(module_node: Callable) -> Iterator[Flight]:
    module_node('follow_node', '--ros-args', '-r', '__ns:=/calm', '-p', 'use_sim_time:=true',
                '-p', 'approach:=size', '-p', 'apparent_width:=0.3')
    with Listener('operator') as ear:
        yield Flight(ear, 'calm', simulated=True)


@pytest.fixture
def flight(graph: Flight) -> Flight:
    """Calibrated and on."""
    graph.enable(False)
    graph.calibrate(500.0)
    graph.wait(STEP)
    assert graph.enable(True).success
    return graph


# the first test of the module: no camera_info was there yet
def test_it_is_off_until_it_is_enabled_and_stays_off_without_a_calibration(graph: Flight) -> None:
    answer = graph.enable(True)
    assert not answer.success and 'no message on /calm/camera_info' in answer.message
    graph.calibrate(0.0)
    answer = graph.enable(True)
    assert not answer.success and 'not calibrated (K is zero)' in answer.message
    graph.calibrate(500.0)
    for _ in range(5):
        graph.wait(STEP)
        graph.show(LEFT)
    graph.ear.spin(0.3)
    assert graph.commands == []


@pytest.mark.parametrize(('box', 'sign'), [(LEFT, 1), (RIGHT, -1)])
def test_it_turns_to_the_target_and_approaches(flight: Flight, box: tuple, sign: int) -> None:
    flight.follow(box)
    command = flight.commands[-1]
    assert command.header.frame_id == 'base_link'
    assert sign * command.twist.angular.z > 0.1 and command.twist.linear.x > 0.1
    yaw = [abs(c.twist.angular.z) for c in flight.commands[-5:]]
    assert all(b - a <= 2.0 * 0.03 + 1e-6 for a, b in zip(yaw, yaw[1:]))  # max_yaw_acceleration


def test_lost_is_zero_at_once(flight: Flight) -> None:
    flight.follow(LEFT)
    flight.pass_to_next_frame()
    lost = flight.show(None)
    assert flight.zero_after(lost) <= PROMISE * 1e9
    flight.commands.clear()
    flight.wait(60_000_000)
    assert all(map(is_zero, flight.commands))


def test_silence_is_zero_in_time_and_stays_so(flight: Flight) -> None:
    last = flight.follow(LEFT)
    assert not is_zero(flight.commands[-1])
    flight.commands.clear()
    flight.wait(300_000_000)
    assert flight.commands  # zero is said, and said again
    assert all(map(is_zero, flight.commands))
    assert nanoseconds(flight.commands[0].header.stamp) - last <= PROMISE * 1e9
    assert len(flight.commands) > 1
    flight.follow(LEFT)  # it comes back
    assert not is_zero(flight.commands[-1])


def test_images_that_are_too_old_are_not_followed(flight: Flight) -> None:
    last = flight.follow(LEFT)
    flight.commands.clear()
    flight.wait(250_000_000)
    flight.show(LEFT, age=200_000_000)  # newer than the last, but old
    flight.ear.spin(0.3)
    assert flight.commands and all(map(is_zero, flight.commands))
    assert nanoseconds(flight.commands[0].header.stamp) - last <= PROMISE * 1e9
    flight.show(LEFT, age=-3_000_000_000)  # nor those of another clock
    flight.ear.spin(0.3)
    assert all(map(is_zero, flight.commands))


def test_off_is_zero_and_then_silence(flight: Flight) -> None:
    flight.follow(LEFT)
    begin, seen = flight.now, len(flight.commands)
    flight.enable(False)
    assert flight.ear.spin_until(lambda: len(flight.commands) > seen)
    first = flight.commands[seen]
    assert is_zero(first) and nanoseconds(first.header.stamp) - begin <= PROMISE * 1e9
    flight.ear.spin(1.0)  # it repeats itself for a moment, and then leaves the vehicle to others
    assert all(map(is_zero, flight.commands[seen:]))
    flight.commands.clear()
    for _ in range(3):
        flight.wait(STEP)
        flight.show(LEFT)
    flight.ear.spin(0.3)
    assert flight.commands == []


def test_a_bad_box_stops_and_a_good_one_goes_on(flight: Flight) -> None:
    flight.follow(LEFT)
    flight.pass_to_next_frame()
    stamp = flight.show((float('nan'), 1.0, 20.0, 20.0))
    assert flight.zero_after(stamp) <= PROMISE * 1e9
    flight.follow(LEFT, frames=3)
    assert not is_zero(flight.commands[-1])


def test_bad_parameters_are_refused_and_good_ones_count(flight: Flight) -> None:
    assert 'max_age: 0.3 is not allowed, expected double from 0.02 to 0.17' in \
        flight.set('max_age', 0.3)
    assert 'target_width 0.0, expected the width' in flight.set('approach', 'range')
    assert flight.set('max_yaw_rate', 0.05) == ''
    flight.follow(LEFT)
    assert flight.commands[-1].twist.angular.z == pytest.approx(0.05)
    assert flight.set('max_yaw_rate', 0.6) == ''


def test_an_exception_is_zero_and_off_and_so_is_the_end(node_process: Callable,
                                                       tmp_path: Path) -> None:
    (tmp_path / 'faulty.py').write_text(FAULTY)
    node = node_process([sys.executable, str(tmp_path / 'faulty.py')], '--ros-args', '-r',
                        '__ns:=/faulty')
    with Listener('operator') as ear:
        flight = Flight(ear, 'faulty', simulated=False)
        flight.start()
        flight.follow(LEFT)
        stamp = flight.show(RIGHT)
        # In real time a process may have to wait for the machine: one second is granted for that.
        assert flight.zero_after(stamp) <= (PROMISE + 1.0) * 1e9
        # A frame that a busy machine brings too late is stale and stops it for that reason.
        give_up = time.monotonic() + PATIENCE
        while 'what nobody thought of' not in node.output:
            assert time.monotonic() < give_up, node.output
            flight.show(RIGHT)
            ear.spin(0.2)
        flight.commands.clear()
        flight.show(LEFT)
        ear.spin(0.5)
        assert all(map(is_zero, flight.commands))  # off, until somebody enables it

        def told() -> bool:
            return any(status.level == DiagnosticStatus.ERROR and 'fault, off' in status.message
                       for array in flight.health for status in array.status)
        assert ear.spin_until(told)
        assert flight.enable(True).success
        last = flight.follow(LEFT)
        assert flight.zero_after(last) <= (PROMISE + 1.0) * 1e9  # silence, by the steady clock
        flight.follow(LEFT)
        seen = len(flight.commands)
        node.signal(signal.SIGTERM)
        assert ear.spin_until(lambda: any(map(is_zero, flight.commands[seen:])))
        assert node.wait() == 0
    assert node.output.count('Traceback') == 1


def test_it_does_not_start_with_settings_that_contradict(node_process: Callable) -> None:
    node = node_process('follow_node', '--ros-args', '-p', 'approach:=range', exit_codes=(1,))
    assert node.wait(30) == 1
    assert 'follow_node cannot start: approach range with target_width 0.0' in node.output
    assert 'Traceback' not in node.output
