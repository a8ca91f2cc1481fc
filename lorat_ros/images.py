# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
What is in an image message, as NumPy arrays; nothing of ROS is needed for it.

A message is whatever has the fields of sensor_msgs/Image or sensor_msgs/CompressedImage: one that
a node received, or one that was read from a recording. A frame is not copied on its way to the
tracker: :func:`view_of` lays an array over the message's own buffer, and for all encodings but
YUV the three BGR channels are a strided view of that.
"""
from __future__ import annotations

from collections.abc import Callable
from types import MappingProxyType
from typing import Any, Protocol

import cv2
import numpy as np

JPEG_START, JPEG_SCAN, JPEG_END = b'\xff\xd8', b'\xff\xda', b'\xff\xd9'
PNG_START, PNG_END = b'\x89PNG\r\n\x1a\n', b'IEND'
MOST_PIXELS = 100_000_000    # of a file: a few bytes may announce gigabytes
#: Markers behind which a JPEG file says how large it is: start of frame, of any process.
_JPEG_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_JPEG_BARE = frozenset((0x01, *range(0xD0, 0xD9)))     # markers that nothing belongs to


class RawImage(Protocol):
    """The fields of sensor_msgs/Image that say where its pixels are; ``data`` is a buffer."""

    @property
    def height(self) -> int: ...
    @property
    def width(self) -> int: ...
    @property
    def encoding(self) -> str: ...
    @property
    def is_bigendian(self) -> int: ...
    @property
    def step(self) -> int: ...
    @property
    def data(self) -> Any: ...


class EncodedImage(Protocol):
    """The fields of sensor_msgs/CompressedImage that matter; ``data`` is a buffer."""

    @property
    def format(self) -> str: ...
    @property
    def data(self) -> Any: ...


class ImageError(ValueError):
    """An image message that cannot be used; the message names value, expectation and cure.

    ``kind`` says in a few words what is wrong, the same for each frame that has this fault: what
    differs from one to the next, like a count of bytes, is in the message only.
    """

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind


class _Encoding:
    """How the pixels of one encoding lie in the buffer, and how they become BGR.

    :param pixel_type: without its byte order.
    """

    def __init__(self, channels: int, pixel_type: str, to_bgr: Callable[[np.ndarray], np.ndarray]
                 ) -> None:
        self.channels, self.to_bgr = channels, to_bgr
        self.little, self.big = (np.dtype(order + pixel_type) for order in '<>')
        self.pixel_bytes = channels * self.little.itemsize


def _grey_to_bgr(grey: np.ndarray) -> np.ndarray:
    # The same byte is read three times: stride 0 in the last axis, no copy.
    return np.broadcast_to(grey, (*grey.shape[:2], 3))


def _high_byte_to_bgr(grey: np.ndarray) -> np.ndarray:
    # 16 bits become 8 by their high byte, as cv_bridge does it; which byte that is depends on
    # the message, not on this machine.
    first = 0 if grey.dtype.str.startswith('>') else 1
    return _grey_to_bgr(grey[..., 0].view(np.uint8)[:, first::2, np.newaxis])


def _uyvy_to_bgr(yuv: np.ndarray) -> np.ndarray:
    return cv2.cvtColor(yuv, cv2.COLOR_YUV2BGR_UYVY)


def _yuyv_to_bgr(yuv: np.ndarray) -> np.ndarray:
    return cv2.cvtColor(yuv, cv2.COLOR_YUV2BGR_YUY2)


#: What is read without any help; `uyvy` and `yuyv` are newer names of the two YUV layouts.
ENCODINGS = MappingProxyType({
    'bgr8': _Encoding(3, 'u1', lambda pixels: pixels),
    'rgb8': _Encoding(3, 'u1', lambda pixels: pixels[..., ::-1]),
    'bgra8': _Encoding(4, 'u1', lambda pixels: pixels[..., :3]),
    'rgba8': _Encoding(4, 'u1', lambda pixels: pixels[..., 2::-1]),
    'mono8': _Encoding(1, 'u1', _grey_to_bgr),
    'mono16': _Encoding(1, 'u2', _high_byte_to_bgr),
    'yuv422': _Encoding(2, 'u1', _uyvy_to_bgr),
    'uyvy': _Encoding(2, 'u1', _uyvy_to_bgr),
    'yuv422_yuy2': _Encoding(2, 'u1', _yuyv_to_bgr),
    'yuyv': _Encoding(2, 'u1', _yuyv_to_bgr),
})


def raw_to_bgr(message: RawImage) -> np.ndarray:
    """
    Return the pixels of an image as uint8 (height, width, 3), BGR.

    bgr8, rgb8, bgra8, rgba8, mono8 and mono16 are views on the message's buffer (any strides, to
    be read only); YUV is converted, which needs a new array.

    :raises ImageError: the message is malformed, or of an encoding not in :data:`ENCODINGS`.
    """
    pixels = view_of(message)
    return ENCODINGS[message.encoding].to_bgr(pixels)


def view_of(message: RawImage) -> np.ndarray:
    """Return an array (height, width, channels) over the message's own buffer, without a copy.

    uint8, or for mono16 uint16 in the message's byte order; the row step is kept as a stride.

    :raises ImageError: no size, a step or a length that does not fit, an encoding not in
        :data:`ENCODINGS`.
    """
    if message.encoding not in ENCODINGS:
        raise ImageError('unknown encoding', unknown_encoding(message.encoding))
    encoding = ENCODINGS[message.encoding]
    _check_layout(message, encoding)
    pixel_type = encoding.big if message.is_bigendian else encoding.little
    return np.ndarray(
        (message.height, message.width, encoding.channels), pixel_type, buffer=message.data,
        strides=(message.step, encoding.pixel_bytes, pixel_type.itemsize))


def _check_layout(message: RawImage, encoding: _Encoding) -> None:
    width, height, step = message.width, message.height, message.step
    size = f'{width}x{height} {message.encoding}'
    if width == 0 or height == 0:
        raise ImageError('no size', f'image is {size}, expected at least 1x1: check the camera '
                         'driver or the node that crops or scales')
    if encoding.channels == 2 and width % 2:
        raise ImageError('odd width', f'image is {size}, expected an even width: two YUV pixels '
                         'share their colour; publish an even width or another encoding')
    if step < width * encoding.pixel_bytes:
        raise ImageError(
            'short step',
            f'image of {size} has step {step}, expected at least {width * encoding.pixel_bytes} '
            f'(width x {encoding.pixel_bytes} bytes): the publisher must set step to the bytes '
            'of one row')
    if len(message.data) != step * height:
        raise ImageError(
            'wrong length',
            f'image of {size} has {len(message.data)} bytes of data, expected {step * height} '
            f'(step {step} x height): the publisher must send whole rows of that step')


def encoded_to_bgr(message: EncodedImage) -> np.ndarray:
    """
    Decode a JPEG or PNG image into uint8 (height, width, 3), BGR.

    What is cut off is refused: OpenCV 4 fills the rest with grey and says nothing.

    :raises ImageError: empty, cut off, a depth image, of over MOST_PIXELS pixels, or nothing that
        OpenCV can decode.
    """
    data = bytes(message.data)
    what = f'compressed image (format {message.format!r}, {len(data)} bytes)'
    if not data:
        raise ImageError('empty', f'{what} is empty, expected a whole JPEG or PNG file: check '
                         'the publisher')
    if 'compressedDepth' in message.format:
        raise ImageError('depth', f'{what} is a depth image, expected JPEG or PNG colour: remap '
                         '`image` to a colour camera')
    if data.startswith(JPEG_START) and data.rfind(JPEG_END) < data.rfind(JPEG_SCAN):
        # Within a scan 0xff is always followed by a stuffed 0, so that the end marker cannot
        # occur by chance; a thumbnail's own end marker lies before the last scan.
        raise ImageError('truncated JPEG', f'{what} is a truncated JPEG: no end marker after its '
                         'last scan, expected the whole file; check the link or the buffer of the '
                         'publisher')
    if data.startswith(PNG_START) and not _has_all_chunks(data):
        raise ImageError('truncated PNG', f'{what} is a truncated PNG: its chunks do '
                         'not lead to an IEND chunk, expected the whole file; check the link or '
                         'the buffer of the publisher')
    height, width = _announced_size(data)
    if height * width > MOST_PIXELS:
        raise ImageError('too large', f'{what} says that it has {width}x{height} pixels, expected '
                         f'at most {MOST_PIXELS}: it is damaged, or scale it down before it is '
                         'sent')
    try:
        # Nothing but JPEG and PNG: of other formats the size is not known before.
        image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR) if height else None
    except cv2.error as error:  # a size beyond OpenCV's limits, for one
        raise ImageError('undecodable', f'{what} cannot be decoded ({error}), expected JPEG or '
                         'PNG: check the publisher') from error
    if image is None:
        raise ImageError('undecodable', f'{what} cannot be decoded, expected JPEG or PNG: check '
                         'the publisher, or set image_transport to raw')
    return image


def _has_all_chunks(png: bytes) -> bool:
    """Whether the chunks of a PNG file end with IEND: decoders make room for any length."""
    place = len(PNG_START)
    while place + 12 <= len(png):
        if png[place + 4:place + 8] == PNG_END:
            return True
        place += 12 + int.from_bytes(png[place:place + 4], 'big')
    return False


def _announced_size(data: bytes) -> tuple[int, int]:
    """Height and width that a JPEG or PNG file says it has; (0, 0) where it does not say."""
    if data.startswith(PNG_START):
        width, height = (int.from_bytes(data[place:place + 4], 'big') for place in (16, 20))
        return (height, width) if height and width else (0, 0)
    if not data.startswith(JPEG_START):
        return 0, 0
    largest, place = (0, 0), 2
    while (place := data.find(b'\xff', place)) >= 0 and place + 9 <= len(data):
        marker = data[place + 1]
        if marker == 0xDA:      # the scan begins; decoders have made room by now
            break
        if marker in (0x00, 0xFF) or marker in _JPEG_BARE:
            place += 1 if marker == 0xFF else 2
            continue
        if marker in _JPEG_FRAMES:
            height, width = (int.from_bytes(data[place + k:place + k + 2], 'big') for k in (5, 7))
            largest = max(largest, (height, width), key=lambda size: size[0] * size[1])
        place += 2 + int.from_bytes(data[place + 2:place + 4], 'big')
    return largest


def unknown_encoding(encoding: str) -> str:
    """Say what is wrong with an encoding that is not in :data:`ENCODINGS`, and the cure."""
    return (f'image has encoding {encoding!r}, expected one of {", ".join(ENCODINGS)}: set the '
            'camera to one of these, or install cv_bridge (ros-$ROS_DISTRO-cv-bridge), which '
            'knows more')
