# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Whatever bytes come: no exception, nothing carried out, and what comes after is understood."""
from __future__ import annotations

import itertools

import pytest

pytest.importorskip('pymavlink', reason='pymavlink is an optional extra: pip install pymavlink')

from hypothesis import example, given, settings, strategies as st
from lorat_ros.mavlink import dialect as mav
from lorat_ros.mavlink.camera import Camera, Settings
from lorat_ros.mavlink.dialect import Command, Tracking
from lorat_ros.mavlink.peers import NEVER
from lorat_ros.mavlink.refusals import NAMED, RECENT, Refusals, Why
from lorat_ros.mavlink.reporting import Report
from lorat_ros.mavlink.signing import EPOCH, exposure, read_key
from lorat_ros.mavlink.wire import Stream, Wire
from support.ground_station import common

KEY = bytes(range(32))


class Air:
    """A link that the test holds both ends of."""

    fixed: tuple = ()

    def __init__(self, packets: bool) -> None:
        """`packets`: whether pieces are whole frames, as with UDP."""
        self.packets, self.coming, self.gone = packets, [], []

    def receive(self) -> list:
        """Everything that comes."""
        coming, self.coming = self.coming, []
        return coming

    def send(self, data: bytes, address: object) -> None:
        """Everything that goes."""
        self.gone.append((data, address))


class Strict:
    """A tracker that counts what it is asked for."""

    def __init__(self) -> None:
        """Nothing yet."""
        self.asked = 0

    def track(self, target: object) -> None:
        """Count."""
        self.asked += 1

    stop = lambda self: self.track(None)  # noqa: E731


class Station:
    """Makes frames."""

    def __init__(self, key: bytes | None = None) -> None:
        """With a key they are signed."""
        self.codec = common.MAVLink(None, 255, 190)
        if key:
            self.codec.signing.secret_key, self.codec.signing.sign_outgoing = key, True
            self.codec.signing.timestamp = 10**14

    def frame(self, command: int, *params: float) -> bytes:
        """One command."""
        message = common.MAVLink_command_long_message(
            1, 100, command, 0, *params, *(0.0,) * (7 - len(params)))
        data = bytes(message.pack(self.codec))
        self.codec.seq = (self.codec.seq + 1) % 256
        return data


def flight(packets: bool, key: bytes | None = None) -> tuple[Air, Camera, Strict]:
    """A camera without threads and sockets."""
    air, tracker = Air(packets), Strict()
    return air, Camera(air, Wire(1, 100, key), tracker, Settings()), tracker


def damage(frame: bytes, kind: str, place: float, value: int) -> bytes:
    """The frame with one thing wrong with it."""
    where = int(place * (len(frame) - 1))
    return {'flip': lambda: frame[:where] + bytes([frame[where] ^ value]) + frame[where + 1:],
            'cut': lambda: frame[:where],
            'drop': lambda: frame[:where] + frame[where + 1:],
            'insert': lambda: frame[:where] + bytes([value]) + frame[where:]}[kind]()


# A damaged frame may by chance be a good one again (its checksum has 16 bits): the examples are
# the same in every run, so that this does not come and go.
COUNTED = settings(derandomize=True, max_examples=150, deadline=None)


@COUNTED
@given(pieces=st.lists(st.binary(max_size=400), max_size=6), packets=st.booleans())
@example(pieces=[b'\xfd\xff\x00', b'\xfd\x00\x01', b'\xfe\xff', b'\xfd' * 600], packets=True)
@example(pieces=[b'\xfd\xff\x00', b'\xfd\x00\x01', b'\xfe\xff', b'\xfd' * 600], packets=False)
def test_noise_does_nothing_and_a_command_after_it_is_understood(
        pieces: list[bytes], packets: bool) -> None:
    air, camera, tracker = flight(packets)
    camera.report = Report(Tracking.IDLE)
    air.coming = [(piece, 'there') for piece in pieces]
    camera.step(1.0)
    assert tracker.asked == 0
    assert camera.report == Report(Tracking.IDLE)
    station = Station()
    air.coming = [(station.frame(Command.CAMERA_STOP_TRACKING), 'there')]
    # On a line an unfinished frame may have to be given up first, byte by byte at the worst.
    for now in itertools.count(2.0):
        camera.step(now)
        if tracker.asked or now > 2000:
            break
        air.coming = [(b'', 'there')]
    assert tracker.asked == 1


