# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A target's life with a tracker whose answers are written down beforehand."""
from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from lorat_ros.boxes import BoxError
from lorat_ros.target.status import TargetState, TargetStatus
from lorat_ros.target.target import Target, TargetStep
from lorat_ros.tracking.tracker import TrackResult

IMAGE = np.zeros((100, 200, 3), np.uint8)
BOX = (10.0, 20.0, 30.0, 40.0)
WINDOW = (0.0, 0.0, 90.0, 90.0)
TIMES = {'total': 1.5}


class ScriptedTracker:
    """Gives its answers one after the other; an answer that is an exception is raised."""

    def __init__(self, answers: Iterable = ()) -> None:
        self.answers, self.started = list(answers), []

    def init(self, image: np.ndarray, box: tuple) -> None:
        self.started.append(box)

    def update(self, image: np.ndarray) -> TrackResult:
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        box, score = answer
        return TrackResult(box, score, WINDOW, TIMES)


def target_of(*answers: object) -> Target:
    return Target(ScriptedTracker(answers), TargetStatus(0.3, 0.6, confirmations=1))


def test_without_a_target_the_tracker_is_not_asked() -> None:
    target = target_of()
    assert target.step(IMAGE) == TargetStep(TargetState.IDLE)
    assert (target.id, target.age) == ('', 0.0)


def test_the_frame_that_shows_the_target_is_tracked_with_the_box_given() -> None:
    target = target_of()
    step = target.start(IMAGE, BOX, 'mine')
    assert (step.state, step.target_id, step.box, step.score) == (
        TargetState.TRACKING, 'mine', BOX, 1.0)
    assert target.id == 'mine' and target.age >= 0.0


def test_a_box_is_measured_only_while_tracking() -> None:
    target = target_of((BOX, 0.9), (BOX, 0.2), (BOX, 0.5), (BOX, 0.6))
    target.start(IMAGE, BOX)
    steps = [target.step(IMAGE) for _ in range(4)]
    assert [step.state.value for step in steps] == ['tracking', 'lost', 'lost', 'tracking']
    assert [step.box for step in steps] == [BOX, None, None, BOX]
    assert [step.score for step in steps] == [0.9, 0.2, 0.5, 0.6]
    assert {step.target_id for step in steps} == {target.id}
    assert all(step.search_window == WINDOW and step.timings == TIMES for step in steps)


@pytest.mark.parametrize('box', [
    (math.nan, 0.0, 5.0, 5.0), (0.0, 0.0, 0.0, 5.0), (0.0, 0.0, 5.0, -1.0),
    (200.0, 0.0, 5.0, 5.0), (0.0, 100.0, 5.0, 5.0), (-5.0, 0.0, 5.0, 5.0),
    (0.0, math.inf, 5.0, 5.0)])
def test_a_box_that_cannot_be_is_never_measured(box: tuple) -> None:
    target = target_of((box, 1.0))
    target.start(IMAGE, BOX)
    step = target.step(IMAGE)
    assert (step.state, step.box) == (TargetState.LOST, None)


@pytest.mark.parametrize('box', [
    (math.nan, 0.0, 5.0, 5.0), (0.0, 0.0, 0.0, 5.0), (300.0, 0.0, 5.0, 5.0)])
def test_a_bad_box_is_refused_and_the_target_goes_on(box: tuple) -> None:
    target = target_of((BOX, 0.9))
    target.start(IMAGE, BOX, 'first')
    with pytest.raises(BoxError):
        target.start(IMAGE, box, 'second')
    assert target.step(IMAGE).target_id == 'first'


def test_a_tracker_that_fails_to_start_or_to_update_leaves_the_target() -> None:
    target = target_of(ValueError('bad frame'), (BOX, 0.9))
    target.start(IMAGE, BOX, 'first')
    with pytest.raises(ValueError, match='bad frame'):
        target.step(IMAGE)
    assert target.state is TargetState.TRACKING
    assert target.step(IMAGE).target_id == 'first'


def test_made_ids_are_new_and_never_the_one_just_given_by_hand() -> None:
    target = target_of()
    ids = [target.start(IMAGE, BOX, given).target_id for given in ('', '', '3', '', '')]
    assert ids == ['1', '2', '3', '4', '5']


def test_reset_forgets() -> None:
    target = target_of((BOX, 0.9))
    target.start(IMAGE, BOX)
    target.reset()
    assert (target.id, target.age, target.state) == ('', 0.0, TargetState.IDLE)
    assert target.step(IMAGE) == TargetStep()


