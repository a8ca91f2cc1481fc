# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
A pool of training images in memory: stills and clips, with boxes and masks where they exist.

Layout of the folder (docs/training.md says it at length)::

    stills/SOURCE/NNNNN.jpg      NNNNN.png beside it: mask, 0 background, k object k
    stills/SOURCE/boxes.csv      file,label,class,x,y,w,h   (class 'mask': box of mask label k)
    clips/NAME/NNNNN.jpg         masks/NNNNN.png and boxes.csv (x,y,w,h a frame) where labelled
"""
from __future__ import annotations

import csv
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np

from lorat_ros.boxes import Box


class PoolError(ValueError):
    """A training folder that cannot be used; the message says why and what to do."""


@dataclass
class Item:
    """One labelled object in one image."""

    image: np.ndarray                 # (height, width, 3) uint8 BGR
    box: Box                          # (x, y, w, h) pixels
    outline: np.ndarray               # (points, 2) float32 pixels; what a rotation turns
    mask: np.ndarray | None = None    # (height, width) uint8, 0 or 255; None: only the box


@dataclass
class Pool:
    """Everything that pairs are drawn from."""

    stills: dict[str, list[Item]] = field(default_factory=dict)   # by source
    clips: dict[str, list[Item]] = field(default_factory=dict)    # by name, in order of time
    tracks: dict[str, list[list[Item]]] = field(default_factory=dict)   # self-labelled, by clip
    images: list[np.ndarray] = field(default_factory=list)        # every image, labelled or not


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


def item_from_mask(image: np.ndarray, mask: np.ndarray, smallest: float = 8.0) -> Item | None:
    """Make an object of a binary mask (height, width); None if it is under ``smallest`` pixels."""
    mask = (mask > 0).astype(np.uint8) * 255
    points = cv2.findNonZero(mask)
    if points is None:
        return None
    x, y, w, h = cv2.boundingRect(points)
    if min(w, h) < smallest:
        return None
    hull = cv2.convexHull(points).reshape(-1, 2).astype(np.float32) + 0.5
    return Item(image, (float(x), float(y), float(w), float(h)), hull, mask)


def _read_image(path: Path) -> np.ndarray:
    image = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if image is None:
        raise PoolError(f'{path} cannot be read as an image: remove it or write it anew')
    return image


def _read_mask(path: Path) -> np.ndarray | None:
    # Asked first: OpenCV prints a warning for every file that is not there.
    return cv2.imread(str(path), cv2.IMREAD_GRAYSCALE) if path.is_file() else None


def _read_stills(folder: Path) -> tuple[list[Item], list[np.ndarray]]:
    rows: dict[str, list[dict[str, str]]] = {}
    table = folder / 'boxes.csv'
    if table.is_file():
        with table.open(newline='') as lines:
            for row in csv.DictReader(lines):
                rows.setdefault(row['file'], []).append(row)
    items, images = [], []
    for path in sorted(folder.glob('*.jpg')):
        image = _read_image(path)
        images.append(image)
        labels = _read_mask(path.with_suffix('.png'))
        for row in rows.get(path.name, []):
            box = tuple(float(row[k]) for k in 'xywh')
            if min(box[2:]) < 8:
                continue
            if row['class'] == 'mask' and labels is not None:
                item = item_from_mask(image, labels == int(row['label']))
            else:
                item = Item(image, box, outline_of_box(box))
            if item is not None:
                items.append(item)
    return items, images


def read_images(folder: Path) -> list[np.ndarray]:
    """Read all frames of a clip in order of their names, (height, width, 3) uint8 BGR each."""
    return [_read_image(p) for p in sorted(folder.glob('*.jpg'))]


def _read_clip(folder: Path) -> tuple[list[Item], list[np.ndarray]]:
    images = read_images(folder)
    table = folder / 'boxes.csv'
    if not table.is_file():
        return [], images
    items = []
    boxes = np.genfromtxt(table, delimiter=',', ndmin=2)
    for number, (image, box) in enumerate(zip(images, boxes)):
        if not np.all(np.isfinite(box)) or min(box[2:]) < 6:
            continue
        mask = _read_mask(folder / 'masks' / f'{number:05d}.png')
        item = None if mask is None else item_from_mask(image, mask, 6)
        box = tuple(float(v) for v in box)
        # A clip's own box decides: the mask may hold parts that the box leaves out on purpose.
        if item is None or abs(item.box[2] * item.box[3] / (box[2] * box[3]) - 1) > 0.15:
            item = Item(image, box, outline_of_box(box))
        items.append(item)
    return items, images


def _read_tracks(path: Path, images: list[np.ndarray]) -> list[list[Item]]:
    """Tracks of one clip, as lorat_ros.training.selflabel writes them."""
    tracks: dict[int, list[Item]] = {}
    with path.open(newline='') as lines:
        for row in csv.DictReader(lines):
            box = tuple(float(row[k]) for k in 'xywh')
            tracks.setdefault(int(row['track']), []).append(
                Item(images[int(row['frame'])], box, outline_of_box(box)))
    return list(tracks.values())


def read_pool(folder: Path | str, leave_out: Iterable[str] = (), only_clips: Iterable[str] = (),
              tracks: Path | None = None,
              progress: Callable[[Iterable], Iterable] = lambda items: items) -> Pool:
    """
    Read a training folder into memory (about 300 kB an image of 400 pixels).

    :param folder: holds ``stills/`` and ``clips/`` (either may be missing).
    :param leave_out: names of clips or still sources that are not read (held out).
    :param only_clips: read these clips and nothing else (to validate on what was held out).
    :param tracks: folder of self-labelled tracks, one CSV a clip.
    :param progress: wraps the list of folders, for a progress bar.
    :raises PoolError: nothing to learn from, or an image that cannot be read.
    """
    folder, leave_out, only = Path(folder), set(leave_out), set(only_clips)
    sources = [p for kind in ('stills', 'clips') for p in sorted((folder / kind).glob('*'))
               if p.is_dir() and p.name not in leave_out]
    if only:
        sources = [p for p in sources if p.parent.name == 'clips' and p.name in only]
    pool = Pool()
    for source in progress(sources):
        if source.parent.name == 'stills':
            items, images = _read_stills(source)
            shelf = pool.stills
        else:
            items, images = _read_clip(source)
            shelf = pool.clips
            found = tracks / f'{source.name}.csv' if tracks else None
            if found and found.is_file() and (known := _read_tracks(found, images)):
                pool.tracks[source.name] = known
        if items:
            shelf[source.name] = items
        pool.images += images
    if not pool.images:
        raise PoolError(f'{folder} holds no images under stills/SOURCE/*.jpg or clips/NAME/*.jpg: '
                        'give the folder of a training pool (docs/training.md)')
    return pool
