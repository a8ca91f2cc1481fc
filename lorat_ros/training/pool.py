# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
A pool of training images: stills and clips, with boxes and masks where they exist.

Layout of the folder (docs/data.md says it at length)::

    stills/SOURCE/NNNNN.jpg      NNNNN.png beside it: mask, 0 background, k object k
    stills/SOURCE/boxes.csv      file,label,class,x,y,w,h   (class 'mask': box of mask label k)
    clips/NAME/NNNNN.jpg         masks/NNNNN.png and boxes.csv (x,y,w,h a frame) where labelled

Pictures stay on disk until they are drawn (lorat_ros.training.store).
"""
from __future__ import annotations

import csv
from collections.abc import Container, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from lorat_ros.training.footage import (clean_boxes, DataError, FileClip, frame_names, Notes,
                                        Progress, StillSet)
from lorat_ros.training.items import (item_from_mask, Item, mask_decides, outline_of_box,
                                      Shelf)
from lorat_ros.training.store import Chain, PictureError, Pictures, size_of_file, Store

__all__ = ['Item', 'item_from_mask', 'outline_of_box', 'Pool', 'PoolError', 'read_images',
           'read_pool']


USUAL_BYTES = 300_000        # of an image of 400 pixels


class PoolError(DataError):
    """A training folder that cannot be used; the message says why and what to do."""


@dataclass
class Pool:
    """Everything that pairs are drawn from."""

    stills: dict[str, Sequence[Item]] = field(default_factory=dict)   # by source
    clips: dict[str, Sequence[Item]] = field(default_factory=dict)    # by name, in order of time
    tracks: dict[str, Sequence[Sequence[Item]]] = field(default_factory=dict)   # self-labelled
    images: Chain[np.ndarray] = field(default_factory=Chain)   # every image, labelled or not
    weights: dict[str, float] = field(default_factory=dict)   # of a source or clip, if not 1
    store: Store = field(default_factory=Store)

    def masked(self) -> Sequence[Item]:
        """Objects that can be cut out: all stills' and every fourth frame's of clips."""
        groups = (*self.stills.values(), *(clip[::4] for clip in self.clips.values()))
        return Chain(group.with_masks() if isinstance(group, Shelf)
                     else [item for item in group if item.mask is not None] for group in groups)

    def add_clip(self, clip: FileClip, weight: float = 1.0) -> None:
        """Take a clip in: its labelled frames to pair, all its frames as pictures."""
        name = self._free_name(clip.name, self.clips)
        if len(shelf := clip.shelf()):
            self.clips[name] = shelf
            self.weights[name] = weight
        self.images.append(clip.pictures)

    def add_stills(self, stills: StillSet, weight: float = 1.0) -> None:
        """Take a set of stills in."""
        name = self._free_name(stills.name, self.stills)
        if len(shelf := stills.shelf()):
            self.stills[name] = shelf
            self.weights[name] = weight
        self.images.append(stills.pictures)

    def _free_name(self, name: str, taken: Container[str]) -> str:
        """The name, or name~2, name~3, … where other data has one of that name."""
        return next(free for number in count(1)
                    if (free := name if number == 1 else f'{name}~{number}') not in taken)

    def fill(self, progress: Progress = lambda items: items) -> None:
        """
        Read everything beforehand, if there is room for it.

        A part of a large set would be read again and again anyhow: it is left on disk.
        """
        if len(self.images) * USUAL_BYTES > self.store.room:
            return
        everything: Chain[Any] = Chain([*self.stills.values(), *self.clips.values(), self.images])
        for number in progress(range(len(everything))):
            if self.store.full:
                break
            everything[number]


def _mask_file(path: Path) -> np.ndarray | None:
    # Asked first: OpenCV prints a warning for every file that is not there.
    return cv2.imread(str(path), cv2.IMREAD_GRAYSCALE) if path.is_file() else None


def pool_stills(folder: Path, store: Store, notes: Notes) -> StillSet:
    """Find the stills of one source: the folder's jpg files, as its boxes.csv labels them."""
    names = sorted(p.name for p in folder.glob('*.jpg'))
    number_of = {name: number for number, name in enumerate(names)}
    owner, boxes, classes, labels = [], [], [], []
    table = folder / 'boxes.csv'
    if table.is_file():
        with table.open(newline='') as lines:
            for place, row in enumerate(csv.DictReader(lines), 2):
                try:
                    box = [float(row[k]) for k in 'xywh']
                    label, number = int(row['label']), number_of[row['file']]
                except KeyError:
                    notes.counts['without picture'] += 1      # dropped from the pool on purpose
                    continue
                except (TypeError, ValueError):
                    raise PoolError(f'{table}, line {place}: {list(row.values())}, expected '
                                    'file,label,class,x,y,w,h with numbers: correct it') from None
                if np.isfinite(box).all() and min(box[2:]) > 0:
                    owner.append(number)
                    boxes.append(box)
                    classes.append(row['class'])
                    labels.append(label)
    masked = np.array([c == 'mask' and k > 0 and (folder / names[n]).with_suffix('.png').is_file()
                       for n, c, k in zip(owner, classes, labels)], bool)

    def mask_of(row: int) -> np.ndarray | None:
        found = _mask_file((folder / names[owner[row]]).with_suffix('.png'))
        return None if found is None else found == labels[row]
    return StillSet(folder.name, Pictures(store, folder, names), np.array(owner, np.int64),
                    np.array(boxes, np.float64).reshape(-1, 4), classes, mask_of, masked)


