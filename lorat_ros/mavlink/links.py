# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Links to ground stations and autopilots: UDP, TCP, serial; each opens again when it is lost."""
from __future__ import annotations

import contextlib
import os
import select
import socket
import time
from collections.abc import Callable, Hashable, Iterator
from typing import Any, Optional

RETRY = 1.0        # seconds between two attempts to open a link
CONNECT = 2.0      # seconds that a connection may take
SEND = 0.2         # seconds after which a line that takes nothing counts as lost
PIECE = 4096       # bytes read at a time; no datagram of MAVLink is as long
PIECES = 64        # read at a time, so that a flood leaves time to answer
BAUD = 57600

EXPECTED = ('expected udpin:HOST:PORT (listen), udpout:HOST:PORT (speak first), tcp:HOST:PORT, '
            'or a serial device, /dev/ttyUSB0 or /dev/ttyUSB0,921600')


class Link:
    """What all links share: opening again and again, and never raising for a lost line.

    :param name: its URL, for messages.
    :param tell: gets a sentence when the link is lost and when it is back.
    """

    packets = False  # whether what is received in one piece is whole frames

    def __init__(self, name: str, tell: Callable[[str], None]) -> None:
        self.name, self._tell = name, tell
        self._line: Any = None
        self._retry_at, self._complaint = -float('inf'), ''

    @property
    def fixed(self) -> list[Hashable]:
        """Addresses that are spoken to even if nobody was heard there."""
        return [self.name]

    @property
    def is_open(self) -> bool:
        """Whether it was at the last attempt."""
        return self._line is not None

    def receive(self) -> list[tuple[bytes, Hashable]]:
        """Return what has come, each piece with the address it came from; does not wait."""
        pieces: list[Optional[tuple[bytes, Hashable]]] = []
        with self._guarded():
            while self.is_open and len(pieces) < PIECES and self._readable(0.0):
                pieces.append(self._read())
        return [piece for piece in pieces if piece is not None]

    def send(self, data: bytes, address: Hashable) -> None:
        """Send a frame; it is lost if the link is."""
        with self._guarded():
            if self.is_open:
                self._write(data, address)

    def wait(self, seconds: float) -> None:
        """Return when something has come, or after that time; opens the link if it is not.

        At most a second is waited, however much is given.
        """
        seconds = min(max(seconds, 0.0), RETRY)
        if not self.is_open and time.monotonic() >= self._retry_at:
            self._retry_at = time.monotonic() + RETRY
            with self._guarded():
                self._line = self._open()
                if self._complaint:
                    self._tell(f'{self.name} is open again')
                self._complaint = ''
        if not self.is_open:
            time.sleep(seconds)
            return
        with self._guarded():
            self._readable(seconds)

    def close(self) -> None:
        """Give the line back."""
        line, self._line = self._line, None
        if line is not None:
            with contextlib.suppress(OSError):
                line.close()

    @contextlib.contextmanager
    def _guarded(self) -> Iterator[None]:
        try:
            yield
        except (OSError, ValueError) as error:  # ValueError: select, of a line closed meanwhile
            self.close()
            self._retry_at = time.monotonic() + RETRY
            if str(error) != self._complaint:  # once, not every second
                self._complaint = str(error)
                self._tell(f'{self.name} is lost: {error}; trying again every {RETRY:g} s')

    def _readable(self, seconds: float) -> bool:
        return bool(select.select([self._line], [], [], seconds)[0])

    def _open(self) -> Any:
        raise NotImplementedError

    def _read(self) -> Optional[tuple[bytes, Hashable]]:
        raise NotImplementedError

    def _write(self, data: bytes, address: Hashable) -> None:
        raise NotImplementedError


