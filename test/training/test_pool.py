# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Reading a training folder."""
from __future__ import annotations

import numpy as np
import pytest
from support.pools import write_pool

from lorat_ros.training.pool import item_from_mask, outline_of_box, PoolError, read_pool


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    return write_pool(tmp_path_factory.mktemp('pool'))


def test_everything_is_read(folder):
    pool = read_pool(folder)
    assert {k: len(v) for k, v in pool.stills.items()} == {'discs': 6}
    assert {k: len(v) for k, v in pool.clips.items()} == {'moving': 8}
    assert len(pool.images) == 6 + 8 + 8
    for item in pool.clips['moving']:
        assert item.mask is not None and item.mask.shape == item.image.shape[:2]
        low, high = item.outline.min(0), item.outline.max(0)
        assert item.box == pytest.approx((*low, *(high - low)), abs=1.6)


def test_what_is_left_out_is_not_read(folder):
    pool = read_pool(folder, leave_out=['discs', 'plain'])
    assert not pool.stills and len(pool.images) == 8


def test_only_the_named_clips_for_validation(folder):
    pool = read_pool(folder, only_clips=['moving'])
    assert list(pool.clips) == ['moving'] and not pool.stills and len(pool.images) == 8


def test_an_empty_folder_is_refused(tmp_path):
    with pytest.raises(PoolError, match=r'holds no images under stills/SOURCE/\*\.jpg'):
        read_pool(tmp_path)


def test_an_unreadable_image_is_named(tmp_path):
    source = tmp_path / 'stills' / 's'
    source.mkdir(parents=True)
    (source / '00000.jpg').write_bytes(b'no image')
    with pytest.raises(PoolError, match=r'00000\.jpg .*cannot be decoded'):
        read_pool(tmp_path)


def test_small_masks_are_no_objects():
    image = np.zeros((50, 50, 3), np.uint8)
    mask = np.zeros((50, 50), np.uint8)
    assert item_from_mask(image, mask) is None
    mask[10:15, 10:40] = 1
    assert item_from_mask(image, mask) is None
    mask[10:30, 10:40] = 1
    assert item_from_mask(image, mask).box == (10, 10, 30, 20)


def test_the_outline_of_a_box_fills_it():
    points = outline_of_box((10, 20, 40, 30))
    assert points.min(0) == pytest.approx((10, 20)) and points.max(0) == pytest.approx((50, 50))
