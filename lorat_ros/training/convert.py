# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Any training data written as a training pool: small pictures, boxes, masks, and an index."""
from __future__ import annotations

import csv
import os
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from lorat_ros.training.footage import (Clip, DataError, Notes, Progress, SMALLEST_MOVING,
                                        StillSet)
from lorat_ros.training.store import PictureError

QUALITY = 90                 # of the JPEG files
MOST_LABELS = 255            # objects that a mask of 8 bits can tell apart
INDEX = ('path', 'source_repo', 'licence', 'width', 'height', 'kind', 'has_mask', 'has_box',
         'frames', 'source_path')


def _write_image(path: Path, image: np.ndarray) -> None:
    options = (cv2.IMWRITE_JPEG_QUALITY, QUALITY) if path.suffix == '.jpg' else ()
    good, data = cv2.imencode(path.suffix, image, options)
    if not good:
        raise DataError(f'{path}: OpenCV cannot encode an image of {image.shape}')
    path.write_bytes(data.tobytes())


def _fitted(mask: np.ndarray, image: np.ndarray) -> np.ndarray:
    """A mask, 0 or 1, in the size of a shrunk image."""
    solid = (mask > 0).astype(np.uint8) * 255
    if solid.shape != image.shape[:2]:
        solid = cv2.resize(solid, image.shape[1::-1], interpolation=cv2.INTER_AREA)
    return (solid > 127).astype(np.uint8)


def _line(box: Iterable[float]) -> str:
    return ','.join('nan' if not np.isfinite(v) else f'{v:.2f}' for v in box)


def write_clip(clip: Clip, folder: Path, notes: Notes, every: int = 1,
               progress: Progress = lambda items: items) -> dict[str, Any]:
    """
    Write a clip as ``NNNNN.jpg`` from 0 on, boxes.csv and masks/NNNNN.png; returns its figures.

    :raises DataError: no frame of it can be read.
    """
    lines, size, masks, tiny = [], (0, 0), 0, 0
    for number, (picture, box, mask) in enumerate(progress(clip.shots(notes, every))):
        _write_image(folder / f'{number:05d}.jpg', picture.image)
        box = np.asarray(box) * (*picture.scale, *picture.scale)
        tiny += bool(box[2:].min() < SMALLEST_MOVING)
        lines.append(_line(box))
        size = picture.image.shape[1::-1]
        if mask is not None:
            (folder / 'masks').mkdir(exist_ok=True)
            _write_image(folder / 'masks' / f'{number:05d}.png', _fitted(mask, picture.image))
            masks += 1
    if not lines:
        raise DataError('none of its frames can be read')
    known = sum('nan' not in line for line in lines)
    if tiny:
        notes.counts['tiny'] += tiny
        notes.say(clip.name, f'{tiny} boxes are under {SMALLEST_MOVING:.0f} pixels in pictures of '
                             f'{size[0]}x{size[1]}: not trained on (--longest makes them larger)')
    if known:
        (folder / 'boxes.csv').write_text('\n'.join(lines) + '\n')
    notes.counts.update({'clips': 1, 'frames': len(lines), 'boxes': known, 'masks': masks})
    return {'width': size[0], 'height': size[1], 'has_mask': int(masks > 0),
            'has_box': int(known > 0), 'frames': len(lines)}


