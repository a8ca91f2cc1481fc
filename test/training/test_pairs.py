# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Pairs: the box is true, the key decides, every kind works."""
from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from support.pools import write_pool

from lorat_ros.training.pairs import PairConfig, PairSampler
from lorat_ros.training.pictures import draw_pairs
from lorat_ros.training.pool import Pool, read_pool

ONE_KIND = {'clip': 0.0, 'still': 0.0, 'paste': 0.0, 'texture': 0.0}
CLEAN = PairConfig(degraded=0.0, look_alike=0.0, absent=0.0, occluder=0.0)


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


def test_absent_targets_are_marked(pool):
    sampler = PairSampler(pool, replace(CLEAN, absent=1.0))
    assert not sampler.batch((0, n) for n in range(12))['present'].any()


def test_a_pool_without_usable_pairs_is_refused():
    with pytest.raises(ValueError, match='nothing for the kinds of pair'):
        PairSampler(Pool())


def test_a_sheet_of_pairs_is_drawn(pool, tmp_path):
    draw_pairs(pool, PairConfig(), tmp_path / 'pairs.png', rows=2, columns=2)
    assert (tmp_path / 'pairs.png').stat().st_size > 10_000
