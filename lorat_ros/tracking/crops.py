# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Crop plans, and the sampler that executes them on the CPU.

A plan says which pixels go where: a rectangle of whole pixels of the image is stretched onto a
rectangle of whole pixels of the crop, and the rest of the crop is filled. Because both
rectangles are whole, scale and offset may differ a little between the axes; the plan knows them
exactly, so boxes go back and forth without loss.
"""
from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np

from lorat_ros.boxes import Box
from lorat_ros.engines.sampling import Recipe
from lorat_ros.tracking.crop_taps import area_taps, linear_taps, moved, no_taps, pair_taps


@dataclass(frozen=True)
class CropPlan:
    """Which pixels of an image go where in a square crop. All rectangles are x1, y1, x2, y2."""

    source: tuple[int, int, int, int]         # of the image, pixels
    destination: tuple[int, int, int, int]    # of the crop, pixels; empty: all is fill
    size: int                                 # side of the crop, pixels
    fill: tuple[float, float, float]          # BGR
    scale: tuple[float, float]                # crop pixels per image pixel, x and y
    offset: tuple[float, float]               # crop = image * scale + offset, pixels

    def to_crop(self, box: Box) -> Box:
        """Map a box xywh from image pixels to crop pixels."""
        (sx, sy), (ox, oy), (x, y, w, h) = self.scale, self.offset, box
        return x * sx + ox, y * sy + oy, w * sx, h * sy

    def to_image(self, box: Box) -> Box:
        """Map a box xywh from crop pixels to image pixels."""
        (sx, sy), (ox, oy), (x, y, w, h) = self.scale, self.offset, box
        return (x - ox) / sx, (y - oy) / sy, w / sx, h / sy

    @property
    def window(self) -> Box:
        """What the crop shows, xywh in image pixels; may reach over the image's border."""
        return self.to_image((0.0, 0.0, float(self.size), float(self.size)))


def window_side(w: float, h: float, factor: float) -> float:
    """
    Side in pixels of the square window around a box of size (w, h).

    A margin of ``(factor - 1)`` half perimeters' half is added to either side, then the area is
    kept (LoRAT's rule): a square box spans 1 / factor of the window.
    """
    margin = (factor - 1) * (w + h) / 2
    return math.sqrt((w + margin) * (h + margin))


def _plan_axis(low: float, side: float, size: int, length: int
               ) -> tuple[int, int, int, int, float, float]:
    """Source and destination of one axis, with its scale and offset."""
    nominal = size / side
    first, last = max(math.floor(low), 0), min(math.ceil(low + side), length)
    start = min(max(round((first - low) * nominal), 0), size)
    end = min(max(round((last - low) * nominal), 0), size)
    if last <= first or end <= start:      # the window shows nothing of the image
        return 0, 0, 0, 0, nominal, -low * nominal
    scale = (end - start) / (last - first)
    return first, last, start, end, scale, start - first * scale


def plan_crop(centre: tuple[float, float], side: float, size: int, image_wh: tuple[int, int],
              fill: tuple[float, float, float]) -> CropPlan:
    """
    Plan a square crop.

    :param centre: (x, y) of the window in image pixels.
    :param side: of the window in image pixels, greater than 0.
    :param size: side of the crop in pixels.
    :param image_wh: (width, height) of the image.
    :param fill: BGR colour of what lies outside the image.
    """
    axes = [_plan_axis(centre[k] - side / 2, side, size, image_wh[k]) for k in (0, 1)]
    (x1, x2, u1, u2, sx, ox), (y1, y2, v1, v2, sy, oy) = axes
    if u1 == u2 or v1 == v2:
        x1 = y1 = x2 = y2 = u1 = v1 = u2 = v2 = 0
    return CropPlan((x1, y1, x2, y2), (u1, v1, u2, v2), size, fill, (sx, sy), (ox, oy))


def sample_crop(image: np.ndarray, plan: CropPlan) -> np.ndarray:
    """
    Execute a plan on the CPU.

    Large targets are thinned before they are averaged, so the cost does not grow with the image.

    :param image: (height, width, 3) uint8 BGR.
    :returns: (size, size, 3) uint8 BGR.
    """
    x1, y1, x2, y2 = plan.source
    u1, v1, u2, v2 = plan.destination
    if u2 == u1:
        return _filled(plan)
    step, first, area = _thinning(plan)
    part = image[y1 + first:y2:step, x1 + first:x2:step]
    resized = _resize(part, (u2 - u1, v2 - v1), cv2.INTER_AREA if area else cv2.INTER_LINEAR)
    if (u1, v1, u2, v2) == (0, 0, plan.size, plan.size):
        return resized
    canvas = _filled(plan)
    canvas[v1:v2, u1:u2] = resized
    return canvas


