# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""LoRAT's pairs: the crops are the tracker's, the label lies on the target, the key decides."""
from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from support.pools import scene, write_pool

from lorat_ros.tracking.family import CropSizes
from lorat_ros.tracking.lorat import plan_window, template_cells, template_mask
from lorat_ros.training import published_looks
from lorat_ros.training.items import Item, outline_of_box
from lorat_ros.training.pictures import draw_samples
from lorat_ros.training.pool import Pool, read_pool
from lorat_ros.training.published_pairs import (cells_of, frames_of, mirrored, PublishedConfig,
                                                PublishedPairs, View, without_luck)

SIZES = CropSizes(112, 224, 2.0, 4.0)
CALM = without_luck(PublishedConfig())
STILL = replace(CALM, scale=0.0, shift=0.0)


def item(image: np.ndarray, box: tuple[float, ...]) -> Item:
    return Item(image, box, outline_of_box(box))


def square(side: float = 24, shade: int = 0, at: tuple[int, int] = (200, 150)) -> Item:
    """A white square on an even ground."""
    image = np.full((360, 480, 3), shade, np.uint8)
    x, y = at
    image[y:y + int(side), x:x + int(side)] = 255
    return item(image, (float(x), float(y), float(side), float(side)))


def pool_of(*items: Item, **clips) -> Pool:
    return Pool(clips={'one': list(items), **clips} if items else clips)


@pytest.fixture(scope='module')
def pool(tmp_path_factory):
    return read_pool(write_pool(tmp_path_factory.mktemp('pool')))


def test_shapes_of_a_batch(pool):
    batch = PublishedPairs(pool, SIZES).batch((0, n) for n in range(4))
    assert {name: (v.shape, v.dtype) for name, v in batch.items()} == {
        'template': ((4, 112, 112, 3), np.uint8), 'search': ((4, 224, 224, 3), np.uint8),
        'mask': ((4, 8, 8), np.float32), 'box': ((4, 4), np.float32),
        'positive': ((4, 16, 16), bool), 'present': ((4,), bool)}
    assert batch['present'].all() and batch['positive'].any((1, 2)).all()


def test_the_key_decides(pool, tmp_path):
    one, other = (PublishedPairs(pool, SIZES) for _ in range(2))
    other.batch([(9, 9, 9)])
    for name, value in one.batch([(0, 1, 2), (0, 1, 3)]).items():
        np.testing.assert_array_equal(value, other.batch([(0, 1, 2), (0, 1, 3)])[name])
        assert name not in ('search', 'box') or not np.array_equal(value[0], value[1])
    draw_samples(one, tmp_path / 'samples.png', 2, 2)
    assert (tmp_path / 'samples.png').stat().st_size > 1000


@settings(max_examples=40, deadline=None)
@given(st.floats(6, 150), st.floats(0.3, 3), st.tuples(st.floats(0, 1), st.floats(0, 1)),
       st.integers(0, 10**6))
def test_the_label_is_the_part_of_the_box_that_is_in_the_crop(side, aspect, at, seed):
    """A white box is found again where the label says, whatever its size and place."""
    image = np.zeros((300, 400, 3), np.uint8)
    w, h = (max(round(v), 5) for v in (side * aspect ** 0.5, side * aspect ** -0.5))
    x, y = round(at[0] * (400 - w)), round(at[1] * (300 - h))
    image[y:y + h, x:x + w] = 255
    target = item(image, tuple(map(float, (x, y, w, h))))
    config = replace(CALM, flip=0.5)
    pair = PublishedPairs(pool_of(target), SIZES, config).draw(seed)
    mean = image.mean()
    for view in (pair.template, pair.search):
        x1, y1, x2, y2 = view.box
        assert 0 <= x1 < x2 <= view.image.shape[1] and 0 <= y1 < y2 <= view.image.shape[0]
        seen = np.argwhere(view.image[..., 0] > max(mean + 40, 150))
        # Bilinear without antialias: an edge may be a source pixel, or one of the crop, off.
        slack = 1.5 + 0.6 * np.maximum((x2 - x1) / w, (y2 - y1) / h)
        assert len(seen)
        low, high = seen.min(0)[::-1], seen.max(0)[::-1] + 1
        np.testing.assert_allclose([*low, *high], view.box, atol=slack)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.floats(0, 224), min_size=4, max_size=4))
def test_positive_cells_are_those_that_the_box_touches(values):
    x1, x2 = sorted(values[:2])
    y1, y2 = sorted(values[2:])
    found = cells_of(np.array((x1, y1, x2, y2)), 16)
    for row, column in ((0, 0), (7, 9), (15, 15), *np.argwhere(found)[:3].tolist()):
        across = min(x2, 14 * (column + 1)) - max(x1, 14 * column)
        down = min(y2, 14 * (row + 1)) - max(y1, 14 * row)
        if min(across, down) > 0.01:
            assert found[row, column]
        elif min(across, down) < -0.01:
            assert not found[row, column]


