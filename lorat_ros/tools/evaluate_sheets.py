# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Contact sheets of the moments at which a tracker goes wrong."""
from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from lorat_ros.boxes import Box
from lorat_ros.overlay import contact_sheet, draw_overlay
from lorat_ros.target.status import TargetStatus
from lorat_ros.tools.evaluate_figures import GOOD, Judged
from lorat_ros.tools.evaluate_run import Entry
from lorat_ros.tools.sequences import Clip

PICTURES, COLUMNS, WIDTH = 8, 4, 1760
WRONG = 0.2              # overlap up to which a frame shows something going wrong
OF_THAT_KIND = 4         # times longer is the longest stretch at most
TILE = 480               # pixels: small targets are drawn on an enlarged picture
ASPECT = 4 / 3
QUALITY = 90             # of JPEG: a sheet of photographs as PNG is ten times the size


def worst(areas: Sequence[tuple[str, float]], count: int) -> list[str]:
    """Names of the sequences with the lowest success, the worst first."""
    return [name for name, _ in sorted(areas, key=lambda item: item[1])[:count]]


def moments(judged: Judged, count: int = PICTURES) -> list[int]:
    """
    Choose the frames that tell how it went wrong, in their order.

    Of the longest stretch without overlap worth the name: the last good frame before it, its
    first frame, and on to its last one, or further if it is short; if there is another one of
    that kind, half of them are its. Where it never got that bad: the lowest overlap of each part
    of the sequence.

    :param count: how many at most, at least 4.
    """
    seen = np.flatnonzero(judged.after)
    bad = _stretches(judged.overlap[seen] <= WRONG)
    bad.sort(key=lambda stretch: stretch[0] - stretch[1])
    longest = sorted(s for s in bad[:2] if OF_THAT_KIND * (s[1] - s[0]) >= bad[0][1] - bad[0][0])
    if not longest:
        parts = [p for p in np.array_split(seen, min(count, max(1, len(seen)))) if len(p)]
        return [int(p[np.argmin(judged.overlap[p])]) for p in parts] or [0]
    share = count // len(longest)
    found: set[int] = set()
    for first, end in longest:
        good = np.flatnonzero(judged.overlap[seen[:first]] > GOOD)
        before = int(seen[good[-1]]) if len(good) else 0
        last = max(end - 1, min(first + share - 2, len(seen) - 1))
        places = np.linspace(first, last, share - 1).round().astype(int)
        found |= {before, *(int(seen[p]) for p in places)}
    return sorted(found)


def _stretches(flags: np.ndarray) -> list[tuple[int, int]]:
    """Runs of True as (first, end)."""
    edges = np.flatnonzero(np.diff(np.r_[False, flags, False].astype(np.int8)))
    return [(int(a), int(b)) for a, b in edges.reshape(-1, 2)]


def write_sheet(path: Path, clip: Clip, entry: Entry, judged: Judged) -> None:
    """
    Write the sheet of one sequence as JPEG: truth thin and white, what was found in colour.

    A box is solid where the tracker believed in it (by the thresholds of its bundle) and dashed
    where it said that the target is lost.

    :raises OSError: it cannot be written.
    :raises lorat_ros.tools.frames.FramesError: a frame cannot be read.
    """
    rows = entry.runs[clip.name].rows
    states = believed(rows, entry.score_lost, entry.score_recover, entry.return_frames)
    wanted = moments(judged)
    pictures, captions = [], []
    for index, image in zip(wanted, clip.frames(wanted)):
        row = rows[index] if index < len(rows) else np.full(5, np.nan)
        pictures.append(_picture(image, tuple(row[:4]), tuple(clip.truth[index]), row[4],
                                 states[index] if index < len(rows) else 'lost'))
        captions.append(f'{clip.name}, frame {index + 1}: overlap {judged.overlap[index]:.2f}')
    sheet = contact_sheet(pictures, COLUMNS, WIDTH, captions)
    data = cv2.imencode('.jpg', sheet, (cv2.IMWRITE_JPEG_QUALITY, QUALITY))[1]
    path.write_bytes(data.tobytes())


def believed(rows: np.ndarray, score_lost: float, score_recover: float,
             return_frames: int = 2) -> list[str]:
    """
    The status that the node would show on every frame.

    :param rows: (n, 5); without a score, a box is believed.
    """
    status = TargetStatus(score_lost, score_recover, confirmations=return_frames)
    states = [str(status.start())]
    for row in rows[1:]:
        score = row[4] if np.isfinite(row[4]) else 1.0
        states.append(str(status.observe(score, bool(np.isfinite(row[:4]).all()))))
    return states


def _picture(image: np.ndarray, found: Box, truth: Box, score: float, state: str) -> np.ndarray:
    x, y, w, h = window((found, truth), (image.shape[1], image.shape[0]))
    scale = TILE / w
    part = cv2.resize(image[y:y + h, x:x + w], (TILE, max(1, round(h * scale))),
                      interpolation=cv2.INTER_CUBIC if scale > 1 else cv2.INTER_AREA)
    found, truth = (tuple((np.array(box) - (x, y, 0, 0)) * scale) for box in (found, truth))
    return draw_overlay(part, box=found, truth=truth, score=float(score), status=state)


def window(boxes: Sequence[Box], size_wh: tuple[int, int]) -> tuple[int, int, int, int]:
    """
    Choose the part of the image to show: all boxes, and about as much around them.

    :param boxes: xywh; one with a nan does not count.
    :returns: (x, y, w, h) within the image, whole pixels; the whole image without a box.
    """
    known = np.array([b for b in boxes if np.isfinite(b).all()], np.float64).reshape(-1, 4)
    if not len(known):
        return 0, 0, *size_wh
    low = np.clip(known[:, :2].min(0), 0, size_wh)
    high = np.clip((known[:, :2] + known[:, 2:]).max(0), 0, size_wh)
    margin = known[:, 2:].max(1).min()
    w, h = high - low + 2 * margin
    w, h = max(w, h * ASPECT), max(h, w / ASPECT)
    w, h = (int(np.ceil(min(side, most))) for side, most in zip((w, h), size_wh))
    centre = (low + high) / 2
    x, y = (int(np.clip(c - side / 2, 0, most - side))
            for c, side, most in zip(centre, (w, h), size_wh))
    return x, y, max(1, w), max(1, h)
