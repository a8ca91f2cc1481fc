# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""One target, from the frame it is shown on until it is forgotten."""
from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Optional

import numpy as np

from lorat_ros.boxes import Box, check_init_box
from lorat_ros.target.motion import ConstantVelocity
from lorat_ros.target.sanity import is_in_image, Sanity
from lorat_ros.target.status import TargetState, TargetStatus

if TYPE_CHECKING:
    from lorat_ros.tracking.tracker import Tracker, TrackResult

GIVEN_SCORE = 1.0  # of the box that defines the target: it is not an estimate
LONGEST_STEP = 1.0  # seconds that the motion is carried on at once: a clock may jump ahead


@dataclass(frozen=True)
class TargetStep:
    """What one frame said about the target.

    ``box`` is the measured box, (x, y, w, h) in pixels, and None unless ``state`` is TRACKING.
    ``prediction`` is where the target should be, and None unless ``state`` is COASTING and that is
    in the image. ``search_window`` is the region looked at, (x, y, w, h), None where nothing was
    looked for. ``timings`` are the tracker's milliseconds per stage.
    """

    state: TargetState = TargetState.IDLE
    target_id: str = ''
    box: Optional[Box] = None
    score: float = 0.0
    search_window: Optional[Box] = None
    prediction: Optional[Box] = None
    timings: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({}))


class Target:
    """Owns a tracker, and knows whom it follows and whether it still does.

    :param tracker: what follows; nobody else may call it.
    :param status: the thresholds that decide between tracking and lost.
    """

    def __init__(self, tracker: Tracker, status: TargetStatus) -> None:
        self._tracker, self._status = tracker, status
        self._motion, self._sanity = ConstantVelocity(), Sanity()
        self._id, self._count, self._started = '', 0, 0.0

    @property
    def state(self) -> TargetState:
        """The state after the last frame."""
        return self._status.state

    @property
    def id(self) -> str:
        """The same text from start to reset; empty while there is no target."""
        return self._id

    @property
    def age(self) -> float:
        """Seconds since the target was shown to us; 0.0 while there is none."""
        return time.monotonic() - self._started if self._id else 0.0

    def set_thresholds(self, score_lost: float, score_recover: float) -> None:
        """Change the thresholds of the status; ValueError where they do not fit."""
        self._status.set_thresholds(score_lost, score_recover)

    def set_coast_seconds(self, coast_seconds: float) -> None:
        """Change how long a target that is not seen is coasting before it is lost."""
        self._status.coast_seconds = coast_seconds

    def start(self, image: np.ndarray, box: Sequence[float], target_id: str = '') -> TargetStep:
        """Follow what lies in ``box`` on this image; it replaces the target there was.

        :param image: uint8 (height, width, 3), BGR.
        :param box: (x, y, w, h) in pixels.
        :param target_id: kept as it is; empty = the next number that is free.
        :raises BoxError: the box cannot be a target; the one there was goes on.
        """
        height, width = image.shape[:2]
        box = check_init_box(box, (width, height))
        self._tracker.init(image, box)
        self._motion.start(box)
        self._sanity.start(box)
        self._id = target_id or self._next_id()
        self._started = time.monotonic()
        return TargetStep(self._status.start(), self._id, box, GIVEN_SCORE)

    def step(self, image: np.ndarray, seconds: float = 0.0) -> TargetStep:
        """Look for the target on the next image, uint8 (height, width, 3), BGR.

        A lost target is looked for as well: that is how it comes back.

        :param seconds: since the image before, 0 or more.
        """
        if self.state is TargetState.IDLE:
            return TargetStep()
        result = self._tracker.update(image)
        return self._judged(result, (image.shape[1], image.shape[0]), seconds)

    def reset(self) -> None:
        """Forget the target."""
        self._status.forget()
        self._id = ''

    def _judged(self, result: TrackResult, image_wh: tuple[int, int], seconds: float
                ) -> TargetStep:
        """Decide what is believed of what the tracker said, and what follows from that."""
        before = self.state
        plausible = self._sanity.allows(result.box, image_wh, self._status.unseen + seconds)
        state = self._status.observe(result.score, plausible, seconds)
        self._motion.move(min(seconds, LONGEST_STEP))
        box = prediction = None
        if state is TargetState.TRACKING:
            box = result.box
            self._sanity.believe(box, image_wh)
            if before is TargetState.LOST:  # how it moved in between, nobody knows
                self._motion.start(box)
            else:
                self._motion.correct(box)
        elif state is TargetState.COASTING and is_in_image(self._motion.box, image_wh):
            prediction = self._motion.box
        return TargetStep(state, self._id, box, result.score, result.search_window, prediction,
                          result.timings)

    def _next_id(self) -> str:
        previous = self._id
        while True:  # a number the operator has just used by hand is not given out again
            self._count += 1
            if str(self._count) != previous:
                return str(self._count)
