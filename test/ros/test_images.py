# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Image messages as arrays: without a copy where that is possible, and never a wrong picture."""
from __future__ import annotations

import importlib.util
import struct
import sys
import zlib
from types import ModuleType

import cv2
import numpy as np
import pytest
from builtin_interfaces.msg import Time
from hypothesis import given
from hypothesis import strategies as st
from lorat_ros.ros.images import (ENCODINGS, ImageError, compressed_message, image_message, to_bgr,
                                  view_of)
from lorat_ros.ros.received import Layout
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Header

HEADER = Header(frame_id='optical', stamp=Time(sec=7, nanosec=8))
BGR = np.random.default_rng(0).integers(0, 256, (6, 8, 3), np.uint8)
GREY = BGR[..., 0]
WIDE = np.random.default_rng(1).integers(0, 65536, (6, 8), np.uint16)
SMOOTH = cv2.resize(BGR, (64, 48), interpolation=cv2.INTER_CUBIC)
ALPHA = np.full((6, 8, 1), 77, np.uint8)
NATIVE = tuple(name for name, encoding in ENCODINGS.items() if 'yuv' not in name
               and name not in ('uyvy', 'yuyv'))


def message_of(pixels: np.ndarray, encoding: str, padding: int = 0, bigendian: int = 0) -> Image:
    """A message with these pixels; `padding` bytes of rubbish follow each row."""
    rows = np.ascontiguousarray(pixels).view(np.uint8).reshape(pixels.shape[0], -1)
    rows = np.pad(rows, ((0, 0), (0, padding)), constant_values=0xEE)
    message = Image(header=HEADER, height=pixels.shape[0], width=pixels.shape[1],
                    encoding=encoding, step=rows.shape[1], is_bigendian=bigendian)
    message.data.frombytes(rows.tobytes())
    return message


GREY_BGR = np.repeat(GREY[..., None], 3, 2)
HIGH_BGR = np.repeat((WIDE >> 8).astype(np.uint8)[..., None], 3, 2)


@pytest.mark.parametrize('padding', [0, 1, 5])
@pytest.mark.parametrize(('encoding', 'pixels', 'bigendian', 'expected'), [
    ('bgr8', BGR, 0, BGR),
    ('bgr8', BGR, 1, BGR),  # bytes have no order
    ('rgb8', BGR[..., ::-1], 0, BGR),
    ('bgra8', np.dstack([BGR, ALPHA]), 0, BGR),
    ('rgba8', np.dstack([BGR[..., ::-1], ALPHA]), 0, BGR),
    ('mono8', GREY, 0, GREY_BGR),
    ('mono16', WIDE.astype('<u2'), 0, HIGH_BGR),
    ('mono16', WIDE.astype('>u2'), 1, HIGH_BGR),
])
def test_the_picture_is_right_and_not_copied(encoding: str, pixels: np.ndarray, bigendian: int,
                                             expected: np.ndarray, padding: int) -> None:
    message = message_of(pixels, encoding, padding, bigendian)
    image = to_bgr(message)
    assert image.dtype == np.uint8 and image.shape == (6, 8, 3)
    np.testing.assert_array_equal(image, expected)
    assert np.shares_memory(image, np.frombuffer(message.data, np.uint8))


@pytest.mark.parametrize(('encoding', 'bigendian', 'kind'), [
    ('mono16', 0, '<u2'), ('mono16', 1, '>u2'), ('mono8', 1, '|u1'), ('rgba8', 0, '|u1')])
def test_a_view_has_the_type_of_the_message(encoding: str, bigendian: int, kind: str) -> None:
    channels = ENCODINGS[encoding].channels
    pixels = np.zeros((4, 6, channels), kind)
    view = view_of(message_of(pixels, encoding, 3, bigendian))
    assert view.dtype.str == kind
    assert view.shape == (4, 6, channels)


def test_wide_pixels_keep_their_value_in_either_byte_order() -> None:
    for order, bigendian in (('<u2', 0), ('>u2', 1)):
        view = view_of(message_of(WIDE.astype(order), 'mono16', 1, bigendian))
        np.testing.assert_array_equal(view[..., 0], WIDE)


@pytest.mark.parametrize('padding', [0, 6])
@pytest.mark.parametrize(('encoding', 'luma'), [
    ('yuv422', 1), ('uyvy', 1), ('yuv422_yuy2', 0), ('yuyv', 0)])
