# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Clicks as boxes."""
from __future__ import annotations

import math

import pytest
from lorat_ros.boxes import BoxError
from lorat_ros.target.clicks import Clicks, CORNER_PATIENCE


class Watch:
    """A clock that moves only when it is told to."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


def test_one_click_with_a_size_is_its_middle() -> None:
    assert Clicks().take(100.0, 50.0, 40.0) == (80.0, 30.0, 40.0, 40.0)


@pytest.mark.parametrize('corners', [((10, 20), (50, 80)), ((50, 80), (10, 20)),
                                     ((50, 20), (10, 80))])
def test_two_clicks_are_opposite_corners_in_any_order(corners: tuple) -> None:
    clicks = Clicks()
    for _ in range(2):  # and again
        assert clicks.take(*corners[0], 0.0) is None
        assert clicks.take(*corners[1], 0.0) == (10, 20, 40, 60)


def test_a_first_corner_is_forgotten_after_a_while() -> None:
    watch = Watch()
    clicks = Clicks(watch)
    assert clicks.take(10.0, 20.0, 0.0) is None
    watch.now += CORNER_PATIENCE + 1
    assert clicks.take(30.0, 40.0, 0.0) is None
    watch.now += CORNER_PATIENCE - 1
    assert clicks.take(50.0, 80.0, 0.0) == (30.0, 40.0, 20.0, 40.0)


def test_a_click_with_a_size_forgets_the_corner() -> None:
    clicks = Clicks()
    clicks.take(10.0, 20.0, 0.0)
    clicks.take(10.0, 20.0, 8.0)
    assert clicks.take(50.0, 80.0, 0.0) is None


@pytest.mark.parametrize('bad', [(math.nan, 1.0), (1.0, math.inf)])
def test_a_click_that_is_nowhere_is_refused_and_the_corner_stays(bad: tuple) -> None:
    clicks = Clicks()
    clicks.take(10.0, 20.0, 0.0)
    with pytest.raises(BoxError, match='not finite: give x and y in pixels'):
        clicks.take(*bad, 0.0)
    assert clicks.take(50.0, 80.0, 0.0) == (10.0, 20.0, 40.0, 60.0)