def pool_clip(folder: Path, store: Store, notes: Notes) -> FileClip:
    """Find the frames of one clip, with boxes (and masks) where it is labelled."""
    names = [name for name in frame_names(folder) if name.endswith('.jpg')]
    table = folder / 'boxes.csv'
    boxes = np.full((len(names), 4), np.nan)
    masked = np.zeros(len(names), bool)
    if table.is_file() and names:
        known = np.genfromtxt(table, delimiter=',', ndmin=2)
        if known.shape[1] != 4:
            raise PoolError(f'{table} has {known.shape[1]} columns, expected x,y,w,h a line')
        if len(known) != len(names):
            notes.say(folder.name, f'{len(names)} frames and {len(known)} boxes: the first '
                                   f'{min(len(names), len(known))} of both belong together')
        known = known[:len(names)]
        boxes[:len(known)] = clean_boxes(known, size_of_file(str(folder / names[0])),
                                         folder.name, notes)
        masked = np.array([(folder / 'masks' / f'{n:05d}.png').is_file()
                           for n in range(len(names))])
    return FileClip(folder.name, Pictures(store, folder, names), boxes,
                    lambda n: _mask_file(folder / 'masks' / f'{n:05d}.png'), masked)


def read_images(folder: Path) -> list[np.ndarray]:
    """Read all frames of a clip in order of their names, (height, width, 3) uint8 BGR each."""
    pictures = Pictures(Store(0), folder, sorted(p.name for p in folder.glob('*.jpg')))
    return [pictures.picture(number).image for number in range(len(pictures))]


def _read_tracks(path: Path, pictures: Pictures) -> list[Shelf]:
    """Tracks of one clip, as lorat_ros.training.selflabel writes them."""
    tracks: dict[int, list[list[float]]] = {}
    with path.open(newline='') as lines:
        for row in csv.DictReader(lines):
            tracks.setdefault(int(row['track']), []).append(
                [float(row[k]) for k in ('frame', *'xywh')])
    return [Shelf(pictures, rows[:, 0], rows[:, 1:], mask_decides)
            for rows in map(np.array, tracks.values())]


def pool_folders(folder: Path) -> list[Path]:
    """The folders of stills and of clips in a pool, in order."""
    return [p for kind in ('stills', 'clips') for p in sorted((folder / kind).glob('*'))
            if p.is_dir() and not p.name.startswith('.')]


def add_folder(pool: Pool, folder: Path, notes: Notes, tracks: Path | None = None,
               weight: float = 1.0) -> None:
    """Take one folder of ``pool_folders`` into a pool."""
    if folder.parent.name == 'stills':
        pool.add_stills(pool_stills(folder, pool.store, notes), weight)
        return
    clip = pool_clip(folder, pool.store, notes)
    found = tracks / f'{folder.name}.csv' if tracks else None
    if found and found.is_file() and (known := _read_tracks(found, clip.pictures)):
        pool.tracks[folder.name] = known
    pool.add_clip(clip, weight)


def read_pool(folder: Path | str, leave_out: Iterable[str] = (), only_clips: Iterable[str] = (),
              tracks: Path | None = None,
              progress: Progress = lambda items: items,
              store: Store | None = None) -> Pool:
    """
    Find out what is in a training folder, and read it if there is room for all of it.

    :param folder: holds ``stills/`` and ``clips/`` (either may be missing).
    :param leave_out: names of clips or still sources that are not read (held out).
    :param only_clips: read these clips and nothing else (to validate on what was held out).
    :param tracks: folder of self-labelled tracks, one CSV a clip.
    :param progress: wraps the list of objects and images that are read, for a progress bar.
    :param store: keeps the images; about 300 kB an image of 400 pixels.
    :raises PoolError: nothing to learn from, or an image that cannot be read.
    """
    folder, leave_out, only = Path(folder), set(leave_out), set(only_clips)
    sources = [p for p in pool_folders(folder) if p.name not in leave_out]
    if only:
        sources = [p for p in sources if p.parent.name == 'clips' and p.name in only]
    pool, notes = Pool(store=store or Store()), Notes()
    try:
        for source in sources:
            add_folder(pool, source, notes, tracks)
        pool.fill(progress)
    except PictureError as error:
        raise PoolError(str(error)) from None
    if not len(pool.images):
        raise PoolError(f'{folder} holds no images under stills/SOURCE/*.jpg or clips/NAME/*.jpg: '
                        'give the folder of a training pool, or make one of your data with '
                        '`lorat data` (docs/data.md)')
    return pool
