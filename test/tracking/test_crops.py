# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Crop plans: boxes survive the way there and back, pixels land where the plan says."""
from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from lorat_ros.tracking.crops import mean_colour, plan_crop, sample_crop, window_side

centres = st.tuples(st.floats(-200, 900), st.floats(-200, 700))
sides = st.floats(8, 1500)
FILL = (10.0, 20.0, 30.0)


@given(centres, sides, st.sampled_from([80, 128, 160, 224]))
def test_a_box_comes_back_as_it_went(centre, side, size):
    plan = plan_crop(centre, side, size, (640, 480), FILL)
    box = (centre[0] - 5.0, centre[1] + 3.0, 17.0, 9.0)
    assert plan.to_image(plan.to_crop(box)) == pytest.approx(box, abs=1e-6)


@given(centres, sides, st.sampled_from([80, 160]))
def test_rectangles_stay_in_the_image_and_in_the_crop(centre, side, size):
    plan = plan_crop(centre, side, size, (640, 480), FILL)
    x1, y1, x2, y2 = plan.source
    u1, v1, u2, v2 = plan.destination
    assert 0 <= x1 <= x2 <= 640 and 0 <= y1 <= y2 <= 480
    assert 0 <= u1 <= u2 <= size and 0 <= v1 <= v2 <= size
    assert (x1 == x2) == (u1 == u2)


@given(st.floats(100, 540), st.floats(100, 380), st.floats(40, 180))
def test_the_window_is_the_one_asked_for_within_a_pixel(x, y, side):
    plan = plan_crop((x, y), side, 160, (640, 480), FILL)
    wanted = (x - side / 2, y - side / 2, side, side)
    assert plan.window == pytest.approx(wanted, abs=2.0)


@settings(max_examples=30, deadline=None)
@given(centres, sides)
def test_every_plan_can_be_executed(centre, side):
    image = np.full((480, 640, 3), 200, np.uint8)
    crop = sample_crop(image, plan_crop(centre, side, 160, (640, 480), FILL))
    assert crop.shape == (160, 160, 3) and crop.dtype == np.uint8
    assert set(np.unique(crop)) <= {200, 10, 20, 30}


@pytest.mark.parametrize('shape', [(240, 320), (480, 640), (2160, 3840)])
@pytest.mark.parametrize('share', [0.05, 0.3, 0.9])
def test_a_bright_square_lands_where_the_plan_maps_it(shape, share):
    height, width = shape
    side = max(8, int(share * height / 3))
    x, y = width // 2 - side // 2, height // 2 - side // 3
    image = np.zeros((height, width, 3), np.uint8)
    image[y:y + side, x:x + side] = 255
    plan = plan_crop((width / 2, height / 2), window_side(side, side, 4.0), 160, (width, height),
                     (0.0, 0.0, 0.0))
    rows, columns = np.nonzero(sample_crop(image, plan)[..., 0] > 127)
    found = (columns.min(), rows.min(), np.ptp(columns) + 1, np.ptp(rows) + 1)
    assert found == pytest.approx(plan.to_crop((x, y, side, side)), abs=1.5)


@settings(max_examples=60, deadline=None)
@given(st.tuples(st.floats(0, 640), st.floats(0, 480)), st.floats(40, 2500))
def test_a_ramp_stays_where_the_plan_says(centre, side):
    ramp = np.linspace(0, 255, 640).astype(np.uint8)
    image = np.broadcast_to(ramp[None, :, None], (480, 640, 3)).copy()
    plan = plan_crop(centre, side, 160, (640, 480), FILL)
    (u1, v1, u2, v2), found = plan.destination, sample_crop(image, plan)
    x = (np.arange(u1, u2) + 0.5 - plan.offset[0]) / plan.scale[0] - 0.5
    wanted = np.interp(x, np.arange(640), ramp.astype(float))
    assert plan.grain == 1 or plan.grain % 2 == 0
    # Rows are alike; at the ends of a part interpolation has nothing beyond it to read.
    ends = slice(2, -2)
    apart = np.abs(found[v1:v2, u1:u2].astype(float) - wanted[None, :, None])[:, ends]
    assert apart.max(initial=0.0) <= 1.5


def test_outside_the_image_all_is_fill():
    image = np.full((100, 100, 3), 255, np.uint8)
    crop = sample_crop(image, plan_crop((500.0, 500.0), 50.0, 80, (100, 100), FILL))
    assert (crop == np.array([10, 20, 30])).all()


def test_a_view_with_strides_is_sampled_like_its_copy():
    rng = np.random.default_rng(0)
    padded = rng.integers(0, 255, (60, 90, 3), np.uint8)
    view = padded[:, 5:85]
    plan = plan_crop((40.0, 30.0), 30.0, 80, (80, 60), FILL)
    np.testing.assert_array_equal(sample_crop(view, plan), sample_crop(view.copy(), plan))


@pytest.mark.parametrize('factor', [2.0, 4.0])
def test_a_square_box_spans_one_over_the_factor(factor):
    assert window_side(30, 30, factor) == pytest.approx(30 * factor)


def test_mean_colour_of_a_large_image_is_that_of_all_its_pixels():
    image = np.zeros((1000, 1000, 3), np.uint8)
    image[:500] = (100, 50, 200)
    assert mean_colour(image) == pytest.approx((50, 25, 100), abs=1)


@settings(max_examples=60, deadline=None)
@given(centres, sides, st.sampled_from([
    lambda image: image[..., ::-1], lambda image: image[..., 2::-1],
    lambda image: np.broadcast_to(image[..., :1], (*image.shape[:2], 3))]))
def test_channels_turned_round_or_repeated_are_sampled_like_their_copies(centre, side, view):
    image = view(np.random.default_rng(5).integers(0, 256, (480, 640, 4), np.uint8)[..., :3])
    plan = plan_crop(centre, side, 80, (640, 480), FILL)
    found = sample_crop(image, plan)
    assert found.flags.c_contiguous
    np.testing.assert_array_equal(found, sample_crop(np.ascontiguousarray(image), plan))
