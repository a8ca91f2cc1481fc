# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Is the target tracked, coasting or lost? Hysteresis on the score and on time, frame by frame.

A box is passed on as measured exactly while the state is TRACKING, so the state must speak about
*this* frame: it leaves TRACKING on the first frame whose score is below ``score_lost``. Waiting
for a second bad frame would mean to publish a first bad box. What keeps the state from flickering
is the distance between the two thresholds, and that one good frame proves little: back to
TRACKING needs ``score_recover`` on frames in a row. Time decides between COASTING, while where the
target should be is still worth saying, and LOST, from which only TRACKING leads away.
"""
from __future__ import annotations

import enum
import math

RETURN_FRAMES = 2  # what resembles the target for one frame only is mostly something else


class TargetState(str, enum.Enum):
    """What is known of the target on the frame that was processed last."""

    IDLE = 'idle'
    TRACKING = 'tracking'
    COASTING = 'coasting'
    LOST = 'lost'

    def __str__(self) -> str:
        return self.value


class TargetStatus:
    """The state, and the limits that move it.

    :param score_lost: a score below it loses the target; in [0, 1].
    :param score_recover: a score from it on finds a lost target again; in [score_lost, 1].
    :param coast_seconds: so long after it was last seen a target is coasting before it is lost;
        0.0: it is lost at once.
    :param confirmations: frames in a row that must be good before a target is tracked again.
    :raises ValueError: thresholds out of range or in the wrong order.
    """

    def __init__(self, score_lost: float, score_recover: float,
                 coast_seconds: float = 0.0, confirmations: int = RETURN_FRAMES) -> None:
        self.state, self.unseen = TargetState.IDLE, 0.0
        self._confirmations, self._good = confirmations, 0
        self.coast_seconds = coast_seconds
        self.set_thresholds(score_lost, score_recover)

    def set_thresholds(self, score_lost: float, score_recover: float) -> None:
        """Change both thresholds; the state stays until the next score."""
        complaint = thresholds_complaint(score_lost, score_recover)
        if complaint:
            raise ValueError(complaint)
        self.score_lost, self.score_recover = score_lost, score_recover

    def start(self) -> TargetState:
        """Take note of a new target: it was shown to us on this frame, so it is tracked."""
        self.state, self.unseen = TargetState.TRACKING, 0.0
        return self.state

    def forget(self) -> TargetState:
        """There is no target any more."""
        self.state, self.unseen = TargetState.IDLE, 0.0
        return self.state

    def observe(self, score: float, plausible: bool = True, seconds: float = 0.0) -> TargetState:
        """Take in one frame's score and return the state for that frame.

        :param score: the tracker's belief in [0, 1]; nan counts as none.
        :param plausible: False for a box that cannot be a target at all, whatever its score.
        :param seconds: since the frame before, 0 or more.
        """
        if self.state is TargetState.IDLE:
            return self.state
        needed = (self.score_lost if self.state is TargetState.TRACKING else self.score_recover)
        believed = plausible and not math.isnan(score) and score >= needed
        self._good = self._good + 1 if believed else 0
        if believed and (self.state is TargetState.TRACKING or self._good >= self._confirmations):
            return self.start()
        self.unseen += seconds
        still = self.state is not TargetState.LOST and self.unseen < self.coast_seconds
        self.state = TargetState.COASTING if still else TargetState.LOST
        return self.state


def thresholds_complaint(score_lost: float, score_recover: float) -> str:
    """Why these two cannot be thresholds, with expectation and cure; empty if they can."""
    if 0.0 <= score_lost <= score_recover <= 1.0:
        return ''
    return (f'score_lost {score_lost} and score_recover {score_recover} do not fit, expected '
            '0 <= score_lost <= score_recover <= 1: raise score_recover or lower score_lost')
