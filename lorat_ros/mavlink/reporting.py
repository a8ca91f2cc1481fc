# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What a ground station is told of the target, made from what the tracker says of itself."""
from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple, Optional

from lorat_ros.mavlink.dialect import Tracking
from lorat_ros.mavlink.targets import Box, Rectangle, shares_of

#: States of the tracker; one that is not here is no good news: ERROR.
KINDS: Mapping[str, Tracking] = MappingProxyType({
    'idle': Tracking.IDLE, 'tracking': Tracking.ACTIVE, 'coasting': Tracking.COASTING,
    'lost': Tracking.ERROR})
STATUS_PATIENCE = 3.0  # seconds; ~/status comes at least once a second
SETTLING = 0.2         # seconds by which the tracker's topics may contradict each other
ANSWER = 5.0           # seconds within which every refusal is taken as the answer to our box


class Report(NamedTuple):
    """One CAMERA_TRACKING_IMAGE_STATUS; the rectangle is where the target is, if that is known."""

    kind: Tracking
    rectangle: Optional[Rectangle] = None


class _Seen(NamedTuple):
    rectangle: Optional[Rectangle]
    at: float


class TrackerView:
    """The tracker as seen from outside. All times are seconds of one clock that only goes on.

    An old box is never reported as a present one: without a box of the last ``stale`` seconds a
    tracking tracker is an ERROR, and so is one that has fallen silent.

    :param stale: seconds for which a box holds; set from outside when it changes.
    """

    def __init__(self, stale: float = 1.0) -> None:
        self.stale = stale
        self._state, self._fault, self._changed, self._heard = '', '', 0.0, -float('inf')
        self._boxes: dict[Tracking, _Seen] = {}
        self._last = Report(Tracking.ERROR)

    def status(self, state: str, fault: str, now: float) -> None:
        """Take in a word of `~/status`: its state and its fault, empty if there is none."""
        if state != self._state:
            self._changed = now
        self._state, self._fault, self._heard = state, fault, now

    def measured(self, box: Optional[Box], image_wh: Optional[tuple[int, int]],
                 now: float) -> None:
        """Take in a processed frame: where the target is, (x, y, w, h) in pixels, or None."""
        self._see(Tracking.ACTIVE, box, image_wh, now)

    def predicted(self, box: Box, image_wh: Optional[tuple[int, int]], now: float) -> None:
        """Take in a prediction: where a target that is not seen should be."""
        self._see(Tracking.COASTING, box, image_wh, now)

    def report(self, now: float) -> Report:
        """Return what there is to say now."""
        self._last = self._judge(now)
        return self._last

    def _see(self, kind: Tracking, box: Optional[Box], image_wh: Optional[tuple[int, int]],
             now: float) -> None:
        shares = None if box is None or image_wh is None else shares_of(box, image_wh)
        self._boxes[kind] = _Seen(shares, now)

    def _judge(self, now: float) -> Report:
        kind = KINDS.get(self._state, Tracking.ERROR)
        if self._fault or now - self._heard > STATUS_PATIENCE:
            return Report(Tracking.ERROR)
        if kind not in (Tracking.ACTIVE, Tracking.COASTING):
            return Report(kind)
        seen = self._boxes.get(kind)
        if seen is not None and seen.rectangle is not None and now - seen.at <= self.stale:
            return Report(kind, seen.rectangle)
        # Status and boxes come on two topics: shortly after a change one may lag behind.
        return self._last if now - self._changed <= SETTLING else Report(Tracking.ERROR)


class Answers:
    """What of that which `~/status` says of boxes is meant for us: others may send boxes, too.

    A box may wait long for its image. So until one is accepted or refused, a refusal is the answer
    to ours, however late it comes; and shortly after we have asked each is, for the first that we
    hear may answer an earlier box.
    """

    def __init__(self) -> None:
        self._init, self._asked_at, self._is_open = '', -float('inf'), False

    def asked(self, now: float) -> None:
        """Take note that a box of ours was sent; ``now`` in seconds that only go on."""
        self._asked_at, self._is_open = now, True

    def refuses(self, init: str, now: float) -> bool:
        """Take in what is said of the last box; whether that is news, and refuses ours."""
        before, self._init = self._init, init
        refused = init.startswith('refused')
        if init == before or not (refused or init.startswith('accepted')):
            return False
        ours = self._is_open or now - self._asked_at < ANSWER
        self._is_open = False
        return refused and ours
