# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""MAVLink 2 signing (https://mavlink.io/en/guide/message_signing.html): the key, and its judge."""
from __future__ import annotations

import hashlib
import stat
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from lorat_ros.mavlink.refusals import Why

SIGNED = 0x01        # the flag of a signed frame
LENGTH, SUM = 13, 6  # bytes that a signature adds, and those of them that prove the key
EPOCH = 1420070400   # 2015-01-01, where the clock of signatures begins
KEY_BYTES = 32
EXPECTED = ('expected a file of 32 bytes or 64 hexadecimal digits; make one with '
            '`printf %s PASSPHRASE | sha256sum | cut -c1-64 > FILE && chmod 600 FILE`')


class Signing:
    """Signs what one codec of pymavlink sends, and says why it did not believe a frame.

    :param codec: an instance of the dialect's MAVLink.
    :param key: 32 bytes. It is kept out of every text that this makes.
    :param wall: seconds since 1970.
    """

    def __init__(self, codec: Any, key: bytes, wall: Callable[[], float] = time.time) -> None:
        self._signing, self._key, self._wall = codec.signing, key, wall
        self._signing.secret_key = key
        self._signing.sign_outgoing = True
        self.keep_time()

    def keep_time(self) -> None:
        """Set the codec's clock: what it sends is of now, and what is a minute old is no news.

        Without this a codec that has sent nothing yet believes packets that were signed years ago.
        """
        ticks = int((self._wall() - EPOCH) * 1e5)  # of 10 microseconds
        self._signing.timestamp = max(self._signing.timestamp, ticks, 0)

    def seen(self) -> dict[Any, int]:
        """Return what the codec believes of others' clocks, for :meth:`restore`."""
        return dict(self._signing.stream_timestamps)

    def restore(self, seen: dict[Any, int]) -> None:
        """Forget what a frame that was not believed has said of a clock."""
        self._signing.stream_timestamps = seen

    def why_not(self, frame: bytes) -> Why:
        """Return why a whole frame was not believed."""
        if frame[0] != 0xFD or not frame[2] & SIGNED:
            return Why.UNSIGNED
        proof = hashlib.sha256(self._key + frame[:-SUM]).digest()[:SUM]
        return Why.OLD if proof == frame[-SUM:] else Why.FORGED


def read_key(path: str) -> bytes:
    """Return the signing key in a file: 32 bytes, or 64 hexadecimal digits.

    :raises ValueError: it cannot be read, or holds something else.
    """
    try:
        content = Path(path).expanduser().read_bytes()
    except OSError as error:
        raise ValueError(f'signing key {path!r} cannot be read ({error.strerror}), '
                         f'{EXPECTED}') from None
    if len(content) == KEY_BYTES:
        return content
    try:
        key = bytes.fromhex(content.decode('ascii').strip())
    except ValueError:
        key = b''
    if len(key) != KEY_BYTES:
        raise ValueError(f'signing key {path!r} has {len(content)} bytes that are no key, '
                         f'{EXPECTED}')
    return key


def exposure(path: str) -> str:
    """Say that others than its owner may read or write the key's file; empty if they may not."""
    mode = stat.S_IMODE(Path(path).expanduser().stat().st_mode)
    if not mode & (stat.S_IRWXG | stat.S_IRWXO):
        return ''
    return (f'signing key {path!r} has mode {mode:03o}, expected 600: other users of this machine '
            f'can use it; `chmod 600 {path}`, and make a new key if they may have read it')
