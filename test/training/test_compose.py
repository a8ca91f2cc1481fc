# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Dyes: other colours where the mask says so, the shading kept."""
from __future__ import annotations

import cv2
from hypothesis import given, strategies as st
import numpy as np

from lorat_ros.training.compose import Dye

ORANGE, SIZE = (20, 120, 240), 32


def scene() -> tuple[np.ndarray, np.ndarray]:
    """An orange square with a dark half on grey, and its mask."""
    crop, mask = np.full((SIZE, SIZE, 3), 128, np.uint8), np.zeros((SIZE, SIZE), np.uint8)
    crop[8:24, 8:24], mask[8:24, 8:24] = ORANGE, 255
    crop[16:24, 8:24] //= 2
    return crop, mask


@given(st.integers(0, 10_000))
def test_only_what_the_mask_covers_is_dyed(seed: int) -> None:
    crop, mask = scene()
    dyed, _ = Dye.drawn(np.random.default_rng(seed)).on(crop, mask)
    assert dyed.dtype == np.uint8 and dyed.shape == crop.shape
    np.testing.assert_array_equal(dyed[mask == 0], crop[mask == 0])
    np.testing.assert_array_equal(crop, scene()[0])


@given(st.integers(0, 10_000))
def test_the_distance_is_that_of_the_result(seed: int) -> None:
    crop, mask = scene()
    dyed, distance = Dye.drawn(np.random.default_rng(seed)).on(crop, mask)
    before, after = (cv2.cvtColor(i, cv2.COLOR_BGR2LAB)[mask > 0].astype(float)[:, 1:]
                     for i in (crop, dyed))
    np.testing.assert_allclose(distance, np.hypot(*(after - before).T).mean(), rtol=1e-4,
                               atol=1e-4)


def test_most_dyes_make_an_orange_thing_another() -> None:
    crop, mask = scene()
    distances = [Dye.drawn(np.random.default_rng(n)).on(crop, mask)[1] for n in range(100)]
    assert np.mean(np.array(distances) > Dye.STRANGE) > 0.9


def test_a_dye_that_changes_nothing_is_seen_as_none() -> None:
    crop, mask = scene()
    dyed, distance = Dye(np.eye(3, 4)).on(crop, mask)
    assert distance < 1 and np.abs(dyed.astype(int) - crop).max() <= 4


def test_the_shading_is_kept() -> None:
    crop, mask = scene()
    for seed in range(30):
        light = cv2.cvtColor(Dye.drawn(np.random.default_rng(seed)).on(crop, mask)[0],
                             cv2.COLOR_BGR2LAB)[..., 0]
        assert light[10, 16] > light[20, 16]
