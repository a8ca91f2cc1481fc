# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
The crop of OSTrack (Ye et al., ECCV 2022), which LiteTrack and FARTrack took over as it is.

A square of whole pixels around the target is cut out, what lies outside the image is black, and
the square is then resized. Three peculiarities belong to the published results and are kept:

* The corner is rounded half to even, while boxes are mapped with the centre that was not rounded.
* Blackness begins one pixel early at the right and at the bottom: the last column and the last
  row of an image never enter a crop.
* The square is padded before it is resized, so the border is blended with black.
"""
from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np

from lorat_ros.boxes import Box, centre_xywh
from lorat_ros.engines.sampling import Colours, Recipe
from lorat_ros.tracking.crop_taps import linear_taps, moved, within
from lorat_ros.tracking.sampler import CropRule, looked_up

MARGIN = 10.0          # pixels of a box that the clip keeps in the image, and its smallest side
LARGEST = 16384        # pixels; squares with a longer side are thinned before they are resized
_RGB_MEAN = (0.485, 0.456, 0.406)      # of ImageNet
_RGB_STD = (0.229, 0.224, 0.225)
_BYTES = np.arange(256, dtype=np.float32) / np.float32(255)
#: Blue, green, red: the network's float32 for each value of a byte.
_LEVELS = tuple((_BYTES - np.float32(mean)) / np.float32(std)
                for mean, std in zip(reversed(_RGB_MEAN), reversed(_RGB_STD)))


@dataclass(frozen=True)
class SquareCrop:
    """Which square of an image a crop shows, and how boxes get in and out of it."""

    corner: tuple[int, int]         # top-left, image pixels; may lie outside the image
    side: int                       # image pixels
    size: int                       # side of the crop, crop pixels
    centre: tuple[float, float]     # of the box it was made for, image pixels, not rounded

    @property
    def scale(self) -> float:
        """Crop pixels per image pixel."""
        return self.size / self.side

    @property
    def window(self) -> Box:
        """What the crop shows, xywh in image pixels; may reach over the image's border."""
        return float(self.corner[0]), float(self.corner[1]), float(self.side), float(self.side)

    def to_crop(self, box: Box) -> tuple[float, float, float, float]:
        """
        Map a box into the crop.

        The target's own centre comes to (size - 1) / 2 pixels, as published.

        :param box: xywh, image pixels.
        :returns: x1, y1, x2, y2 in units of the crop's side; not clipped.
        """
        x, y = (((self.size - 1) / 2 + (box_centre - centre) * self.scale) / self.size
                for box_centre, centre in zip(centre_xywh(box), self.centre))
        w, h = (length * self.scale / self.size / 2 for length in box[2:])
        return x - w, y - h, x + w, y + h

    def to_image(self, box: tuple[float, float, float, float]) -> Box:
        """
        Map a box out of the crop.

        :param box: centre x, centre y, w, h in units of the crop's side.
        :returns: xywh, image pixels; not clipped.
        """
        x, y, w, h = (value * self.side for value in box)
        return (x + (self.centre[0] - self.side / 2) - w / 2,
                y + (self.centre[1] - self.side / 2) - h / 2, w, h)


def square_around(box: Box, factor: float, size: int) -> SquareCrop:
    """
    Plan the crop around a box.

    :param box: xywh, image pixels, finite; a box without area gets a square of one pixel (the
        published code raises an error).
    :param factor: side of the square in square roots of the box's area.
    :param size: side of the crop in pixels.
    """
    x, y, w, h = box
    side = max(math.ceil(math.sqrt(max(w * h, 0.0)) * factor), 1)
    # Python rounds half to even, and so does the published code.
    corner = round(x + 0.5 * w - side * 0.5), round(y + 0.5 * h - side * 0.5)
    return SquareCrop(corner, side, size, centre_xywh(box))


