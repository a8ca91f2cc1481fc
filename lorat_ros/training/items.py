# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Labelled objects: one of them, and shelves of many whose pictures stay on disk."""
from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Optional, overload

import cv2
import numpy as np

from lorat_ros.boxes import Box
from lorat_ros.training.store import PictureError, Pictures, TRIES


@dataclass
class Item:
    """One labelled object in one image."""

    image: np.ndarray                 # (height, width, 3) uint8 BGR
    box: Box                          # (x, y, w, h) pixels
    outline: np.ndarray               # (points, 2) float32 pixels; what a rotation turns
    mask: np.ndarray | None = None    # (height, width) uint8, 0 or 255; None: only the box
    #: Folder and number: names the image where it is read anew each time.
    picture: tuple[str, int] | None = None

    def shares_image(self, other: Item) -> bool:
        """Whether both are in one image."""
        return self.image is other.image or \
            (self.picture is not None and self.picture == other.picture)


class Shape(NamedTuple):
    """Where an object is in its image: an Item without the image."""

    box: Box
    outline: np.ndarray
    mask: np.ndarray | None = None


#: From a box in pixels and a mask of the whole image (or None), the object's shape.
ShapeRule = Callable[[Box, Optional[np.ndarray]], Shape]


def outline_of_box(box: Sequence[float]) -> np.ndarray:
    """
    Points of an octagon inside a box, (8, 2) float32.

    Nothing is known of the object's shape; the corners would make a rotated box far too large,
    an inscribed ellipse a little too small: the octagon's diagonals reach between the two.
    """
    x, y, w, h = box
    angle = np.arange(8) * np.pi / 4
    reach = np.where(np.arange(8) % 2, 1.12, 1.0)
    unit = np.stack([np.cos(angle), np.sin(angle)], 1) * reach[:, None]
    return (unit * (w / 2, h / 2) + (x + w / 2, y + h / 2)).astype(np.float32)


def shape_of_mask(mask: np.ndarray, smallest: float = 8.0) -> Shape | None:
    """Shape of a binary mask (height, width); None if it is under ``smallest`` pixels."""
    mask = (mask > 0).astype(np.uint8) * 255
    points = cv2.findNonZero(mask)
    if points is None:
        return None
    x, y, w, h = cv2.boundingRect(points)
    if min(w, h) < smallest:
        return None
    hull = cv2.convexHull(points).reshape(-1, 2).astype(np.float32) + 0.5
    return Shape((float(x), float(y), float(w), float(h)), hull, mask)


def item_from_mask(image: np.ndarray, mask: np.ndarray, smallest: float = 8.0) -> Item | None:
    """Make an object of a binary mask (height, width); None if it is under ``smallest`` pixels."""
    shape = shape_of_mask(mask, smallest)
    return None if shape is None else Item(image, *shape)


def mask_decides(box: Box, mask: Optional[np.ndarray]) -> Shape:
    """The mask's own box, where there is one of some size: what stills are labelled with."""
    shape = None if mask is None else shape_of_mask(mask)
    return Shape(box, outline_of_box(box)) if shape is None else shape


def box_decides(box: Box, mask: Optional[np.ndarray]) -> Shape:
    """
    The mask only where it agrees with the box.

    A clip's own box decides: the mask may hold parts that the box leaves out on purpose.
    """
    shape = None if mask is None else shape_of_mask(mask, 6)
    if shape is None or abs(shape.box[2] * shape.box[3] / (box[2] * box[3]) - 1) > 0.15:
        return Shape(box, outline_of_box(box))
    return shape


class Shelf(Sequence[Item]):
    """
    Objects in pictures that are read, and shrunk, when an object is taken; slices are shelves.

    :param pictures: in which the objects are.
    :param owner: (n,) number of each object's picture.
    :param boxes: (n, 4) xywh in pixels of the files.
    :param masks: of an object's number its mask, (height, width), not 0 where it is; or None.
    :param masked: (n,) whether an object has a mask.
    """

    def __init__(self, pictures: Pictures, owner: np.ndarray, boxes: np.ndarray, rule: ShapeRule,
                 masks: Callable[[int], Optional[np.ndarray]] = lambda number: None,
                 masked: Optional[np.ndarray] = None,
                 rows: Optional[np.ndarray] = None) -> None:
        self.pictures, self.boxes, self.rule, self.masks = pictures, boxes, rule, masks
        self.owner = np.asarray(owner, np.int64)
        self.masked = np.zeros(len(boxes), bool) if masked is None else masked
        self.rows = np.arange(len(boxes)) if rows is None else rows
        self._token = object()

    def __len__(self) -> int:
        return len(self.rows)

    def part(self, rows: np.ndarray) -> Shelf:
        """A shelf of some of the objects, given by their numbers in the whole."""
        shelf = Shelf(self.pictures, self.owner, self.boxes, self.rule, self.masks, self.masked,
                      rows)
        shelf._token = self._token        # the same objects: what one has read serves the other
        return shelf

    def with_masks(self) -> Shelf:
        """The objects that are said to have a mask (the mask itself may turn out too small)."""
        return self.part(self.rows[self.masked[self.rows]])

    @overload
    def __getitem__(self, place: int) -> Item: ...

    @overload
    def __getitem__(self, place: slice) -> Shelf: ...

    def __getitem__(self, place: int | slice) -> Item | Shelf:
        if isinstance(place, slice):
            return self.part(self.rows[place])
        place = range(len(self))[place]
        for other in range(place, place + TRIES):
            try:
                return self._item(int(self.rows[other % len(self)]))
            except PictureError as error:
                last = error
                warnings.warn(f'{error} (another one was taken for it)', stacklevel=2)
        raise PictureError(f'{last}; nor can any of the {TRIES} pictures before it')

    def _item(self, row: int) -> Item:
        number = int(self.owner[row])
        image, scale = self.pictures.picture(number)
        size = image.shape[0], image.shape[1]
        shape = self.pictures.store.get(
            (self._token, row), lambda: self._shape(row, size, scale),
            lambda shape: 400 if shape.mask is None else 400 + shape.mask.nbytes)
        return Item(image, shape.box, shape.outline, shape.mask, (self.pictures.folder, number))

    def _shape(self, row: int, size: tuple[int, int], scale: tuple[float, float]) -> Shape:
        x, y, w, h = (np.asarray(self.boxes[row], np.float64) * (*scale, *scale)).tolist()
        mask = self.masks(row) if self.masked[row] else None
        if mask is not None and mask.shape != size:
            solid = (mask > 0).astype(np.uint8) * 255
            mask = cv2.resize(solid, size[::-1], interpolation=cv2.INTER_AREA) > 127
        return self.rule((x, y, w, h), mask)
