# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""One way to read frames, whether they lie in a video file or in a folder, and box files."""
from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Optional

import cv2
import numpy as np

from lorat_ros.boxes import Box

IMAGE_SUFFIXES = ('.jpg', '.jpeg', '.png', '.bmp')
FOLDER_FPS = 30.0  # a folder of frames does not say how fast it was recorded
TRUTH_NAME = 'groundtruth.txt'


class FramesError(ValueError):
    """Frames or boxes that cannot be read; the message names the path and the cure."""


def check_folders_of(*files: Optional[Path]) -> None:
    """
    Check that there is a folder for each file that is to be written, before the work for it.

    :param files: None is one that nobody asked for.
    :raises FramesError: there is none.
    """
    for path in filter(None, files):
        if not path.absolute().parent.is_dir():
            raise FramesError(f'{path}: the folder {path.parent} does not exist, make it first')


class Frames:
    """
    A clip: iterate over it (as often as you like) for BGR uint8 images (height, width, 3).

    ``len()`` is exact for a folder. For a video file it is what the container says, which may be
    a little off; iteration gives what can really be decoded.
    """

    def __init__(self, path: Path, files: Sequence[Path], fps: float, size_wh: tuple[int, int],
                 length: int) -> None:
        self.path = path
        self.fps = fps
        self.size_wh = size_wh
        self._files = tuple(files)
        self._length = length

    def __len__(self) -> int:
        return self._length

    def __iter__(self) -> Iterator[np.ndarray]:
        return self._from_files() if self._files else self._from_video()

    def _from_files(self) -> Iterator[np.ndarray]:
        for file in self._files:
            yield read_image(file)

    def _from_video(self) -> Iterator[np.ndarray]:
        capture = cv2.VideoCapture(str(self.path))
        try:
            while True:
                good, image = capture.read()
                if not good:
                    return
                yield image
        finally:
            capture.release()


def open_frames(path: str | Path, fps: Optional[float] = None) -> Frames:
    """
    Open a video file, or a folder of jpg, png or bmp frames (or one with such a folder ``img``).

    :param fps: overrides the frame rate of the file; folders have 30 unless told otherwise.
    :raises FramesError: nothing there, no frame in it, or the first one cannot be decoded.
    """
    path = Path(path).expanduser()
    if not path.exists():
        raise FramesError(f'{path} does not exist: give a video file or a folder of frames')
    if fps is not None and not (math.isfinite(fps) and fps > 0):
        raise FramesError(f'fps is {fps}, expected a number above 0')
    return _open_folder(path, fps) if path.is_dir() else _open_video(path, fps)


def _open_folder(path: Path, fps: Optional[float]) -> Frames:
    files = images_in(path) or images_in(path / 'img')
    if not files:
        raise FramesError(f'no frame in the folder {path} (nor in its img/): expected files '
                          f'ending in {", ".join(IMAGE_SUFFIXES)}')
    height, width = read_image(files[0]).shape[:2]
    return Frames(path, files, fps or FOLDER_FPS, (width, height), len(files))


def images_in(folder: Path) -> list[Path]:
    """Images directly in a folder, in their natural order; none if there is no such folder."""
    if not folder.is_dir():
        return []
    found = (f for f in folder.iterdir() if f.suffix.lower() in IMAGE_SUFFIXES)
    return sorted((f for f in found if not f.name.startswith('.')), key=natural_key)


def natural_key(path: Path) -> list[tuple[int, int, str]]:
    """Sort key under which frame 10 comes after frame 9, with and without leading zeros."""
    parts = re.split(r'(\d+)', path.name)
    return [(0, int(p), p) if p.isdecimal() else (1, 0, p.lower()) for p in parts if p]


def read_image(file: Path) -> np.ndarray:
    """
    Decode an image file: uint8 (height, width, 3), BGR.

    :raises FramesError: it is no image.
    """
    # Not cv2.imread: it writes warnings of its own, and fails on some file names on Windows.
    data = np.frombuffer(file.read_bytes(), np.uint8)
    image = cv2.imdecode(data, cv2.IMREAD_COLOR) if data.size else None
    if image is None:
        raise FramesError(f'{file} ({data.size} bytes) cannot be decoded as an image: it is '
                          'truncated or of another kind; replace or remove it')
    return image


