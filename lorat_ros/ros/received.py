# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Image messages read where the middleware has put them, in rosidl's own C structures.

rclpy copies the pixels twice on their way from that structure into a Python message; that is more
than half of what receiving an image costs. What is made here has the message's fields, and its
``data`` is a view of the structure, which lives as long as the view.
"""
from __future__ import annotations

import ctypes
import functools
import struct
from collections.abc import Callable
from types import MappingProxyType
from typing import Any, NamedTuple, Union

from builtin_interfaces.msg import Time
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Header


class ReceivedStamp(NamedTuple):
    """The fields of a builtin_interfaces/Time."""

    sec: int
    nanosec: int


class ReceivedHeader(NamedTuple):
    """The fields of a std_msgs/Header: rclpy takes ten times as long to make one, each frame."""

    stamp: ReceivedStamp
    frame_id: str

    def message(self) -> Header:
        """Make a message of it."""
        return Header(stamp=Time(sec=self.stamp.sec, nanosec=self.stamp.nanosec),
                      frame_id=self.frame_id)


class ReceivedImage(NamedTuple):
    """The fields of a sensor_msgs/Image."""

    header: ReceivedHeader
    height: int
    width: int
    encoding: str
    is_bigendian: int
    step: int
    data: memoryview
    held: Held

    def message(self) -> Image:
        """Make a message of it, as rclpy would have: with copies."""
        return self.held.message()


class ReceivedCompressed(NamedTuple):
    """The fields of a sensor_msgs/CompressedImage."""

    header: ReceivedHeader
    format: str
    data: memoryview


Received = Union[ReceivedImage, ReceivedCompressed]
AnyHeader = Union[Header, ReceivedHeader]


@functools.cache
def _place_of(bits: int) -> Any:
    """A type of 2 ** bits bytes in memory: few types, for sizes that change with each JPEG."""
    return type('_Place', (ctypes.c_ubyte * (1 << bits),), {})


def _pixels(held: Held, address: int, size: int) -> memoryview:
    if not size:
        return memoryview(b'')
    place = _place_of(size.bit_length()).from_address(address)
    place.held = held       # whoever looks at the bytes keeps the place, and so the message
    return memoryview(place).cast('B')[:size].toreadonly()


def _text(address: int, size: int) -> str:
    return ctypes.string_at(address, size).decode(errors='replace')


def _read_image(held: Held, fields: tuple[int, ...]) -> ReceivedImage:
    (sec, nanosec, frame_at, frame_size, _, height, width, encoding_at, encoding_size, _,
     is_bigendian, step, data_at, data_size, _) = fields
    return ReceivedImage(
        ReceivedHeader(ReceivedStamp(sec, nanosec), _text(frame_at, frame_size)), height, width,
        _text(encoding_at, encoding_size), is_bigendian, step, _pixels(held, data_at, data_size),
        held)


def _read_compressed(held: Held, fields: tuple[int, ...]) -> ReceivedCompressed:
    (sec, nanosec, frame_at, frame_size, _, format_at, format_size, _, data_at, data_size, _
     ) = fields
    return ReceivedCompressed(
        ReceivedHeader(ReceivedStamp(sec, nanosec), _text(frame_at, frame_size)),
        _text(format_at, format_size), _pixels(held, data_at, data_size))


class _Structure(NamedTuple):
    """What rosidl generates for C: the fields in the order of the .msg file, aligned.

    A text or a sequence is a pointer, how much of it counts, and how much there is (PNN).
    ``lengths`` are the places of what counts. All is read at once, and not by ctypes' structures:
    an object for each field takes ten times as long.
    """

    fields: struct.Struct
    lengths: tuple[int, int, int]
    read: Callable[[Held, tuple[int, ...]], Any]


_STRUCTURES = MappingProxyType({
    Image: _Structure(struct.Struct('@iI PNN II PNN BI PNN'), (3, 8, 13), _read_image),
    CompressedImage: _Structure(struct.Struct('@iI PNN PNN PNN'), (3, 6, 9), _read_compressed)})
_HEADER = Header(stamp=Time(sec=-7, nanosec=11), frame_id='frame')
_DATA = bytes(range(24))
_LENGTHS = len('frame'), len('text'), len(_DATA)
#: Messages no two fields of which are alike: read wrongly, they would not come out as they are.
_SAMPLES = (Image(header=_HEADER, height=2, width=3, encoding='text', is_bigendian=1, step=12,
                  data=_DATA),
            CompressedImage(header=_HEADER, format='text', data=_DATA))


class Layout:
    """
    How messages of one type lie in memory, and what makes and destroys them.

    :param kind: sensor_msgs/Image or CompressedImage.
    :raises LayoutError: here they lie otherwise than this module knows.
    """

    def __init__(self, kind: type) -> None:
        try:
            self.structure: _Structure = _STRUCTURES[kind]
            message: Any = kind.__class__      # what rosidl makes classes of messages with
            message.__import_type_support__()
            self.make = _function(kind, '_CREATE_ROS_MESSAGE', ctypes.c_void_p)
            self.destroy = _function(kind, '_DESTROY_ROS_MESSAGE', None, ctypes.c_void_p)
            self.to_python = _function(kind, '_CONVERT_TO_PY', ctypes.py_object, ctypes.c_void_p)
            self.from_python = _function(kind, '_CONVERT_FROM_PY', ctypes.c_bool,
                                         ctypes.py_object, ctypes.c_void_p)
        except (KeyError, AttributeError, ValueError) as error:
            raise LayoutError(f'{kind.__name__}: rclpy has no {error}') from error
        self._place = ctypes.c_char * self.structure.fields.size
        sample: Any = next(sample for sample in _SAMPLES if isinstance(sample, kind))
        held = self.hold(sample)
        fields = self.fields_of(held)
        found = tuple(fields[place] for place in self.structure.lengths)
        if found != _LENGTHS:      # pointers stand beside them, and must not be followed elsewhere
            raise LayoutError(f'{kind.__name__}: fields of lengths {found}, expected {_LENGTHS}')
        read = held.read()
        if read.header.message() != sample.header or bytes(read.data) != _DATA or any(
                getattr(read, name) != getattr(sample, name) for name in read._fields
                if name not in ('header', 'data', 'held')):
            raise LayoutError(f'{kind.__name__}: read as {read}, expected {sample}')

    def fields_of(self, held: Held) -> tuple[int, ...]:
        """Return all fields of a message, as they lie there."""
        return self.structure.fields.unpack_from(self._place.from_address(held.address))

    def hold(self, message: Any) -> Held:
        """Put a message there."""
        held = Held(self)
        self.from_python(message, held.address)
        return held


class LayoutError(RuntimeError):
    """Messages cannot be read where they are; rclpy can read them."""


class Held:
    """A message in memory, until nobody looks at it any more."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self.address = layout.make()
        if not self.address:
            raise MemoryError('no memory for a message')

    def __del__(self) -> None:
        if getattr(self, 'address', None):
            self._layout.destroy(self.address)

    def read(self) -> Any:
        """Return its fields; the pixels stay where they are."""
        return self._layout.structure.read(self, self._layout.fields_of(self))

    def message(self) -> Any:
        """Make a message of it."""
        return self._layout.to_python(self.address)


def _function(kind: type, name: str, result: Any, *arguments: Any) -> Any:
    """One of the functions in C that rclpy itself uses for a type of messages."""
    capsule = ctypes.py_object(getattr(kind.__class__, name))
    api = ctypes.pythonapi
    name_of = ctypes.PYFUNCTYPE(ctypes.c_char_p, ctypes.py_object)(
        ('PyCapsule_GetName', api))
    pointer_of = ctypes.PYFUNCTYPE(ctypes.c_void_p, ctypes.py_object, ctypes.c_char_p)(
        ('PyCapsule_GetPointer', api))
    return ctypes.PYFUNCTYPE(result, *arguments)(pointer_of(capsule, name_of(capsule)))
