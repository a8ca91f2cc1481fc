# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
The crop rules in plain numbers: for each pixel of a crop, which pixels of the image with which
weights. A sampler on a device follows them to what ``sample_crop``, ``sample_bilinear`` and
``sample_square`` make on the host.
"""
from __future__ import annotations

import numpy as np

from lorat_ros.engines.sampling import Taps

FIXED_POINT = 2048      # steps in which OpenCV counts the weights of bytes


def linear_taps(length: int, size: int) -> Taps:
    """Two taps a pixel as OpenCV resizes bytes: between pixel centres, weights in fixed point."""
    place = (np.arange(size) + 0.5) * (length / size) - 0.5
    place = np.clip(place, 0, length - 1)
    first = np.minimum(place.astype(np.int64), max(length - 2, 0))
    second = np.round((place - first) * FIXED_POINT).astype(np.float32) / FIXED_POINT
    return pair_taps(first, np.minimum(first + 1, length - 1), second)


def pair_taps(first: np.ndarray, second: np.ndarray, weight: np.ndarray) -> Taps:
    """Two taps a pixel, of which the second has this weight."""
    return Taps(np.stack([first, second], 1), np.stack([1 - weight, weight], 1))


def area_taps(length: int, size: int) -> Taps:
    """Pixels that a crop's pixel covers, by the share of it that each of them is."""
    edges = np.arange(size + 1) * (length / size)
    first = np.floor(edges[:-1]).astype(np.int64)
    taps = int((np.ceil(edges[1:]) - first).max())
    index = first[:, None] + np.arange(taps)
    covered = np.minimum(edges[1:, None], index + 1) - np.maximum(edges[:-1, None], index)
    weight = np.where(covered > 1e-6, covered, 0) * (size / length)
    return Taps(np.minimum(index, length - 1), weight.astype(np.float32))


def halved(taps: Taps) -> Taps:
    """Taps into pixels of which each is the mean of two, as taps into these."""
    index = np.stack([taps.index * 2, taps.index * 2 + 1], 2)
    weight = np.repeat(taps.weight[..., None] / 2, 2, 2)
    return Taps(*(value.reshape(len(taps.index), -1) for value in (index, weight)))


def within(taps: Taps, low: int, high: int) -> Taps:
    """Let only pixels of [low, high) count; the others are black."""
    inside = (taps.index >= low) & (taps.index < high)
    return Taps(np.where(inside, taps.index, 0), np.where(inside, taps.weight, np.float32(0)))


def moved(taps: Taps, first: int, step: int = 1) -> Taps:
    """Let pixel k mean the pixel first + k * step."""
    return Taps(taps.index * step + first, taps.weight)


def no_taps() -> Taps:
    """Taps of no pixel at all."""
    return Taps(np.zeros((0, 1), np.int64), np.zeros((0, 1), np.float32))