def write_stills(stills: StillSet, folder: Path, notes: Notes,
                 progress: Progress = lambda items: items) -> list[dict[str, Any]]:
    """Write stills, their masks and boxes.csv; returns figures and the name of each."""
    order = np.argsort(stills.owner, kind='stable')
    starts = np.searchsorted(stills.owner[order], np.arange(len(stills.pictures) + 1))
    rows: list[tuple[object, ...]] = [('file', 'label', 'class', 'x', 'y', 'w', 'h')]
    index: list[dict[str, Any]] = []
    for number in progress(range(len(stills.pictures))):
        mine = order[starts[number]:starts[number + 1]]
        try:
            image, scale = stills.pictures.picture(number)
        except PictureError as error:
            notes.counts['unreadable'] += 1
            notes.say(stills.name, f'picture left out: {error}')
            continue
        name = f'{len(index):05d}.jpg'
        labels = np.zeros(image.shape[:2], np.uint8)
        # Large ones first: what is small lies upon them more often than it is hidden by them.
        mine = mine[np.argsort(-np.prod(stills.boxes[mine, 2:], 1), kind='stable')]
        label, drawn = 0, []
        for row in mine:
            mask = stills.masks(int(row)) if stills.masked is not None and stills.masked[row] \
                and label < MOST_LABELS else None
            own = 0
            if mask is not None:
                own = label = label + 1
                labels[_fitted(mask, image) > 0] = own
            drawn.append((own, int(row)))
        for own, row in drawn:
            box = np.asarray(stills.boxes[row], np.float64) * (*scale, *scale)
            kind = stills.classes[row] if len(stills.classes) else 'object'
            shown = own > 0 and bool((labels == own).any())
            if shown:                # as much of it as is left to be seen
                box = cv2.boundingRect((labels == own).astype(np.uint8))
            kind = 'mask' if shown else 'object' if kind == 'mask' else kind
            rows.append((name, own if kind == 'mask' else 0, kind,
                         *(f'{v:.2f}' for v in box)))
        if labels.any():
            _write_image((folder / name).with_suffix('.png'), labels)
        _write_image(folder / name, image)
        index.append({'name': name, 'width': image.shape[1], 'height': image.shape[0],
                      'has_mask': int(labels.any()), 'has_box': int(len(mine) > 0), 'frames': 1})
        notes.counts.update({'stills': 1, 'objects': len(mine),
                             'masks': len(np.unique(labels[labels > 0]))})
    if not index:
        raise DataError('none of its pictures can be read')
    with (folder / 'boxes.csv').open('w', newline='') as lines:
        csv.writer(lines).writerows(rows)
    return index


def _add_to_index(pool: Path, rows: list[dict[str, Any]]) -> None:
    table = pool / 'index.csv'
    new = not table.is_file()
    with table.open('a', newline='') as lines:
        writer = csv.DictWriter(lines, INDEX)
        if new:
            writer.writeheader()
        writer.writerows(rows)


def write_pool(found: Iterable[Clip | StillSet], pool: Path, notes: Notes, source: str = '',
               origin: Path | str = '', licence: str = 'not stated', every: int = 1,
               progress: Progress = lambda items: items) -> list[Path]:
    """
    Write data into a training pool, each clip or set of stills as a whole or not at all.

    What the pool has already is left as it is: an interrupted conversion goes on, and a pool
    grows by one recording after the other.

    :param source: kind of the data, ``origin`` its path, ``licence`` its terms, for the index.
    :param every: of the frames of clips, take every so many.
    :param progress: wraps the frames of a clip and the pictures of a set.
    :returns: the folders that were written.
    """
    written = []
    for one in found:
        kind = 'stills' if isinstance(one, StillSet) else 'clips'
        folder = pool / kind / one.name
        if folder.is_dir():
            notes.counts['there already'] += 1
            notes.say(one.name, f'is in {pool} already: left as it is (remove {folder} to write '
                                'it anew)')
            continue
        part = folder.with_name(f'.{one.name}.part')
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir(parents=True)
        common = {'source_repo': source, 'licence': licence, 'kind': kind[:-1] if kind == 'clips'
                  else 'still', 'source_path': str(origin)}
        try:
            if isinstance(one, StillSet):
                rows = [{'path': f'{kind}/{one.name}/{row.pop("name")}', **common, **row}
                        for row in write_stills(one, part, notes, progress)]
            else:
                rows = [{'path': f'{kind}/{one.name}', **common,
                         **write_clip(one, part, notes, every, progress)}]
        except DataError as error:
            notes.refuse(one.name, str(error))
            continue
        finally:
            if not (part / '00000.jpg').is_file():
                shutil.rmtree(part, ignore_errors=True)
        os.replace(part, folder)
        _add_to_index(pool, rows)
        written.append(folder)
    return written
