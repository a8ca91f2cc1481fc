# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A MAVLink camera component that tracks: https://mavlink.io/en/services/camera.html.

It heartbeats, tells what it can, takes a point or a rectangle to track and the command to stop,
acknowledges each, and streams CAMERA_TRACKING_IMAGE_STATUS to everybody who was heard.
"""
from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Optional, Protocol

from lorat_ros.mavlink import dialect as mav
from lorat_ros.mavlink.dialect import Command, Result
from lorat_ros.mavlink.links import Link
from lorat_ros.mavlink.memory import Memory, Order
from lorat_ros.mavlink.messages import Messages
from lorat_ros.mavlink.peers import NEVER, Peers, Source
from lorat_ros.mavlink.refusals import Why
from lorat_ros.mavlink.reporting import Report
from lorat_ros.mavlink.targets import CommandError, point_of, rectangle_of, Target
from lorat_ros.mavlink.wire import Stream, Wire

HEARTBEAT_PERIOD = 1.0
#: What may be carried out only once, however often its packet comes.
ONCE = frozenset({Command.CAMERA_TRACK_POINT, Command.CAMERA_TRACK_RECTANGLE,
                  Command.CAMERA_STOP_TRACKING})
#: What carries nothing out, so that anybody may: an autopilot asks every camera what it can.
ASKING = frozenset({Command.GET_MESSAGE_INTERVAL, Command.REQUEST_MESSAGE,
                    Command.REQUEST_CAMERA_INFORMATION})
Handler = Callable[[tuple[float, ...], Source, float], None]

#: Where these commands name the camera that is meant, as an index of their parameters.
CAMERA_PARAM: Mapping[int, int] = MappingProxyType({
    Command.CAMERA_TRACK_POINT: 3, Command.CAMERA_TRACK_RECTANGLE: 4,
    Command.CAMERA_STOP_TRACKING: 0})


class Controls(Protocol):
    """What the camera asks of the tracker. Both raise CommandError if it cannot be done."""

    def track(self, target: Target) -> None:
        """Follow what is there."""

    def stop(self) -> None:
        """Follow nothing."""


@dataclass(frozen=True)
class Settings:
    """Who the camera is, and whom it obeys.

    ``allowed_systems`` are the system ids whose commands are carried out; empty = all. What only
    asks for information (:data:`ASKING`) is answered whoever asks.
    ``default_rate`` and ``max_rate`` are statuses per second: to those that have not asked (0.0 =
    none), and the most that anybody gets.
    """

    system_id: int = 1
    component_id: int = mav.COMPONENT_CAMERA
    allowed_systems: tuple[int, ...] = (mav.GROUND_STATION,)
    default_rate: float = 1.0
    max_rate: float = 30.0
    vendor: str = 'lorat_ros'
    model: str = 'tracking camera'


class Camera:
    """The component. One thread calls :meth:`step` whenever the link has something, or it is due.

    :attr:`report` (what is known of the target) and :attr:`image_wh` (width and height of the
    image in pixels, (0, 0) = not known yet) may be set from any thread.

    :param link: to the ground stations.
    :param wire: with the same ids as ``settings``.
    :param controls: carries the commands out.
    :param log: gets what went wrong in carrying out a command.
    """

    def __init__(self, link: Link, wire: Wire, controls: Controls, settings: Settings,
                 log: Callable[[str], None] = lambda text: None) -> None:
        self._link, self._wire, self._controls = link, wire, controls
        self._settings, self._log = settings, log
        default = 1 / settings.default_rate if settings.default_rate > 0 else NEVER
        self._peers, self._memory = Peers(default=default), Memory()
        self._messages = Messages(wire.dialect, settings.vendor, settings.model)
        self._stream = Stream(wire)
        self._sequences: dict[Hashable, int] = {}
        self._heartbeat_due = -math.inf
        self._start: Optional[float] = None  # of the clock, when the first step was made
        self._words: deque[str] = deque(maxlen=8)
        self.report, self.image_wh = Report(mav.Tracking.ERROR), (0, 0)
        self._handlers: dict[int, Handler] = {
            Command.GET_MESSAGE_INTERVAL: self._get_interval,
            Command.SET_MESSAGE_INTERVAL: self._set_interval,
            Command.REQUEST_MESSAGE: self._request_message,
            Command.REQUEST_CAMERA_INFORMATION: self._request_information,
            Command.CAMERA_TRACK_POINT: lambda params, source, now:
                self._controls.track(point_of(params)),
            Command.CAMERA_TRACK_RECTANGLE: lambda params, source, now:
                self._controls.track(rectangle_of(params)),
            Command.CAMERA_STOP_TRACKING: lambda params, source, now: self._controls.stop()}

    @property
    def peers(self) -> int:
        """How many were heard of late."""
        return len(self._peers)

    def step(self, now: float) -> None:
        """Answer what has come and send what is due; ``now`` in seconds that only go on."""
        if self._start is None:
            self._start = now
        for data, address in self._link.receive():
            messages = (self._wire.datagram(data) if self._link.packets
                        else self._stream.feed(data, now))
            for message in messages:
                self._hear(message, address, now)
        self._send_due(now)

    def next_due(self) -> float:
        """Return when something is to be sent, on the clock of :meth:`step`."""
        return min(self._heartbeat_due, self._peers.next_due())

    def say(self, text: str) -> None:
        """Show a text to all operators, with the next step; from any thread."""
        self._words.append(text)

    # -- what comes ---------------------------------------------------------------------------

    def _hear(self, message: Any, address: Hashable, now: float) -> None:
        header = message.get_header()
        source = Source(address, header.srcSystem, header.srcComponent)
        if source[1:] == (self._settings.system_id, self._settings.component_id):
            return  # ours, come back from a router
        if self._peers.hear(source, now) and address not in self._sequences:
            self._send(self._messages.heartbeat(), address)  # a newcomer need not wait for it
        if not (mav.is_command(message) and mav.is_meant_for(
                message, self._settings.system_id, self._settings.component_id)):
            return
        retry = getattr(message, 'confirmation', 0)
        params = _PARAMS[message.get_msgId()](message)
        # As text: nan is not equal to itself.
        order = Order(source, header.seq, (message.command, repr(params)), retry)
        result, reason = self._answer(message.command, params, order, now)
        if result is Result.UNSUPPORTED and message.target_component == 0:
            return  # asked of all components: those that it concerns will answer
        self._send(self._messages.ack(message.command, result, source), address)
        self._tell(reason, [address])

    def _answer(self, number: int, params: tuple[float, ...], order: Order, now: float
                ) -> tuple[Result, str]:
        """Carry a command out; returns the result, and the reason if it was refused."""
        if number not in self._handlers:
            return Result.UNSUPPORTED, ''
        if number in ONCE:
            before = self._memory.answered(order, now)
            if before is not None:
                return before, ''
        try:
            self._check(number, params, order, now)
            self._handlers[number](params, order.source, now)
            result, reason = Result.ACCEPTED, ''
        except CommandError as error:
            result, reason = error.result, str(error)
        except Exception as error:  # a command must not end the camera
            result, reason = Result.FAILED, f'{type(error).__name__}: {error}'
            self._log(f'command {number} of system {order.source.system}: {reason}')
        if number in ONCE:
            self._memory.keep(order, result, now)
        return result, reason

    def _check(self, number: int, params: tuple[float, ...], order: Order, now: float) -> None:
        allowed, system = self._settings.allowed_systems, order.source.system
        if allowed and system not in allowed and number not in ASKING:
            self._wire.refusals.refused(Why.NOT_LISTED, system)
            raise CommandError(Result.DENIED, f'system {system} may not command this camera, only '
                               f'{", ".join(map(str, allowed))}: add it to allowed_system_ids')
        if number not in ONCE:
            return
        if self._memory.is_late(order, now):
            raise CommandError(Result.TEMPORARILY_REJECTED, 'a later command came first')
        camera = params[CAMERA_PARAM[number]]
        if not (math.isnan(camera) or camera in (0, self._settings.component_id)):
            raise CommandError(Result.DENIED, f'camera {camera:g} is not this one, this is '
                               f'{self._settings.component_id}')

    # -- commands other than tracking ---------------------------------------------------------

    def _request_information(self, params: tuple[float, ...], source: Source, now: float) -> None:
        if params[0] == 1:
            self._send_message(mav.CAMERA_INFORMATION, source.address, now)

    def _request_message(self, params: tuple[float, ...], source: Source, now: float) -> None:
        self._send_message(params[0], source.address, now)

    def _set_interval(self, params: tuple[float, ...], source: Source, now: float) -> None:
        microseconds = params[1]
        self._check_stream(params[0])
        if not (math.isfinite(microseconds) and (microseconds >= 0 or microseconds == -1)):
            raise CommandError(Result.DENIED, f'interval {microseconds:g}: give microseconds, 0 '
                               'for the default or -1 for never')
        special: dict[float, Optional[float]] = {0: None, -1: NEVER}
        asked = special.get(microseconds, microseconds / 1e6)
        if asked is not None:
            asked = max(asked, 1 / self._settings.max_rate)
        if not self._peers.ask(source, asked):
            raise CommandError(Result.TEMPORARILY_REJECTED, 'too many ground stations at a time')
        self._send_interval(source)

    def _get_interval(self, params: tuple[float, ...], source: Source, now: float) -> None:
        self._check_stream(params[0])
        self._send_interval(source)

    def _check_stream(self, number: float) -> None:
        if number != mav.CAMERA_TRACKING_IMAGE_STATUS:
            raise CommandError(Result.UNSUPPORTED, f'message {number:g} is not streamed, only '
                               f'{mav.CAMERA_TRACKING_IMAGE_STATUS} is')

    # -- what goes ----------------------------------------------------------------------------

    def _send_due(self, now: float) -> None:
        addresses = list(dict.fromkeys([*self._link.fixed, *self._peers.addresses(now)]))
        if now >= self._heartbeat_due:
            self._heartbeat_due = now + HEARTBEAT_PERIOD
            # Of those who have gone nothing is kept.
            self._sequences = {address: number for address, number in self._sequences.items()
                               if address in addresses}
            for address in addresses:
                self._send(self._messages.heartbeat(), address)
        for address in self._peers.due(now):
            self._send_message(mav.CAMERA_TRACKING_IMAGE_STATUS, address, now)
        while self._words:
            self._tell(self._words.popleft(), addresses)

    def _send_message(self, number: float, address: Hashable, now: float) -> None:
        makers: dict[float, Callable[[int], Any]] = {
            mav.CAMERA_INFORMATION: lambda ms: self._messages.information(ms, self.image_wh),
            mav.CAMERA_SETTINGS: self._messages.settings,
            mav.CAMERA_TRACKING_IMAGE_STATUS: lambda ms: self._messages.tracking(self.report)}
        make = makers.get(number)
        if make is None:
            raise CommandError(Result.UNSUPPORTED, f'message {number:g} is not known here')
        began = now if self._start is None else self._start
        self._send(make(int(1000 * (now - began)) & 0xFFFFFFFF), address)

    def _send_interval(self, source: Source) -> None:
        self._send(self._messages.interval(self._peers.interval(source)), source.address)

    def _tell(self, text: str, addresses: list[Hashable]) -> None:
        for message in self._messages.texts(text):
            for address in addresses:
                self._send(message, address)

    def _send(self, message: Any, address: Hashable) -> None:
        sequence = self._sequences.get(address, 0)
        self._sequences[address] = (sequence + 1) % 256
        self._link.send(self._wire.encode(message, sequence), address)


def _long_params(message: Any) -> tuple[float, ...]:
    return tuple(getattr(message, f'param{number}') for number in range(1, 8))


def _int_params(message: Any) -> tuple[float, ...]:
    return (message.param1, message.param2, message.param3, message.param4,
            float(message.x), float(message.y), message.z)


#: How the seven parameters are read from each kind of command.
_PARAMS: Mapping[int, Callable[[Any], tuple[float, ...]]] = MappingProxyType({
    mav.COMMAND_LONG: _long_params, mav.COMMAND_INT: _int_params})
