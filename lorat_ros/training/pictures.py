# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Pictures of what the network is shown."""
from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from lorat_ros.training.pairs import Pair, PairConfig, PairSampler
from lorat_ros.training.pool import Pool

PRESENT, ABSENT = (0, 255, 0), (0, 0, 255)      # BGR


def draw_pair(pair: Pair) -> np.ndarray:
    """One pair: template over its mask on the left, search crop with the true box on the right."""
    size, small = pair.search.shape[0], pair.template.shape[0]
    canvas = np.zeros((size, small + size, 3), np.uint8)
    canvas[:small, :small] = pair.template
    cells = cv2.resize((pair.mask * 255).astype(np.uint8), (small, size - small),
                       interpolation=cv2.INTER_NEAREST)
    canvas[small:, :small] = cells[..., None]
    canvas[:, small:] = pair.search
    x1, y1, x2, y2 = np.round(pair.box * size).astype(int).tolist()
    cv2.rectangle(canvas, (small + x1, y1), (small + x2, y2),
                  PRESENT if pair.present else ABSENT, 1)
    return canvas


def draw_pairs(pool: Pool, config: PairConfig, path: Path, rows: int = 8, columns: int = 7,
               seed: int = 1) -> None:
    """Write a sheet of pairs as PNG; red boxes: the target is not there."""
    sampler = PairSampler(pool, config)
    sheet = [np.hstack([draw_pair(sampler.draw(seed, row, column)) for column in range(columns)])
             for row in range(rows)]
    cv2.imwrite(str(path), np.vstack(sheet))
