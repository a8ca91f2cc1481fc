# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Which boxes cannot be the target, however high their score."""
from __future__ import annotations

import math
from collections.abc import Sequence

from lorat_ros.boxes import clip_xywh

FIRST_JUMP = 4.0    # as SIZE_JUMP, from the box that was given: people draw loosely
SIZE_JUMP = 2.0     # times larger or smaller (as a length) than at the last sight of it
REGROWTH = 1.0      # by how much that limit rises with each second without sight
BORDER = 2.0        # pixels: nearer to the image's border, a box is cut off by it
LEFT_OF_IT = 0.2    # share of its usual area; a box at the border with less is of a target gone
USUAL_RATE = 0.1    # share of a box that is believed when the usual size is learnt


def is_in_image(box: Sequence[float], image_wh: tuple[int, int]) -> bool:
    """Whether a box is finite, has a size and shows some of itself in the image."""
    x, y, w, h = box
    return (all(math.isfinite(value) for value in box) and w > 0 and h > 0
            and x < image_wh[0] and y < image_wh[1] and x + w > 0 and y + h > 0)


class Sanity:
    """What a box of this target may look like, judged by those that were believed."""

    def __init__(self) -> None:
        self._last_side = self._usual_side = 1.0
        self._jump = FIRST_JUMP

    def start(self, box: Sequence[float]) -> None:
        """Begin anew with the box that was given."""
        self._last_side = self._usual_side = _side(box)
        self._jump = FIRST_JUMP

    def allows(self, box: Sequence[float], image_wh: tuple[int, int], unseen: float) -> bool:
        """
        Whether a box can be the target.

        :param box: (x, y, w, h) in pixels.
        :param image_wh: (width, height) in pixels.
        :param unseen: seconds since a box was last believed.
        """
        if not is_in_image(box, image_wh):
            return False
        jump = _side(box) / self._last_side
        if max(jump, 1 / jump) > self._jump + REGROWTH * max(unseen, 0.0):
            return False
        seen = _side(clip_xywh(box, image_wh))
        return not (_touches(box, image_wh) and seen ** 2 < LEFT_OF_IT * self._usual_side ** 2)

    def believe(self, box: Sequence[float], image_wh: tuple[int, int]) -> None:
        """Learn from a box that was taken for the target; one that is cut off tells no size."""
        if self._jump == FIRST_JUMP:  # what the tracker makes of the given box is the usual size
            self._usual_side, self._jump = _side(box), SIZE_JUMP
        self._last_side = _side(box)
        if not _touches(box, image_wh):
            self._usual_side += USUAL_RATE * (self._last_side - self._usual_side)


def _side(box: Sequence[float]) -> float:
    return max(math.sqrt(max(box[2], 0.0) * max(box[3], 0.0)), 1e-3)


def _touches(box: Sequence[float], image_wh: tuple[int, int]) -> bool:
    x, y, w, h = box
    return (min(x, y) < BORDER or x + w > image_wh[0] - BORDER or y + h > image_wh[1] - BORDER)
