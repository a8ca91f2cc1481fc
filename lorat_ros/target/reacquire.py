# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Finding a target again that is not where its tracker looks for it.

Scouts of the tracker look at other places, a few on each frame: of a grid around the last place,
nearest first, or where a detector says that something is. What a scout finds is believed only
after it has stood its ground for several frames.
"""
from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from types import MappingProxyType
from typing import Any, Optional, Protocol, TYPE_CHECKING

from lorat_ros.boxes import Box, BoxError, centre_xywh, check_box
from lorat_ros.target.sanity import is_in_image

if TYPE_CHECKING:
    import numpy as np

    from lorat_ros.tracking.tracker import Tracker, TrackResult

Judge = Callable[['TrackResult'], bool]

LOOKS = 2            # places that are looked at in one frame, at most
CONFIRMED = 3        # frames in a row in which what was found must be good
SPACING = 2.0        # between places, in sides of the target; a search region spans four or more
MOST_PLACES = 256    # in one round; where a small target would have more, they lie farther apart
MOST_CANDIDATES = 16


def places_around(box: Box, image_wh: tuple[int, int]) -> list[Box]:
    """
    Boxes of the same size on a grid over the image, in growing squares around where this one is.

    :param box: (x, y, w, h) in pixels.
    :param image_wh: (width, height) in pixels; the centres of all places lie in it.
    """
    w, h = box[2:]
    # From inside the image: a target that left is looked for at the border first.
    x, y = (min(max(c, 0.0), float(side)) for c, side in zip(centre_xywh(box), image_wh))
    least = math.sqrt(image_wh[0] * image_wh[1] / MOST_PLACES)
    step = max(SPACING * math.sqrt(w * h), least, 1.0)
    columns, rows = (range(-math.floor(c / step), math.floor((side - c) / step) + 1)
                     for c, side in ((x, image_wh[0]), (y, image_wh[1])))
    grid = sorted(((i, j) for i in columns for j in rows),
                  key=lambda place: (max(map(abs, place)), math.hypot(*place), place))
    return [(x + i * step - w / 2, y + j * step - h / 2, w, h) for i, j in grid]


class Search:
    """Looks everywhere, nearest to the last place first, and then again."""

    def __init__(self) -> None:
        self._round: deque[Box] = deque()

    def offer(self, boxes: Iterable[Box]) -> None:
        """Nobody is asked here."""

    def forget(self) -> None:
        """Begin anew around another place."""
        self._round.clear()

    def places(self, last: Box, image_wh: tuple[int, int]) -> list[Box]:
        """Return the next ones to look at."""
        if not self._round:
            self._round.extend(places_around(last, image_wh))
        return [self._round.popleft() for _ in range(min(LOOKS, len(self._round)))]


class Candidates:
    """Looks only where others say that something is; their latest word counts."""

    def __init__(self) -> None:
        self._waiting: deque[Box] = deque()

    def offer(self, boxes: Iterable[Box]) -> None:
        """Take boxes (x, y, w, h) in pixels, best first; what cannot be one is left out."""
        usable = [box for box in boxes if _is_box(box) and min(box[2:]) >= 1.0]
        self._waiting = deque(usable[:MOST_CANDIDATES])

    def forget(self) -> None:
        """What was offered is of the past."""
        self._waiting.clear()

    def places(self, last: Box, image_wh: tuple[int, int]) -> list[Box]:
        """Return the next ones to look at."""
        taken = [self._waiting.popleft() for _ in range(min(LOOKS, len(self._waiting)))]
        return [box for box in taken if is_in_image(box, image_wh)]


def _is_box(box: Box) -> bool:
    with suppress(BoxError):  # absurdly large, for one: the window around it has no size
        return bool(check_box(box))
    return False


class Off:
    """Leaves it to the tracker."""

    def offer(self, boxes: Iterable[Box]) -> None:
        """Nobody is asked here."""

    def forget(self) -> None:
        """There is nothing to forget."""

    def places(self, last: Box, image_wh: tuple[int, int]) -> list[Box]:
        """Return none."""
        return []


class Way(Protocol):
    """Somebody who says where a target may be."""

    def offer(self, boxes: Iterable[Box]) -> None:
        """Take in where a detector sees something."""

    def forget(self) -> None:
        """Begin anew."""

    def places(self, last: Box, image_wh: tuple[int, int]) -> list[Box]:
        """Return where to look in this frame."""


AUTO = 'auto'
#: What else the parameter ``reacquire`` may be, and who then says where to look.
WAYS: Mapping[str, Callable[[], Way]] = MappingProxyType({
    'off': Off, 'search': Search, 'candidates': Candidates})


def suitable_way(asked: str, manifest: Mapping[str, Any]) -> str:
    """
    Return what is asked for, unless that is ``AUTO``: then what suits the model.

    The more places are looked at, the more there is to be believed wrongly. So the image is
    searched for a model whose score weighs evidence, and for no other.

    :param manifest: ``model.json`` of the model.
    """
    if asked != AUTO:
        return asked
    return 'search' if manifest.get('evidence') else 'off'


class Reacquisition:
    """
    Looks for a target that its tracker does not see.

    :param tracker: whose scouts look; it is asked to follow one that is believed.
    :param way: a key of ``WAYS``.
    :raises ValueError: there is no such way.
    """

    def __init__(self, tracker: Tracker, way: str = 'off') -> None:
        if way not in WAYS:
            raise ValueError(f'reacquire {way!r}, expected one of {", ".join(WAYS)}: set one of '
                             'these')
        self._tracker, self.way = tracker, way
        self._where = WAYS[way]()
        self._scout: Optional[Tracker] = None
        self._stood = 0

    def offer(self, boxes: Sequence[Box]) -> None:
        """Take in where a detector sees something, best first."""
        self._where.offer(boxes)

    def forget(self) -> None:
        """The target is seen, or there is none: nothing is looked for."""
        self._where.forget()
        self._scout, self._stood = None, 0

    def look(self, image: np.ndarray, last: Box, is_good: Judge) -> Optional[TrackResult]:
        """
        Look at a few places of a frame, at most ``LOOKS``.

        :param image: uint8 (height, width, 3), BGR.
        :param last: where the target was or should be, and how large it is.
        :param is_good: whether what a scout found could be the target.
        :returns: where the target is, once that is believed; the tracker then follows it there.
        """
        if self._scout is not None:
            return self._verify(self._scout, image, is_good)
        best: Optional[TrackResult] = None
        for place in self._where.places(last, (image.shape[1], image.shape[0])):
            scout = self._tracker.scout(place)
            result = scout.update(image)
            if is_good(result) and (best is None or result.score > best.score):
                best, self._scout, self._stood = result, scout, 1
        return None

    def _verify(self, scout: Tracker, image: np.ndarray, is_good: Judge
                ) -> Optional[TrackResult]:
        """Look again where something was found on the frames before."""
        result = scout.update(image)
        if not is_good(result):
            self._scout = None
            return None
        self._stood += 1
        if self._stood < CONFIRMED:
            return None
        self._tracker.follow(scout)
        self.forget()
        return result
