# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Arithmetic of boxes.

A box named ``xywh`` is (x, y, w, h): top-left corner and size in pixels, floats, continuous
coordinates (pixel i covers [i, i + 1)). ``image_wh`` is (width, height) in pixels.
"""
from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

Box = tuple[float, float, float, float]

SMALLEST_SIDE = 1.0        # pixels: below, there is nothing to see
LARGEST_SIDE = 100_000.0   # pixels: far beyond any camera, far below what overflows


class BoxError(ValueError):
    """A box that cannot be a target; the message names the value, the expectation, the cure."""


def check_box(box: Sequence[float]) -> Box:
    """
    Check that a box is one, whatever the image, and return it as four floats.

    :param box: (x, y, w, h) in pixels.
    :raises BoxError: not four numbers, not finite, of no size, or absurdly large or thin.
    """
    try:
        values = tuple(float(v) for v in box)
    except (TypeError, ValueError):
        raise BoxError(f'init box {box!r} is not made of numbers: give x, y, w, h in pixels, '
                       'for example (320, 180, 64, 48)') from None
    if len(values) != 4:
        raise BoxError(f'init box {box!r} has {len(values)} values, expected 4: x, y, w, h in '
                       'pixels (top-left corner and size)')
    if not all(math.isfinite(v) for v in values):
        raise BoxError(f'init box {values} is not finite: give four finite numbers x, y, w, h '
                       'in pixels')
    if values[2] <= 0 or values[3] <= 0:
        raise BoxError(f'init box {values} has no size: width and height must be greater than 0 '
                       '(x, y, w, h; not two corners)')
    if not all(SMALLEST_SIDE <= v <= LARGEST_SIDE for v in values[2:]):
        raise BoxError(f'init box {values} is no target: width and height must be between '
                       f'{SMALLEST_SIDE:g} and {LARGEST_SIDE:g} pixels; give x, y, w, h in '
                       'pixels, not in shares of the image')
    return values


def check_init_box(box: Sequence[float], image_wh: tuple[int, int]) -> Box:
    """
    Check a box that shall become the target, and return it as four floats.

    A box that crosses the border of the image is fine, one that lies outside is not.

    :param box: (x, y, w, h) in pixels.
    :param image_wh: (width, height) of the image in pixels.
    :raises BoxError: as ``check_box``, or without overlap with the image.
    """
    x, y, w, h = values = check_box(box)
    width, height = image_wh
    if x >= width or y >= height or x + w <= 0 or y + h <= 0:
        raise BoxError(f'init box {values} does not overlap the {width}x{height} image: give '
                       'pixels of this image, (0, 0) is its top-left corner')
    return values


def wh_of(image: np.ndarray) -> tuple[int, int]:
    """Return the width and height of an image (height, width, …) in pixels."""
    return image.shape[1], image.shape[0]


def centre_xywh(box: Sequence[float]) -> tuple[float, float]:
    """Return the centre (x, y) of a box in pixels."""
    x, y, w, h = box
    return x + w / 2, y + h / 2


def clip_xywh(box: Sequence[float], image_wh: tuple[int, int]) -> Box:
    """Return the part of a box that lies in the image; its size is 0 where there is none."""
    x, y, w, h = box
    width, height = image_wh
    left, right = (min(max(v, 0.0), float(width)) for v in (x, x + w))
    top, bottom = (min(max(v, 0.0), float(height)) for v in (y, y + h))
    return left, top, right - left, bottom - top


def iou_xywh(a: ArrayLike, b: ArrayLike) -> np.ndarray:
    """
    Intersection over union of boxes.

    :param a: (..., 4) boxes xywh in pixels; broadcasts with ``b``.
    :param b: (..., 4) boxes xywh in pixels.
    :returns: (...) values in [0, 1]; 0 where a box is not finite or both have no area.
    """
    a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
    with np.errstate(invalid='ignore', over='ignore'):
        low = np.maximum(a[..., :2], b[..., :2])
        high = np.minimum(a[..., :2] + a[..., 2:], b[..., :2] + b[..., 2:])
        overlap = np.prod(np.clip(high - low, 0, None), axis=-1)
        union = np.prod(a[..., 2:], axis=-1) + np.prod(b[..., 2:], axis=-1) - overlap
        ratio = np.divide(overlap, union, out=np.zeros_like(overlap), where=union > 0)
    return np.clip(np.nan_to_num(ratio, nan=0.0, posinf=0.0, neginf=0.0), 0.0, 1.0)


def centre_distance_xywh(a: ArrayLike, b: ArrayLike) -> np.ndarray:
    """Distance in pixels between the centres of boxes (..., 4) xywh; nan where one is nan."""
    a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
    apart = (a[..., :2] + a[..., 2:] / 2) - (b[..., :2] + b[..., 2:] / 2)
    return np.hypot(apart[..., 0], apart[..., 1])


def success_auc(overlaps: np.ndarray) -> float:
    """
    Area under the success curve (OTB): mean over 0, 0.05 … 1 of the share of larger overlaps.

    :param overlaps: (frames,) in [0, 1].
    :returns: in [0, 1]; perfect overlap gives 20 / 21.
    """
    return float((np.asarray(overlaps)[:, None] > np.arange(21) * 0.05).mean())


def roc_area(scores: np.ndarray, good: np.ndarray) -> float:
    """
    Chance that a good frame has a higher score than a bad one, ties at half; nan without both.

    :param scores: (n,).
    :param good: (n,) bool.
    """
    right, wrong = scores[good], np.sort(scores[~good])
    if not len(right) or not len(wrong):
        return float('nan')
    below = [np.searchsorted(wrong, right, side) for side in ('left', 'right')]
    return float((sum(below) / 2 / len(wrong)).mean())