def test_cells_by_hand():
    # Columns 2 (from 28.0) to 3 (ends at 56.0, which is a border), rows 0 to 1.
    found = np.argwhere(cells_of(np.array((28.0, 3.0, 56.0, 20.0)), 16)).tolist()
    assert found == [[0, 2], [0, 3], [1, 2], [1, 3]]


def test_the_template_is_cut_as_the_tracker_cuts_it():
    target = square(37, at=(430, 5))      # over the border of the image
    pair = PublishedPairs(pool_of(target), SIZES, CALM).draw(1)
    x, y, w, h = target.box
    box = np.array((x, y, x + w, y + h))
    plan = plan_window(box, 2.0, 112, (480, 360), (0.0, 0.0, 0.0))
    mask = PublishedPairs(pool_of(target), SIZES, CALM).batch([(1,)])['mask'][0]
    np.testing.assert_array_equal(mask, template_mask(template_cells(box, plan), 8))
    x1, y1, x2, y2 = plan.destination
    assert not pair.template.image[y1:y2, x1:x2][0].any()      # the ground, not the fill


def test_each_frame_fills_with_its_own_mean():
    dark, bright = square(30, 20, at=(2, 2)), square(30, 90, at=(2, 2))
    config = replace(STILL, frame_gap=1)
    for seed in range(4):
        pair = PublishedPairs(pool_of(dark, bright), SIZES, config).draw(seed)
        shades = [int(view.image[0, 0, 0]) for view in pair[:2]]
        means = sorted(round(frame.image.mean()) for frame in (dark, bright))
        assert sorted(shades) == pytest.approx(means, abs=1) and shades[0] != shades[1]


def test_without_jitter_the_target_is_in_the_middle():
    pair = PublishedPairs(pool_of(square()), SIZES, STILL).draw(3)
    x1, y1, x2, y2 = pair.search.box
    assert ((x1 + x2) / 2, (y1 + y2) / 2) == pytest.approx((112, 112), abs=2)
    assert x2 - x1 == pytest.approx(56, abs=2)      # a fourth of the crop


def test_scale_and_place_are_spread_as_published():
    """Each axis by itself, and as far as the target can still be seen."""
    pairs = PublishedPairs(pool_of(square()), SIZES, replace(CALM, shift=0.5))
    sides = np.array([pairs.draw(n).search.box for n in range(200)])
    logs = np.log((sides[:, 2:] - sides[:, :2]) / 56)
    assert logs.std(0) == pytest.approx((0.25, 0.25), rel=0.2)
    assert abs(np.corrcoef(logs.T)[0, 1]) < 0.2
    far = PublishedPairs(pool_of(square()), SIZES, CALM)
    boxes = np.array([far.draw(n).search.box for n in range(100)])
    assert (boxes[:, 2:] - boxes[:, :2]).min() >= 10
    assert boxes.min() == 0 and boxes.max() == 224      # some are cut at every border
    assert np.std((boxes[:, 0] + boxes[:, 2]) / 2) > 50


@given(st.integers(1, 300), st.integers(1, 120), st.integers(0, 10**6))
def test_two_frames_near_each_other(length, gap, seed):
    first, other = frames_of(length, gap, np.random.default_rng(seed))
    assert 0 <= first < length and 0 <= other < length
    assert (first == other) == (length == 1) and abs(first - other) <= gap


def test_frames_lie_on_either_side_and_every_one_is_drawn():
    drawn = {frames_of(3, 1, np.random.default_rng(n)) for n in range(200)}
    assert drawn == {(0, 1), (1, 0), (1, 2), (2, 1)}


@given(st.integers(0, 10**6))
def test_a_mirror_twice_is_none(seed):
    rng = np.random.default_rng(seed)
    view = View(rng.integers(0, 255, (28, 28, 3), np.uint8), np.sort(rng.uniform(0, 28, 4)))
    once, twice = mirrored(view), mirrored(mirrored(view))
    np.testing.assert_array_equal(twice.image, view.image)
    np.testing.assert_allclose(twice.box, view.box)
    assert once.box[0] == pytest.approx(28 - view.box[2]) and once.box[1] == view.box[1]
    np.testing.assert_array_equal(once.image[:, 0], view.image[:, -1])


