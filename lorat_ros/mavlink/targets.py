# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What an operator can point at, in shares of the image, and what it is in pixels."""
from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple, Union

from lorat_ros.mavlink.dialect import Result

ROUNDING = 1e-6  # of numbers that travel as 32-bit floats
SMALLEST = 1.0   # pixels: what is smaller is no target

Box = tuple[float, float, float, float]


class CommandError(ValueError):
    """A command that is not carried out; the message says why, for the operator."""

    def __init__(self, result: Result, reason: str) -> None:
        super().__init__(reason)
        self.result = result


class Rectangle(NamedTuple):
    """Top left and bottom right corner; 0 is left and top, 1 is right and bottom."""

    left: float
    top: float
    right: float
    bottom: float

    def box(self, image_wh: tuple[int, int], point_size: float) -> Box:
        """Return (x, y, w, h) in pixels of an image of (width, height)."""
        width, height = image_wh
        return (self.left * width, self.top * height, (self.right - self.left) * width,
                (self.bottom - self.top) * height)


class Point(NamedTuple):
    """A point with a radius in shares of the image's width; radius 0 = a size of our choice."""

    x: float
    y: float
    radius: float

    def box(self, image_wh: tuple[int, int], point_size: float) -> Box:
        """Return (x, y, w, h) in pixels, a square around the point.

        :param point_size: its side in pixels where no radius is given.
        """
        width, height = image_wh
        side = 2 * self.radius * width or point_size
        return self.x * width - side / 2, self.y * height - side / 2, side, side


Target = Union[Rectangle, Point]


def rectangle_of(params: Sequence[float]) -> Rectangle:
    """Return the rectangle in the parameters of CAMERA_TRACK_RECTANGLE.

    :raises CommandError: it is none.
    """
    left, top, right, bottom = _shares('rectangle', params[:4])
    if left >= right or top >= bottom:
        raise CommandError(Result.DENIED, f'rectangle {_text(params[:4])}: its first corner must '
                           'be left of and above its second')
    return Rectangle(left, top, right, bottom)


def point_of(params: Sequence[float]) -> Point:
    """Return the point in the parameters of CAMERA_TRACK_POINT; a radius of nan counts as none.

    :raises CommandError: it is none.
    """
    radius = 0.0 if math.isnan(params[2]) else params[2]
    return Point(*_shares('point', (params[0], params[1], radius)))


def pixel_box(target: Target, image_wh: tuple[int, int], point_size: float) -> Box:
    """Return a target's (x, y, w, h) in pixels.

    :raises CommandError: it is too small.
    """
    box = target.box(image_wh, point_size)
    if min(box[2:]) < SMALLEST:
        raise CommandError(Result.DENIED, f'target of {box[2]:.2f} x {box[3]:.2f} pixels is '
                           f'too small, {SMALLEST:g} is the least')
    return box


def shares_of(box: Sequence[float], image_wh: tuple[int, int]) -> Rectangle:
    """Return a box (x, y, w, h) in pixels in shares of the image, cut at its borders."""
    width, height = image_wh
    x, y, w, h = box
    return Rectangle(*(min(max(share, 0.0), 1.0) for share in (
        x / width, y / height, (x + w) / width, (y + h) / height)))


def _shares(what: str, values: Sequence[float]) -> list[float]:
    if not all(-ROUNDING <= value <= 1 + ROUNDING for value in values):  # nan does not fit
        raise CommandError(Result.DENIED, f'{what} {_text(values)} is not within 0 to 1')
    return [min(max(value, 0.0), 1.0) for value in values]


def _text(values: Sequence[float]) -> str:
    return ' '.join(f'{value:.4g}' for value in values)
