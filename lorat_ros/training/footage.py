# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What a data set consists of, whatever its layout: clips and sets of stills, not yet decoded."""
from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, Optional, Protocol

import numpy as np

from lorat_ros.training.items import box_decides, mask_decides, Shelf
from lorat_ros.training.store import (Picture, PictureError, Pictures, shrunk_size,
                                      size_of_file, Store)

IMAGE_SUFFIXES = ('.jpg', '.jpeg', '.png', '.bmp')
SMALLEST_MOVING, SMALLEST_STILL = 6.0, 8.0      # pixels of the shorter side, after shrinking
ABSENT = (np.nan,) * 4
#: Wraps what is gone through one by one, for a progress bar.
Progress = Callable[[Iterable[Any]], Iterable[Any]]


class DataError(ValueError):
    """Data that cannot be used; the message names it, what was expected and the cure."""


@dataclass
class Notes:
    """What was not as it should be, and what was done about it; and how much there was."""

    lines: list[str] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)

    def say(self, where: object, what: str) -> None:
        """Note one thing."""
        self.lines.append(f'{where}: {what}')

    def refuse(self, where: object, why: str) -> None:
        """Note that something was left out as a whole."""
        self.counts['refused'] += 1
        self.say(where, f'left out: {why}')


@dataclass
class Reading:
    """How data is to be read."""

    store: Store
    longest: Optional[int] = 400       # pixels of a picture's longer side; None: as it is
    image_topic: Optional[str] = None  # of a bag, where it has several
    truth_topic: Optional[str] = None
    target: Optional[str] = None       # the id in detections; None: each id is a clip
    tolerance: float = 0.02            # seconds between an image's stamp and its box's
    frames_only: bool = False          # of a recording take the images, whatever the truth


class Shot(NamedTuple):
    """One frame of a clip."""

    picture: Picture
    box: np.ndarray                     # (4,) xywh in pixels of the file; nan: absent or unknown
    mask: Optional[np.ndarray] = None   # of the file's size


class Clip(Protocol):
    """Frames in order of time with at most one box each."""

    name: str

    def shots(self, notes: Notes, every: int) -> Iterator[Shot]:
        """Every ``every``-th frame that can be read."""


@dataclass
class FileClip:
    """A clip whose frames are files."""

    name: str
    pictures: Pictures
    boxes: np.ndarray                                         # (n, 4), one a picture
    masks: Callable[[int], Optional[np.ndarray]] = lambda number: None
    masked: Optional[np.ndarray] = None

    def shots(self, notes: Notes, every: int = 1) -> Iterator[Shot]:
        """Every ``every``-th frame; one that cannot be read is noted and left out."""
        for number in range(0, len(self.pictures), every):
            try:
                picture = self.pictures.picture(number)
            except PictureError as error:
                notes.counts['unreadable'] += 1
                notes.say(self.name, f'frame left out: {error}')
                continue
            yield Shot(picture, self.boxes[number],
                       self.masks(number) if self.masked is not None and self.masked[number]
                       else None)

    def shelf(self) -> Shelf:
        """The labelled frames, as objects to draw pairs of."""
        shelf = Shelf(self.pictures, np.arange(len(self.boxes)), self.boxes, box_decides,
                      self.masks, self.masked)
        if not np.isfinite(self.boxes).any():
            return shelf.part(np.empty(0, int))
        size = size_of_file(self.pictures.path(0))
        ratio = max(shrunk_size(size, self.pictures.longest)) / max(size)
        with np.errstate(invalid='ignore'):
            good = np.isfinite(self.boxes).all(1) & \
                (self.boxes[:, 2:].min(1) * ratio >= SMALLEST_MOVING)
        return shelf.part(np.flatnonzero(good))


@dataclass
class StillSet:
    """Pictures that have nothing to do with each other, with any number of objects in each."""

    name: str
    pictures: Pictures
    owner: np.ndarray                                         # (m,) number of the picture
    boxes: np.ndarray                                         # (m, 4) xywh in pixels of the file
    classes: Sequence[str] = ()
    masks: Callable[[int], Optional[np.ndarray]] = lambda number: None
    masked: Optional[np.ndarray] = None                       # (m,) bool
    ratio: np.ndarray | float = 1.0     # (m,) by how much the pictures are shrunk

    def shelf(self) -> Shelf:
        """The objects that are large enough to draw pairs of."""
        shelf = Shelf(self.pictures, self.owner, self.boxes, mask_decides, self.masks,
                      self.masked)
        if not len(self.boxes):
            return shelf
        return shelf.part(np.flatnonzero(self.boxes[:, 2:].min(1) * self.ratio
                                         >= SMALLEST_STILL))


def in_order(names: Sequence[str]) -> list[str]:
    """Names of frames in order of time: by the numbers in them, whether or not zeros lead."""
    def key(name: str) -> list[tuple[int, int, str]]:
        return [(0, int(part), part) if part.isdecimal() else (1, 0, part.lower())
                for part in re.split(r'(\d+)', name) if part]
    return sorted(names, key=key)


def frame_names(folder: Path) -> list[str]:
    """Names of the images directly in a folder, in order of time; none if it is no folder."""
    if not folder.is_dir():
        return []
    return in_order([p.name for p in folder.iterdir()
                     if p.suffix.lower() in IMAGE_SUFFIXES and not p.name.startswith('.')])


def clean_boxes(boxes: np.ndarray, size: tuple[int, int], where: object, notes: Notes
                ) -> np.ndarray:
    """
    Make boxes trustworthy: what is no box becomes nan, what overhangs the image is cut.

    :param boxes: (n, 4) xywh; a row with a value that is not finite, or without a size, says
        that the target is absent.
    :param size: width and height of the image, pixels.
    :returns: (n, 4) float64.
    """
    boxes = np.array(boxes, np.float64).reshape(-1, 4)
    with np.errstate(invalid='ignore', over='ignore'):
        known = np.isfinite(boxes).all(1) & (boxes[:, 2:] > 0).all(1)
        low = np.clip(boxes[:, :2], 0, size)
        high = np.clip(boxes[:, :2] + boxes[:, 2:], 0, size)
        seen = np.prod(high - low, 1) / np.prod(boxes[:, 2:], 1)
    outside = known & (seen < 0.1)
    overhanging = known & ~outside & (seen < 0.98)
    boxes[known] = np.hstack([low, high - low])[known]
    boxes[~known | outside] = np.nan
    notes.counts['absent'] += int((~known).sum())
    for what, which in (('lie outside the image: taken as absent', outside),
                        ('overhang the image: cut at its border', overhanging)):
        if which.any():
            notes.counts['outside' if which is outside else 'cut'] += int(which.sum())
            notes.say(where, f'{int(which.sum())} of {len(boxes)} boxes (first: frame '
                             f'{int(np.argmax(which))}) {what}')
    return boxes
