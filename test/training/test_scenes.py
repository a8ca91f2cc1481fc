# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Targets covered, and look-alikes beside them."""
from __future__ import annotations

import numpy as np

from lorat_ros.training.items import Item, outline_of_box
from lorat_ros.training.scenes import cover, twin_box, with_twin


def test_a_covered_target_cannot_be_seen():
    image = np.zeros((100, 200, 3), np.uint8)
    image[40:60, 20:50] = 255
    hidden = cover(image, (20.0, 40.0, 30.0, 20.0))
    assert hidden.max() == 0 and image.max() == 255
    assert cover(image, (-10.0, -10.0, 30.0, 300.0)).shape == image.shape


def test_a_large_target_is_not_covered_with_itself():
    image = np.zeros((100, 200, 3), np.uint8)
    image[20:90, 40:160] = 255
    assert cover(image, (40.0, 20.0, 120.0, 70.0)).max() < 200


def item_at(box, mask=None) -> Item:
    image = np.full((100, 200, 3), 40, np.uint8)
    x, y, w, h = map(int, box)
    image[y:y + h, x:x + w] = 200
    return Item(image, box, outline_of_box(box), mask)


def test_a_look_alike_stands_beside_the_target_and_nothing_else_changes():
    item = item_at((60.0, 40.0, 30.0, 20.0))
    before = item.image.copy()
    both = with_twin(item.image, item, 1, gain=0.5)
    assert twin_box(item, 1) == (105.0, 40.0, 30.0, 20.0)
    np.testing.assert_array_equal(both[40:60, 105:135], 100)
    changed = (both != before).any(2)
    assert changed.sum() == 30 * 20 and changed[40:60, 105:135].all()
    np.testing.assert_array_equal(item.image, before)


def test_it_has_the_shape_of_the_mask():
    mask = np.zeros((100, 200), np.uint8)
    mask[40:60, 60:70] = 255
    item = item_at((60.0, 40.0, 30.0, 20.0), mask)
    changed = (with_twin(item.image, item, -1, gain=0.5) != item.image).any(2)
    assert changed[40:60, 15:25].all() and changed.sum() == 20 * 10


def test_without_room_there_is_none():
    item = item_at((10.0, 40.0, 30.0, 20.0))
    assert twin_box(item, -1) is None
    np.testing.assert_array_equal(with_twin(item.image, item, -1), item.image)
