# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A box that waits for the frame it belongs to."""
from __future__ import annotations

import time
from dataclasses import dataclass, field

from lorat_ros.boxes import Box

PATIENCE = 2.0  # seconds that a box waits, while frames arrive, for one with its stamp


@dataclass(frozen=True)
class InitRequest:
    """A wish to follow a new target.

    ``box`` is (x, y, w, h) in pixels, not checked yet. ``stamp`` is that of the frame the operator
    saw, in nanoseconds of the camera's clock; 0 = the next frame. ``target_id`` is empty where
    one shall be made.
    """

    box: Box
    stamp: int = 0
    target_id: str = ''
    received: float = field(default_factory=time.monotonic)

    def waits_for(self, frame_stamp: int) -> bool:
        """Whether this frame is older than the one the operator saw."""
        return frame_stamp < self.stamp

    @property
    def is_stale(self) -> bool:
        """Whether it has waited long enough for a frame that does not come."""
        return time.monotonic() - self.received > PATIENCE

    def lag(self, frame_stamp: int) -> float:
        """Seconds by which the frame is newer than the one the operator saw; 0.0 if unknown."""
        return (frame_stamp - self.stamp) / 1e9 if self.stamp else 0.0
