# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Fields read in a message's bytes are those that rclpy reads; what is no message is refused."""
from __future__ import annotations

import numpy as np
import pytest
from builtin_interfaces.msg import Time
from hypothesis import given
from hypothesis import strategies as st
from lorat_ros.images import ImageError
from lorat_ros.ros.images import image_message, to_bgr
from lorat_ros.ros.received import read_compressed, read_image
from rclpy.serialization import deserialize_message, serialize_message
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Header

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
    serialized = serialize_message(message)
    read = read_image(serialized)
    for field in ('header', 'height', 'width', 'encoding', 'is_bigendian', 'step'):
        assert getattr(read, field) == getattr(message, field)
    assert bytes(read.data) == bytes(message.data)
    assert deserialize_message(read.serialized, Image) == message


@given(COMPRESSED)
def test_a_compressed_image_is_read_as_rclpy_reads_it(message: CompressedImage) -> None:
    read = read_compressed(serialize_message(message))
    assert (read.header, read.format) == (message.header, message.format)
    assert bytes(read.data) == bytes(message.data)


def big_endian() -> bytes:
    """What a sender of the other byte order makes of a 2 x 1 mono8 image."""
    return b''.join((
        b'\0\0\0\0', (-3).to_bytes(4, 'big', signed=True), (7).to_bytes(4, 'big'),
        (4).to_bytes(4, 'big'), b'cam\0', (1).to_bytes(4, 'big'), (2).to_bytes(4, 'big'),
        (6).to_bytes(4, 'big'), b'mono8\0', b'\1', b'\0', (2).to_bytes(4, 'big'),
        (2).to_bytes(4, 'big'), b'\x11\x22'))


def test_the_senders_byte_order_does_not_matter() -> None:
    read = read_image(big_endian())
    assert read.header == Header(stamp=Time(sec=-3, nanosec=7), frame_id='cam')
    assert read[1:6] == (1, 2, 'mono8', 1, 2)
    assert bytes(read.data) == b'\x11\x22'


def test_the_picture_is_a_view_of_the_bytes() -> None:
    serialized = serialize_message(image_message(PICTURE, Header()))
    image = to_bgr(read_image(serialized))
    np.testing.assert_array_equal(image, PICTURE)
    assert np.shares_memory(image, np.frombuffer(serialized, np.uint8))


@given(IMAGES, st.data())
def test_what_is_cut_off_is_refused(message: Image, data: st.DataObject) -> None:
    serialized = serialize_message(message)
    end = data.draw(st.integers(0, len(serialized) - 1))
    with pytest.raises(ImageError, match='sensor_msgs/Image (begins with|ends after)') as refused:
        read_image(serialized[:end])
    assert refused.value.kind == 'not a message'


@given(st.binary(max_size=120))
def test_any_bytes_are_read_or_refused(rubbish: bytes) -> None:
    for read in (read_image, read_compressed):
        for start in (b'', b'\0\1\0\0'):
            try:
                assert len(read(start + rubbish).data) <= len(rubbish)
            except ImageError as error:
                assert 'sensor_msgs/' in str(error)


def test_a_text_that_is_none_is_named() -> None:
    serialized = serialize_message(Image(encoding='bgr8')).replace(b'bgr8', b'\xff\xff\xff\xff')
    with pytest.raises(ImageError, match='holds a text that is not UTF-8'):
        read_image(serialized)
