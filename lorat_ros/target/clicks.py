# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Clicks on the image become a box: one click in its middle, or two on opposite corners."""
from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Optional

from lorat_ros.boxes import Box, BoxError

CORNER_PATIENCE = 10.0  # seconds after which a second click is a first one again


class Clicks:
    """
    Remembers the first of two corners.

    :param clock: seconds, steady.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._corner: Optional[tuple[float, float]] = None
        self._when = 0.0

    def take(self, x: float, y: float, size: float) -> Optional[Box]:
        """
        Return the box that a click completes, (x, y, w, h) in pixels; None: one is missing.

        :param x, y: pixels of the image.
        :param size: sides of the box around the click, pixels; 0.0: it takes two clicks, on
            opposite corners in any order.
        :raises BoxError: the click is not finite; the first corner stays.
        """
        if not (math.isfinite(x) and math.isfinite(y)):
            raise BoxError(f'click ({x}, {y}) is not finite: give x and y in pixels of the image')
        if size > 0:
            self._corner = None
            return x - size / 2, y - size / 2, size, size
        first, self._corner = self._corner, (x, y)
        late = self._clock() - self._when > CORNER_PATIENCE
        self._when = self._clock()
        if first is None or late:
            return None
        self._corner = None
        return min(x, first[0]), min(y, first[1]), abs(x - first[0]), abs(y - first[1])
