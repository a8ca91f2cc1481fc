# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What a run finds out about its own model, on clips that it was not trained on."""
from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Optional

import cv2
import numpy as np

from lorat_ros.boxes import Box, iou_xywh, roc_area
from lorat_ros.overlay import contact_sheet, draw_overlay
from lorat_ros.tracking.tracker import Tracker
from lorat_ros.training.closed_loop import (score_area, scores_seen_and_hidden, success_of,
                                            track_clips, Tracked)
from lorat_ros.training.items import Item

FEWEST_FRAMES, MOST_FRAMES, MOST_CLIPS = 10, 300, 24
FOLLOWED, WRONG = 0.5, 0.2       # overlap over which it follows; up to which it is elsewhere
EVIDENCE = 30                    # scores of each kind that thresholds are chosen by, at least
TELLING = 0.75                   # ROC area from which a score tells enough to be cut
APART = 0.1                      # recover above lost, usually
SHEET_CLIPS, SHEET_COLUMNS, SHEET_WIDTH, SHEET_TILE = 3, 4, 1600, 400


class Thresholds(NamedTuple):
    """Of the score, in [0, 1]."""

    lost: float
    recover: float


@dataclass(frozen=True)
class Judgement:
    """Closed-loop figures of a model on some clips."""

    success: Mapping[str, Mapping[str, float]]     # by fault and clip, AUC in [0, 1]
    overlaps: Mapping[str, np.ndarray]             # by clip, of frames 1 to the last, as it is
    area: float                                    # ROC area of the score in [0, 1]; nan: unknown
    followed: np.ndarray                           # scores while it follows
    covered: np.ndarray                            # while the target is covered
    elsewhere: np.ndarray                          # while it follows something else
    after: float                                   # overlap in the ten frames after a cover
    frames: int
    left_out: tuple[str, ...]                      # clips that were not judged

    def thresholds(self) -> Optional[Thresholds]:
        """Thresholds that the scores speak for; None if there are too few, or they do not."""
        return thresholds_of(self.followed, np.r_[self.covered, self.elsewhere])

    def mean(self, fault: str) -> float:
        """Success under a fault, the mean over clips."""
        return float(np.mean(list(self.success[fault].values())))

    def worst(self, count: int = SHEET_CLIPS) -> list[str]:
        """The clips with the lowest success as they are, the worst first."""
        plain = self.success['plain']
        return sorted(plain, key=lambda clip: plain[clip])[:count]


