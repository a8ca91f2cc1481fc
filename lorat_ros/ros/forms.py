# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Messages that are written once, as bytes, with blanks for the numbers that change.

Of one detection and the next all is the same but a stamp and five numbers. To make the message
anew in Python, to check it and to turn it into rosidl's structures costs three times as much as
sending it. Where the numbers belong is found by writing it with such as occur nowhere else, so
that nothing need be known here of how vision_msgs orders its fields.
"""
from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Any, NamedTuple

from builtin_interfaces.msg import Time
from rclpy.serialization import serialize_message
from std_msgs.msg import Header

from lorat_ros.boxes import Box, centre_xywh
from lorat_ros.ros.messages import detection_message, detections_message, point_of
from lorat_ros.ros.received import AnyHeader

# Numbers whose bytes begin with one that no text in UTF-8 has, and of which no two are alike.
_STAMP = Time(sec=0x7bfaf9f8, nanosec=0x7cfbfaf9)
_NUMBERS: tuple[float, ...] = struct.unpack('<5d', b''.join(
    bytes((first, 0xf9, 0xfa, 0xfb, 0xfc, 0xfd, 0xfe, 0x3f)) for first in range(0xf8, 0xfd)))
_ORDER = 1      # the byte of a serialised message whose last bit tells how the others are ordered


class Form:
    """
    A message of which stamp and numbers are left blank.

    :param message: with ``_STAMP`` and ``_NUMBERS`` where the blanks are.
    """

    def __init__(self, message: Any) -> None:
        self._text = bytearray(serialize_message(message))
        order = '<' if self._text[_ORDER] & 1 else '>'
        self._stamp, self._number = struct.Struct(f'{order}iI'), struct.Struct(f'{order}d')
        self._stamps = self._places(self._stamp.pack(_STAMP.sec, _STAMP.nanosec))
        self._numbers = [self._places(self._number.pack(number)) for number in _NUMBERS]

    def _places(self, blank: bytes) -> list[int]:
        places, at = [], self._text.find(blank)
        while at >= 0:
            places.append(at)
            at = self._text.find(blank, at + len(blank))
        return places

    def filled(self, stamp: Any, numbers: Sequence[float] = ()) -> bytes:
        """Return the message, serialised, with these for the blanks."""
        for place in self._stamps:
            self._stamp.pack_into(self._text, place, stamp.sec, stamp.nanosec)
        for places, number in zip(self._numbers, numbers):
            for place in places:
                self._number.pack_into(self._text, place, number)
        return bytes(self._text)


class DetectionForms(NamedTuple):
    """The forms of one target in the images of one camera; all fields of theirs are set."""

    detection: Form     # a Detection2D
    array: Form         # a Detection2DArray of one element
    empty: Form         # and of none

    @classmethod
    def of(cls, frame_id: str, target_id: str, class_id: str) -> DetectionForms:
        """Write them."""
        header = Header(stamp=_STAMP, frame_id=frame_id)
        message = detection_message(header, (0.0, 0.0, 1.0, 1.0), 0.0, target_id, class_id)
        centre = point_of(message.bbox.center)
        (centre.x, centre.y, message.bbox.size_x, message.bbox.size_y,
         message.results[0].hypothesis.score) = _NUMBERS
        return cls(Form(message), Form(detections_message(header, message)),
                   Form(detections_message(header, None)))


class DetectionWriter:
    """Writes detections; the forms are made anew when something changes that they know."""

    def __init__(self) -> None:
        self._key: tuple[str, str, str] = ('', '', '')
        self._forms = DetectionForms.of(*self._key)

    def forms(self, header: AnyHeader, target_id: str, class_id: str) -> DetectionForms:
        """Return the forms for a target in an image with this header."""
        key = header.frame_id, target_id, class_id
        if key != self._key:
            self._forms, self._key = DetectionForms.of(*key), key
        return self._forms


def numbers_of(box: Box, score: float) -> tuple[float, ...]:
    """What belongs into the blanks of a detection."""
    return (*centre_xywh(box), box[2], box[3], score)
