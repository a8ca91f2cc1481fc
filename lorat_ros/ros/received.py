# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Image messages read where the middleware has put them, in rosidl's own C structures.

rclpy copies the pixels twice on their way from that structure into a Python message; that is more
than half of what receiving an image costs. What is made here has the message's fields, and its
``data`` is a view of the structure, which lives as long as the view.
"""
from __future__ import annotations

import ctypes
from types import MappingProxyType
from typing import Any, NamedTuple, Union

import numpy as np
from builtin_interfaces.msg import Time
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Header


class ReceivedImage(NamedTuple):
    """The fields of a sensor_msgs/Image."""

    header: Header
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

    header: Header
    format: str
    data: memoryview


Received = Union[ReceivedImage, ReceivedCompressed]

# What rosidl generates for C: the fields in the order of the .msg files; a text or a sequence is
# a pointer, how much of it counts, and how much there is.


class _Sequence(ctypes.Structure):
    _fields_ = (('data', ctypes.c_void_p), ('size', ctypes.c_size_t),
                ('capacity', ctypes.c_size_t))

    @property
    def text(self) -> str:
        return ctypes.string_at(self.data, self.size).decode(errors='replace')

    def view(self, held: Held) -> memoryview:
        return np.asarray(_Pixels(held, self)).data if self.size else memoryview(b'')


class _Pixels:
    """What NumPy needs to know of a sequence of bytes; arrays of it keep its message."""

    def __init__(self, held: Held, bytes_: _Sequence) -> None:
        self._held = held
        self.__array_interface__ = {'version': 3, 'typestr': '|u1', 'shape': (bytes_.size,),
                                    'data': (bytes_.data, True)}     # not to be written to


class _Header(ctypes.Structure):
    _fields_ = (('sec', ctypes.c_int32), ('nanosec', ctypes.c_uint32), ('frame_id', _Sequence))

    def read(self) -> Header:
        return Header(stamp=Time(sec=self.sec, nanosec=self.nanosec), frame_id=self.frame_id.text)


class _Image(ctypes.Structure):
    _fields_ = (('header', _Header), ('height', ctypes.c_uint32), ('width', ctypes.c_uint32),
                ('encoding', _Sequence), ('is_bigendian', ctypes.c_uint8),
                ('step', ctypes.c_uint32), ('data', _Sequence))

    @property
    def lengths(self) -> tuple[int, int, int]:
        return self.header.frame_id.size, self.encoding.size, self.data.size

    def read(self, held: Held) -> ReceivedImage:
        return ReceivedImage(self.header.read(), self.height, self.width, self.encoding.text,
                             self.is_bigendian, self.step, self.data.view(held), held)


class _CompressedImage(ctypes.Structure):
    _fields_ = (('header', _Header), ('format', _Sequence), ('data', _Sequence))

    @property
    def lengths(self) -> tuple[int, int, int]:
        return self.header.frame_id.size, self.format.size, self.data.size

    def read(self, held: Held) -> ReceivedCompressed:
        return ReceivedCompressed(self.header.read(), self.format.text, self.data.view(held))


_STRUCTURES = MappingProxyType({Image: _Image, CompressedImage: _CompressedImage})
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
            self.structure = _STRUCTURES[kind]
            message: Any = kind.__class__      # what rosidl makes classes of messages with
            message.__import_type_support__()
            self.make = _function(kind, '_CREATE_ROS_MESSAGE', ctypes.c_void_p)
            self.destroy = _function(kind, '_DESTROY_ROS_MESSAGE', None, ctypes.c_void_p)
            self.to_python = _function(kind, '_CONVERT_TO_PY', ctypes.py_object, ctypes.c_void_p)
            self.from_python = _function(kind, '_CONVERT_FROM_PY', ctypes.c_bool,
                                         ctypes.py_object, ctypes.c_void_p)
        except (KeyError, AttributeError, ValueError) as error:
            raise LayoutError(f'{kind.__name__}: rclpy has no {error}') from error
        (sample,) = (sample for sample in _SAMPLES if isinstance(sample, kind))
        held = self.hold(sample)
        found = self.structure.from_address(held.address).lengths
        if found != _LENGTHS:      # pointers stand beside them, and must not be followed elsewhere
            raise LayoutError(f'{kind.__name__}: fields of lengths {found}, expected {_LENGTHS}')
        read = held.read()
        if any(getattr(read, name) != getattr(sample, name) for name in read._fields
               if name not in ('data', 'held')) or bytes(read.data) != _DATA:
            raise LayoutError(f'{kind.__name__}: read as {read}, expected {sample}')

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
        return self._layout.structure.from_address(self.address).read(self)

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