def test_yuv_becomes_the_same_colours(encoding: str, luma: int, padding: int) -> None:
    yuv = cv2.cvtColor(SMOOTH, cv2.COLOR_BGR2YUV).astype(float)
    # Two neighbours share their colour: the mean of both.
    shared = (yuv[:, 0::2, 1:] + yuv[:, 1::2, 1:]) / 2
    pixels = np.empty((48, 64, 2), np.uint8)
    pixels[..., luma] = yuv[..., 0]
    pixels[:, 0::2, 1 - luma] = shared[..., 0].round()
    pixels[:, 1::2, 1 - luma] = shared[..., 1].round()
    image = to_bgr(message_of(pixels, encoding, padding))
    # Video range against full range: not equal, but the same picture.
    agreement = np.corrcoef(image.ravel(), SMOOTH.ravel())[0, 1]
    assert agreement > 0.98, agreement


@given(st.sampled_from(NATIVE), st.integers(1, 9), st.integers(1, 9), st.integers(0, 7),
       st.booleans())
def test_any_size_step_and_order_gives_a_view(encoding: str, width: int, height: int,
                                              padding: int, bigendian: bool) -> None:
    step = width * ENCODINGS[encoding].pixel_bytes + padding
    message = Image(height=height, width=width, encoding=encoding, step=step,
                    is_bigendian=int(bigendian))
    message.data.frombytes(bytes(range(256)) * (step * height // 256 + 1))
    message.data = message.data[:step * height]
    image = to_bgr(message)
    assert image.shape == (height, width, 3) and image.dtype == np.uint8
    assert image.tobytes()  # every pixel can be read


def changed(**values: object) -> Image:
    message = message_of(BGR, 'bgr8')
    for name, value in values.items():
        setattr(message, name, value)
    return message


@pytest.mark.parametrize(('message', 'value', 'expectation', 'cure'), [
    (changed(width=0), 'image is 0x6 bgr8', 'at least 1x1', 'check the camera driver'),
    (changed(height=0), 'image is 8x0 bgr8', 'at least 1x1', 'check the camera driver'),
    (changed(step=8), 'has step 8', 'at least 24', 'must set step'),
    (changed(step=0), 'has step 0', 'at least 24', 'must set step'),
    (changed(step=25), 'has 144 bytes', 'expected 150', 'whole rows'),
    (changed(data=b'\0' * 143), 'has 143 bytes', 'expected 144', 'whole rows'),
    (changed(data=b'\0' * 145), 'has 145 bytes', 'expected 144', 'whole rows'),
    (changed(data=b''), 'has 0 bytes', 'expected 144', 'whole rows'),
    (message_of(np.zeros((4, 5, 2), np.uint8), 'yuv422'), 'image is 5x4 yuv422',
     'an even width', 'publish an even width'),
])
def test_a_malformed_image_is_refused(message: Image, value: str, expectation: str,
                                      cure: str) -> None:
    with pytest.raises(ImageError) as error:
        to_bgr(message)
    assert value in str(error.value)
    assert expectation in str(error.value)
    assert cure in str(error.value)


@pytest.mark.skipif(importlib.util.find_spec('cv_bridge') is not None,
                    reason='cv_bridge is installed: it is asked instead')
@pytest.mark.parametrize('encoding', ['bayer_rggb8', '32FC1', '', 'BGR8'])
def test_an_unknown_encoding_is_named_with_those_that_are_known(encoding: str) -> None:
    with pytest.raises(ImageError) as error:
        to_bgr(changed(encoding=encoding))
    assert f'encoding {encoding!r}, expected one of bgr8, rgb8' in str(error.value)
    assert 'install cv_bridge' in str(error.value)
    with pytest.raises(ImageError, match='install cv_bridge'):
        view_of(changed(encoding=encoding))


@pytest.fixture
def bridge(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """A cv_bridge as far as it is called: what matters is that and how it is asked."""
    module = ModuleType('cv_bridge')

    class CvBridge:
        def imgmsg_to_cv2(self, message: Image, desired_encoding: str) -> np.ndarray:
            if message.encoding != 'bayer_rggb8':
                raise RuntimeError(f'Unrecognized image encoding [{message.encoding}]')
            assert isinstance(message, Image) and desired_encoding == 'bgr8'
            return BGR
    module.CvBridge = CvBridge
    monkeypatch.setitem(sys.modules, 'cv_bridge', module)
    return module


def test_cv_bridge_is_asked_for_other_encodings(bridge: ModuleType) -> None:
    mosaic = changed(encoding='bayer_rggb8')
    for message in (mosaic, Layout(Image).hold(mosaic).read()):
        np.testing.assert_array_equal(to_bgr(message), BGR)
    with pytest.raises(ImageError, match=r"encoding 'odd'.*cv_bridge is installed and says: Unr"):
        to_bgr(changed(encoding='odd'))
    with pytest.raises(ImageError, match='image is 0x6 bayer_rggb8'):
        to_bgr(changed(encoding='bayer_rggb8', width=0))


# -- compressed -------------------------------------------------------------------------------

def compressed(suffix: str, image: np.ndarray = SMOOTH) -> bytes:
    return cv2.imencode(f'.{suffix}', image)[1].tobytes()


def with_thumbnail(jpeg: bytes) -> bytes:
    """The JPEG with an EXIF block that holds a whole small JPEG, as cameras write it."""
    thumbnail = b'Exif\0\0' + compressed('jpg', SMOOTH[:16, :16])
    return jpeg[:2] + b'\xff\xe1' + struct.pack('>H', len(thumbnail) + 2) + thumbnail + jpeg[2:]


def test_jpeg_and_png_are_decoded() -> None:
    message = CompressedImage(format='png', data=compressed('png'))
    np.testing.assert_array_equal(to_bgr(message), SMOOTH)
    for data in (compressed('jpg'), with_thumbnail(compressed('jpg')),
                 compressed('jpg') + b'\0' * 7):
        image = to_bgr(CompressedImage(format='bgr8; jpeg compressed bgr8', data=data))
        assert np.abs(image.astype(int) - SMOOTH).mean() < 8
    grey = CompressedImage(format='mono8; jpeg compressed', data=compressed('jpg', SMOOTH[..., 0]))
    assert to_bgr(grey).shape == (48, 64, 3)


@pytest.mark.parametrize('share', [0.3, 0.5, 0.9, 0.99])
@pytest.mark.parametrize('suffix', ['jpg', 'png'])
def test_a_file_that_was_cut_off_is_refused(suffix: str, share: float) -> None:
    large = cv2.resize(BGR, (640, 480), interpolation=cv2.INTER_CUBIC)
    for data in (compressed(suffix, large), with_thumbnail(compressed('jpg', large))):
        cut = data[:int(share * len(data))]
        with pytest.raises(ImageError, match='truncated.*expected the whole file; check'):
            to_bgr(CompressedImage(format=suffix, data=cut))


def test_files_cut_off_at_different_places_are_of_one_kind() -> None:
    raised = []
    for length in (700, 800):
        with pytest.raises(ImageError) as error:
            to_bgr(CompressedImage(format='jpeg', data=compressed('jpg')[:length]))
        raised.append(error.value)
    assert str(raised[0]) != str(raised[1])
    assert [error.kind for error in raised] == ['truncated JPEG'] * 2


@pytest.mark.parametrize(('format_', 'data', 'error'), [
    ('jpeg', b'', 'is empty'),
    ('jpeg', b'this is no image at all', 'cannot be decoded'),
    ('jpeg', b'\xff\xd8\xff\xd9', 'cannot be decoded'),
    ('16UC1; compressedDepth png', b'\0' * 12 + compressed('png'), 'depth image'),
])
def test_what_is_no_picture_is_refused(format_: str, data: bytes, error: str) -> None:
    with pytest.raises(ImageError, match=error) as raised:
        to_bgr(CompressedImage(format=format_, data=data))
    assert repr(format_) in str(raised.value) and 'expected' in str(raised.value)


@pytest.mark.parametrize('suffix', ['jpg', 'png'])
def test_a_file_that_announces_gigabytes_is_refused_before_there_is_room_for_them(suffix) -> None:
    whole = bytearray(compressed(suffix))
    if suffix == 'png':
        whole[16:24] = (60_000).to_bytes(4, 'big') * 2
        # The checksum of the header, or a decoder would stop there.
        whole[29:33] = zlib.crc32(whole[12:29]).to_bytes(4, 'big')
    else:
        frame = whole.index(b'\xff\xc0')
        whole[frame + 5:frame + 9] = (60_000).to_bytes(2, 'big') * 2
    with pytest.raises(ImageError, match='60000x60000 pixels, expected at most 100000000'):
        to_bgr(CompressedImage(format=suffix, data=bytes(whole)))


@pytest.mark.parametrize('suffix', ['bmp', 'webp'])
def test_other_formats_are_refused(suffix) -> None:
    with pytest.raises(ImageError, match='cannot be decoded, expected JPEG or PNG'):
        to_bgr(CompressedImage(format=suffix, data=compressed(suffix)))


# -- and back ---------------------------------------------------------------------------------

@pytest.mark.parametrize('image', [BGR, BGR[..., ::-1], BGR[::2, ::2], SMOOTH])
def test_an_image_becomes_a_message_and_comes_back(image: np.ndarray) -> None:
    message = image_message(image, HEADER)
    assert message.header == HEADER
    assert message.step == 3 * message.width
    np.testing.assert_array_equal(to_bgr(message), image)


def test_a_compressed_message_has_the_header_and_the_quality() -> None:
    fine, coarse = (compressed_message(SMOOTH, HEADER, quality) for quality in (95, 10))
    assert fine.header == HEADER and fine.format == 'bgr8; jpeg compressed bgr8'
    assert len(fine.data) > len(coarse.data)
    assert np.abs(to_bgr(fine).astype(int) - SMOOTH).mean() < 5
