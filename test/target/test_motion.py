# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The filter of constant velocity: what it follows, what it foretells, whatever the scale."""
from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from lorat_ros.target.motion import ConstantVelocity, MEASURED, PUSHED, UNKNOWN


def followed(boxes: list, seconds: float = 1 / 30) -> ConstantVelocity:
    motion = ConstantVelocity()
    motion.start(boxes[0])
    for box in boxes[1:]:
        motion.move(seconds)
        motion.correct(box)
    return motion


def moving(frames: int, step: tuple = (3.0, -2.0), wh: tuple = (40.0, 20.0)) -> list:
    return [(100.0 + step[0] * n, 200.0 + step[1] * n, *wh) for n in range(frames)]


@pytest.mark.parametrize('frames', [8, 40])
def test_what_moves_evenly_goes_on(frames: int) -> None:
    motion = followed(moving(frames))
    assert motion.velocity == pytest.approx((90.0, -60.0), rel=0.05)
    motion.move(0.5)
    assert motion.box == pytest.approx((100.0 + 3 * (frames + 14), 200.0 - 2 * (frames + 14),
                                        40.0, 20.0), abs=3.0)


def test_a_target_that_was_just_shown_is_not_known_to_move() -> None:
    motion = followed(moving(1))
    motion.move(1.0)
    assert motion.box == (100.0, 200.0, 40.0, 20.0) and motion.velocity == (0.0, 0.0)


def test_a_shaking_box_is_smoothed_and_a_turn_is_followed() -> None:
    rng = np.random.default_rng(3)
    shaken = [(x + rng.normal(0, 1.5), y + rng.normal(0, 1.5), w, h)
              for x, y, w, h in moving(60, step=(0.0, 0.0))]
    assert np.hypot(*followed(shaken).velocity) < 30.0  # one pixel a frame; the shaking has 64
    there = moving(30, step=(4.0, 0.0))
    back = [(there[-1][0] - 4 * n, 200.0, 40.0, 20.0) for n in range(1, 16)]
    assert followed(there + back).velocity[0] == pytest.approx(-120.0, rel=0.2)


def test_the_size_follows_slowly_and_time_leaves_it() -> None:
    motion = followed([(0.0, 0.0, 40.0, 20.0), (0.0, 0.0, 50.0, 20.0)])
    assert 40.0 < motion.box[2] < 50.0
    width = motion.box[2]
    motion.move(1.0)
    assert motion.box[2] == width


@given(st.lists(st.tuples(st.floats(-1e4, 1e4), st.floats(-1e4, 1e4), st.floats(1.0, 1e4),
                          st.floats(1.0, 1e4), st.floats(0.0, 1.0)), min_size=1, max_size=30))
def test_whatever_is_measured_the_filter_stays_sound(frames: list) -> None:
    motion = ConstantVelocity()
    motion.start(frames[0][:4])
    for *box, seconds in frames:
        motion.move(seconds)
        motion.correct(box)
        assert np.isfinite(motion.box).all() and min(motion.box[2:]) > 0
        place, both, velocity = motion._covariance
        assert np.linalg.eigvalsh([[place, both], [both, velocity]]).min() > -1e-9


@given(st.lists(st.tuples(st.floats(-1e3, 1e3), st.floats(0.0, 1.0)), min_size=1, max_size=20))
def test_it_is_a_kalman_filter_of_constant_velocity(frames: list) -> None:
    motion, wh = ConstantVelocity(), (20.0, 10.0)
    motion.start((0.0, 0.0, *wh))
    state, covariance = np.array((10.0, 0.0)), np.diag((MEASURED ** 2, UNKNOWN ** 2))
    sees = np.array(((1.0, 0.0),))
    for place, seconds in frames:
        step = np.array(((1.0, seconds), (0.0, 1.0)))
        pushed = PUSHED ** 2 * np.array(((seconds ** 3 / 3, seconds ** 2 / 2),
                                         (seconds ** 2 / 2, seconds)))
        state, covariance = step @ state, step @ covariance @ step.T + pushed
        gain = covariance @ sees.T @ np.linalg.inv(sees @ covariance @ sees.T + MEASURED ** 2)
        state = state + gain @ (np.array((place + 10.0,)) - sees @ state)
        covariance = (np.eye(2) - gain @ sees) @ covariance
        motion.move(seconds)
        motion.correct((place, 0.0, *wh))
        assert motion.box[0] + 10 == pytest.approx(state[0], rel=1e-6, abs=1e-6)
        assert motion.velocity[0] == pytest.approx(state[1], rel=1e-6, abs=1e-6)
