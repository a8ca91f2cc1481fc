# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Learning rates warm up, and fall as their schedule says."""
from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lorat_ros.training.schedule import Course, factor_at, SCHEDULES

COURSE = Course(steps=1000, warmup_steps=100, decay_steps=200, final=0.02)


def rates(name, course=COURSE):
    return [factor_at(step, name, course) for step in range(course.steps)]


def test_plateau_warms_up_stays_and_falls():
    found = rates('plateau')
    assert found[0] == pytest.approx(0.01) and found[99] == pytest.approx(1)
    assert found[100:800] == pytest.approx([1.0] * 700)
    assert found[800:] == sorted(found[800:], reverse=True)
    assert found[900] == pytest.approx(0.51) and found[-1] == pytest.approx(0.02, abs=1e-3)


def test_a_plateau_can_be_prolonged():
    assert rates('plateau')[:800] == rates('plateau', COURSE._replace(steps=2000))[:800]


def test_cosine_falls_from_the_warm_up_to_the_end():
    found = rates('cosine')
    assert found[99:101] == pytest.approx([1.0, 1.0]) and found[550] == pytest.approx(0.51)
    assert found[100:] == sorted(found[100:], reverse=True)
    assert found[-1] == pytest.approx(0.02, abs=1e-3)


def test_stair_falls_once():
    found = rates('stair')
    assert found[100:800] == [1.0] * 700 and found[800:] == [0.1] * 200


@given(st.sampled_from(sorted(SCHEDULES)), st.integers(1, 300), st.integers(0, 400),
       st.integers(0, 400), st.floats(0, 1))
def test_no_schedule_leaves_its_bounds(name, steps, warmup, decay, final):
    course = Course(steps, warmup, decay, final)
    found = rates(name, course)
    assert all(0 < f <= 1 + 1e-9 or (f == 0 and final == 0) for f in found)
    warm = found[:warmup]
    assert warm == sorted(warm)
