# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Image messages read where they lie, in the bytes (CDR) that the middleware hands over.

rclpy would copy the pixels twice more on their way into a message object. What is made here has
the message's fields; its ``data`` is a view of the bytes.
"""
from __future__ import annotations

import struct
from types import MappingProxyType
from typing import NamedTuple, Union

from builtin_interfaces.msg import Time
from lorat_ros.images import ImageError
from std_msgs.msg import Header

#: How CDR begins (RTPS 10.5): its two plain representations, which lay these messages out alike.
_BYTE_ORDERS = MappingProxyType({0: '>', 1: '<', 6: '>', 7: '<'})
_BEGIN = 4      # bytes before the first field, which alignment does not count


class ReceivedImage(NamedTuple):
    """The fields of a sensor_msgs/Image; ``serialized`` is all of it as it came."""

    header: Header
    height: int
    width: int
    encoding: str
    is_bigendian: int
    step: int
    data: memoryview
    serialized: bytes


class ReceivedCompressed(NamedTuple):
    """The fields of a sensor_msgs/CompressedImage; ``serialized`` is all of it as it came."""

    header: Header
    format: str
    data: memoryview
    serialized: bytes


Received = Union[ReceivedImage, ReceivedCompressed]


def read_image(serialized: bytes) -> ReceivedImage:
    """
    Read a serialized sensor_msgs/Image.

    :raises ImageError: these bytes are none.
    """
    fields = _Fields(serialized, 'sensor_msgs/Image')
    header = fields.header()
    height, width, encoding = fields.number(), fields.number(), fields.text()
    return ReceivedImage(header, height, width, encoding, fields.byte(), fields.number(),
                         fields.data(), serialized)


def read_compressed(serialized: bytes) -> ReceivedCompressed:
    """
    Read a serialized sensor_msgs/CompressedImage.

    :raises ImageError: these bytes are none.
    """
    fields = _Fields(serialized, 'sensor_msgs/CompressedImage')
    return ReceivedCompressed(fields.header(), fields.text(), fields.data(), serialized)


class _Fields:
    """Reads one field after the other."""

    def __init__(self, serialized: bytes, kind: str) -> None:
        self._all, self._kind, self._place = serialized, kind, _BEGIN
        order = _BYTE_ORDERS.get(serialized[1]) if serialized[:1] == b'\0' and \
            len(serialized) >= _BEGIN else None
        if order is None:
            raise self._error(f'begins with {serialized[:_BEGIN].hex() or "nothing"}, expected '
                              'plain CDR (0001…)')
        self._unsigned, self._signed = struct.Struct(f'{order}I'), struct.Struct(f'{order}i')

    def header(self) -> Header:
        stamp = Time(sec=self._aligned(self._signed), nanosec=self.number())
        return Header(stamp=stamp, frame_id=self.text())

    def number(self) -> int:
        return self._aligned(self._unsigned)

    def byte(self) -> int:
        return self._part(1)[0]

    def text(self) -> str:
        letters = bytes(self._part(self.number()))
        try:
            return letters[:-1].decode()    # the last one is its end, a zero
        except UnicodeDecodeError as error:
            raise self._error(f'holds a text that is not UTF-8 ({error})') from None

    def data(self) -> memoryview:
        return self._part(self.number())

    def _aligned(self, kind: struct.Struct) -> int:
        self._place += -(self._place - _BEGIN) % kind.size
        return kind.unpack(self._part(kind.size))[0]

    def _part(self, length: int) -> memoryview:
        start, self._place = self._place, self._place + length
        if self._place > len(self._all):
            raise self._error(f'ends after {len(self._all)} bytes, expected at least '
                              f'{self._place}')
        return memoryview(self._all)[start:self._place]

    def _error(self, what: str) -> ImageError:
        return ImageError('not a message', f'{self._kind} {what}: the publisher or the middleware '
                          'is damaged, or speaks another version of the message')
