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
from typing import NamedTuple

import cv2
import numpy as np

from lorat_ros.boxes import Box
from lorat_ros.engines.sampling import Recipe
from lorat_ros.tracking.crop_taps import (area_taps, halved, linear_taps, moved, no_taps,
                                          pair_taps)


class CropPlan(NamedTuple):
    """Which pixels of an image go where in a square crop. All rectangles are x1, y1, x2, y2."""

    source: tuple[int, int, int, int]         # of the image, pixels
    destination: tuple[int, int, int, int]    # of the crop, pixels; empty: all is fill
    size: int                                 # side of the crop, pixels
    fill: tuple[float, float, float]          # BGR
    scale: tuple[float, float]                # crop pixels per image pixel, x and y
    offset: tuple[float, float]               # crop = image * scale + offset, pixels
    #: Pixels of the image that become one before anything is interpolated, along either axis: 1,
    #: or an even number that divides the sides of the source.
    grain: int = 1

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


def _plan_axis(low: float, side: float, size: int, length: int, grain: int
               ) -> tuple[int, int, int, int, float, float]:
    """Source and destination of one axis, with its scale and offset."""
    nominal = size / side
    first, last = max(math.floor(low), 0), min(math.ceil(low + side), length)
    more = -(last - first) % grain
    last += more if last + more <= length else more - grain
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
    grain = max(1, 2 * int(side / size / 2))
    axes = [_plan_axis(centre[k] - side / 2, side, size, image_wh[k], grain) for k in (0, 1)]
    (x1, x2, u1, u2, sx, ox), (y1, y2, v1, v2, sy, oy) = axes
    if u1 == u2 or v1 == v2:
        x1 = y1 = x2 = y2 = u1 = v1 = u2 = v2 = 0
    return CropPlan((x1, y1, x2, y2), (u1, v1, u2, v2), size, fill, (sx, sy), (ox, oy), grain)


def sample_crop(image: np.ndarray, plan: CropPlan) -> np.ndarray:
    """
    Execute a plan on the CPU.

    Of a window of twice the crop or more, pixels are averaged two by two, in still larger ones
    every second, third, … pixel; then areas are averaged if that still shrinks much, else it is
    interpolated. So it costs about the same whatever the size of the image.

    :param image: (height, width, 3) uint8 BGR; may be a view of RGB or grey pixels.
    :returns: (size, size, 3) uint8 BGR.
    """
    x1, y1, x2, y2 = plan.source
    u1, v1, u2, v2 = plan.destination
    if u2 == u1:
        return np.full((plan.size, plan.size, 3), _fill_of(plan), np.uint8)
    part, finish = _as_it_lies(image[y1:y2, x1:x2])
    resized = cv2.resize(_coarse(part, plan.grain), (u2 - u1, v2 - v1),
                         interpolation=cv2.INTER_AREA if _shrinks(plan) else cv2.INTER_LINEAR)
    return _framed(resized if finish is None else cv2.cvtColor(resized, finish), plan)


def crop_recipe(plan: CropPlan, image_wh: tuple[int, int]) -> Recipe:
    """``sample_crop`` in plain numbers."""
    step, first = _thinning(plan.grain)
    fine = area_taps if _shrinks(plan) else linear_taps
    coarse = halved if plan.grain > 1 else lambda taps: taps
    columns, rows = (
        no_taps() if high == low else
        moved(coarse(fine((high - low) // plan.grain, end - start)), low + first, step)
        for low, high, start, end in _axes(plan))
    return Recipe(columns, rows, plan.destination[:2], plan.size, _fill_of(plan), whole=True)


def _thinning(grain: int) -> tuple[int, int]:
    """Of how many pixels one is read, and which is the first."""
    step = max(1, grain // 2)
    return step, (step - 1) // 2


def _shrinks(plan: CropPlan) -> bool:
    """Whether so much is left to shrink that interpolation would skip what lies between."""
    return 1 / max(plan.scale) > 1.5 * plan.grain


def _axes(plan: CropPlan) -> list[tuple[int, int, int, int]]:
    """Of x and y: start and end in the image, start and end in the crop."""
    return [(plan.source[k], plan.source[k + 2], plan.destination[k], plan.destination[k + 2])
            for k in (0, 1)]


def _coarse(part: np.ndarray, grain: int) -> np.ndarray:
    """Make one pixel of ``grain`` by ``grain``; the sides of a part are multiples of it."""
    if grain == 1:
        return part
    height, width = (side // grain for side in part.shape[:2])
    step, first = _thinning(grain)
    if step > 1:
        # Three times as fast as a strided view, which OpenCV would have to copy first.
        part = cv2.resize(part[first:, first:], None, fx=1 / step, fy=1 / step,
                          interpolation=cv2.INTER_NEAREST)
    return cv2.resize(part, (width, height), interpolation=cv2.INTER_AREA)


def _as_it_lies(part: np.ndarray) -> tuple[np.ndarray, int | None]:
    """
    Pixels of a part of an image as they lie in the message, and how they become BGR.

    OpenCV would first copy a view, backwards or three times.
    """
    if part.strides[2] < 0:
        return part[..., ::-1], cv2.COLOR_RGB2BGR
    if part.strides[2] == 0:
        return part[..., :1], cv2.COLOR_GRAY2BGR
    return part, None


def _framed(part: np.ndarray, plan: CropPlan) -> np.ndarray:
    """Put what the image shows into its place in the crop; the rest is fill."""
    u1, v1, u2, v2 = plan.destination
    if (u1, v1, u2, v2) == (0, 0, plan.size, plan.size):
        return part
    return cv2.copyMakeBorder(part, v1, plan.size - v2, u1, plan.size - u2, cv2.BORDER_CONSTANT,
                              value=_fill_of(plan))


def _fill_of(plan: CropPlan) -> tuple[float, float, float]:
    """Fill as whole levels, BGR."""
    blue, green, red = np.round(plan.fill).tolist()
    return blue, green, red


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
    columns, rows = (
        no_taps() if high == low else moved(pair_taps(*_taps(high - low, end - start)), low)
        for low, high, start, end in _axes(plan))
    return Recipe(columns, rows, plan.destination[:2], plan.size, plan.fill, whole=False)


def mean_colour(image: np.ndarray) -> tuple[float, float, float]:
    """Mean colour of an image (height, width, 3), BGR; large images are thinned."""
    step = max(1, min(image.shape[:2]) // 120)
    thin = np.ascontiguousarray(image[::step, ::step])
    blue, green, red, _ = cv2.mean(thin)
    return blue, green, red
