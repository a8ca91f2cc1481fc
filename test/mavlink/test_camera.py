# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The camera on loopback UDP, with pymavlink playing the ground stations."""
from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Iterator

import pytest

pytest.importorskip('pymavlink', reason='pymavlink is an optional extra: pip install pymavlink')

from lorat_ros.mavlink.camera import Camera, Settings
from lorat_ros.mavlink.dialect import Command, Result, Tracking
from lorat_ros.mavlink.links import make_link
from lorat_ros.mavlink.targets import CommandError, Point, Rectangle
from lorat_ros.mavlink.refusals import Refusals
from lorat_ros.mavlink.reporting import Report
from lorat_ros.mavlink.wire import Wire
from support.ground_station import (CAMERA, common, free_port, GroundStation,
                                    INFORMATION, STATUS, VEHICLE)

POINT, RECTANGLE, STOP = (Command.CAMERA_TRACK_POINT, Command.CAMERA_TRACK_RECTANGLE,
                          Command.CAMERA_STOP_TRACKING)
BOX = (0.25, 0.5, 0.375, 0.75)  # exact as 32-bit floats
STREAM = 275
KEY = bytes(range(32))


class Tracker:
    """Takes down what it is asked for."""

    def __init__(self) -> None:
        """Begin with nothing, and refuse nothing."""
        self.asked: list = []
        self.error: Exception | None = None

    def track(self, target: object) -> None:
        """Follow it."""
        if self.error is not None:
            raise self.error
        self.asked.append(target)

    def stop(self) -> None:
        """Follow nothing."""
        self.asked.append('stop')


class Running:
    """A camera in a thread of its own, and who speaks to it."""

    def __init__(self, url: str, key: bytes | None = None, **settings: object) -> None:
        """Start it."""
        self.tracker, self.said = Tracker(), []
        self.link = make_link(url, self.said.append)
        self.refusals = Refusals(self.said.append)
        self.camera = Camera(self.link, Wire(VEHICLE, CAMERA, key, refusals=self.refusals),
                             self.tracker, Settings(**{'max_rate': 100.0, **settings}),
                             self.said.append)
        self.stations: list[GroundStation] = []
        self._url, self._going = url, True
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        while self._going:
            self.link.wait(min(0.05, self.camera.next_due() - time.monotonic()))
            self.camera.step(time.monotonic())
        self.link.close()

    def station(self, system: int = 255, key: bytes | None = None) -> GroundStation:
        """A ground station that the camera knows."""
        self.stations.append(GroundStation(self._url.replace('udpin', 'udpout'), system, key))
        self.stations[-1].wait_for('HEARTBEAT', meanwhile=self.stations[-1].heartbeat)
        return self.stations[-1]

    def stop(self) -> None:
        """End it; whatever was raised in its thread would have ended it before."""
        alive = self._thread.is_alive()
        self._going = False
        self._thread.join(10)
        for station in self.stations:
            station.close()
        assert alive, 'the thread of the camera had died'


@pytest.fixture
def start() -> Iterator[Callable[..., Running]]:
    cameras: list[Running] = []

    def make(url: str = '', **settings: object) -> Running:
        cameras.append(Running(url or f'udpin:127.0.0.1:{free_port()}', **settings))
        return cameras[-1]
    yield make
    for camera in cameras:
        camera.stop()


@pytest.fixture
def camera(start: Callable[..., Running]) -> Running:
    return start()


@pytest.fixture
def station(camera: Running) -> GroundStation:
    return camera.station()


# -- handshakes -------------------------------------------------------------------------------

def test_it_heartbeats_as_a_camera_again_and_again(station: GroundStation) -> None:
    for _ in range(2):
        beat = station.wait_for('HEARTBEAT')
        assert (beat.get_srcSystem(), beat.get_srcComponent()) == (VEHICLE, CAMERA)
        assert beat.type == common.MAV_TYPE_CAMERA
        assert beat.autopilot == common.MAV_AUTOPILOT_INVALID


@pytest.mark.parametrize('command', [(Command.REQUEST_MESSAGE, 259.0),
                                     (Command.REQUEST_CAMERA_INFORMATION, 1.0)])
