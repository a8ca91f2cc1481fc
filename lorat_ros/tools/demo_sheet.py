# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The demo's contact sheet: a dozen pictures of its annotated video, small enough to pass on."""
from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Optional

import cv2
import numpy as np

from lorat_ros.overlay import contact_sheet
from lorat_ros.tools import demo_report
from lorat_ros.tools.recording import FrameRecord, Recording, VIDEO_NAME

SHEET_NAME = 'contact_sheet.png'
PICTURES, COLUMNS, WIDTH = 12, 4, 1280
LEVEL_STEP = 8  # grey levels: the sensor's noise below that is what makes a PNG large
COMPRESSION = 6  # of zlib: beyond, seconds are spent on a few percent


def write_sheet(folder: Path, recording: Recording, stamps: Sequence[int], truth: np.ndarray,
                fps: float) -> None:
    """
    Write the sheet of the annotated video in `folder`; nothing if that has no picture.

    :param stamps: of the published frames, nanoseconds.
    :param truth: (n, 4) xywh, nan where the target is hidden; may be empty.
    :raises OSError: it cannot be written.
    """
    index_of = {stamp: index for index, stamp in enumerate(stamps)}
    places = {place: index_of[stamp] for place, stamp in enumerate(recording.pictures)
              if stamp in index_of}
    if not places:
        return
    lines = captions(demo_report.by_frame(recording, stamps), truth, fps)
    wanted = chosen(list(places), [place for place, index in places.items()
                                   if 'lost' in lines[index]])
    pictures = _read(folder / VIDEO_NAME, wanted)
    if pictures:
        sheet = contact_sheet(list(pictures.values()), COLUMNS, WIDTH,
                              [lines[places[place]] for place in pictures])
        (folder / SHEET_NAME).write_bytes(small_png(sheet))


def small_png(image: np.ndarray) -> bytes:
    """Return `image`, uint8 (height, width, 3) BGR, as a PNG without its faintest noise."""
    coarse = image // LEVEL_STEP * LEVEL_STEP + LEVEL_STEP // 2
    return cv2.imencode('.png', coarse, (cv2.IMWRITE_PNG_COMPRESSION, COMPRESSION))[1].tobytes()


def _read(video: Path, wanted: set[int]) -> dict[int, np.ndarray]:
    """Return the wanted pictures by their place in the video, as far as they can be decoded."""
    capture = cv2.VideoCapture(str(video))
    pictures = {}
    try:
        for place in range(max(wanted) + 1):
            good, image = capture.read()
            if not good:
                break
            if place in wanted:
                pictures[place] = image
    finally:
        capture.release()
    return pictures


def chosen(places: Sequence[int], lost: Sequence[int]) -> set[int]:
    """Return about PICTURES places, evenly spread; one is in the middle of what was lost."""
    even = [places[i] for i in np.linspace(0, len(places) - 1, PICTURES).round().astype(int)]
    for middle in lost[len(lost) // 2:len(lost) // 2 + 1]:
        even[int(np.argmin(np.abs(np.array(even) - middle)))] = middle
    return set(even)


def captions(frames: Sequence[Optional[FrameRecord]], truth: np.ndarray,
             fps: float) -> list[str]:
    """Return a line for every frame: when it was, and how it went."""
    iou = demo_report.overlaps(frames, truth)
    lines = []
    for index, frame in enumerate(frames):
        hidden = index < len(truth) and np.isnan(truth[index]).any()
        parts = [f'frame {index}', f'{index / fps:.1f} s', 'hidden' if hidden else '',
                 frame.status if frame and frame.box is None else '',
                 f'overlap {iou[index]:.2f}' if iou[index] > 0 else '']
        lines.append('   '.join(part for part in parts if part))
    return lines