def sample_square(image: np.ndarray, crop: SquareCrop) -> np.ndarray:
    """
    Cut a crop out of an image; black if it shows nothing of it.

    The image is never padded or copied as a whole, and of a large square only those rows are
    copied that the resizing reads. Squares of over ``LARGEST`` pixels a side, for which the
    published code takes gigabytes, are thinned first: these alone may differ from it.

    :param image: (height, width, 3) uint8.
    :returns: (size, size, 3) uint8, channels as in the image.
    """
    # What a message holds as RGB or grey is cut as it lies there: copied pixel by pixel, backwards
    # or three times, it would take several times as long.
    if image.strides[2] < 0:
        return cv2.cvtColor(_sample(image[..., ::-1], crop), cv2.COLOR_RGB2BGR)
    if image.strides[2] == 0:
        return cv2.cvtColor(_sample(image[..., :1], crop), cv2.COLOR_GRAY2BGR)
    return _sample(image, crop)


def _sample(image: np.ndarray, crop: SquareCrop) -> np.ndarray:
    """Cut a crop out of an image with any number of channels."""
    size, (left, top), side = crop.size, crop.corner, crop.side
    channels = image.shape[2]
    # The last row and the last column are left out, as published.
    image = image[:-1, :-1]
    step = _step(side)
    if step > 1:
        image = image[::step, ::step]
        left, top, side = left // step, top // step, -(-side // step)
    height, width = image.shape[:2]
    x1, x2 = max(left, 0), min(left + side, width)
    y1, y2 = max(top, 0), min(top + side, height)
    if x1 >= x2 or y1 >= y2:
        return np.zeros((size, size, channels), np.uint8)
    part = image[y1:y2, x1:x2]
    if part.shape[:2] != (side, side):
        rows = _rows_read(side, size)
        rows = rows[(rows >= y1 - top) & (rows < y2 - top)]
        # The system gives zeroed memory page by page, when it is touched.
        padded = np.zeros((side, side, channels), np.uint8)
        padded[rows, x1 - left:x2 - left] = part[rows - (y1 - top)]
        part = padded
    return cv2.resize(part, (size, size), interpolation=cv2.INTER_LINEAR)


def square_recipe(crop: SquareCrop, image_wh: tuple[int, int]) -> Recipe:
    """``sample_square`` in plain numbers: what is black has taps that do not count."""
    step = _step(crop.side)
    taps = linear_taps(-(-crop.side // step), crop.size)
    columns, rows = (moved(within(moved(taps, low // step), 0, -(-(length - 1) // step)), 0, step)
                     for low, length in zip(crop.corner, image_wh))
    return Recipe(columns, rows, (0, 0), crop.size, (0.0, 0.0, 0.0), whole=True)


def _step(side: int) -> int:
    """Of how many pixels of a square one is read."""
    return -(-side // LARGEST)


def _rows_read(side: int, size: int) -> np.ndarray:
    """Rows that a bilinear resize may read: two for each of the result, one more either side."""
    if side <= 4 * size:
        return np.arange(side)
    above = np.floor((np.arange(size) + 0.5) * (side / size) - 0.5).astype(np.int64)
    return np.unique(np.clip(above[:, None] + np.arange(-1, 3), 0, side - 1))


def normalise(crop: np.ndarray) -> np.ndarray:
    """Crop (S, S, 3) uint8 BGR to the network's (1, 3, S, S) float32 RGB by ImageNet's colours."""
    return looked_up(crop, _LEVELS)


def _colours() -> Colours:
    (red, green, blue), (red_std, green_std, blue_std) = _RGB_MEAN, _RGB_STD
    return Colours((255 * blue, 255 * green, 255 * red),
                   (1 / (255 * blue_std), 1 / (255 * green_std), 1 / (255 * red_std)))


CROPS: CropRule[SquareCrop] = CropRule(sample_square, normalise, square_recipe, _colours())


def clip_box(box: Box, image_wh: tuple[int, int], margin: float = MARGIN) -> Box:
    """
    Keep a box in the image as published: a part of it in sight, no side shorter than the margin.

    :param box: xywh, image pixels.
    :param image_wh: (width, height); in an image smaller than the margin the box reaches over.
    :param margin: pixels.
    """
    (x, w), (y, h) = (_clip_axis(box[k], box[k] + box[k + 2], image_wh[k], margin)
                      for k in (0, 1))
    return x, y, w, h


def _clip_axis(low: float, high: float, length: int, margin: float) -> tuple[float, float]:
    """Clipped start and extent of one axis."""
    start = min(max(0.0, low), length - margin)
    end = min(max(margin, high), float(length))
    return start, max(margin, end - start)