def _open_video(path: Path, fps: Optional[float]) -> Frames:
    capture = cv2.VideoCapture(str(path))
    try:
        good, image = capture.read() if capture.isOpened() else (False, None)
        if not good or image is None:
            raise FramesError(f'{path} cannot be decoded as a video: expected a file that this '
                              "OpenCV's FFmpeg reads (mp4, avi, mkv, …), or a folder of frames")
        own_fps = capture.get(cv2.CAP_PROP_FPS)
        length = capture.get(cv2.CAP_PROP_FRAME_COUNT)
    finally:
        capture.release()
    sane = own_fps if math.isfinite(own_fps) and 0 < own_fps <= 1000 else FOLDER_FPS
    length = int(length) if math.isfinite(length) and 0 < length < 1e9 else 0
    return Frames(path, (), fps or sane, (image.shape[1], image.shape[0]), length)


def read_boxes(path: str | Path) -> np.ndarray:
    """
    Read a box file: one ``x,y,w,h`` a line, separated by commas, spaces or tabs.

    :returns: float64 (n, 4); a row of nan where the target is absent (nan in the file, or a box
        of no size). A fifth value, a score, is allowed and left out; lines from # on are comments.
    :raises FramesError: no file, no line, or a line that is not a box.
    """
    boxes = read_rows(path)[:, :4]
    absent = ~np.isfinite(boxes).all(axis=1) | (boxes[:, 2] <= 0) | (boxes[:, 3] <= 0)
    boxes[absent] = np.nan
    return boxes


def read_rows(path: str | Path) -> np.ndarray:
    """
    Read a box file as it stands: ``x,y,w,h`` or ``x,y,w,h,score`` a line.

    :returns: float64 (n, 5), nan where the file says so and where there is no score.
    :raises FramesError: as ``read_boxes``.
    """
    path = Path(path).expanduser()
    try:
        lines = path.read_text(encoding='utf-8').splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise FramesError(f'cannot read the box file {path}: {error}') from None
    rows = [_row(line, f'{path}, line {number}')
            for number, line in enumerate(lines, 1) if line.split('#')[0].strip()]
    if not rows:
        raise FramesError(f'the box file {path} is empty: expected one x,y,w,h a line')
    return np.array([row if len(row) == 5 else [*row, math.nan] for row in rows], np.float64)


def _row(line: str, where: str) -> list[float]:
    fields = [f for f in re.split(r'[,;\s]+', line.split('#')[0].strip()) if f]
    try:
        values = [float(f) for f in fields]
    except ValueError:
        raise FramesError(f'{where}: {line.strip()!r} is not made of numbers, expected x,y,w,h '
                          '(nan where the target is absent)') from None
    if len(values) not in (4, 5):
        raise FramesError(f'{where}: {line.strip()!r} has {len(values)} values, expected '
                          'x,y,w,h (top-left corner and size; corners and polygons are not read)')
    return values


def parse_box(text: str) -> Box:
    """
    Turn ``'x,y,w,h'`` (commas, spaces or tabs between) into four floats with a size.

    :raises FramesError: not four finite numbers, or no size.
    """
    values = _row(text, 'box')
    if len(values) != 4 or not all(map(math.isfinite, values)):
        raise FramesError(f'box {text!r}: expected four finite numbers x,y,w,h in pixels')
    if values[2] <= 0 or values[3] <= 0:
        raise FramesError(f'box {text!r} has no size: expected x,y,w,h with w and h above 0')
    return values[0], values[1], values[2], values[3]


def find_truth(path: str | Path) -> Optional[Path]:
    """Return the groundtruth.txt in a folder of frames, or beside it or the video, or None."""
    path = Path(path).expanduser()
    places = (path / TRUTH_NAME, path.parent / TRUTH_NAME)
    return next((place for place in places if place.is_file()), None)


def first_box(truth: np.ndarray, where: str) -> Box:
    """
    Return the init box: the first row of `truth` (n, 4).

    :raises FramesError: the target is absent there.
    """
    if not np.isfinite(truth[0]).all():
        raise FramesError(f'the first line of {where} has no box: give --init x,y,w,h')
    x, y, w, h = (float(v) for v in truth[0])
    return x, y, w, h