def thresholds_of(followed: np.ndarray, gone: np.ndarray) -> Optional[Thresholds]:
    """
    Choose thresholds of the score.

    ``lost`` is where the shares of frames on the right side of it are largest together (Youden's
    index, the middle of such scores); ``recover`` lies above 19 of 20 scores without the target
    and ``APART`` above ``lost``, against flickering, but not above half of those with the target.

    :param followed: scores (n,) while the target is followed.
    :param gone: scores (m,) while it is covered or something else is followed.
    :returns: None if there are under ``EVIDENCE`` of either, or they hardly differ.
    """
    followed, gone = (np.sort(s[np.isfinite(s)]) for s in (followed, gone))
    if min(len(followed), len(gone)) < EVIDENCE:
        return None
    scores = np.r_[followed, gone]
    if roc_area(scores, np.arange(len(scores)) < len(followed)) < TELLING:
        return None
    known = np.unique(scores)
    cuts = (known[1:] + known[:-1]) / 2
    right = np.searchsorted(gone, cuts) / len(gone) \
        + 1 - np.searchsorted(followed, cuts) / len(followed)
    best = cuts[right >= right.max() - 1e-9]
    lost = float(np.clip(np.round(best[len(best) // 2], 2), 0, 1))
    high = min(max(float(np.percentile(gone, 95)), lost + APART), float(np.median(followed)))
    return Thresholds(lost, float(np.clip(np.round(high, 2), lost, 1)))


def judge(tracker: Tracker, clips: Mapping[str, Sequence[Item]],
          progress: Callable[[Iterable[Any]], Iterable[Any]] = lambda items: items
          ) -> Optional[Judgement]:
    """
    Track clips as they are, under faults, and with the target covered.

    :param clips: labelled frames in order of time; of long ones the first ``MOST_FRAMES``.
    :param progress: wraps the clips, for a progress bar.
    :returns: None if none of the clips has ``FEWEST_FRAMES``.
    """
    usable = {name: items[:MOST_FRAMES] for name, items in clips.items()
              if len(items) >= FEWEST_FRAMES}
    usable = {name: usable[name] for name in sorted(usable)[:MOST_CLIPS]}
    if not usable:
        return None
    runs: dict[str, dict[str, Tracked]] = {}
    hidden = []
    for name, items in progress(usable.items()):
        for fault, found in track_clips(tracker, {name: items}).items():
            runs.setdefault(fault, {}).update(found)
        hidden.append(scores_seen_and_hidden(tracker, items, min(15, len(items) // 3)))
    every = [run for row in runs.values() for run in row.values()]
    overlap, score = (np.concatenate(part) for part in zip(*every))
    return Judgement(
        success_of(runs), {name: run[0] for name, run in runs['plain'].items()},
        score_area(every), score[overlap > FOLLOWED], np.array([s for h in hidden for s in h[1]]),
        score[overlap == 0], float(np.mean([o for h in hidden for o in h[2]] or [np.nan])),
        sum(len(items) for items in usable.values()),
        tuple(sorted(clips.keys() - usable.keys())))


def moments(overlap: np.ndarray, count: int = SHEET_COLUMNS) -> list[int]:
    """
    Frames that tell how it went wrong, in their order.

    Of the longest stretch with hardly any overlap the frame before it, its first, one in its
    middle and its last; where it never got that bad, the worst frame of each part.

    :param overlap: (n,) of the frames from the second on; a result of 0 is the first frame.
    """
    first, end = longest(overlap <= WRONG)
    if end == first:
        parts = [p for p in np.array_split(np.arange(len(overlap)), count) if len(p)]
        return [int(p[np.argmin(overlap[p])]) + 1 for p in parts]
    return sorted({int(n) for n in (first, *np.linspace(first + 1, end, count - 1).round())})


def longest(flags: np.ndarray) -> tuple[int, int]:
    """The longest run of True as (first, end); (0, 0) if there is none."""
    edges = np.flatnonzero(np.diff(np.r_[False, flags, False].astype(np.int8)))
    runs = [(int(a), int(b)) for a, b in edges.reshape(-1, 2)]
    return max(runs, key=lambda run: run[1] - run[0], default=(0, 0))


def file_of(items: Sequence[Item], number: int) -> str:
    """The name of a frame's file, or its number among the labelled ones."""
    where = getattr(items, 'pictures', None)
    picture = items[number].picture
    return Path(where.path(picture[1])).name if where is not None and picture else str(number)


def draw_worst(tracker: Tracker, clips: Mapping[str, Sequence[Item]], judgement: Judgement,
               lost: float, path: Path) -> None:
    """
    Write a sheet of the worst clips' worst moments as PNG: truth thin and white, found in colour.

    :param lost: score below which a box is drawn as not believed.
    :raises OSError: it cannot be written.
    """
    pictures, captions = [], []
    for name in judgement.worst():
        items = clips[name][:MOST_FRAMES]
        wanted = moments(judgement.overlaps[name])
        tracker.init(items[0].image, items[0].box)
        for number in range(1, max(wanted) + 1):
            item = items[number]
            result = tracker.update(item.image)
            if number in wanted:
                pictures.append(_picture(item, result.box, result.score, lost))
                captions.append(f'{name}, {file_of(items, number)}: overlap '
                                f'{float(iou_xywh(result.box, item.box)):.2f}')
        if len(pictures) % SHEET_COLUMNS:      # each clip begins a line
            blank = SHEET_COLUMNS - len(pictures) % SHEET_COLUMNS
            pictures += [np.full_like(pictures[-1], 32)] * blank
            captions += [''] * blank
    sheet = contact_sheet(pictures, SHEET_COLUMNS, SHEET_WIDTH, captions)
    path.write_bytes(cv2.imencode('.png', sheet)[1].tobytes())


def _picture(item: Item, box: Box, score: float, lost: float) -> np.ndarray:
    factor = SHEET_TILE / max(item.image.shape[:2])
    image = cv2.resize(item.image, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA
                       if factor < 1 else cv2.INTER_CUBIC)
    found, truth = ((factor * x, factor * y, factor * w, factor * h)
                    for x, y, w, h in (box, item.box))
    return draw_overlay(image, box=found, truth=truth, score=float(score),
                        status='tracking' if score >= lost else 'lost')
