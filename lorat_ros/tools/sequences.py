# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Sequences with truth, read and checked, whatever benchmark's folder they come from."""
from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lorat_ros.boxes import Box, BoxError, check_init_box
from lorat_ros.tools.frames import (first_box, FOLDER_FPS, Frames, FramesError, images_in,
                                    IMAGE_SUFFIXES, read_image, read_rows)


@dataclass(frozen=True)
class Source:
    """Where a sequence lies; nothing of it has been read yet."""

    name: str
    frames: Path                       # folder of images
    truth: Path                        # x,y,w,h a line
    span: tuple[int, int] | None = None  # numbers of the first and last frame that truth is of
    origin: int = 0                    # what the truth calls the top-left pixel: 0, or 1 (MATLAB)
    absent: tuple[Path, ...] = ()      # a number per frame each, not 0 where the target is absent
    cover: tuple[Path, ...] = ()       # a number per frame each, 0 where nothing is seen of it


@dataclass(frozen=True)
class Clip:
    """A sequence that can be run: one row of truth for each of n frames."""

    name: str
    files: tuple[Path, ...]            # (n,)
    truth: np.ndarray                  # (n, 4) xywh in pixels of the image, nan where absent
    size_wh: tuple[int, int]
    origin: int                        # see Source: of box files that belong to it
    doubts: tuple[str, ...]            # what is wrong with it and yet does not stop it

    def __len__(self) -> int:
        return len(self.files)

    @property
    def init_box(self) -> Box:
        """The first box, which the tracker is given."""
        return first_box(self.truth, self.name)

    def frames(self, wanted: Sequence[int] | None = None) -> Frames:
        """All frames, or those of the given indices, in their order."""
        files = self.files if wanted is None else [self.files[i] for i in wanted]
        return Frames(self.files[0].parent, files, FOLDER_FPS, self.size_wh, len(files))


def load_clip(source: Source) -> Clip:
    """
    Read the truth, list the frames, and check that they belong together.

    :raises FramesError: no frame, no truth, too few frames, a first line without a box that could
        be a target; the message names the sequence.
    """
    try:
        return _load(source)
    except (FramesError, BoxError, OSError) as error:
        raise FramesError(f'{source.name}: {error}') from None


def load_clips(sources: Iterable[Source], folder: Path) -> tuple[list[Clip], list[str]]:
    """
    Read all that can be run.

    :param folder: where they lie, for the message.
    :returns: them, and a line on each that cannot be run and on each doubt.
    :raises FramesError: none of them can.
    """
    clips, complaints = [], []
    for source in sources:
        try:
            clips.append(load_clip(source))
        except FramesError as error:
            complaints.append(f'{error} (left out)')
            continue
        complaints += [f'{source.name}: {doubt}' for doubt in clips[-1].doubts]
    if not clips:
        raise FramesError(f'none of the {len(complaints)} sequences in {folder} can be run:\n'
                          + '\n'.join(complaints))
    return clips, complaints


def _load(source: Source) -> Clip:
    rows = read_rows(source.truth)[:, :4]
    truth = np.where(np.isfinite(rows).all(1, keepdims=True) & (rows[:, 2:] > 0).all(
        1, keepdims=True), rows, np.nan)
    truth[:, :2] -= source.origin
    doubts = _partly_nan(rows)
    files = images_in(source.frames)
    if not files:
        raise FramesError(f'no frame in {source.frames}: expected files ending in '
                          f'{", ".join(IMAGE_SUFFIXES)}')
    files, more = _matched(files, len(truth), source.span)
    doubts += more
    truth[_absent(source, len(truth))] = np.nan
    height, width = read_image(files[0]).shape[:2]
    check_init_box(first_box(truth, str(source.truth)), (width, height))
    doubts += _outside(truth, (width, height))
    return Clip(source.name, tuple(files), truth, (width, height), source.origin, tuple(doubts))


def _matched(files: list[Path], rows: int, span: tuple[int, int] | None
             ) -> tuple[list[Path], list[str]]:
    """The frames that the truth speaks of, one for each of its rows."""
    if span and len(files) != rows:
        files = [f for f in files if span[0] <= number_of(f) <= span[1]]
    if len(files) < rows:
        raise FramesError(f'{len(files)} frames for {rows} lines of truth{_gap(files)}: which '
                          'box belongs to which frame cannot be told; restore the frames')
    if rows == 1 < len(files):
        raise FramesError(f'{len(files)} frames, but the truth of the first one only: nothing to '
                          'measure against')
    if len(files) == rows:
        return files, []
    return files[:rows], [f'{len(files)} frames, but {rows} lines of truth: measured on the '
                          f'first {rows} frames']


def number_of(file: Path) -> int:
    """The number in a frame's name, -1 if there is none."""
    found = re.findall(r'\d+', file.stem)
    return int(found[-1]) if found else -1


def _gap(files: Sequence[Path]) -> str:
    numbers = sorted(number_of(f) for f in files)
    missing = next((a + 1 for a, b in zip(numbers, numbers[1:]) if b > a + 1), None)
    return '' if missing is None else f', number {missing} is missing'


def _partly_nan(rows: np.ndarray) -> list[str]:
    finite = np.isfinite(rows)
    odd = np.flatnonzero(finite.any(1) & ~finite.all(1))
    return [f'{len(odd)} boxes are nan in part (the first in line {odd[0] + 1}): taken as '
            'absent'] if len(odd) else []


def _outside(truth: np.ndarray, size_wh: tuple[int, int]) -> list[str]:
    low, high = truth[:, :2], truth[:, :2] + truth[:, 2:]
    out = np.flatnonzero(((low >= size_wh) | (high <= 0)).any(1))  # a nan compares as False
    return [f'{len(out)} true boxes lie outside the {size_wh[0]}x{size_wh[1]} image (the first '
            f'in line {out[0] + 1}): counted as they stand'] if len(out) else []


def _absent(source: Source, length: int) -> np.ndarray:
    """Where label files say that the target is absent: bool (length,)."""
    absent = np.zeros(length, bool)
    for files, is_absent in ((source.absent, np.not_equal), (source.cover, np.equal)):
        for file in files:
            absent |= is_absent(_labels(file, length), 0)
    return absent


def _labels(file: Path, length: int) -> np.ndarray:
    try:
        values = np.array([float(v) for v in re.split(r'[,\s]+', file.read_text().strip())])
    except (ValueError, UnicodeDecodeError):
        raise FramesError(f'{file} is not made of numbers, expected one per frame') from None
    if len(values) != length:
        raise FramesError(f'{file} has {len(values)} numbers for {length} lines of truth')
    return values
