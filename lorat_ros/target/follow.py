# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
From where a target is seen to how the vehicle shall move: turn to it, and approach it if asked.

Velocities are those of REP-147's rate interface: of the body (base_link of REP-103: x forward,
y left, z up), in m/s, and a yaw rate in rad/s, positive to the left. Each is proportional to its
error outside of a dead band, limited, and may change only so fast. Without a target it is zero at
once: a stop is never slowed down by the limit on changes.
"""
from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import NamedTuple, Optional

import numpy as np

from lorat_ros.target.bearing import Bearing

#: Columns: the optical frame's x (right), y (down), z (forward) in a camera body's frame.
OPTICAL_TO_BODY = np.array(((0.0, 0.0, 1.0), (-1.0, 0.0, 0.0), (0.0, -1.0, 0.0)))
LONGEST_STEP = 0.2  # seconds: after a longer pause a command changes no more than in this time


class Command(NamedTuple):
    """What the vehicle shall do: m/s forward and up, rad/s to the left."""

    forward: float = 0.0
    up: float = 0.0
    yaw_rate: float = 0.0


STOP = Command()


@dataclass(frozen=True)
class FollowSettings:
    """How eagerly to follow. Angles in radians, lengths in metres, times in seconds.

    ``approach`` is off, range (``distance`` from a target ``target_width`` wide) or size (until
    the target is ``apparent_width`` wide). Gains are per second, but ``size_gain`` is m/s for a
    target that looks e times too small. ``camera_rpy`` is how the camera is mounted on the body:
    roll, pitch (positive: looks down), yaw (positive: looks left).
    """

    yaw_gain: float = 1.2
    vertical_gain: float = 0.0
    approach: str = 'off'
    range_gain: float = 0.5
    size_gain: float = 3.0
    distance: float = 10.0
    target_width: float = 0.0
    apparent_width: float = 0.1
    yaw_dead_band: float = 0.02
    vertical_dead_band: float = 0.05
    approach_dead_band: float = 0.03
    max_yaw_rate: float = 0.6
    max_forward: float = 2.0
    max_backward: float = 0.0
    max_vertical: float = 0.5
    max_yaw_acceleration: float = 2.0
    max_acceleration: float = 1.5
    camera_rpy: tuple[float, float, float] = (0.0, 0.0, 0.0)


class FollowLaw:
    """The control law; it remembers its last command to limit how fast that changes.

    :raises ValueError: ``settings`` contradict each other.
    """

    def __init__(self, settings: FollowSettings) -> None:
        complaint = settings_complaint(settings)
        if complaint:
            raise ValueError(complaint)
        self._settings = settings
        self._mount = rotation_of(settings.camera_rpy) @ OPTICAL_TO_BODY
        self._last = STOP

    def stop(self) -> Command:
        """Return the zero command, and begin from it the next time."""
        self._last = STOP
        return STOP

    def step(self, bearing: Optional[Bearing], seconds: float) -> Command:
        """
        Return the command for a target that is seen there.

        :param bearing: in the optical frame; None, or one that has no direction: no target.
        :param seconds: since the step before.
        """
        bearing = _checked(bearing)
        if bearing is None or not math.isfinite(seconds):
            return self.stop()
        x, y, z = self._mount @ bearing.ray
        azimuth = math.atan2(y, x)
        elevation = math.atan2(z, math.hypot(x, y))
        s, last = self._settings, self._last
        # What is not ahead is turned to first: forward is where the target is.
        ahead = max(0.0, math.cos(azimuth)) * APPROACHES[s.approach](s, bearing)
        seconds = min(max(seconds, 0.0), LONGEST_STEP)
        change, turn = s.max_acceleration * seconds, s.max_yaw_acceleration * seconds
        self._last = Command(
            _near(last.forward, min(max(ahead, -s.max_backward), s.max_forward), change),
            _near(last.up, _limited(s.vertical_gain * _beyond(elevation, s.vertical_dead_band),
                                    s.max_vertical), change),
            _near(last.yaw_rate, _limited(s.yaw_gain * _beyond(azimuth, s.yaw_dead_band),
                                          s.max_yaw_rate), turn))
        return self._last


def _checked(bearing: Optional[Bearing]) -> Optional[Bearing]:
    """Return a bearing that can be reckoned with; None if it has no direction."""
    if bearing is None or not 0.5 < math.hypot(*bearing.ray) < 2.0:  # it should be 1
        return None
    possible = bearing.width is not None and 0.0 < bearing.width < math.pi
    return bearing if possible else bearing._replace(width=None)


def _hold(settings: FollowSettings, bearing: Bearing) -> float:
    return 0.0


def _to_range(settings: FollowSettings, bearing: Bearing) -> float:
    found = bearing.range(settings.target_width)
    if found is None or not math.isfinite(found):
        return 0.0
    band = settings.approach_dead_band * settings.distance
    return settings.range_gain * _beyond(found - settings.distance, band)


def _to_size(settings: FollowSettings, bearing: Bearing) -> float:
    if bearing.width is None:  # not seen whole: no nearer
        return 0.0
    error = math.log(settings.apparent_width / bearing.width)
    return settings.size_gain * _beyond(error, settings.approach_dead_band)


#: How each `approach` makes a velocity (m/s, not limited yet) of what is seen.
APPROACHES: MappingProxyType[str, Callable[[FollowSettings, Bearing], float]] = MappingProxyType(
    {'off': _hold, 'range': _to_range, 'size': _to_size})


def settings_complaint(settings: FollowSettings) -> str:
    """Why these settings do not go together, with expectation and cure; empty if they do."""
    if settings.approach not in APPROACHES:
        return (f'approach {settings.approach!r} is not known, expected one of '
                f'{", ".join(APPROACHES)}: set one of these')
    if settings.approach == 'range' and not settings.target_width > 0:
        return (f'approach range with target_width {settings.target_width}, expected the width '
                "of the target in metres, above 0.0: set it, or use approach 'size'")
    return ''


def rotation_of(rpy: Sequence[float]) -> np.ndarray:
    """Return the rotation (3, 3) of fixed-axis roll, pitch, yaw in radians (REP-103)."""
    (cr, cp, cy), (sr, sp, sy) = np.cos(rpy), np.sin(rpy)
    return np.array(((cy * cp, cy * sp * sr - sy * cr, cy * sp * cr + sy * sr),
                     (sy * cp, sy * sp * sr + cy * cr, sy * sp * cr - cy * sr),
                     (-sp, cp * sr, cp * cr)))


def _beyond(error: float, band: float) -> float:
    """What of an error lies outside of the dead band: it begins at zero, without a jump."""
    return math.copysign(max(abs(error) - band, 0.0), error)


def _limited(value: float, most: float) -> float:
    return min(max(value, -most), most)


def _near(last: float, wanted: float, most: float) -> float:
    return last + _limited(wanted - last, most)