def test_one_of_three_looks_and_the_same_for_both():
    even = item(np.full((200, 200, 3), (10, 200, 60), np.uint8), (80.0, 80.0, 40.0, 40.0))
    pairs = PublishedPairs(pool_of(even), SIZES, replace(CALM, look=1.0))
    seen = []
    for seed in range(60):
        colours = [tuple(view.image[50, 50].tolist()) for view in pairs.draw(seed)[:2]]
        assert colours[0] == colours[1]
        seen.append(colours[0])
    kinds = {(10, 200, 60): 'blurred', (10, 55, 60): 'solarised'}
    counted = [kinds.get(c, 'grey' if len(set(c)) == 1 else 'none of them') for c in seen]
    assert set(counted) == {'blurred', 'solarised', 'grey'}
    assert all(counted.count(kind) > 8 for kind in set(counted))


def test_what_each_look_does():
    noisy = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    done = [published_looks.one_look(np.random.default_rng(seed))(noisy) for seed in range(30)]
    grey = [d for d in done if np.ptp(d, 2).max() == 0]
    solarised = [d for d in done if d.max() < 128]
    blurred = [d for d in done if d.max() >= 128 and np.ptp(d, 2).max() > 0]
    assert min(map(len, (grey, solarised, blurred))) >= 4
    spreads = [d.std() for d in blurred]
    assert max(spreads) <= noisy.std() and min(spreads) < 0.3 * noisy.std()
    assert all(abs(d.mean() - noisy.mean()) < 2 for d in blurred)


@given(st.tuples(*3 * [st.integers(0, 255)]), st.floats(0.6, 1.4), st.integers(0, 10**6))
def test_colours_change_as_far_as_told(colour, factor, seed):
    image = np.full((4, 4, 3), colour, np.uint8)
    expected = np.clip(np.array(colour) * factor, 0, 255)
    np.testing.assert_allclose(published_looks.brightness(image, factor)[0, 0], expected, atol=1)
    np.testing.assert_array_equal(published_looks.saturation(image, 1.0), image)
    grey = published_looks.saturation(image, 0.0)
    assert np.ptp(grey) == 0
    np.testing.assert_allclose(published_looks.contrast(image, 0.0), grey, atol=1)
    jittered = published_looks.jittered(image, 0.0, np.random.default_rng(seed))
    np.testing.assert_allclose(jittered, image, atol=1)


def test_heavier_clips_are_drawn_more_often():
    one, two = square(24, 0), square(24, 200)
    pool = Pool(clips={'one': [one] * 4, 'two': [two] * 4}, weights={'two': 3.0})
    pairs = PublishedPairs(pool, SIZES, STILL)
    bright = sum(pairs.draw(n).search.image[0, 0, 0] > 100 for n in range(120))
    assert 0.62 < bright / 120 < 0.88      # three quarters


def test_negatives_show_something_else_and_are_asked_for():
    clips = {'dark': [square(24, 0)] * 2, 'bright': [square(24, 200)] * 2}
    pairs = PublishedPairs(Pool(clips=clips), SIZES, replace(STILL, absent=0.5))
    batch = pairs.batch((0, n) for n in range(60))
    absent = ~batch['present']
    assert 15 < absent.sum() < 45
    assert not batch['positive'][absent].any() and batch['positive'][~absent].any((1, 2)).all()
    unlike = np.ptp([batch['template'][:, 0, 0, 0].astype(int),
                     batch['search'][:, 0, 0, 0].astype(int)], 0) > 100
    np.testing.assert_array_equal(unlike, absent)
    assert pairs.picture((0, 0)).shape == (224, 336, 3)
    with pytest.raises(ValueError, match='draws.absent is 0.5, and the pool has one clip'):
        PublishedPairs(pool_of(square()), SIZES, replace(CALM, absent=0.5))


def test_a_target_that_hardly_fits_is_drawn_all_the_same():
    thin = item(scene(np.random.default_rng(0)), (5.0, 50.0, 150.0, 6.0))
    for seed in range(8):
        box = PublishedPairs(pool_of(thin), SIZES).draw(seed).search.box
        assert (box[2:] > box[:2]).all()


def test_stills_are_seen_twice(pool):
    only = Pool(stills=pool.stills)
    pairs = PublishedPairs(only, SIZES, STILL)
    assert pairs.draw(0).present and pairs.batch([(0, 1)])['positive'].any()


@pytest.mark.parametrize(('values', 'words'), [
    ({'frame_gap': 0}, 'frame_gap is 0'), ({'scale': -1.0}, 'scale is -1.0'),
    ({'smallest': 0.0}, 'smallest is 0.0'), ({'look': 1.5}, 'look is 1.5'),
    ({'absent': float('nan')}, 'absent is nan')])
def test_what_cannot_be_is_refused(values, words):
    with pytest.raises(ValueError, match=words):
        PublishedConfig(**values)


def test_an_empty_pool_is_refused():
    with pytest.raises(ValueError, match='nothing that pairs could be made of'):
        PublishedPairs(Pool(images=[scene(np.random.default_rng(0))]), SIZES)
