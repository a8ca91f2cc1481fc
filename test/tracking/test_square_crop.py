# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""OSTrack's crop: its peculiarities one by one, and what the published code does not survive."""
from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lorat_ros.tracking.square_crop import (clip_box, LARGEST, normalise, sample_square,
                                            square_around)


def padded_crop(image: np.ndarray, box, factor: float, size: int) -> np.ndarray:
    """The rule spelled out: pad the whole image far enough, cut, resize."""
    crop = square_around(box, factor, size)
    (x, y), side = crop.corner, crop.side
    far = side + abs(x) + abs(y)
    canvas = cv2.copyMakeBorder(image[:-1, :-1], far, far, far, far, cv2.BORDER_CONSTANT)
    x, y = (min(max(v, -far), canvas.shape[1 - k] - far - side) for k, v in enumerate((x, y)))
    return cv2.resize(canvas[y + far:y + far + side, x + far:x + far + side], (size, size))


def noise(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(3).integers(1, 256, (height, width, 3), np.uint8)


@pytest.mark.parametrize(('box', 'corner'), [
    ((10.0, 10.0, 2.0, 2.0), (9, 9)),
    ((9.5, 10.5, 2.0, 2.0), (8, 10)),         # 8.5 and 9.5: half to even, not up
    ((-10.5, -9.5, 2.0, 2.0), (-12, -10)),
])
def test_the_corner_is_rounded_half_to_even(box, corner):
    assert square_around(box, 2.0, 128).corner == corner


def test_the_side_is_rounded_up_and_the_scale_is_exact():
    crop = square_around((100.4, 80.7, 33.3, 21.9), 2.0, 128)
    assert crop.side == 55 and crop.scale == 128 / 55
    assert crop.window == (float(crop.corner[0]), float(crop.corner[1]), 55.0, 55.0)


@pytest.mark.parametrize(('box', 'black_column', 'black_row'), [
    ((20.0, 20.0, 20.0, 20.0), 40, 40),       # reaches to 50 of 60: all inside
    ((30.0, 20.0, 20.0, 20.0), 39, 40),       # to 60: the image has pixel 59, the crop has not
    ((31.0, 32.0, 20.0, 20.0), 38, 37),
])
def test_the_last_row_and_column_of_the_image_never_enter(box, black_column, black_row):
    image = np.full((60, 60, 3), 200, np.uint8)
    expected = image[:40, :40].copy()
    expected[:, black_column:] = 0
    expected[black_row:] = 0
    np.testing.assert_array_equal(sample_square(image, square_around(box, 2.0, 40)), expected)


def test_the_border_is_blended_with_black():
    image = np.full((60, 60, 3), 200, np.uint8)
    crop = sample_square(image, square_around((-10.0, 20.0, 20.0, 20.0), 2.0, 128))
    edge = crop[64, :, 0]
    assert edge[0] == 0 and edge[-1] == 200 and ((edge > 0) & (edge < 200)).any()


def test_a_box_is_mapped_with_the_centre_that_was_not_rounded():
    crop = square_around((9.5, 10.25, 2.0, 2.0), 4.0, 256)
    assert crop.corner == (6, 7)
    assert crop.to_image((0.5, 0.5, 0.25, 0.25)) == pytest.approx((9.5, 10.25, 2.0, 2.0))


def test_the_target_lies_half_a_pixel_before_the_middle_of_its_crop():
    x1, y1, x2, y2 = square_around((60.0, 70.0, 48.0, 40.0), 2.0, 128).to_crop(
        (60.0, 70.0, 48.0, 40.0))
    assert (x1 + x2) / 2 == pytest.approx(63.5 / 128) == pytest.approx((y1 + y2) / 2)
    assert (x2 - x1, y2 - y1) == pytest.approx((48 / 88, 40 / 88))


def test_a_box_larger_than_its_crop_is_not_clipped():
    x1, y1, x2, y2 = square_around((0.0, 0.0, 400.0, 4.0), 2.0, 128).to_crop((0, 0, 400.0, 4.0))
    assert x1 < 0 < y1 < y2 < 1 < x2


@settings(max_examples=60, deadline=None)
@given(st.floats(-60, 200), st.floats(-60, 160), st.floats(1, 150), st.floats(1, 150),
       st.sampled_from([2.0, 4.0]), st.sampled_from([32, 128]))
def test_cutting_gives_what_padding_the_image_gives(x, y, w, h, factor, size):
    image = noise(120, 160)
    crop = square_around((x, y, w, h), factor, size)
    np.testing.assert_array_equal(sample_square(image, crop),
                                  padded_crop(image, (x, y, w, h), factor, size))


@pytest.mark.parametrize('box', [(-30.0, -20.0, 300.0, 260.0), (50.0, 100.0, 700.0, 100.0)])
def test_of_a_large_square_the_rows_that_are_read_are_enough(box):
    image = noise(240, 320)
    crop = square_around(box, 4.0, 32)
    assert crop.side > 4 * crop.size
    np.testing.assert_array_equal(sample_square(image, crop), padded_crop(image, box, 4.0, 32))


@pytest.mark.parametrize('box', [(-500.0, 10.0, 20.0, 20.0), (700.0, 10.0, 20.0, 20.0),
                                 (10.0, -500.0, 20.0, 20.0), (10.0, 59.0, 0.5, 0.5)])
def test_a_crop_that_misses_the_image_is_black(box):
    crop = sample_square(noise(60, 60), square_around(box, 2.0, 64))
    assert crop.shape == (64, 64, 3) and not crop.any()


def test_a_box_without_area_gets_one_pixel():
    crop = square_around((20.0, 20.0, 0.0, 5.0), 2.0, 64)
    assert crop.side == 1
    assert (sample_square(noise(60, 60), crop) == noise(60, 60)[22, 20]).all()


def test_an_image_of_one_pixel_is_black():
    assert not sample_square(noise(1, 1), square_around((0, 0, 4.0, 4.0), 2.0, 16)).any()


def test_an_absurdly_large_square_is_thinned():
    image = np.full((100, 100, 3), 200, np.uint8)
    crop = square_around((-50_000.0, -50_000.0, 100_100.0, 100_100.0), 4.0, 128)
    assert crop.side > 20 * LARGEST
    assert sample_square(image, crop).shape == (128, 128, 3)
    near = square_around((0.0, 0.0, 5000.0, 5000.0), 4.0, 128)
    assert near.side > LARGEST
    whole = sample_square(np.full((5000, 5000, 3), 200, np.uint8), near)
    rows, columns = np.nonzero(whole[..., 0] > 100)
    assert (columns.min(), columns.max()) == pytest.approx((48, 79), abs=1)
    assert (rows.min(), rows.max()) == pytest.approx((48, 79), abs=1)


def test_views_and_images_that_may_not_be_written_are_sampled_like_their_copies():
    view = noise(90, 120)[:, 20:100]
    view.setflags(write=False)
    crop = square_around((-5.0, 30.0, 30.0, 30.0), 4.0, 64)
    np.testing.assert_array_equal(sample_square(view, crop), sample_square(view.copy(), crop))


@settings(max_examples=40, deadline=None)
@given(st.floats(-60, 200), st.floats(-60, 160), st.floats(1, 150), st.floats(1, 150),
       st.sampled_from([lambda image: image[..., ::-1], lambda image: image[..., 2::-1],
                        lambda image: np.broadcast_to(image[..., :1], (*image.shape[:2], 3))]))
def test_channels_turned_round_or_repeated_are_sampled_like_their_copies(x, y, w, h, view):
    image = view(np.random.default_rng(4).integers(1, 256, (120, 160, 4), np.uint8)[..., :3])
    crop = square_around((x, y, w, h), 4.0, 32)
    found = sample_square(image, crop)
    assert found.flags.c_contiguous
    np.testing.assert_array_equal(found, sample_square(np.ascontiguousarray(image), crop))


def test_bytes_become_normalised_rgb():
    crop = noise(16, 16)
    expected = (crop[..., ::-1].astype(np.float64) / 255 - (0.485, 0.456, 0.406)) / (
        0.229, 0.224, 0.225)
    found = normalise(crop)
    assert found.dtype == np.float32 and found.shape == (1, 3, 16, 16)
    np.testing.assert_allclose(found[0], expected.transpose(2, 0, 1), atol=5e-7)


@given(st.floats(-1e6, 1e6), st.floats(-1e6, 1e6), st.floats(-50, 1e6), st.floats(-50, 1e6))
def test_a_clipped_box_shows_its_margin_in_the_image(x, y, w, h):
    left, top, width, height = clip_box((x, y, w, h), (320, 240))
    assert 0 <= left <= 310 and 0 <= top <= 230
    assert 10 <= width <= 320 and 10 <= height <= 240
    assert left + width <= 320 + 1e-6 and top + height <= 240 + 1e-6


def test_in_an_image_smaller_than_the_margin_a_clipped_box_reaches_over():
    assert clip_box((2.0, 1.0, 3.0, 3.0), (6, 4)) == (-4.0, -6.0, 10.0, 10.0)
