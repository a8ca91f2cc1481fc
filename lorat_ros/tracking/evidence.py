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
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from lorat_ros.boxes import Box
from lorat_ros.tracking.cells import overlap_around, span

TARGET = 0.3        # share of a template cell from which it shows the target
SURROUNDINGS = 0.1  # share below which it shows what is around
INSIDE = 0.5        # share of a cell from which it lies in a box
LEAST = 0.2         # cells that a box covers; below, the nearest one stands for it
AROUND = 2.0        # cells from the centre of a box whose answers are compared with it
SLOWEST = 0.05      # share of a sure frame in the memory, once that is long
SURE = 0.5          # score of the network, and belief, from which the target's looks are learnt
LOGIT_LIMIT = 9.2   # a score of 1e-4 or of 1 - 1e-4 says all that it can


class Pieces(NamedTuple):
    """The evidence for one box."""

    peak: float
    match: float
    memory: float
    agreement: float

    def belief(self, weights: Weights) -> float:
        """Weigh it: the chance in [0, 1] that the box is of the target."""
        total = weights.bias + (weights.peak * self.peak + weights.match * self.match
                                + weights.memory * self.memory
                                + weights.agreement * self.agreement)
        return 1 / (1 + math.exp(-min(max(total, -50.0), 50.0))) if math.isfinite(total) else 0.0


PIECES = Pieces._fields


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
        target = np.flatnonzero(flat >= min(TARGET, float(flat.max())))
        surroundings = np.flatnonzero(flat < SURROUNDINGS)
        #: Template cells, those of the target first; and where in them each of the two begins.
        self._either = np.concatenate([target, surroundings])
        self._begins = (0, len(target)) if len(surroundings) else (0,)
        # What was gathered last: the sum of its features, how long that is, how like the memory.
        self._looks, self._length, self._alike = np.zeros(1, np.float32), 1.0, 1.0
        self._memory: np.ndarray | None = None
        self._sure = 0

    @property
    def is_blank(self) -> bool:
        """Whether it has learnt nothing yet."""
        return self._memory is None

    def gather(self, outputs: Mapping[str, np.ndarray], box: Box, score: float) -> Pieces:
        """
        Gather what speaks for a box.

        :param outputs: of the graph 'search', batch 1: ``boxes`` (1, 4, G, G), ``similarity``
            (1, G * G, g * g + 1), ``features`` (1, G * G, width).
        :param box: xywh in units of the search region.
        :param score: the network's, in [0, 1].
        """
        similarity, features = outputs['similarity'][0], outputs['features'][0]
        boxes = outputs['boxes'][0]
        grid = boxes.shape[1]
        x, y, w, h = (value * grid for value in box)
        columns, rows = span(x, w, grid), span(y, h, grid)
        cover = [(row * grid + column, tall * wide) for row, tall in rows
                 for column, wide in columns]
        at = min(max(int(y + h / 2), 0), grid - 1) * grid + min(max(int(x + w / 2), 0), grid - 1)
        shares = [share for _, share in cover]
        looks = features[at] if sum(shares) <= LEAST else \
            np.array(shares, np.float32).dot(features.take([cell for cell, _ in cover], 0))
        self._looks, self._length = looks, math.sqrt(float(looks.dot(looks))) + 1e-6
        if self._memory is not None:
            self._alike = float(looks.dot(self._memory)) / self._length
        odds = math.log(max(score, 1e-9) / max(1 - score, 1e-9))
        inside = [cell for cell, share in cover if share > INSIDE] or [at]
        return Pieces(peak=min(max(odds, -LOGIT_LIMIT), LOGIT_LIMIT),
                      match=self._match(similarity.take(inside, 0)), memory=self._alike,
                      agreement=overlap_around(boxes, box, AROUND))

    def weigh(self, outputs: Mapping[str, np.ndarray], box: Box, score: float, weights: Weights
              ) -> tuple[Pieces, float]:
        """Gather what speaks for a box, believe it or not, and learn from it if that is sure."""
        pieces = self.gather(outputs, box, score)
        belief = pieces.belief(weights)
        if self.is_blank or min(score, belief) >= SURE:
            self.learn()
        return pieces, belief

    def learn(self) -> None:
        """Take what was gathered last for a sure sight of the target."""
        self._sure += 1
        if self._memory is None:
            self._memory = self._looks / self._length
            return
        new = max(SLOWEST, 1 / self._sure)
        old = 1 - new
        # How long the mixture of two that are as long as 1 is, their likeness says.
        length = math.sqrt(max(old * old + 2 * old * new * self._alike + new * new, 0.0)) + 1e-6
        self._memory = (self._memory * (old / length)
                        + self._looks * (new / (length * self._length)))

    def branch(self) -> Evidence:
        """Make another one that knows the same; what it learns stays its own."""
        return copy.copy(self)      # arrays are replaced, never written to

    def _match(self, similarity: np.ndarray) -> float:
        """Mean over cells (n, g * g + 1): nearest of the target less nearest of the rest."""
        if len(self._begins) == 1:
            return 0.0
        # ``take`` costs half of what indexing with a list does: see ``cells``.
        nearest = np.maximum.reduceat(similarity.take(self._either, 1), self._begins, 1).tolist()
        return sum(target - rest for target, rest in nearest) / len(nearest)
