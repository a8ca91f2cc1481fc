# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Where a target should be that moves on as it did: a Kalman filter of constant velocity."""
from __future__ import annotations

from collections.abc import Sequence

from lorat_ros.boxes import Box, centre_xywh

MEASURED = 0.05   # standard deviation of a measured centre, in sides of the target
PUSHED = 2.5      # standard deviation of its acceleration, in sides a second, each second
UNKNOWN = 10.0    # standard deviation of the velocity of a new target, in sides a second
SIZE_RATE = 0.3   # share of a measured size that is believed


class ConstantVelocity:
    """
    Position and velocity of a box's centre; the two axes share one covariance.

    Lengths are taken in sides of the target (square root of its area), so that one set of numbers
    serves near and far targets. The size is smoothed and does not change by itself.
    """

    def __init__(self) -> None:
        self._clear()

    def _clear(self) -> None:
        self._centre = self._velocity = (0.0, 0.0)
        self._wh = (1.0, 1.0)
        # Of place, of place with velocity, of velocity. In plain numbers: NumPy takes ten times
        # as long for two of them.
        self._covariance = (0.0, 0.0, UNKNOWN ** 2)

    def start(self, box: Sequence[float]) -> None:
        """Begin anew with a box (x, y, w, h) in pixels."""
        self._clear()
        self._centre, self._wh = centre_xywh(box), (float(box[2]), float(box[3]))
        self._covariance = (MEASURED ** 2, 0.0, UNKNOWN ** 2)

    def move(self, seconds: float) -> None:
        """Let time pass, 0 or more."""
        (x, y), (vx, vy), (place, both, velocity) = self._centre, self._velocity, self._covariance
        self._centre = x + vx * seconds, y + vy * seconds
        # An acceleration that is anything anew at every moment.
        noise = PUSHED ** 2
        self._covariance = (
            place + (2 * both + velocity * seconds) * seconds + noise * seconds ** 3 / 3,
            both + velocity * seconds + noise * seconds ** 2 / 2,
            velocity + noise * seconds)

    def correct(self, box: Sequence[float]) -> None:
        """Take in a measured box (x, y, w, h) in pixels, of this moment."""
        (x, y), (vx, vy), (place, both, velocity) = self._centre, self._velocity, self._covariance
        gain, push = (part / (place + MEASURED ** 2) for part in (place, both))
        seen_x, seen_y = centre_xywh(box)
        away_x, away_y = seen_x - x, seen_y - y
        self._centre = x + gain * away_x, y + gain * away_y
        self._velocity = vx + push * away_x, vy + push * away_y
        self._covariance = place - gain * place, both - gain * both, velocity - push * both
        w, h = self._wh
        self._wh = w + SIZE_RATE * (box[2] - w), h + SIZE_RATE * (box[3] - h)

    @property
    def box(self) -> Box:
        """Where the target should be, (x, y, w, h) in pixels; may lie outside the image."""
        (x, y), (w, h) = self._centre, self._wh
        return x - w / 2, y - h / 2, w, h

    @property
    def velocity(self) -> tuple[float, float]:
        """Pixels a second."""
        return self._velocity
