# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
LoRAT (Lin et al., Tracking Meets LoRA, ECCV 2024) before and after its network, as published.

Boxes in here are x1, y1, x2, y2 in float64, continuous: pixel i covers [i, i + 1).
"""
from __future__ import annotations

import copy
import math
from collections.abc import Mapping, Sequence

import cv2
import numpy as np

from lorat_ros.boxes import Box
from lorat_ros.engines.sampling import Colours
from lorat_ros.engines.session import arrays, Value
from lorat_ros.models.bundle import Bundle
from lorat_ros.tracking.crops import bilinear_recipe, CropPlan, sample_bilinear, window_side
from lorat_ros.tracking.family import Answer, CropSizes, reading
from lorat_ros.tracking.sampler import CropRule, HOST, Sampler

PATCH = 14                                                        # of DINOv2
IMAGE_MEAN = np.array((0.406, 0.456, 0.485), np.float32)          # BGR, of ImageNet
IMAGE_STD = np.array((0.225, 0.224, 0.229), np.float32)
ALMOST_ONE = 0.9999     # far edges within 1e-4 of a pixel's border stay on it


def nominal_window(box: np.ndarray, factor: float, size: int) -> tuple[float, np.ndarray]:
    """
    Scale and translation of the window around a box, before it is aligned to pixels.

    :param box: (4,) xyxy in image pixels.
    :param factor: how many times a square box the window's side spans.
    :param size: side of the crop in pixels.
    :returns: s and (2,) t, so that crop = image * s + t.
    """
    scale = size / window_side(box[2] - box[0], box[3] - box[1], factor)
    return scale, size / 2 - scale * (box[:2] + box[2:]) / 2


def rasterise(low: float, high: float) -> tuple[int, int]:
    """Smallest run of whole pixels over [low, high]; an excess of under 1e-4 does not count."""
    return math.floor(low), math.floor(high + ALMOST_ONE)


def _align_axis(scale: float, shift: float, size: int, length: int
                ) -> tuple[int, int, int, int, float, float]:
    """Source and destination of one axis in whole pixels, with the scale and shift they imply."""
    low, high = (min(max(edge * scale + shift, 0.0), float(size)) for edge in (0.0, length))
    start, end = rasterise(low, high)
    first, last = (min(max(edge, 0), length) for edge in rasterise(
        start * (1 / scale) - shift / scale, end * (1 / scale) - shift / scale))
    if end <= start or last <= first:
        return 0, 0, 0, 0, scale, shift
    # In float32, as published: everything downstream uses these.
    aligned = np.float32(end - start) / np.float32(last - first)
    moved = np.float32(start) - np.float32(first) * aligned
    return first, last, start, end, float(aligned), float(moved)


def plan_window(box: np.ndarray, factor: float, size: int, image_wh: tuple[int, int],
                fill: tuple[float, float, float]) -> CropPlan:
    """
    Plan the crop around a box: LoRAT's, aligned to whole pixels of image and crop.

    :param box: (4,) xyxy in image pixels; fill: BGR colour outside the image.
    """
    scale, shift = nominal_window(box, factor, size)
    return align_window((scale, scale), shift.tolist(), size, image_wh, fill)


def align_window(scale: Sequence[float], shift: Sequence[float], size: int,
                 image_wh: tuple[int, int], fill: tuple[float, float, float]) -> CropPlan:
    """
    Plan the crop = image * scale + shift (x and y each), aligned to whole pixels of both.

    :param size: side of the crop in pixels; fill: BGR colour outside the image.
    """
    axes = [_align_axis(float(scale[k]), float(shift[k]), size, image_wh[k]) for k in (0, 1)]
    (x1, x2, u1, u2, sx, ox), (y1, y2, v1, v2, sy, oy) = axes
    if u1 == u2 or v1 == v2:
        x1 = y1 = x2 = y2 = u1 = v1 = u2 = v2 = 0
    return CropPlan((x1, y1, x2, y2), (u1, v1, u2, v2), size, fill, (sx, sy), (ox, oy))


def template_cells(box: np.ndarray, plan: CropPlan) -> tuple[int, int, int, int]:
    """Cells x1, y1, x2, y2 of the template's grid that the target touches; may be outside it."""
    inside = to_crop(box, plan) / PATCH
    (x1, x2), (y1, y2) = (rasterise(inside[k], inside[k + 2]) for k in (0, 1))
    return x1, y1, x2, y2