@COUNTED
@given(kind=st.sampled_from(['flip', 'cut', 'drop', 'insert']), packets=st.booleans(),
       place=st.floats(0.0, 1.0), value=st.integers(1, 255), signed=st.booleans())
def test_a_damaged_command_is_not_carried_out(kind: str, packets: bool, place: float, value: int,
                                              signed: bool) -> None:
    key = KEY if signed else None
    air, camera, tracker = flight(packets, key)
    frame = Station(key).frame(Command.CAMERA_TRACK_RECTANGLE, 0.1, 0.2, 0.3, 0.4)
    damaged = damage(frame, kind, place, value)
    # Another byte before or after a frame leaves a good frame.
    if frame not in damaged:
        air.coming = [(damaged, 'there')]
        camera.step(1.0)
        assert tracker.asked == 0
    air.coming = [(frame, 'there')]
    for now in itertools.count(2.0):
        camera.step(now)
        if tracker.asked or now > 400:
            break
        air.coming = [(b'', 'there')]
    assert tracker.asked == 1


@settings(derandomize=True, max_examples=100, deadline=None)
@given(sizes=st.lists(st.integers(1, 30), min_size=1, max_size=20))
def test_frames_in_pieces_are_put_together(sizes: list[int]) -> None:
    station, wire = Station(), Wire(1, 100)
    data = b''.join(station.frame(command) for command in range(10))
    stream, heard, sizes = Stream(wire), [], itertools.cycle(sizes)
    while data:
        size = next(sizes)
        heard += stream.feed(data[:size], 0.0)
        data = data[size:]
    assert [message.command for message in heard] == list(range(10))


def test_frames_of_mavlink_1_are_understood() -> None:
    codec = common.MAVLink(None, 255, 190)
    frame = bytes(common.MAVLink_command_long_message(1, 100, 2010, 0, *(0.0,) * 7).pack(
        codec, force_mavlink1=True))
    assert frame[0] == 0xFE
    [message] = Wire(1, 100).datagram(frame)
    assert message.command == 2010


def test_a_replayed_packet_is_not_believed_from_anywhere() -> None:
    wire, frame = Wire(1, 100, KEY), Station(KEY).frame(2010)
    assert len(wire.datagram(frame)) == 1
    assert wire.datagram(frame) == []


@pytest.mark.parametrize(('age', 'heard'), [(0.0, 1), (59.0, 1), (61.0, 0), (1e7, 0), (-1e7, 1)])
def test_a_new_stream_may_be_a_minute_behind_and_no_more(age: float, heard: int) -> None:
    station, now = Station(KEY), EPOCH + 3e8
    station.codec.signing.timestamp = int(1e5 * (now - age - EPOCH))
    wire = Wire(1, 100, KEY, lambda: now)  # that has sent nothing yet
    assert len(wire.datagram(station.frame(2010))) == heard
    assert wire.refusals.packets() == ('none' if heard else '1 old')


def test_what_is_refused_is_told_once_in_a_while_and_counted_for_ever() -> None:
    said: list[str] = []
    time = iter([0.0, 1.0, 2.0, 3.0, 70.0, 140.0])
    refusals = Refusals(said.append, lambda: next(time))
    refusals.refused(Why.NOT_LISTED, 42)
    refusals.refused(Why.NOT_LISTED, 42)
    refusals.refused(Why.NOT_LISTED, 43)
    complaint = refusals.complaint()
    assert complaint.count('if it shall (once); system 42') == 1  # the latest first
    assert complaint.endswith('(2 times)')
    refusals.refused(Why.NOT_LISTED, 42)  # after a silence
    assert [text.split()[1] for text in said] == ['42', '43', '42']
    assert RECENT < 140.0 - 70.0 and refusals.complaint() == ''
    assert refusals.commands() == 'system 42 not allowed 3 times, system 43 not allowed once'


