# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Where a target should be that moves on as it did: a Kalman filter of constant velocity."""
from __future__ import annotations

from collections.abc import Sequence

import numpy as np

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
        self._centre = np.zeros(2)
        self._velocity = np.zeros(2)
        self._wh = np.ones(2)
        self._covariance = np.diag((0.0, UNKNOWN ** 2))

    def start(self, box: Sequence[float]) -> None:
        """Begin anew with a box (x, y, w, h) in pixels."""
        self._clear()
        self._centre, self._wh = np.array(centre_xywh(box)), np.array(box[2:], np.float64)
        self._covariance[0, 0] = MEASURED ** 2

    def move(self, seconds: float) -> None:
        """Let time pass, 0 or more."""
        step = np.array(((1.0, seconds), (0.0, 1.0)))
        # An acceleration that is anything anew at every moment.
        noise = PUSHED ** 2 * np.array(((seconds ** 3 / 3, seconds ** 2 / 2),
                                        (seconds ** 2 / 2, seconds)))
        self._centre = self._centre + self._velocity * seconds
        self._covariance = step @ self._covariance @ step.T + noise

    def correct(self, box: Sequence[float]) -> None:
        """Take in a measured box (x, y, w, h) in pixels, of this moment."""
        gain = self._covariance[:, 0] / (self._covariance[0, 0] + MEASURED ** 2)
        apart = np.array(centre_xywh(box)) - self._centre
        self._centre = self._centre + gain[0] * apart
        self._velocity = self._velocity + gain[1] * apart
        self._covariance = self._covariance - np.outer(gain, self._covariance[0])
        self._wh = self._wh + SIZE_RATE * (np.array(box[2:]) - self._wh)

    @property
    def box(self) -> Box:
        """Where the target should be, (x, y, w, h) in pixels; may lie outside the image."""
        x, y = self._centre - self._wh / 2
        return float(x), float(y), float(self._wh[0]), float(self._wh[1])

    @property
    def velocity(self) -> tuple[float, float]:
        """Pixels a second."""
        return float(self._velocity[0]), float(self._velocity[1])
