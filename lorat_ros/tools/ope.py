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

from lorat_ros.engines.session import open_session, Session
from lorat_ros.models.bundle import Bundle
from lorat_ros.models.catalog import find_bundle
from lorat_ros.tracking.tracker import Tracker


@lru_cache(maxsize=1)
def _opened(model: str, engine: str, threads: int) -> tuple[Bundle, Session]:
    """Load a model once for all sequences; the targets are the trackers' own."""
    bundle = find_bundle(model)
    return bundle, open_session(bundle, engine, threads)


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
    return OnePass(Tracker(*_opened(os.environ.get('LORAT_MODEL', ''),
                                    os.environ.get('LORAT_ENGINE', 'auto'),
                                    int(os.environ.get('OMP_NUM_THREADS', '1')))))