def test_camera_information_tells_what_it_can(camera: Running, station: GroundStation,
                                              command: tuple) -> None:
    camera.camera.image_wh = (1280, 720)
    assert station.command(*command) == Result.ACCEPTED
    [information] = station.all(INFORMATION)
    assert information.flags == (common.CAMERA_CAP_FLAGS_HAS_TRACKING_POINT
                                 | common.CAMERA_CAP_FLAGS_HAS_TRACKING_RECTANGLE)
    assert (information.resolution_h, information.resolution_v) == (1280, 720)
    assert bytes(information.vendor_name).rstrip(b'\0') == b'lorat_ros'
    assert math.isnan(information.focal_length)


def test_rectangle_point_and_stop_reach_the_tracker(camera: Running, station: GroundStation
                                                    ) -> None:
    assert station.command(RECTANGLE, *BOX) == Result.ACCEPTED
    assert station.command(POINT, 0.5, 0.25, 0.125) == Result.ACCEPTED
    assert station.command(POINT, 1.0, 0.0, math.nan, CAMERA) == Result.ACCEPTED
    assert station.command(STOP) == Result.ACCEPTED
    assert camera.tracker.asked == [Rectangle(*BOX), Point(0.5, 0.25, 0.125),
                                    Point(1.0, 0.0, 0.0), 'stop']


def test_command_int_is_as_good(camera: Running, station: GroundStation) -> None:
    station.link.mav.command_int_send(VEHICLE, CAMERA, 0, RECTANGLE, 0, 0, *BOX, 0, 0, 0)
    assert station.next_ack(RECTANGLE, 0).result == Result.ACCEPTED
    assert camera.tracker.asked == [Rectangle(*BOX)]


@pytest.mark.parametrize(('command', 'reason'), [
    ((RECTANGLE, math.nan, 0.5, 0.6, 0.7), 'rectangle nan 0.5 0.6 0.7 is not within 0 to 1'),
    ((RECTANGLE, 0.1, 0.1, 1.5, 0.7), 'is not within 0 to 1'),
    ((RECTANGLE, 0.1, -math.inf, 0.2, 0.7), 'is not within 0 to 1'),
    ((RECTANGLE, 0.5, 0.5, 0.4, 0.7), 'its first corner must be left of and above its second'),
    ((RECTANGLE, *BOX, 101.0), 'camera 101 is not this one, this is 100'),
    ((POINT, 0.5, 1.01, 0.0), 'point 0.5 1.01 0 is not within 0 to 1'),
    ((POINT, math.nan, 0.5, 0.0), 'is not within 0 to 1'),
    ((STOP, 3.0), 'camera 3 is not this one'),
])
def test_what_makes_no_sense_is_denied_with_the_reason(
        camera: Running, station: GroundStation, command: tuple, reason: str) -> None:
    assert station.command(*command) == Result.DENIED
    station.command(Command.GET_MESSAGE_INTERVAL, STREAM)  # the text has come before its answer
    text = ''.join(message.text for message in station.all('STATUSTEXT'))
    assert reason in text
    assert camera.tracker.asked == []


def test_the_trackers_refusal_is_passed_on_and_may_be_asked_again(
        camera: Running, station: GroundStation) -> None:
    camera.tracker.error = CommandError(Result.TEMPORARILY_REJECTED, 'no image yet')
    assert station.command(RECTANGLE, *BOX) == Result.TEMPORARILY_REJECTED
    camera.tracker.error = None
    assert station.command(RECTANGLE, *BOX, confirmation=1) == Result.ACCEPTED
    assert [message.text for message in station.all('STATUSTEXT')] == ['no image yet']
    assert camera.tracker.asked == [Rectangle(*BOX)]


def test_a_tracker_that_breaks_does_not_break_the_camera(camera: Running, station: GroundStation
                                                         ) -> None:
    camera.tracker.error = RuntimeError('broken')
    assert station.command(RECTANGLE, *BOX) == Result.FAILED
    assert 'command 2005 of system 255: RuntimeError: broken' in camera.said
    assert station.command(STOP) == Result.ACCEPTED