def test_new_thresholds_count_from_the_next_frame() -> None:
    target = target_of((BOX, 0.5), (BOX, 0.5))
    target.start(IMAGE, BOX)
    assert target.step(IMAGE).state is TargetState.TRACKING
    target.set_thresholds(0.8, 0.9)
    assert target.step(IMAGE).state is TargetState.LOST


def coasting_target(*answers: object) -> Target:
    return Target(ScriptedTracker(answers), TargetStatus(0.3, 0.6, 0.5, confirmations=1))


def test_a_coasting_target_is_predicted_and_never_measured() -> None:
    """It moves by 5 pixels a frame at 10 frames per second, and goes on to do so."""
    seen = [((10.0 + 5 * n, 20.0, 30.0, 40.0), 0.9) for n in range(1, 11)]
    unseen = [((150.0, 50.0, 30.0, 40.0), 0.1)] * 6
    target = coasting_target(*seen, *unseen)
    target.start(IMAGE, BOX)
    steps = [target.step(IMAGE, 0.1) for _ in range(16)]
    assert [step.state.value for step in steps] == (
        ['tracking'] * 10 + ['coasting'] * 4 + ['lost'] * 2)
    assert all((step.box is None) == (step.state is not TargetState.TRACKING) for step in steps)
    for step, n in zip(steps, range(1, 17)):
        assert (step.prediction is None) == (step.state is not TargetState.COASTING)
        if step.prediction:
            assert step.prediction == pytest.approx((10.0 + 5 * n, 20.0, 30.0, 40.0), abs=1.5)


def test_a_target_that_coasts_out_of_the_image_is_not_predicted_there() -> None:
    seen = [((10.0 + 40 * n, 20.0, 30.0, 40.0), 0.9) for n in range(1, 5)]
    target = coasting_target(*seen, *[(BOX, 0.1)] * 3)
    target.start(IMAGE, BOX)
    steps = [target.step(IMAGE, 0.1) for _ in range(7)][4:]
    assert {step.state for step in steps} == {TargetState.COASTING}
    assert [step.prediction is None for step in steps] == [True, True, True]


def test_after_a_loss_it_is_not_known_how_it_moved_meanwhile() -> None:
    there = (150.0, 20.0, 30.0, 40.0)
    target = coasting_target(*[((10.0 + 5 * n, 20.0, 30.0, 40.0), 0.9) for n in range(5)],
                             (BOX, 0.1), (there, 0.9), (there, 0.1))
    target.start(IMAGE, BOX)
    for _ in range(5):
        target.step(IMAGE, 0.1)
    assert target.step(IMAGE, 0.9).state is TargetState.LOST
    assert target.step(IMAGE, 0.1).box == there
    assert target.step(IMAGE, 0.1).prediction == pytest.approx(there)


def test_a_box_of_absurd_size_is_not_believed_however_sure_the_tracker_is() -> None:
    small, huge = (20.0, 30.0, 10.0, 12.0), (0.0, 0.0, 110.0, 95.0)
    target = coasting_target((small, 0.9), (huge, 1.0), (small, 0.9))
    target.start(IMAGE, BOX)
    steps = [target.step(IMAGE, 0.03) for _ in range(3)]
    assert [step.state.value for step in steps] == ['tracking', 'coasting', 'tracking']


def test_the_time_to_coast_can_be_changed() -> None:
    target = coasting_target((BOX, 0.1), (BOX, 0.1))
    target.start(IMAGE, BOX)
    target.set_coast_seconds(5.0)
    assert target.step(IMAGE, 1.0).state is TargetState.COASTING
    target.set_coast_seconds(0.0)
    assert target.step(IMAGE, 0.0).state is TargetState.LOST


NUMBERS = st.floats(allow_nan=True, allow_infinity=True, width=32)


@given(st.lists(st.tuples(st.tuples(NUMBERS, NUMBERS, NUMBERS, NUMBERS), NUMBERS), max_size=10))
def test_whatever_a_tracker_says_a_measured_box_is_finite_and_shows_in_the_image(
        answers: list) -> None:
    target = target_of(*answers)
    target.start(IMAGE, BOX)
    for _ in answers:
        step = target.step(IMAGE)
        assert (step.box is not None) == (step.state is TargetState.TRACKING)
        if step.box is not None:
            x, y, w, h = step.box
            assert all(map(math.isfinite, step.box)) and w > 0 and h > 0
            assert x < 200 and y < 100 and x + w > 0 and y + h > 0
            assert step.score >= 0.3
