# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Readers of tracking data sets: GOT-10k, LaSOT, TrackingNet, and plain folders.

Layouts as their authors publish them:

* GOT-10k (Huang et al., TPAMI 2021): ``SPLIT/SEQUENCE/00000001.jpg``, groundtruth.txt,
  absence.label (1: out of view or hidden), cover.label (eighths that are visible), meta_info.ini.
* LaSOT (Fan et al., CVPR 2019): ``CATEGORY/SEQUENCE/img/00000001.jpg``, groundtruth.txt counted
  from 1, full_occlusion.txt and out_of_view.txt (one line of 0 and 1).
* TrackingNet (Müller et al., ECCV 2018): ``TRAIN_K/frames/SEQUENCE/0.jpg``,
  ``TRAIN_K/anno/SEQUENCE.txt``.
"""
from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Optional

import numpy as np

from lorat_ros.training.footage import (clean_boxes, DataError, FileClip, frame_names, Notes,
                                        Reading)
from lorat_ros.training.store import PictureError, Pictures, size_of_file, Store

TRUTH = 'groundtruth.txt'
#: From a sequence's place, how pictures are kept, and their longest side, its clip.
ClipReader = Callable[[Path, Store, Optional[int], Notes], FileClip]


def read_rows(path: Path) -> np.ndarray:
    """
    Read the boxes of a text file: ``x,y,w,h`` a line, commas, spaces or tabs between.

    :returns: (n, 4) float64, a value that says nan as nan; an empty line is a row of nan.
    :raises DataError: no file, no line, or a line that is not four numbers.
    """
    try:
        lines = path.read_text(encoding='utf-8').rstrip().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f'{path} cannot be read: {error}') from None
    rows = []
    for number, line in enumerate(lines, 1):
        fields = [f for f in re.split(r'[,;\s]+', line.strip()) if f]
        try:
            row = [float(f) for f in fields] or [np.nan] * 4
        except ValueError:
            row = []
        if len(row) != 4:
            raise DataError(f'{path}, line {number}: {line.strip()[:60]!r}, expected four numbers '
                            'x,y,w,h (nan where the target is absent)')
        rows.append(row)
    if not rows:
        raise DataError(f'{path} is empty, expected one x,y,w,h a line')
    return np.array(rows, np.float64)


def read_flags(path: Path) -> Optional[np.ndarray]:
    """Read integers of a text file, on one line or many, (n,); None if there is no such file."""
    if not path.is_file():
        return None
    text = path.read_text(encoding='utf-8', errors='replace')
    try:
        return np.array([int(float(f)) for f in re.split(r'[,;\s]+', text.strip()) if f], int)
    except ValueError:
        raise DataError(f'{path} is not made of whole numbers, expected one a frame') from None


def numbers_of(names: list[str]) -> Optional[np.ndarray]:
    """The number in each frame's name, (n,); None unless each has one and they rise."""
    found = [re.findall(r'\d+', name.rsplit('.', 1)[0]) for name in names]
    if not all(found):
        return None
    numbers = np.array([int(digits[-1]) for digits in found])
    return numbers if (np.diff(numbers) > 0).all() else None


def belonging(names: list[str], count: int, first: Optional[int], where: str, notes: Notes
              ) -> np.ndarray:
    """
    Which of ``count`` boxes belongs to each frame, (n,); -1: none.

    As many boxes as frames belong together in order. Otherwise the numbers in the names tell,
    which start at ``first`` (None: at 0 or 1, as it fits the count).

    :raises DataError: nothing tells which box belongs to which frame.
    """
    if len(names) == count:
        return np.arange(count)
    numbers = numbers_of(names)
    counts = f'{len(names)} frames and {count} boxes'
    if numbers is None:
        raise DataError(f'{counts}, and the names of the frames do not number them: make the '
                        'counts equal, or number the frames')
    if first is None:
        fits = [start for start in (0, 1) if numbers[-1] - start == count - 1]
        if not fits:
            raise DataError(f'{counts}, and the last frame is {names[-1]}: nothing tells which '
                            'box belongs to which frame; make the counts equal, or number the '
                            'frames by their lines, from 0 or 1')
        first = fits[0]
    index = numbers - first
    index[(index < 0) | (index >= count)] = -1
    notes.counts['missing frames'] += count - int((index >= 0).sum())
    notes.say(where, f'{counts}: paired by the numbers in the names, {int((index < 0).sum())} '
                     f'frames without a box, {count - int((index >= 0).sum())} boxes without a '
                     'frame')
    return index


def make_clip(name: str, folder: Path, rows: np.ndarray, hidden: list[Optional[np.ndarray]],
              store: Store, longest: Optional[int], notes: Notes, first: Optional[int] = None
              ) -> FileClip:
    """
    Make a clip of a folder of frames and the boxes of its frames.

    :param rows: (m, 4) xywh, counted from pixel 0.
    :param hidden: flags (m,) or (1 x m), not 0 where the target is not to be seen; None: unknown.
    :param first: number of the first frame in the data set's file names.
    :raises DataError: no frames, or boxes that cannot be matched to them.
    """
    names = frame_names(folder)
    if not names:
        raise DataError(f'no frames in {folder}')
    for flags in hidden:
        if flags is None:
            continue
        if len(flags) != len(rows):
            notes.say(name, f'{len(flags)} flags of absence for {len(rows)} boxes: the first '
                            f'{min(len(flags), len(rows))} are used')
        count = min(len(flags), len(rows))
        rows[:count][flags[:count] != 0] = np.nan
    index = belonging(names, len(rows), first, name, notes)
    boxes = np.where(index[:, None] >= 0, rows[index], np.nan)
    try:
        size = size_of_file(str(folder / names[0]))
    except PictureError as error:
        raise DataError(str(error)) from None
    return FileClip(name, Pictures(store, folder, names, longest),
                    clean_boxes(boxes, size, name, notes))


