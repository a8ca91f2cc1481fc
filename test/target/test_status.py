# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The hysteresis, frame by frame, and what must hold for any scores."""
from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lorat_ros.target.status import TargetState, TargetStatus

IDLE, TRACKING, COASTING, LOST = (TargetState.IDLE, TargetState.TRACKING, TargetState.COASTING,
                                  TargetState.LOST)
SCORES = st.floats(0.0, 1.0) | st.just(math.nan)
THRESHOLDS = st.tuples(st.floats(0.0, 1.0), st.floats(0.0, 1.0)).map(sorted)


@pytest.mark.parametrize(('scores', 'states'), [
    ([0.9, 0.5, 0.3], [TRACKING, TRACKING, TRACKING]),  # the lower threshold still holds it
    ([0.29, 0.3, 0.59, 0.6], [LOST, LOST, LOST, TRACKING]),
    ([0.6, 0.1, 0.6, 0.1], [TRACKING, LOST, TRACKING, LOST]),  # lost at once, back at once
    ([math.nan, 0.5, 0.7, math.nan], [LOST, LOST, TRACKING, LOST]),
], ids=['between the thresholds', 'back only from the upper one', 'at once', 'nan'])
def test_frame_by_frame(scores: list, states: list) -> None:
    status = TargetStatus(0.3, 0.6, confirmations=1)
    status.start()
    assert [status.observe(score) for score in scores] == states


@pytest.mark.parametrize(('frames', 'states'), [
    # (score, seconds since the frame before)
    ([(0.9, 0.1), (0.1, 0.1), (0.1, 0.1), (0.1, 0.2), (0.1, 0.1), (0.9, 0.1)],
     [TRACKING, COASTING, COASTING, COASTING, LOST, TRACKING]),
    ([(0.1, 0.3), (0.9, 0.3), (0.1, 0.3), (0.5, 0.1)],  # seen again: time begins anew
     [COASTING, TRACKING, COASTING, COASTING]),
    ([(0.1, 0.6), (0.1, 0.0)], [LOST, LOST]),  # one gap that is long enough
    ([(0.1, 0.1), (0.5, 0.5), (0.1, 0.0), (0.59, 0.0)], [COASTING, LOST, LOST, LOST]),
], ids=['in time', 'twice', 'a gap', 'lost does not coast'])
def test_time_decides_between_coasting_and_lost(frames: list, states: list) -> None:
    status = TargetStatus(0.3, 0.6, coast_seconds=0.5, confirmations=1)
    status.start()
    assert [status.observe(score, seconds=seconds) for score, seconds in frames] == states


@given(st.lists(st.tuples(SCORES, st.floats(0.0, 2.0)), max_size=30), st.floats(0.0, 3.0))
def test_coasting_ends_in_time_and_never_comes_after_lost(frames: list, coast: float) -> None:
    status = TargetStatus(0.3, 0.6, coast, 1)
    before, unseen = status.start(), 0.0
    for score, seconds in frames:
        state = status.observe(score, seconds=seconds)
        unseen = 0.0 if state is TRACKING else unseen + seconds
        assert status.unseen == unseen
        assert state is not COASTING or unseen < coast
        assert (before, state) != (LOST, COASTING)
        assert state is not LOST or before is LOST or unseen >= coast
        before = state


@pytest.mark.parametrize(('scores', 'states'), [
    ([0.1, 0.9, 0.9], [LOST, LOST, TRACKING]),
    ([0.1, 0.9, 0.5, 0.9, 0.9, 0.9], [LOST, LOST, LOST, LOST, TRACKING, TRACKING]),
    ([0.9, 0.3, 0.9], [TRACKING, TRACKING, TRACKING]),  # what is tracked needs no proof
], ids=['twice', 'in a row', 'tracked'])
def test_a_target_is_back_after_good_frames_in_a_row(scores: list, states: list) -> None:
    status = TargetStatus(0.3, 0.6)
    status.start()
    assert [status.observe(score) for score in scores] == states


def test_without_a_target_no_score_changes_anything() -> None:
    status = TargetStatus(0.3, 0.6)
    assert status.observe(1.0) is IDLE
    status.start()
    assert status.forget() is IDLE
    assert status.observe(1.0) is IDLE


def test_a_box_that_cannot_be_is_lost_whatever_its_score() -> None:
    status = TargetStatus(0.0, 0.0, confirmations=1)
    status.start()
    assert status.observe(1.0, plausible=False) is LOST
    assert status.observe(1.0, plausible=True) is TRACKING


def test_equal_thresholds_are_a_plain_limit() -> None:
    status = TargetStatus(0.5, 0.5, confirmations=1)
    status.start()
    assert [status.observe(s) for s in (0.5, 0.49, 0.5)] == [TRACKING, LOST, TRACKING]


@pytest.mark.parametrize('thresholds', [
    (0.6, 0.5), (-0.1, 0.5), (0.5, 1.1), (math.nan, 0.5), (0.5, math.nan)])
def test_thresholds_that_do_not_fit_are_refused_and_the_old_ones_stay(thresholds: tuple) -> None:
    status = TargetStatus(0.3, 0.6)
    with pytest.raises(ValueError, match='expected 0 <= score_lost <= score_recover <= 1: raise'):
        status.set_thresholds(*thresholds)
    assert (status.score_lost, status.score_recover) == (0.3, 0.6)


def test_states_read_as_words() -> None:
    assert [f'{state}' for state in TargetState] == ['idle', 'tracking', 'coasting', 'lost']


@given(THRESHOLDS, st.lists(SCORES, max_size=30))
def test_a_tracked_frame_always_has_a_score_above_the_lower_threshold(
        thresholds: list, scores: list) -> None:
    lost, recover = thresholds
    status = TargetStatus(lost, recover, confirmations=1)
    before = status.start()
    for score in scores:
        state = status.observe(score)
        assert state in (TRACKING, LOST)
        if state is TRACKING:
            assert score >= lost
        if (before, state) == (LOST, TRACKING):
            assert score >= recover
        if (before, state) == (TRACKING, LOST):
            assert not score >= lost
        if lost <= score < recover:
            assert state is before
        before = state


@given(THRESHOLDS, st.lists(SCORES, max_size=20), SCORES)
def test_only_the_present_state_counts_not_how_it_came_about(
        thresholds: list, scores: list, last: float) -> None:
    status, fresh = (TargetStatus(*thresholds, confirmations=1) for _ in range(2))
    status.start()
    fresh.start()
    for score in scores:
        status.observe(score)
    if status.state is LOST:
        fresh.observe(math.nan)
    assert status.observe(last) is fresh.observe(last)
