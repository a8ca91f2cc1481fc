# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Fields read where they lie are those that rclpy reads, and pixels live while they are seen."""
from __future__ import annotations

import gc
import struct
import weakref
from typing import Any

import numpy as np
import pytest
from builtin_interfaces.msg import Time
from hypothesis import given
from hypothesis import strategies as st
from lorat_ros.ros import received
from lorat_ros.ros.images import image_message, to_bgr
from lorat_ros.ros.received import Layout, LayoutError
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Header, String

U32 = st.integers(0, 2**32 - 1)
TEXTS = st.text(st.characters(exclude_characters='\0', exclude_categories=['Cs']), max_size=12)
HEADERS = st.builds(
    lambda sec, nanosec, frame_id: Header(stamp=Time(sec=sec, nanosec=nanosec), frame_id=frame_id),
    st.integers(-2**31, 2**31 - 1), U32, TEXTS)
DATA = st.binary(max_size=40)
IMAGES = st.builds(
    lambda header, height, width, encoding, is_bigendian, step, data: Image(
        header=header, height=height, width=width, encoding=encoding, is_bigendian=is_bigendian,
        step=step, data=data),
    HEADERS, U32, U32, TEXTS, st.integers(0, 255), U32, DATA)
COMPRESSED = st.builds(
    lambda header, form, data: CompressedImage(header=header, format=form, data=data),
    HEADERS, TEXTS, DATA)
PICTURE = np.arange(4 * 6 * 3, dtype=np.uint8).reshape(4, 6, 3)


@given(IMAGES)
def test_an_image_is_read_as_rclpy_reads_it(message: Image) -> None:
    read = Layout(Image).hold(message).read()
    assert read.header.message() == message.header
    for field in ('height', 'width', 'encoding', 'is_bigendian', 'step'):
        assert getattr(read, field) == getattr(message, field)
    assert bytes(read.data) == bytes(message.data) and read.data.format == 'B'
    assert list(read.data) == list(message.data)
    assert read.message() == message


@given(COMPRESSED)
def test_a_compressed_image_is_read_as_rclpy_reads_it(message: CompressedImage) -> None:
    read = Layout(CompressedImage).hold(message).read()
    assert (read.header.message(), read.format) == (message.header, message.format)
    assert bytes(read.data) == bytes(message.data)


def test_the_message_lives_as_long_as_somebody_looks_at_its_pixels() -> None:
    layout = Layout(Image)
    destroyed: list[int] = []
    destroy, layout.destroy = layout.destroy, lambda address: (destroyed.append(address),
                                                               destroy(address))
    held = layout.hold(image_message(PICTURE, Header()))
    alive, address = weakref.ref(held), held.address
    image = to_bgr(held.read())
    del held
    gc.collect()
    assert not destroyed and alive() is not None
    assert not image.flags.writeable
    np.testing.assert_array_equal(image, PICTURE)
    corner = image[1:2, 2:3]
    del image
    gc.collect()
    assert not destroyed
    np.testing.assert_array_equal(corner, PICTURE[1:2, 2:3])
    del corner
    gc.collect()
    assert destroyed == [address] and alive() is None


def think(monkeypatch: pytest.MonkeyPatch, **changes: Any) -> None:
    """Let images lie otherwise in memory than this module knows."""
    monkeypatch.setattr(received, '_STRUCTURES', {
        Image: received._STRUCTURES[Image]._replace(**changes)})


def test_another_layout_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    think(monkeypatch, read=lambda held, fields: received._read_image(      # width before height
        held, (*fields[:5], fields[6], fields[5], *fields[7:])))
    with pytest.raises(LayoutError, match='Image: read as ReceivedImage'):
        Layout(Image)


def test_no_pointer_of_another_layout_is_followed(monkeypatch: pytest.MonkeyPatch) -> None:
    def read(held: received.Held, fields: tuple[int, ...]) -> None:
        raise AssertionError('it was read')
    # Where its pointers lie, a message has other things.
    think(monkeypatch, fields=struct.Struct('@Q iI PNN II PNN BI PNN'), lengths=(4, 9, 14),
          read=read)
    with pytest.raises(LayoutError, match='fields of lengths'):
        Layout(Image)


def test_other_messages_are_not_known() -> None:
    with pytest.raises(LayoutError, match='String'):
        Layout(String)
