# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Jittered square crops: the target is in them, the label lies on it, the key decides."""
from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings, strategies as st
from support.pools import write_pool

from lorat_ros.boxes import centre_xywh
from lorat_ros.tracking.square_crop import normalise, square_around
from lorat_ros.training.items import Item, outline_of_box
from lorat_ros.training.pictures import draw_samples
from lorat_ros.training.pool import Pool, read_pool
from lorat_ros.training.square_draws import (as_inputs, frames_of, jittered, shows, SquareConfig,
                                             SquareDraws, without_luck)

FIVE = SquareConfig(template_size=112, search_size=224, templates=5, lone_flip=0.5)
PLAIN = without_luck(SquareConfig())


@pytest.fixture(scope='module')
def pool(tmp_path_factory):
    return read_pool(write_pool(tmp_path_factory.mktemp('pool')))


def square_pool(side: int = 24) -> Pool:
    """One clip of a white square on black."""
    image = np.zeros((700, 800, 3), np.uint8)
    image[330:330 + side, 370:370 + side] = 255
    box = (370.0, 330.0, float(side), float(side))
    return Pool(clips={'square': [Item(image, box, outline_of_box(box))] * 6}, images=[image])


@pytest.mark.parametrize('config', [SquareConfig(), FIVE])
def test_shapes_of_a_batch(pool, config):
    batch = SquareDraws(pool, config).batch((0, n) for n in range(6))
    small, size, k = config.template_size, config.search_size, config.templates
    assert {name: (v.shape, v.dtype) for name, v in batch.items()} == {
        'template': ((6, k, small, small, 3), np.uint8),
        'template_box': ((6, k, 4), np.float32),
        'search': ((6, size, size, 3), np.uint8), 'box': ((6, 4), np.float32)}


BOXES = st.tuples(*2 * [st.floats(-5, 300)], *2 * [st.floats(6, 200)])


@settings(max_examples=60, deadline=None)
@given(BOXES, st.integers(0, 10**6), st.sampled_from([(3.0, 0.25), (3.5, 0.5)]))
def test_the_published_jitter_keeps_the_middle_of_the_target_in_the_crop(box, seed, spreads):
    around = jittered(box, *spreads, np.random.default_rng(seed))
    crop = square_around(around, 4.0, 256)
    x1, y1, x2, y2 = crop.to_crop(box)
    assert 0 < (x1 + x2) / 2 < 1 and 0 < (y1 + y2) / 2 < 1
    for side, other in zip(around[2:], box[2:]):
        assert abs(np.log(side / other)) < 6 * spreads[1]
    reach = spreads[0] / 2 * np.sqrt(around[2] * around[3])
    assert all(abs(a - b) <= reach + 1e-6 for a, b in zip(centre_xywh(around), centre_xywh(box)))


@settings(max_examples=40, deadline=None)
@given(st.tuples(st.floats(0, 100), st.floats(0, 70), st.floats(8, 60), st.floats(8, 50)),
       st.integers(0, 10**6), st.floats(0, 12))
def test_the_target_is_in_the_crop_and_its_box_maps_back(box, seed, reach):
    """However wide the jitter: a crop that loses the target is drawn again."""
    image = np.zeros((120, 160, 3), np.uint8)
    pool = Pool(stills={'one': [Item(image, box, outline_of_box(box))]}, images=[image])
    view = SquareDraws(pool, replace(PLAIN, search_centre=reach)).draw(seed).search
    assert shows(view.crop, box, (160, 120))
    x1, y1, x2, y2 = view.box.tolist()
    back = view.crop.to_image(((x1 + x2) / 2, (y1 + y2) / 2, x2 - x1, y2 - y1))
    assert back == pytest.approx(box, abs=1.0)


def test_a_jitter_that_always_misses_ends_at_the_true_box():
    config = replace(PLAIN, search_centre=1e6)
    view = SquareDraws(square_pool(), config).draw(0).search
    assert (view.box[:2] + view.box[2:]) / 2 == pytest.approx(2 * [255 / 512], abs=1e-6)


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(0, 2**40), min_size=1, max_size=3))
def test_the_same_key_draws_the_same_sample(key):
    one, two = SquareDraws(square_pool(), FIVE), SquareDraws(square_pool(), FIVE)
    two.draw(9, 9)
    first, second = one.batch([tuple(key)]), two.batch([tuple(key)])
    for name, value in first.items():
        np.testing.assert_array_equal(value, second[name])
    assert not np.array_equal(first['box'], one.batch([(*key, 1)])['box'])


@pytest.mark.parametrize('flips', [{}, {'flip': 1.0}, {'lone_flip': 1.0},
                                   {'flip': 1.0, 'lone_flip': 1.0}])