def template_mask(cells: tuple[int, int, int, int], grid: int) -> np.ndarray:
    """(grid, grid) float32: 1 in the cells [x1, x2) x [y1, y2), else 0."""
    x1, y1, x2, y2 = (min(max(cell, 0), grid) for cell in cells)
    mask = np.zeros((grid, grid), np.float32)
    mask[y1:y2, x1:x2] = 1
    return mask


def to_crop(box: np.ndarray, plan: CropPlan) -> np.ndarray:
    """Map a box xyxy from image to crop pixels."""
    return box * np.tile(plan.scale, 2) + np.tile(plan.offset, 2)


def to_image(box: np.ndarray, plan: CropPlan) -> np.ndarray:
    """Map boxes (..., 4) xyxy from crop to image pixels."""
    scale, offset = np.tile(plan.scale, 2), np.tile(plan.offset, 2)
    return box.astype(np.float64) * (1 / scale) + (-offset / scale)


def normalise(crop: np.ndarray) -> np.ndarray:
    """Crop (S, S, 3) float32 BGR in 0..255 to the network's (1, 3, S, S) float32 RGB."""
    tensor = np.empty((1, 3, *crop.shape[:2]), np.float32)
    for channel in range(3):
        plane = tensor[0, 2 - channel]
        np.divide(crop[:, :, channel], np.float32(255), out=plane)
        plane -= IMAGE_MEAN[channel]
        plane /= IMAGE_STD[channel]
    return tensor


def _colours() -> Colours:
    (b, g, r), (sb, sg, sr) = (255 * IMAGE_MEAN).tolist(), (1 / (255 * IMAGE_STD)).tolist()
    return Colours((b, g, r), (sb, sg, sr))


CROPS: CropRule[CropPlan] = CropRule(sample_bilinear, normalise, bilinear_recipe, _colours())


def window_of(grid: int) -> np.ndarray:
    """Symmetric Hann window (grid, grid) float32, zero on the border."""
    hann = np.hanning(grid).astype(np.float32)
    return np.outer(hann, hann)


def choose(logits: np.ndarray, window: np.ndarray, weight: float
           ) -> tuple[int, float, np.ndarray]:
    """
    Choose the cell that holds the target.

    :param logits: (G, G) float32 score before the sigmoid.
    :param window: (G, G) prior of where it is.
    :param weight: of the window against the score, in [0, 1].
    :returns: index of the cell, its score in [0, 1] without the window, and what the cells were
        ranked by (G * G).
    """
    with np.errstate(over='ignore'):      # exp of a very sure no
        score = (1 / (1 + np.exp(-logits))).ravel()
    rank = score * np.float32(1 - weight) + window.ravel() * np.float32(weight)
    index = int(np.argmax(rank))
    return index, float(score[index]), rank


def clip(box: np.ndarray, image_wh: tuple[int, int]) -> np.ndarray:
    """Clip every coordinate of boxes (..., 4) xyxy to the image."""
    return np.clip(box, 0, np.tile(image_wh, 2))


def grow(box: np.ndarray, least: float) -> np.ndarray:
    """Grow a box xyxy about its centre to at least ``least`` pixels a side."""
    centre, half = (box[:2] + box[2:]) / 2, np.maximum(box[2:] - box[:2], least) / 2
    wide = (box[2:] - box[:2]) < least
    return np.concatenate([np.where(wide, centre - half, box[:2]),
                           np.where(wide, centre + half, box[2:])])


