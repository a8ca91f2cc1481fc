# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""URLs, and a serial line that comes and goes (a pseudo terminal)."""
from __future__ import annotations

import os
import socket
import sys
import time

import pytest
from lorat_ros.mavlink.dialect import load_dialect, MavlinkMissingError
from lorat_ros.mavlink.links import Link, make_link


@pytest.mark.parametrize(('url', 'complaint'), [
    ('', "url '' is no link, expected udpin:HOST:PORT"),
    ('http://somewhere', 'is no link'),
    ('udpin:14550', 'has no host and port'),
    ('udpin:0.0.0.0:port', "'port' is no number from 1 to 65535"),
    ('udpout:host:70000', "'70000' is no number"),
    ('tcp:::1:5760', 'has no host and port'),
    ('/dev/ttyUSB0,fast', "'fast' is no number from 1 to 4000000"),
])
def test_a_url_that_names_no_link_is_explained(url: str, complaint: str) -> None:
    with pytest.raises(ValueError, match='udpout:HOST:PORT .speak first.') as caught:
        make_link(url, print)
    assert complaint in str(caught.value)


def received(link: Link, wanted: bytes) -> bytes:
    data, deadline = b'', time.monotonic() + 10
    while wanted not in data and time.monotonic() < deadline:
        link.wait(0.05)
        data += b''.join(piece for piece, _ in link.receive())
    return data


def test_a_port_that_is_taken_is_waited_for() -> None:
    said: list[str] = []
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(('127.0.0.1', 0))
        url = f'udpin:127.0.0.1:{probe.getsockname()[1]}'
    first, second = make_link(url, said.append), make_link(url, said.append)
    first.wait(0.0)
    second.wait(0.0)
    assert first.is_open and not second.is_open
    assert f'{url} is lost: ' in said[0] and 'in use' in said[0]
    first.close()
    deadline = time.monotonic() + 10
    while not second.is_open and time.monotonic() < deadline:
        second.wait(0.1)
    assert second.is_open and 'open again' in said[-1]
    second.close()


def test_a_serial_line_that_was_unplugged_is_opened_again(tmp_path) -> None:
    pytest.importorskip('serial', reason='pyserial is an optional extra: pip install pyserial')
    said: list[str] = []
    device = tmp_path / 'ttyUSB0'
    link = make_link(f'{device},921600', said.append)
    link.wait(0.0)
    assert not link.is_open and 'is lost' in said[0]
    for _ in range(2):
        ours, theirs = os.openpty()
        device.unlink(missing_ok=True)
        device.symlink_to(os.ttyname(theirs))
        deadline = time.monotonic() + 10
        while not link.is_open and time.monotonic() < deadline:
            link.wait(0.05)
        os.write(ours, b'ping')
        assert received(link, b'ping') == b'ping'
        link.send(b'pong', link.fixed[0])
        assert os.read(ours, 4) == b'pong'
        os.close(theirs)
        os.close(ours)
        deadline = time.monotonic() + 10
        while link.is_open and time.monotonic() < deadline:
            link.wait(0.05)
            link.receive()
        assert not link.is_open
    assert sum('is open again' in text for text in said) == 2
    link.close()


def test_without_pymavlink_the_cure_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ('pymavlink', 'pymavlink.dialects', 'pymavlink.dialects.v20'):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(MavlinkMissingError, match='install it with `pip install pymavlink`'):
        load_dialect()
