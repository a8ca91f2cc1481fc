# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Image messages that lie in rosidl's own structures and are published from there.

So does a camera's driver in C++. From a message in Python rclpy makes such a structure anew, and
copies the pixels into it, for every image.
"""
from __future__ import annotations

import ctypes
import struct
from typing import Any

from builtin_interfaces.msg import Time

from lorat_ros.ros.received import Layout

_STAMP = struct.Struct('@iI')   # what a message with a header begins with: Layout has looked


class Prepared:
    """
    One image, raw or compressed.

    :raises lorat_ros.ros.received.LayoutError: messages lie otherwise here.
    """

    def __init__(self, message: Any) -> None:
        self._held = Layout(type(message)).hold(message)
        self._stamp = (ctypes.c_char * _STAMP.size).from_address(self._held.address)
        self._rcl_publish = ctypes.CDLL('librcl.so').rcl_publish
        self._rcl_publish.argtypes = (ctypes.c_void_p,) * 3

    def publish(self, publisher: Any, stamp: Time) -> None:
        """
        Publish it under a stamp.

        :raises RuntimeError: the middleware refused it.
        """
        _STAMP.pack_into(self._stamp, 0, stamp.sec, stamp.nanosec)
        handle = publisher.handle
        with handle:    # it stays while it is used
            status = self._rcl_publish(handle.pointer, self._held.address, None)
        if status:
            raise RuntimeError(f'an image could not be published (rcl_ret_t {status})')
