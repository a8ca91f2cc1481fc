# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What was seen beside the target is not taken for it, and only that."""
from __future__ import annotations

import pytest

from lorat_ros.tracking.rivals import CONFIRMED, distance_in_boxes, FORGOTTEN, Rivals

TARGET, OTHER = (100.0, 100.0, 20.0, 20.0), (150.0, 100.0, 20.0, 20.0)


def beside(frames: int) -> Rivals:
    rivals = Rivals()
    for _ in range(frames):
        rivals.follow([TARGET, OTHER], TARGET, sure=True)
    return rivals


def test_distance_is_in_units_of_the_boxes():
    assert distance_in_boxes(TARGET, TARGET) == 0
    assert distance_in_boxes(TARGET, OTHER) == pytest.approx(2.5)
    assert distance_in_boxes(OTHER, TARGET) == pytest.approx(2.5)


def test_what_was_seen_beside_the_target_is_claimed():
    rivals = beside(CONFIRMED)
    assert rivals.claims(OTHER, TARGET, in_sight=True)
    assert not rivals.claims(TARGET, TARGET, in_sight=True)
    far = (150.0, 160.0, 20.0, 20.0)
    assert not rivals.claims(far, TARGET, in_sight=True)


def test_a_glimpse_is_not_enough():
    assert not beside(CONFIRMED - 1).claims(OTHER, TARGET, in_sight=True)


def test_what_was_never_seen_together_with_the_target_may_be_it():
    rivals = Rivals()
    for _ in range(20):
        rivals.follow([OTHER], None, sure=False)
    assert not rivals.claims(OTHER, TARGET, in_sight=False)


def test_parts_of_the_target_are_no_rivals():
    rivals, part = Rivals(), (105.0, 102.0, 12.0, 12.0)
    for _ in range(20):
        rivals.follow([TARGET, part], TARGET, sure=True)
    assert not rivals.claims(part, (160.0, 100.0, 20.0, 20.0), in_sight=True)


def test_a_rival_is_followed_over_the_place_of_a_hidden_target():
    rivals, place = beside(CONFIRMED), 150.0
    while place > 100:
        place -= 6
        box = (place, 100.0, 20.0, 20.0)
        assert rivals.claims(box, TARGET, in_sight=False)
        rivals.follow([box], None, sure=False)


def test_one_that_is_gone_is_forgotten():
    rivals = beside(CONFIRMED)
    for _ in range(FORGOTTEN):
        assert rivals.claims(OTHER, TARGET, in_sight=True)
        rivals.follow([TARGET], TARGET, sure=True)
    assert not rivals.claims(OTHER, TARGET, in_sight=True)


def test_what_may_be_the_target_is_no_rival():
    rivals = beside(CONFIRMED)
    drifted = (140.0, 100.0, 20.0, 20.0)
    rivals.follow([drifted], drifted, sure=False)      # it moves towards where the rival was
    assert not rivals.claims(drifted, drifted, in_sight=False)


def test_nothing_new_is_noted_while_it_is_unsure():
    rivals = Rivals()
    for _ in range(2 * CONFIRMED):
        rivals.follow([TARGET, OTHER], TARGET, sure=False)
    assert not rivals.claims(OTHER, TARGET, in_sight=True)