def within_reach(box: np.ndarray, image_wh: tuple[int, int]) -> np.ndarray:
    """
    Move a box xyxy that shows nothing of the image to the image's nearest border.

    In images of one size there is none: the published state is clipped. Where the image has
    become smaller, the search region would otherwise be empty for ever.
    """
    lowest, highest = -(box[2:] - box[:2]) / 2, np.array(image_wh) - (box[2:] - box[:2]) / 2
    apart = (box[2:] <= 0) | (box[:2] >= np.array(image_wh))
    corner = np.where(apart, np.clip(box[:2], lowest, highest), box[:2])
    return np.concatenate([corner, box[2:] + (corner - box[:2])])


def next_state(state: np.ndarray, found: np.ndarray) -> np.ndarray:
    """Move to the box found (xyxy, clipped to the image) unless nothing of it is left."""
    usable = np.isfinite(found).all() and found[0] < found[2] and found[1] < found[3]
    return found if usable else state


class LoratFamily:
    """One target of a LoRAT model."""

    roles = ('template', 'search')
    role = 'search'

    def __init__(self, bundle: Bundle, sampler: Sampler = HOST) -> None:
        self._sampler = sampler
        with reading(bundle) as manifest:
            self._sizes, post = CropSizes.of(manifest), manifest['postprocessing']
            self._window_weight = float(post['window'])
            self._least = float(post['smallest'])
        self._grid = self._sizes.search // PATCH
        self._window = window_of(self._grid)
        self._memory: dict[str, Value] = {}
        self._fill = (0.0, 0.0, 0.0)
        self._state = np.zeros(4)
        self._image_wh = (0, 0)
        self._plan: CropPlan      # of the last ``look``

    def start(self, image: np.ndarray, box: Box) -> dict[str, Value]:
        """Take a target: template crop, its cells, and the fill colour of the whole sequence."""
        x, y, w, h = box
        self._state = np.array((x, y, x + w, y + h), np.float64)
        blue, green, red, _ = cv2.mean(image)
        self._fill = blue, green, red
        plan = plan_window(self._state, self._sizes.template_factor, self._sizes.template,
                           (image.shape[1], image.shape[0]), self._fill)
        mask = template_mask(template_cells(self._state, plan), self._sizes.template // PATCH)
        return {'image': self._sampler.cut(image, plan, CROPS), 'mask': mask[None]}

    def remember(self, outputs: Mapping[str, Value]) -> None:
        """Keep the template's tokens."""
        self._memory = dict(outputs)

    def look(self, image: np.ndarray) -> dict[str, Value]:
        """Crop the search region around where the target was."""
        self._image_wh = image.shape[1], image.shape[0]
        self._state = within_reach(self._state, self._image_wh)
        self._plan = plan_window(grow(self._state, self._least), self._sizes.search_factor,
                                 self._sizes.search, self._image_wh, self._fill)
        return {'image': self._sampler.cut(image, self._plan, CROPS), **self._memory}

    def answer(self, outputs: Mapping[str, Value]) -> Answer:
        """
        Read the best cell's box; the search region follows unless the box is degenerate.

        If the network gave no numbers, the box stays and the score is 0.
        """
        read = arrays(outputs)
        index, score, _ = choose(read['score'][0], self._window, self._window_weight)
        best = read['boxes'].reshape(-1, 4)[index] * np.float32(self._sizes.search)
        found = clip(to_image(best, self._plan), self._image_wh)
        if not (math.isfinite(score) and np.isfinite(found).all()):
            found, score = self._state, 0.0
        self._state = next_state(self._state, found)
        x1, y1, x2, y2 = found.tolist()
        return Answer((x1, y1, x2 - x1, y2 - y1), score, self._plan.window)

    def around(self, box: Box) -> LoratFamily:
        """Make another one that looks around a box."""
        x, y, w, h = box
        other = copy.copy(self)
        other._state = np.array((x, y, x + w, y + h), np.float64)
        return other
