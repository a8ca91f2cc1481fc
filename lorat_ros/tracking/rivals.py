# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Other things that look like the target: seen beside it, they cannot be it.

A tracker with one template takes whatever resembles it most. While the target is seen, every
other peak of the score is followed too; when the target vanishes and the best peak is one of
those, it is not taken for the target. The idea of following what is not the target is KeepTrack's
(Mayer et al., ICCV 2021), which learns the association; here it is by place alone.
"""
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from lorat_ros.boxes import Box, centre_xywh

CONFIRMED = 5         # frames beside the target after which it counts
FORGOTTEN = 4         # frames without it after which it does not: what flickers is clutter
APART = 0.6           # of a box: nearer to the target's centre is part of the target
NEAR = 0.75           # of a box: farther from where it was is something else
TIGHT = 0.35          # the same where it might be the target that comes back


class Peak(NamedTuple):
    """A local maximum of the score."""

    cell: int                     # of the grid, row by row
    box: Box                      # xywh in pixels of the image
    score: float


@dataclass
class _Rival:
    box: Box
    beside: int = 1               # frames in which it was seen together with the target
    missed: int = 0


def distance_in_boxes(a: Box, b: Box) -> float:
    """Distance of the centres, per axis in units of the mean of the two sides; the larger one."""
    (ax, ay), (bx, by) = centre_xywh(a), centre_xywh(b)
    return max(abs(ax - bx) / max((a[2] + b[2]) / 2, 1e-6),
               abs(ay - by) / max((a[3] + b[3]) / 2, 1e-6))


class Rivals:
    """What was seen beside one target."""

    def __init__(self) -> None:
        self._known: list[_Rival] = []

    def claims(self, box: Box, target: Box, in_sight: bool) -> bool:
        """
        Whether what is at a box is known to be something else.

        :param target: where the target was last.
        :param in_sight: whether it was seen in the last frame. Then what is close to it is
            probably itself; but a rival may well walk over the place of one that is hidden.
        """
        known = self._confirmed()
        if not known:
            return False
        away = distance_in_boxes(box, target)
        if away > APART:
            return any(distance_in_boxes(box, rival.box) < min(NEAR, away) for rival in known)
        return not in_sight and any(rival.missed == 0 and
                                    distance_in_boxes(box, rival.box) < TIGHT for rival in known)

    def _confirmed(self) -> list[_Rival]:
        return [rival for rival in self._known if rival.beside >= CONFIRMED]

    def follow(self, others: Sequence[Box], target: Box | None, sure: bool) -> None:
        """
        Take note of a frame.

        :param others: boxes of all that looks somewhat like the target.
        :param target: the one that was taken for it, if any: that is nobody else's.
        :param sure: whether it is; if not, nothing new is noted, for it may be the target.
        """
        free = [box for box in others
                if target is None or distance_in_boxes(box, target) > APART]
        for rival in self._known:
            away = [distance_in_boxes(box, rival.box) for box in free]
            nearest = min(away, default=NEAR)
            if nearest < NEAR:
                rival.box = free.pop(away.index(nearest))
                rival.missed = 0
                rival.beside += sure
            else:
                rival.missed += 1
        self._known = [rival for rival in self._known if rival.missed < FORGOTTEN]
        if sure:
            self._known += [_Rival(box) for box in free]