def test_the_label_lies_on_the_pixels(flips):
    """A white square: its centre of mass is the label's centre, counted in pixels from 0."""
    draws = SquareDraws(square_pool(), replace(PLAIN, **flips))
    for number in range(12):
        sample = draws.draw(number)
        for view in (*sample.templates, sample.search):
            size = view.image.shape[0]
            if view.box.min() < 0.02 or view.box.max() > 0.98:
                continue      # cut off by the border of the crop
            weight = view.image[..., 0].astype(float)
            rows, columns = np.mgrid[:size, :size]
            centre = np.array([(columns * weight).sum(), (rows * weight).sum()]) / weight.sum()
            # The square's corner is rounded to whole pixels of the image, in crop pixels this.
            slack = 0.5 * view.crop.scale + 0.6
            assert centre == pytest.approx((view.box[:2] + view.box[2:]) / 2 * size, abs=slack)


def test_a_flip_of_both_kinds_is_none():
    base = SquareDraws(square_pool(), PLAIN).draw(3).search
    once, twice = (SquareDraws(square_pool(), replace(PLAIN, **flips)).draw(3).search
                   for flips in ({'flip': 1.0}, {'flip': 1.0, 'lone_flip': 1.0}))
    np.testing.assert_array_equal(once.image, base.image[:, ::-1])
    np.testing.assert_array_equal(twice.image, base.image)
    np.testing.assert_array_equal(twice.box, base.box)


@settings(max_examples=200, deadline=None)
@given(st.integers(1, 30), st.integers(1, 6), st.integers(1, 12), st.booleans(),
       st.integers(0, 10**6))
def test_frames_are_in_order_and_no_further_than_the_gap(length, templates, gap, causal, seed):
    config = SquareConfig(templates=templates, frame_gap=gap, causal=causal)
    *older, search = frames_of(length, config, np.random.default_rng(seed))
    assert len(older) == templates and older == sorted(older)
    assert older[0] >= 0 and max(*older, search) < length
    if causal:
        assert search - older[-1] <= gap and older[-1] - older[0] <= gap
        assert length == 1 or older[-1] < search
        if length > templates + 1:
            assert older[-1] >= templates - 1
    else:
        assert abs(search - older[-1]) <= 2 * gap


def test_grey_and_light():
    rng = np.random.default_rng(0)
    image = rng.integers(0, 200, (80, 90, 3), np.uint8)
    box = (30.0, 30.0, 20.0, 20.0)
    pool = Pool(stills={'one': [Item(image, box, outline_of_box(box))]}, images=[image])
    plain = SquareDraws(pool, PLAIN).draw(1)
    grey = SquareDraws(pool, replace(PLAIN, grey=1.0)).draw(1)
    for view in (grey.templates[0].image, grey.search.image):      # together
        assert (view[..., 0] == view[..., 2]).all()
    lit = SquareDraws(pool, replace(PLAIN, brightness=0.2))
    ratios = []
    for number in range(20):
        sample, plain = lit.draw(number), SquareDraws(pool, PLAIN).draw(number)
        ratios.append([view.image.astype(float).sum() / other.image.astype(float).sum()
                       for view, other in zip((sample.templates[0], sample.search),
                                              (plain.templates[0], plain.search))])
    ratios = np.array(ratios)
    assert 0.78 < ratios.min() < 0.9 and 1.1 < ratios.max() < 1.22
    assert np.abs(ratios[:, 0] - ratios[:, 1]).max() > 0.05      # each by itself


def test_inputs_are_what_the_tracker_makes():
    crop = np.random.default_rng(0).integers(0, 256, (32, 32, 3), np.uint8)
    found = as_inputs(torch.from_numpy(crop[None]))
    torch.testing.assert_close(found, torch.from_numpy(normalise(crop)), atol=1e-6, rtol=1e-5)
    assert found.abs().max() < 5


def test_every_kind_and_the_weights_of_the_pool():
    def item(value):
        image = np.full((60, 60, 3), value, np.uint8)
        return Item(image, (20.0, 20.0, 20.0, 20.0), outline_of_box((20, 20, 20, 20)))
    pool = Pool(stills={'s': [item(200)]}, clips={'a': [item(10)] * 4, 'b': [item(60)] * 4},
                tracks={'t': [[item(120)] * 3]}, weights={'b': 0.0})
    draws = SquareDraws(pool, PLAIN)
    seen = {int(draws.draw(n).templates[0].image[64, 64, 0]) for n in range(60)}
    assert seen == {10, 120, 200}
    only = SquareDraws(pool, replace(PLAIN, clip=0.0, tracked=0.0))
    assert {int(only.draw(n).search.image[64:192, 64:192].max()) for n in range(9)} == {200}


def test_a_pool_without_labels_is_refused():
    with pytest.raises(ValueError, match='nothing that samples could be made of'):
        SquareDraws(Pool())


@pytest.mark.parametrize(('values', 'words'), [
    ({'templates': 0}, 'templates is 0'), ({'search_factor': 0.5}, 'would cut the target off'),
    ({'flip': 2.0}, 'flip is 2.0'), ({'search_scale': -1.0}, 'search_scale is -1.0')])
def test_settings_that_cannot_be_are_refused(values, words):
    with pytest.raises(ValueError, match=words):
        SquareConfig(**values)


def test_a_sheet_is_drawn(pool, tmp_path):
    draw_samples(SquareDraws(pool, FIVE), tmp_path / 'sheet.png', rows=2, columns=2)
    assert (tmp_path / 'sheet.png').stat().st_size > 10_000
