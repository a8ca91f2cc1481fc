# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Is it really the target? What speaks for a box besides the peak that the network found there.

A network trained to find the best match always finds one. Four pieces of evidence are weighed by
a logistic regression whose weights are in ``model.json``, learnt on frames of which it is known
whether the box was right (``lorat_ros.training.evidence``):

* ``peak``: the network's own score, as a logit.
* ``match``: how much better the cells in the box match the target's part of the template than
  what surrounded it there, by the features before the two are mixed. Trackers that tell a target
  from its surroundings learn such a classifier anew for each (MOSSE, Bolme et al., CVPR 2010;
  DiMP, Bhat et al., ICCV 2019); here the nearest example on either side decides.
* ``memory``: how much the features after mixing resemble those of the last sure frames.
* ``agreement``: how far the boxes that the cells around its centre answer with are the same box.
  On a target all cells know its outline; on clutter each has a guess of its own.
"""
from __future__ import annotations

import copy
import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from lorat_ros.boxes import Box

TARGET = 0.3        # share of a template cell from which it shows the target
SURROUNDINGS = 0.1  # share below which it shows what is around
INSIDE = 0.5        # share of a cell from which it lies in a box
LEAST = 0.2         # cells that a box covers; below, the nearest one stands for it
AROUND = 2.0        # cells from the centre of a box whose answers are compared with it
SLOWEST = 0.05      # share of a sure frame in the memory, once that is long
SURE = 0.5          # score of the network, and belief, from which the target's looks are learnt
LOGIT_LIMIT = 9.2   # a score of 1e-4 or of 1 - 1e-4 says all that it can


@dataclass(frozen=True)
class Pieces:
    """The evidence for one box."""

    peak: float
    match: float
    memory: float
    agreement: float

    def belief(self, weights: Weights) -> float:
        """Weigh it: the chance in [0, 1] that the box is of the target."""
        total = weights.bias + sum(getattr(weights, name) * getattr(self, name) for name in PIECES)
        return 1 / (1 + math.exp(-min(max(total, -50.0), 50.0))) if math.isfinite(total) else 0.0


PIECES = tuple(field.name for field in fields(Pieces))


@dataclass(frozen=True)
class Weights:
    """How much each of ``Pieces`` counts; ``bias`` is what is believed without any."""

    peak: float
    match: float
    memory: float
    agreement: float
    bias: float

    @classmethod
    def of(cls, manifest: Mapping[str, Any]) -> Weights | None:
        """Read ``evidence`` of a ``model.json``; None if it has none, as older bundles."""
        found = manifest.get('evidence')
        return found and cls(**{name: float(value) for name, value in found.items()})


class Evidence:
    """
    What is known of one target's looks.

    :param mask: share of each template cell that the target covers, (g, g) in [0, 1].
    """

    def __init__(self, mask: np.ndarray) -> None:
        flat = mask.ravel()
        self._target = np.flatnonzero(flat >= min(TARGET, float(flat.max())))
        self._surroundings = np.flatnonzero(flat < SURROUNDINGS)
        self._looks = np.zeros(1, np.float32)
        self._memory: np.ndarray | None = None
        self._sure = 0

    @property
    def is_blank(self) -> bool:
        """Whether it has learnt nothing yet."""
        return self._memory is None

    def gather(self, outputs: Mapping[str, np.ndarray], cover: np.ndarray, box: Box,
               score: float) -> Pieces:
        """
        Gather what speaks for a box.

        :param outputs: of the graph 'search', batch 1: ``boxes`` (1, 4, G, G), ``similarity``
            (1, G * G, g * g + 1), ``features`` (1, G * G, width).
        :param cover: share of each cell of the search region that the box covers, (G, G).
        :param box: xywh in units of the search region.
        :param score: the network's, in [0, 1].
        """
        similarity, features = outputs['similarity'][0], outputs['features'][0]
        grid = cover.shape[0]
        centre = (box[0] + box[2] / 2) * grid, (box[1] + box[3] / 2) * grid
        at = min(max(int(centre[1]), 0), grid - 1) * grid + min(max(int(centre[0]), 0), grid - 1)
        share = cover.ravel()
        inside = np.flatnonzero(share > INSIDE)
        inside = inside if inside.size else np.array([at])
        looks = share @ features if share.sum() > LEAST else features[at]
        self._looks = looks / _length(looks)
        odds = math.log(max(score, 1e-9) / max(1 - score, 1e-9))
        memory = 1.0 if self._memory is None else float(self._looks @ self._memory)
        return Pieces(peak=min(max(odds, -LOGIT_LIMIT), LOGIT_LIMIT),
                      match=self._match(similarity[inside]), memory=memory,
                      agreement=_agreement(outputs['boxes'][0], box, centre))

    def weigh(self, outputs: Mapping[str, np.ndarray], cover: np.ndarray, box: Box, score: float,
              weights: Weights) -> tuple[Pieces, float]:
        """Gather what speaks for a box, believe it or not, and learn from it if that is sure."""
        pieces = self.gather(outputs, cover, box, score)
        belief = pieces.belief(weights)
        if self.is_blank or min(score, belief) >= SURE:
            self.learn()
        return pieces, belief

    def learn(self) -> None:
        """Take what was gathered last for a sure sight of the target."""
        self._sure += 1
        rate = max(SLOWEST, 1 / self._sure)
        mixed = self._looks if self._memory is None else \
            (1 - rate) * self._memory + rate * self._looks
        self._memory = mixed / _length(mixed)

    def branch(self) -> Evidence:
        """Make another one that knows the same; what it learns stays its own."""
        return copy.copy(self)      # arrays are replaced, never written to

    def _match(self, similarity: np.ndarray) -> float:
        """Mean over cells (n, g * g + 1): nearest of the target less nearest of the rest."""
        if not self._surroundings.size:
            return 0.0
        return float((similarity[:, self._target].max(1)
                      - similarity[:, self._surroundings].max(1)).mean())


# Everything here is a handful of numbers: what costs is the number of NumPy's calls.

def _length(vector: np.ndarray) -> float:
    return math.sqrt(float(vector @ vector)) + 1e-6


def _agreement(boxes: np.ndarray, box: Box, centre: tuple[float, float]) -> float:
    """Mean overlap of a box with the answers (4, G, G) of the cells around its centre."""
    axis = np.arange(boxes.shape[1]) + 0.5
    near = np.hypot(axis - centre[0], axis[:, None] - centre[1]) < AROUND
    answers = boxes[:, near].astype(np.float64)
    if not answers.size:
        return 0.0
    x, y, w, h = box
    starts, ends = answers[:2], answers[2:]
    sides = np.minimum(ends, [[x + w], [y + h]]) - np.maximum(starts, [[x], [y]])
    overlap = np.multiply(*np.maximum(sides, 0))
    union = np.multiply(*(ends - starts)) + w * h - overlap
    return float((overlap / np.maximum(union, 1e-9)).mean())
