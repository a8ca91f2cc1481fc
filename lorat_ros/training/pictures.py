# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Pictures of what the network is shown."""
from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from lorat_ros.training.method import Draws

PRESENT, ABSENT = (0, 255, 0), (0, 0, 255)      # BGR


def draw_pair(template: np.ndarray, mask: np.ndarray, search: np.ndarray, box: np.ndarray,
              present: bool) -> np.ndarray:
    """
    One pair: template over its mask on the left, search crop with the true box on the right.

    :param template: (T, T, 3) uint8 BGR.
    :param mask: (cells, cells) in [0, 1].
    :param search: (S, S, 3) uint8 BGR, S > T.
    :param box: (4,) x1, y1, x2, y2 in units of the search region.
    """
    size, small = search.shape[0], template.shape[0]
    canvas = np.zeros((size, small + size, 3), np.uint8)
    canvas[:small, :small] = template
    cells = cv2.resize((mask * 255).astype(np.uint8), (small, size - small),
                       interpolation=cv2.INTER_NEAREST)
    canvas[small:, :small] = cells[..., None]
    canvas[:, small:] = search
    x1, y1, x2, y2 = np.round(box * size).astype(int).tolist()
    cv2.rectangle(canvas, (small + x1, y1), (small + x2, y2), PRESENT if present else ABSENT, 1)
    return canvas


def draw_samples(draws: Draws, path: Path, rows: int = 8, columns: int = 7, seed: int = 1
                 ) -> None:
    """Write a sheet of samples as PNG; red boxes: the target is not there."""
    draw_these(draws, path, [(seed, row, column) for row in range(rows)
                             for column in range(columns)], columns)


def draw_these(draws: Draws, path: Path, keys: Sequence[tuple[int, ...]], columns: int = 7
               ) -> None:
    """
    Write a sheet of samples as PNG; red boxes: the target is not there.

    :param keys: of the samples, see ``Draws``, at least one.
    """
    pictures = [draws.picture(key) for key in keys]
    columns = min(columns, len(pictures))
    pictures += [np.zeros_like(pictures[0])] * (-len(pictures) % columns)
    sheet = [np.hstack(pictures[start:start + columns])
             for start in range(0, len(pictures), columns)]
    path.write_bytes(cv2.imencode('.png', np.vstack(sheet))[1].tobytes())
