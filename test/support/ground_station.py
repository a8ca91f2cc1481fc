# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A ground station of pymavlink's own making: it knows nothing of how our camera is built."""
from __future__ import annotations

import os
import socket
import time
from collections import Counter
from collections.abc import Callable
from typing import Any, Optional

os.environ['MAVLINK20'] = '1'  # read by pymavlink when it is imported: else it sends MAVLink 1

from pymavlink import mavutil
from pymavlink.dialects.v20 import common

PATIENCE = 20.0  # seconds; a busy machine is no failure
VEHICLE, CAMERA = 1, 100
TRY_AGAIN = common.MAV_RESULT_TEMPORARILY_REJECTED
STATUS, INFORMATION = 'CAMERA_TRACKING_IMAGE_STATUS', 'CAMERA_INFORMATION'


def free_port() -> int:
    """A UDP and TCP port of the loopback that nobody has at the moment."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(('127.0.0.1', 0))
        return probe.getsockname()[1]


class GroundStation:
    """One operator's station; whatever comes is kept in `heard`, in its order."""

    def __init__(self, url: str, system: int = 255, key: Optional[bytes] = None) -> None:
        """Open the link; `url` as pymavlink knows them."""
        self.link = mavutil.mavlink_connection(url, source_system=system, source_component=190,
                                               dialect='common')
        self.heard: list[Any] = []
        if key is not None:
            self.link.setup_signing(key)

    def close(self) -> None:
        """Hang up."""
        self.link.close()

    def heartbeat(self) -> None:
        """Say that we are here."""
        self.link.mav.heartbeat_send(common.MAV_TYPE_GCS, common.MAV_AUTOPILOT_INVALID, 0, 0, 0)

    def listen(self) -> None:
        """Take in what has come."""
        while (message := self.link.recv_match()) is not None:
            if message.get_type() != 'BAD_DATA':
                self.heard.append(message)

    def all(self, kind: str) -> list[Any]:
        """All messages of a kind that were heard."""
        self.listen()
        return [message for message in self.heard if message.get_type() == kind]

    def wait_for(self, kind: str, fits: Callable[[Any], bool] = lambda message: True,
                 meanwhile: Callable[[], None] = lambda: None) -> Any:
        """The next message of a kind that fits, from now on; AssertionError if none comes."""
        self.listen()
        begin, deadline = len(self.heard), time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            meanwhile()
            self.listen()
            for message in self.heard[begin:]:
                if message.get_type() == kind and fits(message):
                    return message
            time.sleep(0.005)
        raise AssertionError(f'no {kind} that fits within {PATIENCE} s; {self.told(kind, begin)}')

    def told(self, kind: str, begin: int) -> str:
        """What was heard from a place in `heard` on, for the message of a failure."""
        heard = self.heard[begin:]
        counts = dict(Counter(message.get_type() for message in heard))
        last = next((message for message in reversed(heard) if message.get_type() == kind), 'none')
        # A text comes in pieces, and what was said before the waiting began may be its reason.
        texts = ''.join(message.text for message in self.heard
                        if message.get_type() == 'STATUSTEXT')
        return f'heard: {counts}; the last of that kind: {last}; all texts: {texts!r}'

    def frame(self, command: int, *params: float, confirmation: int = 0,
              component: int = CAMERA) -> bytes:
        """COMMAND_LONG as bytes; the sequence number goes on."""
        params = (*params, *(0.0,) * (7 - len(params)))
        message = common.MAVLink_command_long_message(VEHICLE, component, command, confirmation,
                                                      *params)
        data = message.pack(self.link.mav)
        self.link.mav.seq = (self.link.mav.seq + 1) % 256
        return bytes(data)

    def send(self, data: bytes) -> None:
        """Send bytes as they are."""
        self.link.write(data)

    def command(self, command: int, *params: float, confirmation: int = 0) -> int:
        """Command the camera; returns the result of its acknowledgement to us."""
        seen = len(self.all('COMMAND_ACK'))
        self.send(self.frame(command, *params, confirmation=confirmation))
        return self.next_ack(command, seen).result

    def insist(self, command: int, *params: float) -> int:
        """Command until the answer is another than 'try again later', and return that."""
        deadline = time.monotonic() + PATIENCE
        while (result := self.command(command, *params)) == TRY_AGAIN:
            assert time.monotonic() < deadline, f'still rejected; {self.told("COMMAND_ACK", 0)}'
            time.sleep(0.1)
        return result

    def next_ack(self, command: int, seen: int) -> Any:
        """The acknowledgement that comes after so many."""
        deadline = time.monotonic() + PATIENCE
        while len(acks := self.all('COMMAND_ACK')) <= seen:
            assert time.monotonic() < deadline, f'command {command} was not acknowledged'
            time.sleep(0.005)
        assert (acks[seen].command, acks[seen].target_system, acks[seen].target_component) == (
            command, self.link.mav.srcSystem, self.link.mav.srcComponent)
        return acks[seen]