def test_what_it_does_not_know_is_unsupported(camera: Running, station: GroundStation) -> None:
    assert station.command(400, 1.0) == Result.UNSUPPORTED  # arm
    assert station.command(Command.REQUEST_MESSAGE, 148.0) == Result.UNSUPPORTED
    assert station.command(Command.SET_MESSAGE_INTERVAL, 30.0, 1e5) == Result.UNSUPPORTED


def test_to_what_concerns_others_it_is_silent(camera: Running, station: GroundStation) -> None:
    for frame in (station.frame(RECTANGLE, *BOX, component=101),
                  station.frame(400, 1.0, component=0)):  # arm, to all components
        station.send(frame)
    station.link.mav.command_long_send(VEHICLE + 1, CAMERA, RECTANGLE, 0, *BOX, 0, 0, 0)
    assert station.command(STOP) == Result.ACCEPTED
    assert len(station.all('COMMAND_ACK')) == 1
    assert camera.tracker.asked == ['stop']


# -- the stream -------------------------------------------------------------------------------

def test_the_status_comes_as_often_as_it_was_asked_for(start: Callable[..., Running]) -> None:
    camera = start(default_rate=0.0)
    station = camera.station()
    station.wait_for('HEARTBEAT')
    assert station.all(STATUS) == []  # nobody has asked
    camera.camera.report = Report(Tracking.ACTIVE, Rectangle(*BOX))
    assert station.command(Command.SET_MESSAGE_INTERVAL, STREAM, 20_000.0) == Result.ACCEPTED
    assert station.all('MESSAGE_INTERVAL')[-1].interval_us == 20_000
    for _ in range(5):
        status = station.wait_for(STATUS)
    beats = len(station.all('HEARTBEAT'))
    seen = len(station.all(STATUS))
    for _ in range(2):
        station.wait_for('HEARTBEAT')
    ratio = (len(station.all(STATUS)) - seen) / (len(station.all('HEARTBEAT')) - beats)
    assert 20 < ratio < 80  # 50 a second, against one
    assert status.tracking_status == common.CAMERA_TRACKING_STATUS_FLAGS_ACTIVE
    assert status.tracking_mode == common.CAMERA_TRACKING_MODE_RECTANGLE
    assert status.target_data == common.CAMERA_TRACKING_TARGET_DATA_IN_STATUS
    assert (status.rec_top_x, status.rec_top_y, status.rec_bottom_x, status.rec_bottom_y) == BOX
    assert (status.point_x, status.point_y) == (0.3125, 0.625)
    for kind in (Tracking.COASTING, Tracking.ERROR, Tracking.IDLE):
        camera.camera.report = Report(kind)
        status = station.wait_for(STATUS, lambda status, kind=kind: status.tracking_status == kind)
        assert math.isnan(status.rec_top_x) and math.isnan(status.point_x)
    assert station.command(Command.SET_MESSAGE_INTERVAL, STREAM, -1.0) == Result.ACCEPTED
    assert station.command(Command.GET_MESSAGE_INTERVAL, STREAM) == Result.ACCEPTED
    assert station.all('MESSAGE_INTERVAL')[-1].interval_us == -1
    seen = len(station.all(STATUS))
    station.wait_for('HEARTBEAT')
    assert len(station.all(STATUS)) == seen
    # Once, on request.
    assert station.command(Command.REQUEST_MESSAGE, float(STREAM)) == Result.ACCEPTED
    assert len(station.all(STATUS)) == seen + 1


@pytest.mark.parametrize('interval', [math.nan, math.inf, -2.0, -0.5])
def test_an_interval_that_is_none_is_denied(station: GroundStation, interval: float) -> None:
    assert station.command(Command.SET_MESSAGE_INTERVAL, STREAM, interval) == Result.DENIED


def test_nobody_gets_more_than_the_most(start: Callable[..., Running]) -> None:
    station = start(max_rate=10.0).station()
    assert station.command(Command.SET_MESSAGE_INTERVAL, STREAM, 1.0) == Result.ACCEPTED
    assert station.all('MESSAGE_INTERVAL')[-1].interval_us == 100_000
    assert station.command(Command.SET_MESSAGE_INTERVAL, STREAM, 0.0) == Result.ACCEPTED
    assert station.all('MESSAGE_INTERVAL')[-1].interval_us == 1_000_000


# -- several ground stations ------------------------------------------------------------------

