# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Reader of COCO (Lin et al., ECCV 2014): objects in stills, with boxes and masks.

``annotations/instances_SPLIT.json`` beside a folder SPLIT (or ``images/SPLIT``) of pictures.
Masks come as polygons or as run lengths: the numbers of pixels that are in turn outside and
inside, column after column. In a file these are a list, or a string that holds six bits a
character, five of the number and one that says whether it goes on, and from the third run on the
difference to the run before the last one.
"""
from __future__ import annotations

import json
from array import array
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Optional

import cv2
import numpy as np

from lorat_ros.training.footage import DataError, Notes, Reading, StillSet
from lorat_ros.training.store import Pictures, shrunk_size

FINER = 4           # so many times finer than pixels are polygons filled


def runs_of_text(text: str) -> list[int]:
    """
    Read run lengths that are packed into a string.

    :raises DataError: the string ends within a number, or has characters that do not occur.
    """
    runs: list[int] = []
    place = 0
    codes = [ord(character) - 48 for character in text]
    if any(not 0 <= code < 64 for code in codes) or (codes and codes[-1] & 32):
        raise DataError(f'run lengths {text[:40]!r} are cut off or no run lengths')
    while place < len(codes):
        value, shift, more = 0, 0, True
        while more:
            code = codes[place]
            value |= (code & 31) << shift
            shift, place, more = shift + 5, place + 1, bool(code & 32)
        if code & 16:                      # the last five bits begin with the sign
            value -= 1 << shift
        runs.append(value + (runs[-2] if len(runs) > 2 else 0))
    return runs


def mask_of_runs(runs: list[int], size: tuple[int, int]) -> np.ndarray:
    """
    Make the mask, (height, width) uint8 of 0 and 1, of its run lengths.

    :raises DataError: the runs do not fill the image.
    """
    height, width = size
    if min(runs, default=0) < 0 or sum(runs) != height * width:
        raise DataError(f'run lengths sum up to {sum(runs)}, expected {height * width} for '
                        f'{width}x{height} pixels')
    flat = np.repeat(np.arange(len(runs)) % 2, runs).astype(np.uint8)
    return flat.reshape(width, height).T.copy()


def mask_of_polygons(polygons: list[np.ndarray], size: tuple[int, int]) -> np.ndarray:
    """Fill polygons, (points, 2) each in pixels, into a mask (height, width) of 0 and 1."""
    mask = np.zeros(size, np.uint8)
    for polygon in polygons:
        low = np.clip(np.floor(polygon.min(0)), 0, size[::-1]).astype(int)
        high = np.clip(np.ceil(polygon.max(0)), 0, size[::-1]).astype(int)
        width, height = high - low
        if min(width, height) < 1:
            continue
        # OpenCV fills the pixels that the border touches, too: many times finer, these do not
        # count. Each polygon for itself: together, where two overlap would be left out.
        fine = np.zeros((FINER * height, FINER * width), np.uint8)
        points = (polygon - low) * FINER - 0.5
        cv2.fillPoly(fine, [np.round(points * 16).astype(np.int32)], 255, shift=4)
        part = cv2.resize(fine, (int(width), int(height)), interpolation=cv2.INTER_AREA)
        mask[low[1]:high[1], low[0]:high[0]] |= part > 150
    return mask


class Segments:
    """
    Masks of very many objects in little memory: all polygons' points are in one array.

    ``sizes`` (objects, 2): height and width of each one's picture.
    """

    def __init__(self) -> None:
        self._points, self._rings, self._objects = array('f'), array('q', [0]), array('q', [0])
        self._runs: dict[int, Any] = {}
        self.sizes: list[tuple[int, int]] = []

    def add(self, segmentation: Any, size: tuple[int, int]) -> bool:
        """Take in one object's mask, as the file has it; False if it has none."""
        if isinstance(segmentation, dict):
            self._runs[len(self.sizes)] = segmentation
        else:
            for ring in segmentation or ():
                if isinstance(ring, list) and len(ring) >= 6 and not len(ring) % 2:
                    self._points.extend(ring)
                    self._rings.append(len(self._points))
        found = isinstance(segmentation, dict) or len(self._rings) - 1 > self._objects[-1]
        self._objects.append(len(self._rings) - 1)
        self.sizes.append(size)
        return found

    def mask(self, number: int) -> np.ndarray:
        """One object's mask, (height, width) uint8 of 0 and 1; DataError if it is malformed."""
        size = self.sizes[number]
        if number in self._runs:
            counts = self._runs[number].get('counts')
            told = tuple(self._runs[number].get('size', size))
            if told != size:
                raise DataError(f'run lengths are of {told}, the picture is {size} (height, '
                                'width)')
            return mask_of_runs(runs_of_text(counts) if isinstance(counts, str)
                                else list(counts), size)
        ends = self._rings[self._objects[number]:self._objects[number + 1] + 1]
        return mask_of_polygons([np.array(self._points[a:b]).reshape(-1, 2)
                                 for a, b in zip(ends, ends[1:])], size)


