# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""One target, from the frame it is shown on until it is forgotten."""
from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple, Optional, TYPE_CHECKING

import numpy as np

from lorat_ros.boxes import Box, check_init_box
from lorat_ros.target.motion import ConstantVelocity
from lorat_ros.target.reacquire import Reacquisition
from lorat_ros.target.sanity import is_in_image, Sanity
from lorat_ros.target.status import TargetState, TargetStatus

if TYPE_CHECKING:
    from lorat_ros.tracking.tracker import Tracker, TrackResult

UNSEEN = (TargetState.COASTING, TargetState.LOST)
GIVEN_SCORE = 1.0  # of the box that defines the target: it is not an estimate
LONGEST_STEP = 1.0  # seconds that the motion is carried on at once: a clock may jump ahead


class TargetStep(NamedTuple):
    """What one frame said about the target.

    ``box`` is the measured box, (x, y, w, h) in pixels, and None unless ``state`` is TRACKING.
    ``prediction`` is where the target should be, and None unless ``state`` is COASTING and that is
    in the image. ``search_window`` is the region looked at, (x, y, w, h), None where nothing was
    looked for. ``timings`` are the tracker's milliseconds per stage. ``returned`` is how often the
    target was lost and found again, and ``returned_by`` what found it last: the tracker itself,
    search or candidates. ``said`` is the tracker's own word, believed or not: for figures, never
    to be published as a detection.
    """

    state: TargetState = TargetState.IDLE
    target_id: str = ''
    box: Optional[Box] = None
    score: float = 0.0
    search_window: Optional[Box] = None
    prediction: Optional[Box] = None
    timings: Mapping[str, float] = MappingProxyType({})
    returned: int = 0
    returned_by: str = ''
    said: Optional[Box] = None


class Target:
    """Owns a tracker, and knows whom it follows and whether it still does.

    :param tracker: what follows; nobody else may call it.
    :param status: the limits that decide between tracking, coasting and lost.
    :param reacquire: who says where to look for a lost target: a key of ``reacquire.WAYS``.
    """

    def __init__(self, tracker: Tracker, status: TargetStatus, reacquire: str = 'off') -> None:
        self._tracker, self._status = tracker, status
        self._reacquisition = Reacquisition(tracker, reacquire)
        self._last: Box = (0.0, 0.0, 0.0, 0.0)  # where it was seen last
        self._returned, self._returned_by = 0, ''
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

    def set_reacquire(self, way: str) -> None:
        """Change who says where to look for a lost target."""
        if way != self._reacquisition.way:
            self._reacquisition = Reacquisition(self._tracker, way)

    def offer(self, boxes: Sequence[Box]) -> None:
        """Take in where a detector sees something, (x, y, w, h) in pixels, best first.

        It counts only while the target is not seen and candidates are what is asked for.
        """
        if self.state in UNSEEN:
            self._reacquisition.offer(boxes)

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
        self._reacquisition.forget()
        self._last, self._returned, self._returned_by = box, 0, ''
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
        result, image_wh = self._tracker.update(image), (image.shape[1], image.shape[0])
        step = self._judged(result, image_wh, seconds)
        if step.state in UNSEEN:
            found = self._reacquisition.look(image, self._last,
                                             lambda seen: self._could_be_it(seen, image_wh))
            return step if found is None else self._welcome(step, found, image_wh)
        self._reacquisition.forget()
        self._last = step.box or self._last
        return step

    def reset(self) -> None:
        """Forget the target."""
        self._status.forget()
        self._reacquisition.forget()
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
                self._returned, self._returned_by = self._returned + 1, 'tracker'
            else:
                self._motion.correct(box)
        elif state is TargetState.COASTING and is_in_image(self._motion.box, image_wh):
            prediction = self._motion.box
        return TargetStep(state, self._id, box, result.score, result.search_window, prediction,
                          result.timings, self._returned, self._returned_by, result.box)

    def _could_be_it(self, seen: TrackResult, image_wh: tuple[int, int]) -> bool:
        return (seen.score >= self._status.score_recover
                and self._sanity.allows(seen.box, image_wh, self._status.unseen))

    def _welcome(self, step: TargetStep, found: TrackResult, image_wh: tuple[int, int]
                 ) -> TargetStep:
        """It was found again on this frame, elsewhere than the tracker looked."""
        self._motion.start(found.box)
        self._sanity.believe(found.box, image_wh)
        self._last = found.box
        self._returned, self._returned_by = self._returned + 1, self._reacquisition.way
        return step._replace(
            state=self._status.start(), box=found.box, score=found.score,
            search_window=found.search_window, prediction=None, said=found.box,
            returned=self._returned, returned_by=self._returned_by)

    def _next_id(self) -> str:
        previous = self._id
        while True:  # a number the operator has just used by hand is not given out again
            self._count += 1
            if str(self._count) != previous:
                return str(self._count)