def test_each_gets_its_own_answers_and_all_get_the_status(start: Callable[..., Running]
                                                          ) -> None:
    camera = start(allowed_systems=(254, 255))
    one, two = camera.station(255), camera.station(254)
    assert one.command(RECTANGLE, *BOX) == Result.ACCEPTED
    for station in (one, two):
        station.wait_for(STATUS)
    assert len(one.all('COMMAND_ACK')) == 1
    assert two.all('COMMAND_ACK') == []
    assert two.command(STOP) == Result.ACCEPTED
    assert len(one.all('COMMAND_ACK')) == 1
    for station in (one, two):
        assert station.wait_for('STATUSTEXT', meanwhile=lambda: camera.camera.say(
            'the target is behind the barn')).text == 'the target is behind the barn'


@pytest.mark.parametrize(('allowed', 'friend', 'stranger'), [
    ({}, 255, 245), ({'allowed_systems': (1, 254)}, 1, 255)])
def test_only_those_on_the_list_command(start: Callable[..., Running], allowed: dict, friend: int,
                                        stranger: int) -> None:
    camera = start(**allowed)
    obeyed, other = camera.station(friend), camera.station(stranger)
    for command in ((RECTANGLE, *BOX), (POINT, 0.5, 0.5), (STOP,),
                    (Command.SET_MESSAGE_INTERVAL, STREAM, 1e5)):
        assert other.command(*command) == Result.DENIED
    assert camera.tracker.asked == []
    # What it can do and what it sees is no secret: an autopilot asks its cameras.
    assert other.command(Command.REQUEST_MESSAGE, 259.0) == Result.ACCEPTED
    assert other.command(Command.GET_MESSAGE_INTERVAL, STREAM) == Result.ACCEPTED
    assert other.all('MESSAGE_INTERVAL')[-1].interval_us == 1_000_000  # as it was
    text = ''.join(message.text for message in other.all('STATUSTEXT'))
    assert f'system {stranger} may not command this camera, only ' in text
    assert 'add it to allowed_system_ids' in text
    cure = (f'system {stranger} has tried to command this camera: add {stranger} to the parameter '
            'allowed_system_ids if it shall')
    assert camera.said == [cure]  # once in the log
    assert camera.refusals.complaint() == f'{cure} (4 times)'
    assert obeyed.command(STOP) == Result.ACCEPTED
    assert camera.tracker.asked == ['stop']
    assert camera.refusals.commands() == f'system {stranger} not allowed 4 times'


def test_who_asks_for_it_obeys_everybody(start: Callable[..., Running]) -> None:
    camera = start(allowed_systems=())
    for system in (1, 42, 255):
        assert camera.station(system).command(STOP) == Result.ACCEPTED
    assert camera.tracker.asked == ['stop'] * 3
    assert camera.refusals.complaint() == ''


# -- links that are not what they should be ---------------------------------------------------

def test_a_packet_that_comes_twice_is_carried_out_once(camera: Running, station: GroundStation
                                                       ) -> None:
    frame = station.frame(RECTANGLE, *BOX)
    for count in range(3):
        station.send(frame)
        assert station.next_ack(RECTANGLE, count).result == Result.ACCEPTED
    # The answer was lost: the station sends it again, and says so.
    assert station.command(RECTANGLE, *BOX, confirmation=1) == Result.ACCEPTED
    assert camera.tracker.asked == [Rectangle(*BOX)]
    # The operator wants it again.
    assert station.command(RECTANGLE, *BOX) == Result.ACCEPTED
    assert len(camera.tracker.asked) == 2


def test_a_command_that_was_overtaken_is_not_carried_out(camera: Running, station: GroundStation
                                                         ) -> None:
    rectangle, stop = station.frame(RECTANGLE, *BOX), station.frame(STOP)
    station.send(stop)
    assert station.next_ack(STOP, 0).result == Result.ACCEPTED
    station.send(rectangle)
    assert station.next_ack(RECTANGLE, 1).result == Result.TEMPORARILY_REJECTED
    assert camera.tracker.asked == ['stop']