def annotation_files(path: Path) -> list[Path]:
    """COCO's files of objects at a path: itself, or those in its folder ``annotations``."""
    if path.suffix == '.json' and path.is_file():
        return [path]
    return sorted((path / 'annotations').glob('instances_*.json')) if path.is_dir() else []


def is_coco(path: Path) -> bool:
    """A file ``instances_….json``, or a folder ``annotations`` that has some."""
    return bool(annotation_files(path))


def _pictures_of(table: Path) -> Path:
    split = table.stem.removeprefix('instances_')
    root = table.parent.parent if table.parent.name == 'annotations' else table.parent
    places = [root / split, root / 'images' / split, root / 'images', root]
    found = next((p for p in places if p.is_dir()), root)
    return found


def read_table(table: Path) -> dict[str, Any]:
    """
    Read a file of annotations.

    :raises DataError: it is not JSON, or has no images and annotations.
    """
    try:
        content = json.loads(table.read_text(encoding='utf-8'))
    except (OSError, ValueError) as error:
        raise DataError(f'{table} cannot be read as JSON ({error}): fetch it again') from None
    if not isinstance(content, dict) or not {'images', 'annotations'} <= content.keys():
        raise DataError(f'{table} has no lists `images` and `annotations`: give a file '
                        'instances_….json of COCO')
    return content


def coco_stills(table: Path, reading: Reading, notes: Notes) -> StillSet:
    """
    Read the objects of one file of annotations; crowds are left out, whose box is of many.

    :raises DataError: the file cannot be used, or none of its pictures is there.
    """
    content, folder = read_table(table), _pictures_of(table)
    there = {p.name for p in folder.iterdir()}
    images = [image for image in content['images'] if image['file_name'] in there
              or ('/' in image['file_name'] and (folder / image['file_name']).is_file())]
    if gone := len(content['images']) - len(images):
        notes.counts['missing pictures'] += gone
        first = next(i['file_name'] for i in content['images'] if i not in images)
        notes.say(table.name, f'{gone} of {len(content["images"])} pictures are not in {folder} '
                              f'(first: {first}): left out')
    if not images:
        raise DataError(f'{table}: none of its pictures is in {folder}, expected them in a '
                        'folder named like the split, beside `annotations`')
    number_of = {image['id']: n for n, image in enumerate(images)}
    classes = {c['id']: c['name'] for c in content.get('categories', ())}
    owner, boxes, names, masked, ratios = array('q'), [], [], [], []
    segments = Segments()
    for note in content['annotations']:
        number = number_of.get(note['image_id'])
        if number is None:
            continue
        if note.get('iscrowd'):
            notes.counts['crowds'] += 1
            continue
        size = (images[number]['width'], images[number]['height'])
        box = visible_box(note.get('bbox'), size)
        if box is None:
            notes.counts['bad boxes'] += 1
            notes.say(table.name, f'object {note.get("id")} in {images[number]["file_name"]} has '
                                  f'the box {note.get("bbox")}: left out')
            continue
        owner.append(number)
        boxes.append(box)
        names.append(classes.get(note.get('category_id'), 'object'))
        masked.append(segments.add(note.get('segmentation'), size[::-1]))
        ratios.append(max(shrunk_size(size, reading.longest)) / max(size))

    def mask_of(row: int) -> Optional[np.ndarray]:
        try:
            return segments.mask(row)
        except (DataError, TypeError):
            return None
    return StillSet(f'coco-{table.stem.removeprefix("instances_")}',
                    Pictures(reading.store, folder, [i['file_name'] for i in images],
                             reading.longest),
                    np.array(owner, np.int64), np.array(boxes, np.float32).reshape(-1, 4), names,
                    mask_of, np.array(masked, bool), np.array(ratios, np.float32))


def visible_box(box: Any, size: tuple[int, int]) -> Optional[tuple[float, ...]]:
    """The part of a box (x, y, w, h) within an image (width, height); None if there is none."""
    try:
        x, y, w, h = (float(v) for v in box)
    except (TypeError, ValueError):
        return None
    if not np.isfinite((x, y, w, h)).all() or min(w, h) <= 0:
        return None
    left, top = max(x, 0.0), max(y, 0.0)
    w, h = min(x + w, size[0]) - left, min(y + h, size[1]) - top
    return (left, top, w, h) if min(w, h) > 0 else None


def read_coco(path: Path, reading: Reading, notes: Notes) -> Iterator[StillSet]:
    """All sets of stills of COCO at a path; what cannot be used is noted."""
    for table in annotation_files(path):
        try:
            yield coco_stills(table, reading, notes)
        except (DataError, KeyError, TypeError, AttributeError) as error:
            notes.refuse(table.name, str(error) if isinstance(error, DataError)
                         else f'not as COCO has it: {error!r}')
