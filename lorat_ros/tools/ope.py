# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
The tracker as one-pass evaluation scripts want it: ``update`` answers (x, y, w, h, score).

``--tracker lorat_ros.tools.ope:default`` evaluates the shipped model; the environment variables
``LORAT_MODEL`` and ``LORAT_ENGINE`` choose another model or engine, ``OMP_NUM_THREADS`` the
threads.
"""
from __future__ import annotations

import os
from collections.abc import Sequence
from functools import lru_cache

import numpy as np

from lorat_ros.tracking.tracker import load_tracker, Tracker


@lru_cache(maxsize=1)
def _loaded(model: str, engine: str, threads: int) -> Tracker:
    return load_tracker(model or None, engine, threads)


class OnePass:
    """A tracker whose ``update`` answers five floats."""

    def __init__(self, tracker: Tracker) -> None:
        self._tracker = tracker

    def init(self, image: np.ndarray, box: Sequence[float]) -> None:
        """Take a target; see ``Tracker.init``."""
        self._tracker.init(image, box)

    def update(self, image: np.ndarray) -> tuple[float, float, float, float, float]:
        """Find it in the next frame: x, y, w, h in pixels, and the score in [0, 1]."""
        result = self._tracker.update(image)
        return (*result.box, result.score)


def default() -> OnePass:
    """Make a tracker; the model is loaded once for all sequences."""
    return OnePass(_loaded(os.environ.get('LORAT_MODEL', ''),
                           os.environ.get('LORAT_ENGINE', 'auto'),
                           int(os.environ.get('OMP_NUM_THREADS', '1'))))
