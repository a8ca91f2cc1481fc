# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Pairs: the box is true, the key decides, every kind works."""
from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest
from support.pools import write_pool

from lorat_ros.training import augment, compose
from lorat_ros.training.pairs import PairConfig, PairSampler
from lorat_ros.training.pictures import draw_samples
from lorat_ros.training.pool import Item, outline_of_box, Pool, read_pool

ONE_KIND = {'clip': 0.0, 'still': 0.0, 'paste': 0.0, 'texture': 0.0}
CLEAN = PairConfig(degraded=0.0, look_alike=0.0, absent=0.0, occluder=0.0, dyed=0.0)


@pytest.fixture(scope='module')
def pool(tmp_path_factory):
    return read_pool(write_pool(tmp_path_factory.mktemp('pool')))


@pytest.mark.parametrize('kind', list(ONE_KIND))
def test_every_kind_of_pair(pool, kind):
    sampler = PairSampler(pool, replace(PairConfig(), **{**ONE_KIND, kind: 1.0}))
    batch = sampler.batch((0, n) for n in range(20))
    assert batch['template'].shape == (20, 80, 80, 3) and batch['template'].dtype == np.uint8
    assert batch['search'].shape == (20, 160, 160, 3)
    assert batch['mask'].shape == (20, 5, 5) and batch['mask'].max() <= 1 + 1e-6
    assert batch['mask'][:, 2, 2].min() > 0.3      # the target is in the middle of the template
    low, high = batch['box'][:, :2], batch['box'][:, 2:]
    assert (high > low).all() and ((low + high) / 2 > 0).all() and ((low + high) / 2 < 1).all()
    assert batch['present'].any()


def test_elsewhere_shows_the_same_image_without_the_target(pool):
    sampler = PairSampler(pool, replace(CLEAN, **{**ONE_KIND, 'clip': 1.0}))
    moved = 0
    for number in range(40):
        sampler.rng = np.random.default_rng(number)
        item, other = sampler._from_clip()
        view = sampler._views(item, other)[1]
        warp = sampler._elsewhere(other, view)
        if warp is None:      # a large target in a small image: there is no elsewhere
            continue
        moved += 1
        np.testing.assert_array_equal(warp[:, :2], view[0][:, :2])
        shift = warp[:, 2] - view[0][:, 2]
        low, high = view[1][:2] + shift, view[1][2:] + shift
        assert (high <= 0).any() or (low >= 160).any()
        x, y = np.linalg.solve(warp[:, :2], 80 - warp[:, 2])
        assert 0 <= x < other.image.shape[1] and 0 <= y < other.image.shape[0]
    assert moved > 5


def test_the_same_key_draws_the_same_pair(pool):
    one, two = PairSampler(pool), PairSampler(pool)
    two.draw(9, 9)
    a, b, c = one.draw(1, 2, 3), two.draw(1, 2, 3), one.draw(1, 2, 4)
    np.testing.assert_array_equal(a.search, b.search)
    np.testing.assert_array_equal(a.box, b.box)
    assert not np.array_equal(a.box, c.box)


def test_the_box_lies_on_the_target(pool):
    """The clip's disc is of one colour: its pixels must fill the middle of the drawn box."""
    sampler = PairSampler(pool, replace(CLEAN, **{**ONE_KIND, 'clip': 1.0}, turned=0.0))
    near = 0
    for number in range(30):
        pair = sampler.draw(number)
        x1, y1, x2, y2 = pair.box * 160
        rows, columns = np.mgrid[:160, :160]
        inside = (np.hypot((columns - (x1 + x2) / 2) / (x2 - x1),
                           (rows - (y1 + y2) / 2) / (y2 - y1)) < 0.4)
        outside = (np.hypot((columns - (x1 + x2) / 2) / (x2 - x1),
                            (rows - (y1 + y2) / 2) / (y2 - y1)) > 0.65)
        median = np.median(pair.search[inside], axis=0)
        if not inside.any():
            continue
        spread = np.abs(pair.search.astype(int) - median).max(2) < 30
        near += spread[inside].mean() > 0.6 > spread[outside].mean()
    assert near >= 26


