# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
What the cells of a search region answer, in plain numbers.

A network streams megabytes through the caches. After it every call of NumPy costs some 5
microseconds, however small the arrays, a cell in plain Python one: and of a hundred cells a
handful matter. Numbers in Python lie scattered over its memory: of boxes, only those are made
that are looked at.
"""
from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from lorat_ros.boxes import Box

FARTHEST_LOGIT = -60.0      # below, a score is nothing
THINNEST = 1e-3             # pixels: what an answer measures at least


def shape_change(size: tuple[float, float], reference: tuple[float, float]) -> float:
    """How much a box (w, h) differs from another in scale and aspect; 1 = not at all."""
    (w, h), (v, g) = size, reference
    scale = math.sqrt(w * h / (v * g))
    aspect = (w / h) / (v / g)
    return max(scale, 1 / scale) * max(aspect, 1 / aspect)


class Cells:
    """
    Scores and boxes of all cells; a cell is its number, row by row.

    :param logits: (G, G), of the scores.
    :param boxes: (4, G, G): x1, y1, x2, y2 in units of the search region.
    :param size: side of the search region in pixels of the crop.
    """

    def __init__(self, logits: np.ndarray, boxes: np.ndarray, size: int) -> None:
        self.side, self._size = len(logits), size
        numbers, edges = logits.ravel().tolist(), boxes.ravel()
        self._count, self._edge = len(numbers), edges.item
        #: Whether all of it are numbers; nothing else is to be asked where they are not. (Boxes of
        #: 1e19 crops have no square in float32, and are of no more use.)
        self.are_finite = math.isfinite(sum(numbers) + float(edges.dot(edges)))
        exp = math.exp
        self.scores: list[float] = [1 / (1 + exp(-logit)) if logit > FARTHEST_LOGIT else 0.0
                                    for logit in numbers]

    @property
    def best(self) -> int:
        """The cell with the highest score."""
        return self.scores.index(max(self.scores))

    def corners(self, cell: int) -> Box:
        """Return the answer of a cell: x1, y1, x2, y2 in pixels of the crop."""
        edge, count, size = self._edge, self._count, self._size
        return (edge(cell) * size, edge(cell + count) * size, edge(cell + 2 * count) * size,
                edge(cell + 3 * count) * size)

    def box(self, cell: int) -> Box:
        """Return the same as xywh, of some size."""
        x1, y1, x2, y2 = self.corners(cell)
        return x1, y1, max(x2 - x1, THINNEST), max(y2 - y1, THINNEST)


class Ranking:
    """
    Cells by their scores, less what speaks against them: the shape of their box, and distance.

    :param last_wh: size of the target in pixels of the crop when it was seen last.
    :param shape_penalty: by which a score falls with the change of shape, exponentially.
    :param window: for each cell, how near it is to the middle, in [0, 1].
    :param weight: share of the window in the rank, in [0, 1).
    """

    def __init__(self, cells: Cells, last_wh: tuple[float, float], shape_penalty: float,
                 window: Sequence[float], weight: float) -> None:
        self._cells, self._last_wh, self._penalty = cells, last_wh, shape_penalty
        self._fits: dict[int, float] = {}
        scores, first = cells.scores, cells.best
        # None fits better than its score says, so that of most cells the boxes need no look.
        top = self._fit(first)
        for cell in [cell for cell, score in enumerate(scores) if score > top]:
            top = max(top, self._fit(cell))
        self._window, self._own, self._near = window, 1 - weight, weight * top
        least, own, near = self.of(first), self._own, self._near
        self._hopeful = [cell for cell, (score, middle) in enumerate(zip(scores, window))
                         if own * score + near * middle >= least]

    def _fit(self, cell: int) -> float:
        if cell not in self._fits:
            change = shape_change(self._cells.box(cell)[2:], self._last_wh)
            self._fits[cell] = self._cells.scores[cell] * math.exp(-self._penalty * (change - 1))
        return self._fits[cell]

    def of(self, cell: int) -> float:
        """Return the rank of a cell."""
        return self._own * self._fit(cell) + self._near * self._window[cell]

    @property
    def best(self) -> int:
        """The cell that ranks highest; of several, the first."""
        return max(self._hopeful, key=self.of)


def span(start: float, length: float, cells: int) -> list[tuple[int, float]]:
    """
    Cells along an axis that something covers, and the share of each that it does.

    :param start, length: in cells; what lies outside the grid is left out.
    """
    end = start + length
    return [(cell, min(cell + 1, end) - max(cell, start))
            for cell in range(max(math.floor(start), 0), min(math.ceil(end), cells))]


def peaks_of(scores: Sequence[float], side: int, least: float) -> list[int]:
    """
    Cells that none of their eight neighbours exceeds, highest first.

    :param scores: of a grid with this many cells along a side, row by row.
    :param least: lower ones are left out.
    """
    found = []
    for cell in [cell for cell, score in enumerate(scores) if score >= least]:
        row, column = divmod(cell, side)
        left, right = max(column - 1, 0), min(column + 2, side)
        if scores[cell] >= max(max(scores[at * side + left:at * side + right])
                               for at in range(max(row - 1, 0), min(row + 2, side))):
            found.append(cell)
    return sorted(found, key=lambda cell: -scores[cell])


def overlap_around(boxes: np.ndarray, box: Box, around: float) -> float:
    """
    Mean overlap (IoU) of a box with the answers of the cells around its centre; 0.0 without any.

    :param boxes: (4, G, G): x1, y1, x2, y2 in units of the search region.
    :param box: xywh in the same units.
    :param around: distance in cells below which a cell counts.
    """
    x, y, w, h = box
    side, right, bottom = boxes.shape[1], x + w, y + h
    across, down = (x + w / 2) * side - 0.5, (y + h / 2) * side - 0.5
    first, last = (max(math.ceil(at - around), 0) for at in (across, down)), \
        (min(math.floor(at + around) + 1, side) for at in (across, down))
    (left, top), (end, low) = first, last
    overlaps = []
    for row, *edges in zip(range(top, low), *boxes[:, top:low, left:end].tolist()):
        for column, x1, y1, x2, y2 in zip(range(left, end), *edges):
            if math.hypot(column - across, row - down) < around:
                wide = (x2 if x2 < right else right) - (x1 if x1 > x else x)
                tall = (y2 if y2 < bottom else bottom) - (y1 if y1 > y else y)
                shared = wide * tall if wide > 0 and tall > 0 else 0.0
                union = (x2 - x1) * (y2 - y1) + w * h - shared
                overlaps.append(shared / (union if union > 1e-9 else 1e-9))
    return sum(overlaps) / len(overlaps) if overlaps else 0.0