class Udp(Link):
    """Datagrams: bound to a port of ours, or spoken to one of theirs."""

    packets = True

    def __init__(self, name: str, tell: Callable[[str], None], host: str, port: int,
                 listens: bool) -> None:
        super().__init__(name, tell)
        self._place, self._listens = (host, port), listens
        self._destination: Optional[tuple[str, int]] = None

    @property
    def fixed(self) -> list[Hashable]:
        """The other side, where we are the one to speak first."""
        return [] if self._destination is None else [self._destination]

    def _open(self) -> socket.socket:
        place = (socket.gethostbyname(self._place[0]) if self._place[0] else '', self._place[1])
        line = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        try:
            if self._listens:
                line.bind(place)
            else:
                self._destination = place
            line.setblocking(False)
        except OSError:
            line.close()
            raise
        return line

    def _read(self) -> Optional[tuple[bytes, Hashable]]:
        try:
            return self._line.recvfrom(PIECE)
        except (ConnectionError, BlockingIOError):  # an earlier datagram of ours found nobody
            return None

    def _write(self, data: bytes, address: Hashable) -> None:
        # Nobody there, no room, no way there: that datagram is lost, the socket is not.
        with contextlib.suppress(OSError):
            self._line.sendto(data, address)


class Tcp(Link):
    """A connection to a server, such as a simulator or a router."""

    def __init__(self, name: str, tell: Callable[[str], None], host: str, port: int) -> None:
        super().__init__(name, tell)
        self._place = (host, port)

    def _open(self) -> socket.socket:
        line = socket.create_connection(self._place, CONNECT)
        line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        line.settimeout(SEND)
        return line

    def _read(self) -> tuple[bytes, Hashable]:
        data = self._line.recv(PIECE)
        if not data:
            raise ConnectionError('the other side has closed the connection')
        return data, self.name

    def _write(self, data: bytes, address: Hashable) -> None:
        self._line.sendall(data)


class Serial(Link):
    """A serial line, through pyserial."""

    def __init__(self, name: str, tell: Callable[[str], None], device: str, baud: int) -> None:
        super().__init__(name, tell)
        self._device, self._baud = device, baud

    def _open(self) -> Any:
        import serial
        return serial.Serial(self._device, self._baud, timeout=0, write_timeout=SEND)

    def _read(self) -> tuple[bytes, Hashable]:
        data = os.read(self._line.fileno(), PIECE)
        if not data:
            raise ConnectionError('the device is gone')
        return data, self.name

    def _write(self, data: bytes, address: Hashable) -> None:
        self._line.write(data)


def make_link(url: str, tell: Callable[[str], None]) -> Link:
    """Return the link that a URL names, as pymavlink writes them; it opens when it is waited for.

    :param tell: gets a sentence when the link is lost and when it is back.
    :raises ValueError: it names none.
    """
    kind, _, rest = url.partition(':')
    if kind in ('udp', 'udpin', 'udpout'):
        return Udp(url, tell, *_place(url, rest), listens=kind != 'udpout')
    if kind == 'tcp':
        return Tcp(url, tell, *_place(url, rest))
    if url.startswith('/'):
        device, _, baud = url.partition(',')
        _need_pyserial(url)
        return Serial(url, tell, device, _number(url, baud or str(BAUD), 4_000_000))
    raise ValueError(f'url {url!r} is no link, {EXPECTED}')


def _place(url: str, rest: str) -> tuple[str, int]:
    host, colon, port = rest.rpartition(':')
    if not colon or ':' in host:
        raise ValueError(f'url {url!r} has no host and port, {EXPECTED}')
    return host, _number(url, port, 65535)


def _number(url: str, text: str, highest: int) -> int:
    if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= highest:
        raise ValueError(f'url {url!r}: {text!r} is no number from 1 to {highest}, {EXPECTED}')
    return int(text)


def _need_pyserial(url: str) -> None:
    try:
        import serial  # noqa: F401
    except ImportError as error:
        raise ValueError(f'url {url!r} is a serial line, and pyserial cannot be imported '
                         f'({error}): install it with `pip install pyserial`, or use udpin, '
                         'udpout or tcp') from error
