# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The control law: limits, changes, dead bands, and zero without a target."""
from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings as how, strategies as st
from lorat_ros.target.bearing import Bearing
from lorat_ros.target.follow import (Command, FollowLaw, FollowSettings, LONGEST_STEP, rotation_of,
                                     STOP)

AHEAD = np.array((0.0, 0.0, 1.0))
EAGER = FollowSettings(yaw_gain=8.0, vertical_gain=5.0, approach='size', size_gain=9.0,
                       max_backward=1.0)
anything = st.floats(allow_nan=True, allow_infinity=True)
bearings = st.none() | st.builds(
    Bearing, st.tuples(anything, anything, anything).map(np.array), st.none() | anything)
seen = st.builds(lambda azimuth, elevation, width: looking(azimuth, elevation, width),
                 st.floats(-3, 3), st.floats(-1.5, 1.5), st.none() | st.floats(1e-6, 3.0))
modes = st.sampled_from((replace(EAGER, approach='off'), EAGER,
                         replace(EAGER, approach='range', target_width=2.0)))


def looking(azimuth: float, elevation: float = 0.0, width: float | None = None) -> Bearing:
    """Seen so many radians to the left and up, by a camera that looks ahead."""
    return Bearing(np.array((-math.sin(azimuth) * math.cos(elevation), -math.sin(elevation),
                             math.cos(azimuth) * math.cos(elevation))), width)


def settled(settings: FollowSettings, bearing: Bearing) -> Command:
    """The command after a long time."""
    law = FollowLaw(settings)
    return [law.step(bearing, 0.1) for _ in range(200)][-1]


@given(modes, st.lists(st.tuples(bearings | seen, anything), max_size=12))
@how(max_examples=80, deadline=None)
def test_whatever_comes_limits_hold_and_no_nan_goes_out(mode: FollowSettings,
                                                        steps: list) -> None:
    law = FollowLaw(mode)
    for bearing, seconds in steps:
        command = law.step(bearing, seconds)
        assert all(map(math.isfinite, command))
        assert -mode.max_backward <= command.forward <= mode.max_forward
        assert abs(command.up) <= mode.max_vertical
        assert abs(command.yaw_rate) <= mode.max_yaw_rate
        if bearing is None:
            assert command == STOP


@given(modes, st.lists(st.tuples(seen, st.floats(-1, 5)), min_size=2, max_size=20))
@how(max_examples=80, deadline=None)
def test_a_command_never_changes_faster_than_allowed(mode: FollowSettings, steps: list) -> None:
    law, last = FollowLaw(mode), STOP
    for bearing, seconds in steps:
        command = law.step(bearing, seconds)
        passed = min(max(seconds, 0.0), LONGEST_STEP)
        most = np.array((mode.max_acceleration, mode.max_acceleration,
                         mode.max_yaw_acceleration)) * passed
        assert (np.abs(np.subtract(command, last)) <= most + 1e-9).all()
        last = command


@given(modes, st.lists(seen, min_size=1, max_size=10))
@how(max_examples=30, deadline=None)
def test_a_lost_target_stops_at_once_and_the_next_begins_at_zero(mode: FollowSettings,
                                                                 before: list) -> None:
    law = FollowLaw(mode)
    for bearing in before:
        law.step(bearing, 0.1)
    assert law.step(None, 0.1) == STOP
    assert max(map(abs, law.step(looking(0.5), 0.01))) <= 0.01 * mode.max_yaw_acceleration + 1e-9


@pytest.mark.parametrize(('azimuth', 'sign'), [(0.3, 1), (-0.3, -1)])
def test_it_turns_towards_the_target(azimuth: float, sign: int) -> None:
    command = settled(FollowSettings(), looking(azimuth))
    assert command.yaw_rate == pytest.approx(sign * 1.2 * (0.3 - 0.02))
    assert (command.forward, command.up) == (0.0, 0.0)


def test_in_the_dead_band_it_does_nothing_and_beyond_it_begins_gently() -> None:
    assert settled(FollowSettings(), looking(0.0199)) == STOP
    assert 0 < settled(FollowSettings(), looking(0.0201)).yaw_rate < 0.001


def test_it_climbs_to_what_is_above_only_if_asked() -> None:
    above = looking(0.0, 0.3)
    assert settled(FollowSettings(), above) == STOP
    assert settled(FollowSettings(vertical_gain=1.0), above).up == pytest.approx(0.25)
    assert settled(FollowSettings(vertical_gain=1.0), looking(0.0, -0.3)).up == \
        pytest.approx(-0.25)


def test_it_keeps_its_distance() -> None:
    mode = FollowSettings(approach='range', target_width=2.0, distance=10.0, max_backward=1.0)

    def at(distance: float) -> float:
        return settled(mode, looking(0.0, width=2 * math.atan(1.0 / distance))).forward
    assert at(12.0) == pytest.approx(0.5 * (2.0 - 0.3))
    assert at(10.29) == 0.0
    assert at(9.0) == pytest.approx(-0.5 * 0.7)
    assert at(500.0) == 2.0
    assert settled(replace(mode, max_backward=0.0), looking(0.0, width=1.0)).forward == 0.0


def test_it_approaches_until_the_target_looks_large_enough() -> None:
    mode = FollowSettings(approach='size', apparent_width=0.1, size_gain=2.0)
    assert settled(mode, looking(0.0, width=0.08)).forward == \
        pytest.approx(2.0 * (math.log(1.25) - 0.03))
    assert settled(mode, looking(0.0, width=0.1)).forward == 0.0


@pytest.mark.parametrize('mode', [
    FollowSettings(approach='size'), FollowSettings(approach='range', target_width=1.0)])
def test_what_is_not_seen_whole_is_not_approached(mode: FollowSettings) -> None:
    assert settled(mode, looking(0.2, width=None)).forward == 0.0


def test_what_is_beside_is_turned_to_first() -> None:
    mode = FollowSettings(approach='size', apparent_width=0.2)
    beside = settled(mode, looking(math.pi / 2, width=0.01))
    assert beside.forward == pytest.approx(0.0) and beside.yaw_rate == mode.max_yaw_rate


@pytest.mark.parametrize(('rpy', 'azimuth', 'elevation'), [
    ((0.0, 0.5, 0.0), 0.0, -0.5), ((0.0, 0.0, 0.4), 0.4, 0.0), ((0.3, 0.0, 0.0), 0.0, 0.0)])
def test_the_mount_turns_what_the_camera_sees(rpy: tuple, azimuth: float,
                                              elevation: float) -> None:
    mode = FollowSettings(camera_rpy=rpy, vertical_gain=1.0, max_yaw_rate=9.0, max_vertical=9.0,
                          yaw_dead_band=0.0, vertical_dead_band=0.0, yaw_gain=1.0)
    command = settled(mode, Bearing(AHEAD, None))
    assert command.yaw_rate == pytest.approx(azimuth) and command.up == pytest.approx(elevation)


def test_a_rotation_is_one() -> None:
    matrix = rotation_of((0.1, -0.7, 2.0))
    assert matrix @ matrix.T == pytest.approx(np.eye(3))
    assert np.linalg.det(matrix) == pytest.approx(1)


@pytest.mark.parametrize(('changes', 'words'), [
    ({'approach': 'ram'}, 'one of off, range, size'),
    ({'approach': 'range'}, 'target_width 0.0, expected the width')])
def test_settings_that_do_not_fit_are_refused(changes: dict, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        FollowLaw(replace(FollowSettings(), **changes))
