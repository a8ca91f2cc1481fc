# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The parameters of `follow_node`; ``config/follow.yaml`` is this table for people."""
from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import fields
from typing import Any

from lorat_ros.ros.parameters import Settable, Spec
from lorat_ros.target.follow import APPROACHES, FollowSettings

#: Seconds within which the zero command is promised, and what of it the watchdog may need.
PROMISE, WATCH_PERIOD = 0.2, 0.02
LONGEST_AGE = 0.17

_DEFAULTS = FollowSettings()


def _is_mount(value: Iterable[float]) -> bool:
    angles = tuple(value)
    return len(angles) == 3 and all(abs(angle) <= math.pi for angle in angles)


def _number(name: str, description: str, low: float, high: float) -> Spec:
    return Spec(name, getattr(_DEFAULTS, name), description, Settable.ALWAYS, low=low, high=high)


SPECS = (
    Spec('max_age', 0.15,
         'Seconds that a detection counts, from its stamp and from its arrival; then zero.',
         Settable.ALWAYS, low=0.02, high=LONGEST_AGE),
    Spec('frame_id', 'base_link', 'In the header of every command.', Settable.AT_START),
    Spec('image_rectified', False,
         'The tracker sees rectified images: P of camera_info counts, not K and D.',
         Settable.AT_START),
    Spec('camera_rpy', _DEFAULTS.camera_rpy,
         'Mount of the camera on base_link as [roll, pitch, yaw] in radians: pitch above 0.0 '
         'looks down, yaw above 0.0 looks left.',
         Settable.ALWAYS, also=_is_mount, also_text='three angles from -pi to pi'),
    _number('yaw_gain', 'Yaw rate per angle to the target, in 1/s.', 0.0, 20.0),
    _number('yaw_dead_band', 'Radians beside the target that do not matter.', 0.0, 1.0),
    _number('max_yaw_rate', 'Limit in rad/s, to both sides.', 0.0, 10.0),
    _number('max_yaw_acceleration', 'Limit of its change in rad/s^2.', 0.01, 100.0),
    Spec('approach', _DEFAULTS.approach,
         'off: only turn; range: keep `distance` to a target of known `target_width`; size: keep '
         'it looking `apparent_width` wide.', Settable.ALWAYS, choices=tuple(APPROACHES)),
    _number('target_width', 'Width of the target in metres; 0.0 = not known.', 0.0, 1000.0),
    _number('distance', 'Metres to keep with approach range.', 0.1, 10000.0),
    _number('range_gain', 'Velocity per metre of error, in 1/s.', 0.0, 20.0),
    _number('apparent_width', 'Radians between the sides of the target with approach size.',
            0.001, 3.0),
    _number('size_gain', 'Velocity in m/s towards a target that looks e times too small.', 0.0,
            50.0),
    _number('approach_dead_band',
            'Share of distance or size by which it may be wrong without any command.', 0.0, 1.0),
    _number('max_forward', 'Limit in m/s.', 0.0, 50.0),
    _number('max_backward', 'Limit in m/s; nobody looks there.', 0.0, 50.0),
    _number('vertical_gain',
            'Climb per angle above the middle of the body, in m/s per rad; 0.0 = hold height.',
            0.0, 50.0),
    _number('vertical_dead_band', 'Radians above or below that do not matter.', 0.0, 1.0),
    _number('max_vertical', 'Limit in m/s, up and down.', 0.0, 50.0),
    _number('max_acceleration',
            'Limit of the change of velocities in m/s^2; a stop is not slowed by it.', 0.01,
            100.0),
)


def settings_of(value: Callable[[str], Any]) -> FollowSettings:
    """Return the settings of the control law; ``value`` gives a parameter by its name."""
    found = {field.name: value(field.name) for field in fields(FollowSettings)}
    return FollowSettings(**{**found, 'camera_rpy': tuple(found['camera_rpy'])})