@pytest.mark.parametrize('side', [10, 24, 80])
@pytest.mark.parametrize('kind', ['clip', 'paste'])
def test_the_label_lies_on_the_pixels_to_a_fraction_of_one(side, kind):
    """A white square on black: its centre of mass in the crop is the centre of the label."""
    image, mask = np.zeros((1400, 1400, 3), np.uint8), np.zeros((1400, 1400), np.uint8)
    image[660:660 + side, 670:670 + side] = mask[660:660 + side, 670:670 + side] = 255
    box = (670.0, 660.0, float(side), float(side))
    item = Item(image, box, outline_of_box(box), mask if kind == 'paste' else None)
    sampler = PairSampler(Pool(clips={'square': [item] * 4}, images=[image]),
                          replace(CLEAN, **{**ONE_KIND, 'clip': 1.0}, turned=0.0))
    for number in range(12):
        sampler.rng = np.random.default_rng(number)
        warp, label = sampler._views(item, item)[1]
        crop = np.zeros((160, 160, 3), np.uint8)
        if kind == 'paste':
            compose.paste(crop, item, warp, np.random.default_rng(number))
        else:
            crop = sampler._crop(image, warp, 160, True)
        if np.any(label < 2) or np.any(label > 158):
            continue      # cut off by the border of the crop
        weight = crop[..., 0].astype(float)
        rows, columns = np.mgrid[:160, :160] + 0.5
        centre = np.array([(columns * weight).sum(), (rows * weight).sum()]) / weight.sum()
        assert centre == pytest.approx((label[:2] + label[2:]) / 2, abs=0.15)


def test_absent_targets_are_marked(pool):
    sampler = PairSampler(pool, replace(CLEAN, absent=1.0))
    assert not sampler.batch((0, n) for n in range(12))['present'].any()


MASKED = replace(CLEAN, **{**ONE_KIND, 'paste': 1.0}, dyed=1.0, turned=0.0)


def distances(batch: dict[str, np.ndarray]) -> list[float]:
    """How far the colours of the target in the search crop are from those in the template."""
    found = []
    for search, template, box in zip(batch['search'], batch['template'], batch['box'] * 160):
        middle, reach = (box[:2] + box[2:]) / 2, 0.2 * (box[2:] - box[:2])
        (x1, y1), (x2, y2) = (middle - reach).astype(int), (middle + reach).astype(int) + 1
        seen, known = (cv2.cvtColor(crop, cv2.COLOR_BGR2LAB).reshape(-1, 3).mean(0)[1:]
                       for crop in (search[y1:y2, x1:x2], template[33:47, 33:47]))
        found.append(float(np.hypot(*(seen - known))))
    return found


def test_a_target_dyed_in_one_crop_only_is_another_one(pool, monkeypatch):
    sampler = PairSampler(pool, replace(MASKED, dyed_once=1.0))
    batch = sampler.batch((0, n) for n in range(20))
    assert 1 - batch['present'].mean() > 0.8     # a few come out too alike to be another
    assert np.median(distances(batch)) > compose.Dye.STRANGE
    # Without colours the two would be the same: such a pair is never made grey.
    other = [n for n in range(20) if not batch['present'][n]]
    monkeypatch.setattr(augment, 'grey', None)
    sampler.batch((0, n) for n in other)


def test_a_target_dyed_in_both_crops_is_still_the_target(pool):
    sampler = PairSampler(pool, replace(MASKED, dyed_once=0.0))
    plain = PairSampler(pool, replace(MASKED, dyed=0.0))
    dyed, first = (s.batch((0, n) for n in range(20)) for s in (sampler, plain))
    assert dyed['present'].all()
    changed = [(a != b).any() for a, b in zip(dyed['template'], first['template'])]
    assert np.mean(changed) > 0.9
    assert np.median(distances(dyed)) < compose.Dye.STRANGE / 2
    np.testing.assert_array_equal(dyed['box'], first['box'])


def test_a_pool_without_usable_pairs_is_refused():
    with pytest.raises(ValueError, match='nothing for the kinds of pair'):
        PairSampler(Pool())


def test_a_sheet_of_pairs_is_drawn(pool, tmp_path):
    draw_samples(PairSampler(pool, PairConfig()), tmp_path / 'pairs.png', rows=2, columns=2)
    assert (tmp_path / 'pairs.png').stat().st_size > 10_000