def test_garbage_before_a_command_does_not_swallow_it(camera: Running, station: GroundStation
                                                      ) -> None:
    for garbage in (b'\xfd\xff\x00', b'\xfe', b'\x00' * 100, b'\xfd' * 300):
        station.send(garbage)
        station.send(garbage + station.frame(STOP))
    for count in range(4):
        assert station.next_ack(STOP, count).result == Result.ACCEPTED
    assert camera.tracker.asked == ['stop'] * 4


def test_a_ground_station_that_went_away_is_heard_when_it_is_back(
        start: Callable[..., Running]) -> None:
    port = free_port()
    camera = start(f'udpout:127.0.0.1:{port}')  # nobody there yet: every packet is refused
    for command in ((STOP,), (RECTANGLE, *BOX)):
        station = GroundStation(f'udpin:127.0.0.1:{port}')
        assert station.wait_for('HEARTBEAT').get_srcComponent() == CAMERA
        assert station.command(*command) == Result.ACCEPTED
        station.close()
    assert camera.tracker.asked == ['stop', Rectangle(*BOX)]


def test_a_tcp_connection_that_was_lost_is_made_again(start: Callable[..., Running]) -> None:
    port = free_port()
    camera = start(f'tcp:127.0.0.1:{port}')  # the server is not there yet
    for command in ((STOP,), (RECTANGLE, *BOX)):
        station = GroundStation(f'tcpin:127.0.0.1:{port}')
        station.wait_for('HEARTBEAT')
        assert station.command(*command) == Result.ACCEPTED
        station.link.close()
        station.link.listen.close()
    assert camera.tracker.asked == ['stop', Rectangle(*BOX)]
    assert any('is lost' in text for text in camera.said)
    assert any('is open again' in text for text in camera.said)


# -- signing ----------------------------------------------------------------------------------

def test_only_what_is_signed_with_the_key_is_heard(start: Callable[..., Running]) -> None:
    camera = start(key=KEY)
    friend = camera.station(key=KEY)
    assert friend.wait_for('HEARTBEAT').get_signed()
    url = camera._url.replace('udpin', 'udpout')
    plain, forger = GroundStation(url), GroundStation(url, key=bytes(32))
    camera.stations += [plain, forger]
    frame = friend.frame(RECTANGLE, *BOX)
    friend.send(frame)
    assert friend.next_ack(RECTANGLE, 0).result == Result.ACCEPTED
    # Replayed by somebody else, unsigned, and signed with a key of one's own in the far future.
    plain.send(frame)
    plain.send(plain.frame(STOP))
    forger.link.mav.signing.timestamp += 10**9
    forger.send(forger.frame(STOP))
    assert friend.command(STOP) == Result.ACCEPTED  # the forger's clock has locked nobody out
    assert camera.tracker.asked == [Rectangle(*BOX), 'stop']
    for stranger in (plain, forger):
        stranger.listen()
        assert stranger.heard == []
    kinds = {'old', 'signed with another key', 'not signed'}
    assert set(camera.refusals.packets().split(', ')) == {f'1 {kind}' for kind in kinds}
    assert set(camera.refusals.commands().split(', ')) == {
        f'system 255 {kind} once' for kind in kinds}
    for cure in ('are not signed: give that ground station the key', 'signed with another key',
                 'somebody sends them again, or the clock'):
        assert cure in camera.refusals.complaint()
    assert KEY.hex() not in ' '.join([*camera.said, camera.refusals.complaint()])


def test_what_was_recorded_before_a_restart_is_not_carried_out_after_it(
        start: Callable[..., Running]) -> None:
    port = free_port()
    speaker = GroundStation(f'udpout:127.0.0.1:{port}', key=KEY)
    speaker.link.mav.signing.timestamp -= 61 * 100_000  # signed a minute ago
    recorded = [speaker.frame(STOP), speaker.frame(RECTANGLE, *BOX)]
    camera = start(f'udpin:127.0.0.1:{port}', key=KEY)
    camera.stations.append(speaker)
    while not camera.link.is_open:
        time.sleep(0.005)
    for frame in recorded:
        speaker.send(frame)  # the very first that this camera hears
    friend = camera.station(key=KEY)
    assert friend.command(POINT, 0.5, 0.5) == Result.ACCEPTED
    assert camera.tracker.asked == [Point(0.5, 0.5, 0.0)]
    assert camera.refusals.packets() == '2 old'
