# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""From bytes to messages and back, whatever the bytes are; with MAVLink 2 signing if asked for."""
from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Optional

from lorat_ros.mavlink.dialect import load_dialect

MARKERS = {0xFE: 8, 0xFD: 12}  # first byte: bytes of header and checksum, MAVLink 1 and 2
SIGNED, SIGNATURE = 0x01, 13  # the flag, and the bytes that it adds
EPOCH = 1420070400  # 2015-01-01, where the clock of signatures begins
KEY_BYTES = 32


class Wire:
    """Encodes our messages and decodes those of others.

    :param system_id: ours.
    :param component_id: ours.
    :param key: 32 bytes: everything is signed, and only what is signed with it is understood;
        None: nothing is signed, and signatures are not looked at.
    :param wall: seconds since 1970, for the signatures' time stamps.
    """

    def __init__(self, system_id: int, component_id: int, key: Optional[bytes] = None,
                 wall: Callable[[], float] = time.time) -> None:
        self.dialect, self._wall = load_dialect(), wall
        self._codec = self.dialect.MAVLink(None, system_id, component_id)
        if key is not None:
            self._codec.signing.secret_key = key
            self._codec.signing.sign_outgoing = True

    def encode(self, message: Any, sequence: int) -> bytes:
        """Return a message of the dialect as a frame with this sequence number, 0 to 255."""
        codec = self._codec
        codec.seq = sequence
        ticks = int((self._wall() - EPOCH) * 1e5)  # of 10 microseconds
        codec.signing.timestamp = max(codec.signing.timestamp, ticks, 0)
        return bytes(message.pack(codec))

    def datagram(self, data: bytes) -> list:
        """Return the messages in a datagram: frames do not go on in the next one."""
        messages, rest = self.scan(data)
        while rest:
            more, rest = self.scan(rest[1:])
            messages += more
        return messages

    def scan(self, data: bytes) -> tuple[list, bytes]:
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
        signing = self._codec.signing
        streams = dict(signing.stream_timestamps)
        try:
            message = self._codec.decode(bytearray(frame))
        except Exception:  # whatever it makes the generated code raise, the packet is to blame
            # A forged packet shall not move the time from which its victim's are believed.
            signing.stream_timestamps = streams
            return False, None
        return True, None if isinstance(message, self.dialect.MAVLink_unknown) else message


class Stream:
    """Messages from bytes that come in pieces, as from a serial line.

    :param wire: decodes them.
    :param patience: seconds that an unfinished frame may wait for its end.
    """

    def __init__(self, wire: Wire, patience: float = 0.5) -> None:
        self._wire, self._patience = wire, patience
        self._rest, self._since = b'', 0.0

    def feed(self, data: bytes, now: float) -> list:
        """Return the messages that end in these bytes; ``now`` in seconds."""
        messages: list[Any] = []
        if self._rest and now - self._since > self._patience:
            messages, self._rest = self._wire.scan(self._rest[1:])
        waiting = self._rest
        more, self._rest = self._wire.scan(waiting + data)
        if not (waiting and self._rest.startswith(waiting)):  # another frame is waited for
            self._since = now
        return messages + more


def read_key(path: str) -> bytes:
    """Return the signing key in a file: 32 bytes, or 64 hexadecimal digits.

    :raises ValueError: it cannot be read, or holds something else.
    """
    expected = ('expected a file of 32 bytes or 64 hexadecimal digits; make one with '
                '`printf %s PASSPHRASE | sha256sum | cut -c1-64 > FILE`')
    try:
        content = Path(path).expanduser().read_bytes()
    except OSError as error:
        raise ValueError(f'signing key {path!r} cannot be read ({error.strerror}), '
                         f'{expected}') from None
    if len(content) == KEY_BYTES:
        return content
    try:
        key = bytes.fromhex(content.decode('ascii').strip())
    except ValueError:
        key = b''
    if len(key) != KEY_BYTES:
        raise ValueError(f'signing key {path!r} has {len(content)} bytes that are no key, '
                         f'{expected}')
    return key


def _frame_length(data: bytes, place: int) -> Optional[int]:
    """Return the length of the frame that begins there; None if that is not known yet."""
    if len(data) < place + 3:
        return None
    length = data[place + 1] + MARKERS[data[place]]
    return length + (SIGNATURE if data[place] == 0xFD and data[place + 2] & SIGNED else 0)