def test_invented_ids_do_not_fill_log_and_diagnostics() -> None:
    said: list[str] = []
    refusals = Refusals(said.append, itertools.count().__next__)
    for system in range(1, 51):  # within a minute
        refusals.refused(Why.NOT_LISTED, system)
    assert len(said) == NAMED
    for text in (refusals.complaint(), refusals.commands()):
        assert 'system 50 ' in text and text.endswith('and 42 more')
    for _ in range(61):
        refusals.complaint()  # a minute goes by
    refusals.refused(Why.NOT_LISTED, 51)
    assert len(said) == NAMED + 1 and 'system 51 ' in said[-1]


def test_a_flood_of_invented_ids_drives_nobody_out_and_grows_nothing() -> None:
    air, camera, tracker = flight(packets=True)
    operator = Station()
    air.coming = [(operator.frame(Command.SET_MESSAGE_INTERVAL, 275.0, 1e5), 'operator')]
    camera.step(0.0)
    for system in range(1, 250):
        invented = Station()
        invented.codec.srcSystem = system
        air.coming = [(invented.frame(2010), f'address {system}'),
                      (operator.frame(Command.GET_MESSAGE_INTERVAL, 275.0), 'operator')]
        camera.step(system / 250)
    assert camera.peers == 32
    air.gone.clear()
    camera.step(5.0)
    statuses = [address for data, address in air.gone if data[7] == 275 % 256]
    assert 'operator' in statuses and len(statuses) == 32
    camera.step(60.0)  # all were silent for long
    air.gone.clear()
    camera.step(70.0)
    assert (camera.peers, air.gone) == (0, [])
    assert camera.next_due() != NEVER  # it heartbeats all the same


@pytest.mark.parametrize('content', [KEY, KEY.hex().encode(), KEY.hex().upper().encode() + b'\n'])
def test_a_key_is_read(tmp_path, content: bytes) -> None:
    (tmp_path / 'key').write_bytes(content)
    assert read_key(str(tmp_path / 'key')) == KEY


@pytest.mark.parametrize('content', [b'', b'secret', KEY[:31], b'g' * 64, b'\xff' * 64])
def test_what_is_no_key_is_named_with_the_cure(tmp_path, content: bytes) -> None:
    path = tmp_path / 'key'
    path.write_bytes(content)
    with pytest.raises(ValueError, match='expected a file of 32 bytes or 64 hexadecimal digits'):
        read_key(str(path))
    with pytest.raises(ValueError, match='cannot be read .No such file'):
        read_key(str(tmp_path / 'none'))


@pytest.mark.parametrize(('mode', 'complains'), [
    (0o600, False), (0o400, False), (0o640, True), (0o604, True), (0o666, True), (0o620, True)])
def test_a_key_that_others_may_use_is_complained_of(tmp_path, mode: int, complains: bool) -> None:
    path = tmp_path / 'key'
    path.write_bytes(KEY)
    path.chmod(mode)
    assert bool(exposure(str(path))) is complains
    if complains:
        assert f'has mode {mode:03o}, expected 600' in exposure(str(path))
        assert f'`chmod 600 {path}`' in exposure(str(path))


def test_our_numbers_are_those_of_the_dialect() -> None:
    for command in Command:
        assert getattr(common, f'MAV_CMD_{command.name}') == command
    for result in mav.Result:
        assert getattr(common, f'MAV_RESULT_{result.name}') == result
    for kind in Tracking:
        # COASTING is younger than some versions of pymavlink.
        assert getattr(common, f'CAMERA_TRACKING_STATUS_FLAGS_{kind.name}', kind) == kind
    for name in ('HEARTBEAT', 'COMMAND_INT', 'COMMAND_LONG', 'MESSAGE_INTERVAL',
                 'CAMERA_INFORMATION', 'CAMERA_SETTINGS', 'CAMERA_TRACKING_IMAGE_STATUS'):
        assert getattr(common, f'MAVLINK_MSG_ID_{name}') == getattr(mav, name)
    assert (mav.TYPE_CAMERA, mav.COMPONENT_CAMERA, mav.SEVERITY_WARNING) == (
        common.MAV_TYPE_CAMERA, common.MAV_COMP_ID_CAMERA, common.MAV_SEVERITY_WARNING)
