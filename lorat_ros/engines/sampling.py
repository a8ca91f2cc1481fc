# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
A crop in plain numbers, for samplers that know nothing of tracking.

Cutting, thinning, resizing and the border's colour are all one thing here: along each axis, a
pixel of the crop is a weighted sum of a few pixels of the image. Whoever can gather, multiply
and add can make the crop; which interpolation it is, the weights say.
"""
from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import numpy as np


@dataclass(frozen=True)
class Taps:
    """What each of n pixels of a crop is made of, along one axis; the same number for each."""

    index: np.ndarray       # (n, taps) int64: rows or columns of the image
    weight: np.ndarray      # (n, taps) float32; 0: that pixel is not read


@dataclass(frozen=True)
class Colours:
    """How levels in 0..255 become the network's numbers: (level - mean) * scale; both BGR."""

    mean: tuple[float, float, float]
    scale: tuple[float, float, float]


@dataclass(frozen=True)
class Recipe:
    """How to make a crop of an image; what the taps do not reach is fill."""

    columns: Taps
    rows: Taps
    corner: tuple[int, int]                 # x, y: where in the crop their first pixel lies
    size: int                               # side of the crop, pixels
    fill: tuple[float, float, float]        # BGR, 0..255
    whole: bool                             # levels are rounded to whole numbers


class CropDevice(Protocol):
    """Makes crops in the memory of a device."""

    where: str      # name of the device

    def make(self, image: np.ndarray, recipe: Recipe, colours: Colours) -> Any:
        """
        Make a crop; it may still be in the making when this returns.

        :param image: (height, width, 3) uint8 BGR, or such a view of RGB or grey pixels; all that
            is needed of it has been copied when this returns.
        :returns: (1, 3, size, size) float32 RGB in the device's memory, for a session's handle.
        """


class Part(NamedTuple):
    """The pixels of an image that a recipe reads, as they lie in memory, and taps into them."""

    pixels: np.ndarray      # (rows, columns, channels) uint8, a view where that is enough
    reversed: bool          # RGB instead of BGR
    rows: np.ndarray        # (n, taps) int64, into the pixels
    columns: np.ndarray


def needed_part(image: np.ndarray, recipe: Recipe) -> Part:
    """Cut down an image to what has to go to the device for a recipe; it must read some of it."""
    reverse = image.strides[2] < 0
    if reverse:
        image = image[..., ::-1]
    elif image.strides[2] == 0:
        image = image[..., :1]
    chosen, columns = _chosen(recipe.columns)
    image = image[:, chosen] if isinstance(chosen, slice) else image
    lines, rows = _chosen(recipe.rows)
    image = image[lines]
    # Columns are picked out of the rows that are left.
    image = image if isinstance(chosen, slice) else np.take(image, chosen, axis=1)
    return Part(image, reverse, rows, columns)


def _chosen(taps: Taps) -> tuple[slice | np.ndarray, np.ndarray]:
    """What of an axis is read, and the taps' indices into that."""
    read = taps.weight != 0
    places = taps.index[read]
    first, last = int(places.min()), int(places.max())
    step = int(np.gcd.reduce(places - first)) or 1
    # Taps of weight 0 may point anywhere; they must not point outside.
    index = np.where(read, taps.index, first)
    # A slice costs nothing; picking pays where more lies between the pixels that are read.
    if (last - first) // step < taps.index.size:
        return slice(first, last + 1, step), (index - first) // step
    places = np.unique(places)
    return places, np.searchsorted(places, index)
