# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""LiteTrack (Wei et al., ICRA 2024) before and after its network, as published."""
from __future__ import annotations

import copy
import math
from collections.abc import Mapping

import numpy as np

from lorat_ros.boxes import Box
from lorat_ros.engines.session import arrays, Value
from lorat_ros.models.bundle import Bundle
from lorat_ros.tracking.family import Answer, CropSizes, reading
from lorat_ros.tracking.sampler import HOST, Sampler
from lorat_ros.tracking.square_crop import clip_box, CROPS, square_around, SquareCrop

PATCH = 16      # pixels of the search crop in a cell


def hann_window(cells: int) -> np.ndarray:
    """(cells, cells) float32 Hann window whose zeros lie one cell outside the grid."""
    place = np.arange(1, cells + 1, dtype=np.float64) / (cells + 1)
    wave = 0.5 * (1 - np.cos(2 * math.pi * place))
    return np.outer(wave, wave).astype(np.float32)


def best_cell(score: np.ndarray, window: np.ndarray) -> tuple[int, int]:
    """Row and column of the largest windowed score (G, G); of several, the first row by row."""
    row, column = divmod(int(np.argmax(score * window)), score.shape[1])
    return row, column


def box_of_cell(cell: tuple[int, int], size: np.ndarray, offset: np.ndarray
                ) -> tuple[float, float, float, float]:
    """
    Read the box of a cell.

    :param cell: row, column.
    :param size: (2, G, G) w and h in units of the search crop.
    :param offset: (2, G, G) centre x and y from the cell's corner, in cells.
    :returns: centre x, centre y, w, h in units of the search crop.
    """
    row, column = cell
    cells = size.shape[-1]
    (right, down), (w, h) = offset[:, row, column].tolist(), size[:, row, column].tolist()
    return (column + right) / cells, (row + down) / cells, w, h


class LiteTrackFamily:
    """
    One target of a LiteTrack model.

    The published tracker reports no confidence. The score here is that of the cell that gave the
    box, without the window; the largest score of the map may belong to something else. It never
    holds still or updates the template: whatever is found is believed.
    """

    roles = ('template', 'search')
    role = 'search'

    def __init__(self, bundle: Bundle, sampler: Sampler = HOST) -> None:
        self._sampler = sampler
        with reading(bundle) as manifest:
            self._sizes, post = CropSizes.of(manifest), manifest['postprocessing']
            self._margin = float(post['margin'])
        self._window = hann_window(self._sizes.search // PATCH)
        self._memory: dict[str, Value] = {}
        self._state: Box = (0.0, 0.0, 0.0, 0.0)
        self._image_wh = (0, 0)
        self._crop: SquareCrop      # of the last ``look``

    def start(self, image: np.ndarray, box: Box) -> dict[str, Value]:
        """Take a target: template crop, and its box in there for the target token."""
        self._state = box
        crop = square_around(box, self._sizes.template_factor, self._sizes.template)
        return {'image': self._sampler.cut(image, crop, CROPS),
                'target_box': np.array([crop.to_crop(box)], np.float32)}

    def remember(self, outputs: Mapping[str, Value]) -> None:
        """Keep the template's keys and values."""
        self._memory = dict(outputs)

    def look(self, image: np.ndarray) -> dict[str, Value]:
        """Crop the search region around where the target was."""
        self._image_wh = image.shape[1], image.shape[0]
        self._crop = square_around(self._state, self._sizes.search_factor, self._sizes.search)
        return {'image': self._sampler.cut(image, self._crop, CROPS), **self._memory}

    def answer(self, outputs: Mapping[str, Value]) -> Answer:
        """Read the box of the best cell and go there; score 0 if the network gave no numbers."""
        read = arrays(outputs)
        score = read['score'][0]
        cell = best_cell(score, self._window)
        found = self._crop.to_image(box_of_cell(cell, read['size'][0], read['offset'][0]))
        confidence = float(score[cell])
        if not (math.isfinite(confidence) and all(math.isfinite(v) for v in found)):
            return Answer(self._state, 0.0, self._crop.window)
        self._state = clip_box(found, self._image_wh, self._margin)
        return Answer(self._state, confidence, self._crop.window)

    def around(self, box: Box) -> LiteTrackFamily:
        """Make another one that looks around a box."""
        other = copy.copy(self)
        other._state = box
        return other