def got10k_clip(folder: Path, store: Store, longest: Optional[int], notes: Notes) -> FileClip:
    """Read one sequence of GOT-10k."""
    cover = read_flags(folder / 'cover.label')
    hidden = [read_flags(folder / 'absence.label'), None if cover is None else cover == 0]
    return make_clip(folder.name, folder, read_rows(folder / TRUTH), hidden, store, longest,
                     notes, 1)


def lasot_clip(folder: Path, store: Store, longest: Optional[int], notes: Notes) -> FileClip:
    """Read one sequence of LaSOT; its boxes count pixels from 1."""
    rows = read_rows(folder / TRUTH) - (1, 1, 0, 0)
    hidden = [read_flags(folder / name) for name in ('full_occlusion.txt', 'out_of_view.txt')]
    return make_clip(folder.name, folder / 'img', rows, hidden, store, longest, notes, 1)


def trackingnet_clip(truth: Path, store: Store, longest: Optional[int], notes: Notes) -> FileClip:
    """Read one sequence of TrackingNet, given its file of boxes."""
    folder = truth.parents[1] / 'frames' / truth.stem
    return make_clip(truth.stem, folder, read_rows(truth), [], store, longest, notes, 0)


def plain_clip(folder: Path, store: Store, longest: Optional[int], notes: Notes) -> FileClip:
    """Read a folder of frames (or with such a folder ``img``) and its groundtruth.txt."""
    inner = folder if frame_names(folder) else folder / 'img'
    return make_clip(folder.name, inner, read_rows(folder / TRUTH), [], store, longest, notes)


def _holders(path: Path, name: str, depth: int) -> Iterator[Path]:
    """Folders at most ``depth`` below a path that hold a file of this name, in order."""
    if (path / name).is_file():
        yield path
    elif depth:
        for inner in sorted(p for p in path.iterdir() if p.is_dir()):
            yield from _holders(inner, name, depth - 1)


def _first(path: Path, depth: int = 3) -> Optional[Path]:
    return next(_holders(path, TRUTH, depth), None) if path.is_dir() else None


def is_got10k(path: Path) -> bool:
    """Sequences with a file absence.label or meta_info.ini."""
    found = _first(path)
    return found is not None and any((found / n).is_file()
                                     for n in ('absence.label', 'meta_info.ini'))


def is_lasot(path: Path) -> bool:
    """Sequences with a file full_occlusion.txt or out_of_view.txt."""
    found = _first(path)
    return found is not None and any((found / n).is_file()
                                     for n in ('full_occlusion.txt', 'out_of_view.txt'))


def is_plain(path: Path) -> bool:
    """Folders with a file groundtruth.txt."""
    return _first(path) is not None


def trackingnet_truths(path: Path) -> list[Path]:
    """Box files of TrackingNet: in ``anno/`` beside ``frames/``, here or one folder below."""
    parts = [p for p in (path, *sorted(path.glob('*'))) if (p / 'frames').is_dir()]
    return [truth for part in parts for truth in sorted((part / 'anno').glob('*.txt'))]


def is_trackingnet(path: Path) -> bool:
    """A folder ``anno`` beside a folder ``frames``."""
    return path.is_dir() and bool(trackingnet_truths(path))


def _each(places: list[Path], read: ClipReader, reading: Reading, notes: Notes
          ) -> Iterator[FileClip]:
    for place in places:
        try:
            yield read(place, reading.store, reading.longest, notes)
        except DataError as error:
            notes.refuse(place.stem if place.is_file() else place.name, str(error))


def _sequences(path: Path, notes: Notes) -> list[Path]:
    """Folders with truth; their neighbours that have frames and no truth are noted."""
    found = list(_holders(path, TRUTH, 3))
    for parent in sorted({place.parent for place in found if place != path}):
        for other in sorted(set(parent.iterdir()) - set(found)):
            if frame_names(other) or frame_names(other / 'img'):
                notes.refuse(other.name, f'it has frames, but no {TRUTH}')
    return found


def read_got10k(path: Path, reading: Reading, notes: Notes) -> Iterator[FileClip]:
    """All sequences of a folder of GOT-10k; what cannot be used is noted."""
    yield from _each(_sequences(path, notes), got10k_clip, reading, notes)


def read_lasot(path: Path, reading: Reading, notes: Notes) -> Iterator[FileClip]:
    """All sequences of a folder of LaSOT; what cannot be used is noted."""
    yield from _each(_sequences(path, notes), lasot_clip, reading, notes)


def read_trackingnet(path: Path, reading: Reading, notes: Notes) -> Iterator[FileClip]:
    """All sequences of a folder of TrackingNet; what cannot be used is noted."""
    yield from _each(trackingnet_truths(path), trackingnet_clip, reading, notes)


def read_plain(path: Path, reading: Reading, notes: Notes) -> Iterator[FileClip]:
    """All folders with frames and a groundtruth.txt; what cannot be used is noted."""
    yield from _each(_sequences(path, notes), plain_clip, reading, notes)