def crop_recipe(plan: CropPlan, image_wh: tuple[int, int]) -> Recipe:
    """``sample_crop`` in plain numbers."""
    step, first, area = _thinning(plan)
    taps = area_taps if area else linear_taps
    axes = [no_taps() if high == low else
            moved(taps(len(range(low + first, high, step)), end - start), low + first, step)
            for low, high, start, end in _axes(plan)]
    return Recipe(*axes, plan.destination[:2], plan.size, tuple(np.round(plan.fill).tolist()),
                  whole=True)


def _thinning(plan: CropPlan) -> tuple[int, int, bool]:
    """Of how many pixels one is read, which is the first, and whether areas are averaged."""
    shrink = 1 / max(plan.scale)
    step = max(1, int(shrink / 3))
    return step, (step - 1) // 2, shrink > 1.5


def _axes(plan: CropPlan) -> list[tuple[int, int, int, int]]:
    """Of x and y: start and end in the image, start and end in the crop."""
    return [(plan.source[k], plan.source[k + 2], plan.destination[k], plan.destination[k + 2])
            for k in (0, 1)]


def _filled(plan: CropPlan) -> np.ndarray:
    canvas = np.empty((plan.size, plan.size, 3), np.uint8)
    canvas[:] = np.asarray(plan.fill).round().astype(np.uint8)
    return canvas


def _resize(part: np.ndarray, size_wh: tuple[int, int], method: int) -> np.ndarray:
    """Resize a part of an image (h, w, 3), BGR, that may be a view of RGB or grey pixels."""
    # As it lies in the message: OpenCV would first copy it, backwards or three times.
    if part.strides[2] < 0:
        return cv2.cvtColor(cv2.resize(part[..., ::-1], size_wh, interpolation=method),
                            cv2.COLOR_RGB2BGR)
    if part.strides[2] == 0:
        return cv2.cvtColor(cv2.resize(part[..., :1], size_wh, interpolation=method),
                            cv2.COLOR_GRAY2BGR)
    return cv2.resize(part, size_wh, interpolation=method)


def _taps(length: int, size: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Both source pixels of every target pixel of one axis, and the weight of the second."""
    # A float32 scale, then one rounding at the end: as a fused multiply-add does it.
    centre = (np.arange(size) + 0.5) * np.float64(np.float32(length / size))
    place = np.maximum(centre - 0.5, 0).astype(np.float32)
    first = np.minimum(place.astype(np.intp), length - 1)
    return first, np.minimum(first + 1, length - 1), place - first.astype(np.float32)


def sample_bilinear(image: np.ndarray, plan: CropPlan) -> np.ndarray:
    """
    Execute a plan exactly: bilinear between pixel centres in float32, without antialias.

    What trackers that crop with torch's ``interpolate`` were trained on. OpenCV rounds the
    weights. Of the region only the rows that are needed are read, so the cost grows with its
    width, not with its area.

    :param image: (height, width, 3) uint8 BGR.
    :returns: (size, size, 3) float32 BGR in 0..255.
    """
    x1, y1, x2, y2 = plan.source
    u1, v1, u2, v2 = plan.destination
    canvas = np.empty((plan.size, plan.size, 3), np.float32)
    canvas[:] = np.asarray(plan.fill, np.float32)
    if u2 == u1:
        return canvas
    left, right, across = _taps(x2 - x1, u2 - u1)
    top, bottom, down = _taps(y2 - y1, v2 - v1)
    part = image[y1:y2, x1:x2]
    columns = np.concatenate([left, right])
    across, down = across[:, None], down[:, None, None]
    rows = []
    for line in (top, bottom):
        both = part[line][:, columns].astype(np.float32)
        rows.append(both[:, :u2 - u1] * (1 - across) + both[:, u2 - u1:] * across)
    canvas[v1:v2, u1:u2] = rows[0] * (1 - down) + rows[1] * down
    return canvas


def bilinear_recipe(plan: CropPlan, image_wh: tuple[int, int]) -> Recipe:
    """``sample_bilinear`` in plain numbers."""
    axes = [no_taps() if high == low else moved(pair_taps(*_taps(high - low, end - start)), low)
            for low, high, start, end in _axes(plan)]
    return Recipe(*axes, plan.destination[:2], plan.size, plan.fill, whole=False)


def mean_colour(image: np.ndarray) -> tuple[float, float, float]:
    """Mean colour of an image (height, width, 3), BGR; large images are thinned."""
    step = max(1, min(image.shape[:2]) // 120)
    thin = np.ascontiguousarray(image[::step, ::step])
    return tuple(cv2.mean(thin)[:3])
