# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Weights, inputs and pictures that are a pure function of a name, for golden numbers.

The golden files in ``test/data`` were made by the published trackers with these values in place
of trained weights; whoever makes the same values must get the same answers.
"""
from __future__ import annotations

import math
import zlib
from collections.abc import Callable

import numpy as np

_MASK = 2 ** 64 - 1
_GAMMA = 0x9E3779B97F4A7C15
_BLOCK = 1 << 15      # numbers at a time: they stay in the processor's cache


def unit(name: str, count: int) -> np.ndarray:
    """Return ``count`` float32 numbers in [-1, 1): splitmix64, seeded by the name's CRC-32."""
    base = np.uint64(zlib.crc32(name.encode()) * 0x100000001B3 & _MASK)
    steps = np.arange(1, min(count, _BLOCK) + 1, dtype=np.uint64) * np.uint64(_GAMMA) + base
    values = np.empty(count, np.float32)
    states, shifts = np.empty_like(steps), np.empty_like(steps)
    for first in range(0, count, _BLOCK):
        block = values[first:first + _BLOCK]
        state, shifted = states[:len(block)], shifts[:len(block)]
        np.add(steps[:len(block)], np.uint64(first * _GAMMA & _MASK), out=state)
        for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
            state ^= np.right_shift(state, np.uint64(shift), out=shifted)
            state *= np.uint64(factor)
        state ^= np.right_shift(state, np.uint64(31), out=shifted)
        state >>= np.uint64(40)
        block[:] = state
    values *= np.float32(2.0 ** -23)
    values -= np.float32(1)
    return values


#: Name and shape of a parameter to the mean and the half range of its values.
Rule = Callable[[str, tuple[int, ...]], tuple[float, float]]


def parameter(name: str, shape: tuple[int, ...], rule: Rule) -> np.ndarray:
    """Values of a checkpoint's tensor under its official name, float32."""
    mean, half_range = rule(name, shape)
    values = unit(name, math.prod(shape))
    values *= np.float32(half_range)
    values += np.float32(mean)
    return values.reshape(shape)


def network_input(name: str, shape: tuple[int, ...]) -> np.ndarray:
    """Normalised pixels, float32 of variance 1."""
    return (np.float32(math.sqrt(3)) * unit(name, math.prod(shape))).reshape(shape)


def picture(name: str, height: int, width: int) -> np.ndarray:
    """RGB image (height, width, 3) uint8: a slope, tiles and noise, each channel its own."""
    y, x, c = np.ogrid[:height, :width, :3]
    noise = np.trunc((unit(name, height * width * 3) + np.float32(1)) * np.float32(20))
    tiles = (x // 11 + y // (7 + 3 * c)) % 2
    value = 60 + x * (c + 2) // 5 + y * (4 - c) // 6 + 50 * tiles
    return ((value + noise.astype(np.int64).reshape(height, width, 3)) % 256).astype(np.uint8)


def frame(name: str, index: int, height: int, width: int, start: tuple[int, int],
          velocity: tuple[int, int], size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """
    Frame of a clip in which a textured rectangle moves over a still background.

    :param start: top-left corner in frame 0, (x, y) pixels; may lie outside.
    :param velocity: pixels a frame.
    :param size: (w, h) of the rectangle.
    :returns: RGB image, and the rectangle's box x1, y1, x2, y2 (not clipped).
    """
    image = picture(f'{name}.bg', height, width)
    target = 255 - picture(f'{name}.obj', size[1], size[0]) // 2
    x1, y1 = (start[k] + velocity[k] * index for k in (0, 1))
    x2, y2 = x1 + size[0], y1 + size[1]
    left, top, right, bottom = max(x1, 0), max(y1, 0), min(x2, width), min(y2, height)
    if left < right and top < bottom:
        image[top:bottom, left:right] = target[top - y1:bottom - y1, left - x1:right - x1]
    return image, np.array([x1, y1, x2, y2], np.float64)
