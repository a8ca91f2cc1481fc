# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What is drawn into sequences, and that its truth is true."""
from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from lorat_ros.tools.disturb import (cover, disturbed, Event, events_of, HIDDEN_FOR, HIDE_AT,
                                     jump_of, JUMP_AT, PERIOD)

GROUND = np.random.default_rng(2).integers(0, 120, (120, 160, 3), np.uint8)
BOX = (40.0, 50.0, 20.0, 10.0)
TARGET = (255, 250, 245)


def frames(count: int, box: tuple = BOX) -> tuple[list[np.ndarray], np.ndarray]:
    """A bright target that stands still."""
    x, y, w, h = (int(v) for v in box)
    image = GROUND.copy()
    image[y:y + h, x:x + w] = TARGET
    return [image] * count, np.tile(box, (count, 1))


def seen_at(image: np.ndarray) -> tuple | None:
    rows, columns = np.nonzero((image == TARGET).all(2))
    if not len(rows):
        return None
    return (float(columns.min()), float(rows.min()), float(np.ptp(columns) + 1),
            float(np.ptp(rows) + 1))


def test_the_target_is_where_the_truth_has_it_and_hidden_when_it_says_so() -> None:
    count = JUMP_AT + PERIOD + 30
    out = list(disturbed(*frames(count)))
    assert len(out) == count
    for number, frame in enumerate(out):
        hidden = HIDE_AT <= number % PERIOD < HIDE_AT + HIDDEN_FOR
        assert frame.visible is not hidden
        assert seen_at(frame.image) == (None if hidden else pytest.approx(tuple(frame.truth)))
    jumped = {tuple(frame.truth[:2] - BOX[:2]) for frame in out[JUMP_AT:JUMP_AT + PERIOD]}
    assert len(jumped) == 1 and np.hypot(*jumped.pop()) > 2 * np.sqrt(20 * 10)
    assert tuple(out[-1].truth) == BOX  # the second jump leads back


def test_the_frames_given_are_not_drawn_on() -> None:
    images, truth = frames(HIDE_AT + 1)
    before = images[0].copy()
    assert not list(disturbed(images, truth))[-1].visible
    assert (images[0] == before).all()


def test_an_absent_target_is_left_absent_and_the_view_does_not_jump() -> None:
    images, truth = frames(JUMP_AT + 2)
    truth[HIDE_AT:] = np.nan
    out = list(disturbed(images, truth))
    assert not any(frame.visible for frame in out[HIDE_AT:])
    assert np.isnan(out[-1].truth).all() and (out[-1].image == images[0]).all()


def test_a_target_as_large_as_the_image_cannot_jump() -> None:
    assert not jump_of((5.0, 5.0, 150.0, 110.0), (160, 120)).any()


@given(st.tuples(st.floats(-50, 200), st.floats(-50, 150), st.floats(1, 300), st.floats(1, 300)))
def test_any_box_is_covered(box: tuple) -> None:
    x, y, w, h = box
    low, high = np.floor((x, y)).clip(0), np.ceil((x + w, y + h)).clip(0, (160, 120))
    image = GROUND.copy()
    image[int(low[1]):max(int(high[1]), 0), int(low[0]):max(int(high[0]), 0)] = TARGET
    covered = cover(image, box)
    assert covered.shape == image.shape
    # Where nearly all is target, there is nothing to take a cover from.
    if (image == TARGET).all(2).mean() < 0.2:
        assert seen_at(covered) is None


@given(st.integers(0, 1000))
def test_events_begin_within_the_sequence(length: int) -> None:
    events = events_of(length)
    assert all(event.start < length for event in events)
    assert events_of(PERIOD) == [Event('hidden', HIDE_AT, HIDE_AT + HIDDEN_FOR),
                                 Event('jump', JUMP_AT, JUMP_AT)]


@given(st.integers(0, 30), st.integers(0, 1000))
def test_a_repeat_has_the_same_events_at_other_moments(repeat: int, length: int) -> None:
    events = events_of(length, repeat)
    assert [event.start for event in events] == sorted(event.start for event in events)
    assert all(0 < event.start < length for event in events)
    period = [event.kind for event in events_of(PERIOD, repeat)]
    assert sorted(period) == ['hidden', 'jump']
    frames = [frame for event in events for frame in range(event.start, event.end + 1)]
    assert len(frames) == len(set(frames))      # the view does not jump while it is hidden
    if repeat % 15:     # 15 times 20 frames are two whole periods
        assert not set(events) & set(events_of(length))
