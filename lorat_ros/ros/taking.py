# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Taking a message out of a subscription: in place where that is possible, else as rclpy does."""
from __future__ import annotations

import ctypes
import struct
from collections.abc import Mapping
from typing import Any, Optional, Protocol

from lorat_ros.images import ImageError
from lorat_ros.ros.received import Held, Layout, LayoutError

TAKEN, NOTHING_THERE = 0, 401   # of rcl_ret_t
# rmw_message_info_t: two times, two numbers, and who published it; all of it is shorter than this.
INFO_BYTES = 256
_NUMBER, _PUBLISHER = struct.Struct('Q'), slice(40, 56)
_NUMBER_AT = 16


class Taker(Protocol):
    """Takes messages of one type."""

    def take(self, subscription: Any) -> Optional[tuple[Any, Mapping[str, Any]]]:
        """
        Take the next one.

        :param subscription: rclpy's handle of it, in use.
        :returns: the message, and what the middleware says of it; None if there is none.
        """


class PlainTaker:
    """Takes messages as rclpy does."""

    def __init__(self, kind: type) -> None:
        self._kind = kind

    def take(self, subscription: Any) -> Optional[tuple[Any, Mapping[str, Any]]]:
        """Take the next one; see ``Taker``."""
        taken = subscription.take_message(self._kind, False)
        if taken is None:
            return None
        message, info = taken
        return message, info if isinstance(info, Mapping) else vars(info)


class PlaceTaker:
    """
    Leaves messages where the middleware puts them.

    :raises LayoutError: that cannot be done here.
    """

    def __init__(self, kind: type) -> None:
        self._layout = Layout(kind)
        try:    # rclpy has loaded it: no other is found
            self._rcl_take = ctypes.CDLL('librcl.so').rcl_take
            self._reset_error = ctypes.CDLL('librcutils.so').rcutils_reset_error
        except (OSError, AttributeError) as error:
            raise LayoutError(str(error)) from error
        self._rcl_take.argtypes = (ctypes.c_void_p,) * 4
        self._info = ctypes.create_string_buffer(INFO_BYTES)
        self._subscription: Any = None
        self._pointer = 0

    def take(self, subscription: Any) -> Optional[tuple[Any, Mapping[str, Any]]]:
        """
        Take the next one; see ``Taker``. Meanwhile the interpreter does other things.

        :raises ImageError: the middleware cannot make sense of it.
        """
        # Reading the pointer costs as much as all of this; it is good while the handle is kept.
        if subscription is not self._subscription:
            self._subscription, self._pointer = subscription, subscription.pointer
        held = Held(self._layout)
        status = self._rcl_take(self._pointer, held.address, self._info, None)
        if status == NOTHING_THERE:
            return None
        if status != TAKEN:
            self._reset_error()
            raise ImageError('not a message', f'an image could not be taken (rcl_ret_t {status}): '
                             'the publisher is damaged, or speaks another version of the message')
        (number,) = _NUMBER.unpack_from(self._info, _NUMBER_AT)
        return held.read(), {'publication_sequence_number': number,
                             'publisher_gid': {'data': self._info[_PUBLISHER]}}


def taker_of(kind: type) -> Taker:
    """The best way to take messages of a type here."""
    try:
        return PlaceTaker(kind)
    except LayoutError:
        return PlainTaker(kind)
