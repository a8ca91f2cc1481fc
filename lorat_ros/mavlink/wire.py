# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""From bytes to messages and back, whatever the bytes are; with MAVLink 2 signing if asked for."""
from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Optional

from lorat_ros.mavlink.dialect import is_command, is_meant_for, load_dialect
from lorat_ros.mavlink.refusals import Refusals
from lorat_ros.mavlink.signing import LENGTH, SIGNED, Signing

MARKERS = {0xFE: 8, 0xFD: 12}  # first byte: bytes of header and checksum, MAVLink 1 and 2


class Wire:
    """Encodes our messages and decodes those of others.

    :param system_id: ours.
    :param component_id: ours.
    :param key: 32 bytes: everything is signed, and only what is signed with it is understood;
        None: nothing is signed, and signatures are not looked at.
    :param wall: seconds since 1970, for the signatures' time stamps.
    :param refusals: counts what is not understood for its signature.
    """

    def __init__(self, system_id: int, component_id: int, key: Optional[bytes] = None,
                 wall: Callable[[], float] = time.time,
                 refusals: Optional[Refusals] = None) -> None:
        self.dialect, self._ids = load_dialect(), (system_id, component_id)
        self._codec = self.dialect.MAVLink(None, *self._ids)
        self._signing = None if key is None else Signing(self._codec, key, wall)
        self._bare = self.dialect.MAVLink(None, *self._ids)  # reads what is not believed
        self.refusals = refusals or Refusals()

    def encode(self, message: Any, sequence: int) -> bytes:
        """Return a message of the dialect as a frame with this sequence number, 0 to 255."""
        codec = self._codec
        codec.seq = sequence
        if self._signing is not None:
            self._signing.keep_time()
        return bytes(message.pack(codec))

    def datagram(self, data: bytes) -> list[Any]:
        """Return the messages in a datagram: frames do not go on in the next one."""
        messages, rest = self.scan(data)
        while rest:
            more, rest = self.scan(rest[1:])
            messages += more
        return messages

    def scan(self, data: bytes) -> tuple[list[Any], bytes]:
        """Return the messages in some bytes, and the rest, which begins as a frame may."""
        messages, place = [], 0
        while place < len(data):
            if data[place] not in MARKERS:
                place += 1
                continue
            length = _frame_length(data, place)
            if length is None or place + length > len(data):
                break
            frame = data[place:place + length]
            understood, message = self._decode(frame)
            if message is not None:
                messages.append(message)
            # What was no frame may hide the beginning of one.
            place += length if understood else 1
        return messages, data[place:]

    def _decode(self, frame: bytes) -> tuple[bool, Any]:
        """Return whether this was a frame, and its message if there is one for us in it."""
        if frame[0] == 0xFD and frame[2] & ~SIGNED:  # made in a way that we do not know
            return False, None
        if self._signing is None:
            message = self._read(self._codec, frame)
        else:
            self._signing.keep_time()
            seen = self._signing.seen()
            message = self._read(self._codec, frame)
            if message is None:
                # A forged packet shall not move the time from which its victim's are believed.
                self._signing.restore(seen)
                return self._refuse(self._signing, frame), None
        known = message is not None and not isinstance(message, self.dialect.MAVLink_unknown)
        return message is not None, message if known else None

    def _refuse(self, signing: Signing, frame: bytes) -> bool:
        """Count a frame that was not believed; returns whether it was one at all."""
        message = self._read(self._bare, frame)
        if message is None:
            return False
        why = signing.why_not(frame)
        self.refusals.ignored(why)
        if is_command(message) and is_meant_for(message, *self._ids):
            self.refusals.refused(why, message.get_srcSystem())
        return True

    @staticmethod
    def _read(codec: Any, frame: bytes) -> Any:
        try:
            return codec.decode(bytearray(frame))
        except Exception:  # whatever it makes the generated code raise, the packet is to blame
            return None


class Stream:
    """Messages from bytes that come in pieces, as from a serial line.

    :param wire: decodes them.
    :param patience: seconds that an unfinished frame may wait for its end.
    """

    def __init__(self, wire: Wire, patience: float = 0.5) -> None:
        self._wire, self._patience = wire, patience
        self._rest, self._since = b'', 0.0

    def feed(self, data: bytes, now: float) -> list[Any]:
        """Return the messages that end in these bytes; ``now`` in seconds."""
        messages: list[Any] = []
        if self._rest and now - self._since > self._patience:
            messages, self._rest = self._wire.scan(self._rest[1:])
        waiting = self._rest
        more, self._rest = self._wire.scan(waiting + data)
        if not (waiting and self._rest.startswith(waiting)):  # another frame is waited for
            self._since = now
        return messages + more


def _frame_length(data: bytes, place: int) -> Optional[int]:
    """Return the length of the frame that begins there; None if that is not known yet."""
    if len(data) < place + 3:
        return None
    length = data[place + 1] + MARKERS[data[place]]
    return length + (LENGTH if data[place] == 0xFD and data[place + 2] & SIGNED else 0)
