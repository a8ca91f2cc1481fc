# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What boxes are worth against the truth: the figures of one-pass evaluation.

Success and precision: Wu, Lim, Yang, Online Object Tracking: A Benchmark, CVPR 2013 (OTB).
Normalised precision: Mueller et al., TrackingNet, ECCV 2018. Average overlap and success rate:
Huang, Zhao, Huang, GOT-10k, TPAMI 2019.
"""
from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np

from lorat_ros.boxes import centre_distance_xywh, iou_xywh, roc_area, success_auc

OVERLAPS = np.arange(21) * 0.05          # thresholds of the success curve
PIXELS = np.arange(51.0)                 # of the precision curve
SHARES = np.arange(51) * 0.01            # of the normalised precision curve, in box sizes
GOOD = 0.5                               # overlap from which on a frame counts as tracked
NEAR_PIXELS, NEAR_SHARE = 20, 0.2


def _known(truth: np.ndarray) -> np.ndarray:
    known = np.isfinite(truth).all(1)
    known[0] = True
    return known


#: What frames without target do to success and precision: nothing, or they count as missed
#: (LaSOT as the published trackers measure it). Overlap (AO, SR) always leaves them out.
ABSENT: Mapping[str, Callable[[np.ndarray], np.ndarray]] = MappingProxyType({
    'skip': _known,
    'miss': lambda truth: np.ones(len(truth), bool),
})


class Judged(NamedTuple):
    """One sequence, frame by frame."""

    overlap: np.ndarray      # (n,) in [0, 1]; 0 where the target is absent or nothing was found
    distance: np.ndarray     # (n,) pixels between the centres; inf likewise
    relative: np.ndarray     # (n,) the same, each axis in sizes of the true box
    counted: np.ndarray      # (n,) bool: success and precision are made of these
    after: np.ndarray        # (n,) bool: overlap is made of these: target seen, not the given box
    score: np.ndarray        # (n,) nan where there is none


def judge(rows: np.ndarray, truth: np.ndarray, absent: str = 'skip') -> Judged:
    """
    Compare boxes with the truth.

    :param rows: (m, 5) x, y, w, h, score; row 0 is the given box. nan: nothing was found. What is
        missing at the end (m < n) was not found either.
    :param truth: (n, 4) xywh, nan where the target is absent.
    :param absent: a name from ``ABSENT``.
    """
    short = len(truth) - len(rows)
    rows = np.vstack([rows[:len(truth)], np.full((max(0, short), 5), np.nan)])
    boxes = rows[:, :4]
    apart = (boxes[:, :2] + boxes[:, 2:] / 2) - (truth[:, :2] + truth[:, 2:] / 2)
    with np.errstate(divide='ignore', invalid='ignore'):  # a true box may be cut to nothing
        relative = np.hypot(*(apart / truth[:, 2:]).T)
    after = _known(truth)
    after[0] = False
    return Judged(
        iou_xywh(boxes, truth),
        np.nan_to_num(centre_distance_xywh(boxes, truth), nan=np.inf),
        np.nan_to_num(relative, nan=np.inf),
        ABSENT[absent](truth), after, rows[:, 4])


class Curves(NamedTuple):
    """Shares of frames in [0, 1], over the thresholds above."""

    success: np.ndarray      # (21,) overlap above OVERLAPS
    precision: np.ndarray    # (51,) centre at most PIXELS off
    normalised: np.ndarray   # (51,) centre at most SHARES of the true box's size off


def curves_of(judged: Judged) -> Curves:
    """Return the curves of a sequence."""
    overlap, distance, relative = (v[judged.counted, None] for v in judged[:3])
    return Curves((overlap > OVERLAPS).mean(0), (distance <= PIXELS).mean(0),
                  (relative <= SHARES).mean(0))


def mean_curves(curves: Sequence[Curves]) -> Curves:
    """Return the mean over sequences, each of the same weight."""
    return Curves(*(np.mean(kind, axis=0) for kind in zip(*curves)))


@dataclass(frozen=True)
class Times:
    """Of every ``update``, milliseconds; empty where they are not known."""

    wall: tuple[float, ...] = ()
    cpu: tuple[float, ...] = ()     # of the whole process, all threads


@dataclass(frozen=True)
class Figures:
    """What a sequence, or several, came to; shares in percent, nan where there is none."""

    frames: int
    AUC: float        # success: mean of its curve
    P20: float        # precision at 20 pixels
    NP: float         # normalised precision at 0.2
    NPauc: float      # mean of its curve, 0 to 0.5
    AO: float         # mean overlap
    SR50: float       # share of frames with an overlap over 0.5
    SR75: float
    ROC: float        # how well the score tells overlap over 0.5 from none: area, 50 is useless
    lost: float       # share of frames with no overlap
    fail: int         # sequences that end lost: no overlap in the last tenth (5 frames at least)
    ms: float         # wall clock of update(): median over frames
    ms_p95: float
    cpu_ms: float     # processor time of update(): median over frames


def figures_of(judged: Judged, times: Times) -> Figures:
    """Return the figures of one sequence."""
    overlap = judged.overlap[judged.after]
    tail = overlap[-max(5, len(overlap) // 10):]
    near = judged.distance[judged.counted] <= NEAR_PIXELS
    close = judged.relative[judged.counted] <= NEAR_SHARE
    return Figures(
        len(judged.overlap), 100 * success_auc(judged.overlap[judged.counted]),
        _percent(near), _percent(close), 100 * float(curves_of(judged).normalised.mean()),
        *_overlap_figures(overlap), 100 * score_area([judged]), _percent(overlap == 0),
        int(len(overlap) > 0 and not tail.any()), *_time_figures([times]))


def mean_figures(figures: Sequence[Figures], judged: Sequence[Judged], times: Sequence[Times]
                 ) -> Figures:
    """
    Return the mean over sequences.

    Frames and failures are added up; the score's area and the times are over all frames.
    """
    found = {field.name: [getattr(f, field.name) for f in figures] for field in fields(Figures)}
    mean: dict[str, Any] = {name: _mean(values) for name, values in found.items()}
    mean.update(frames=sum(found['frames']), fail=sum(found['fail']),
                ROC=100 * score_area(judged),
                **dict(zip(('ms', 'ms_p95', 'cpu_ms'), _time_figures(times))))
    return Figures(**mean)


def pooled(judged: Sequence[Judged]) -> dict[str, float]:
    """AO, SR50 and SR75 over all frames instead of sequences, as GOT-10k's toolkit has them."""
    overlap = np.concatenate([j.overlap[j.after] for j in judged])
    return dict(zip(('AO', 'SR50', 'SR75'), _overlap_figures(overlap)))


def score_area(judged: Sequence[Judged]) -> float:
    """Area under the score's ROC curve in [0, 1], overlap over 0.5 against none, all frames."""
    overlap, score = (np.concatenate([getattr(j, name)[j.after & np.isfinite(j.score)]
                                      for j in judged]) for name in ('overlap', 'score'))
    clear = (overlap > GOOD) | (overlap == 0)
    return roc_area(score[clear], overlap[clear] > GOOD)


def _overlap_figures(overlap: np.ndarray) -> tuple[float, float, float]:
    return (100 * float(overlap.mean()) if len(overlap) else float('nan'),
            _percent(overlap > GOOD), _percent(overlap > 0.75))


def _percent(flags: np.ndarray) -> float:
    return 100 * float(flags.mean()) if len(flags) else float('nan')


def _mean(values: Sequence[float]) -> float:
    known = [v for v in values if np.isfinite(v)]
    return float(np.mean(known)) if known else float('nan')


def _time_figures(times: Sequence[Times]) -> tuple[float, float, float]:
    wall, cpu = ([v for t in times for v in getattr(t, kind)] for kind in ('wall', 'cpu'))
    p50, p95 = (float(np.percentile(wall, q)) if wall else float('nan') for q in (50, 95))
    return p50, p95, float(np.median(cpu)) if cpu else float('nan')
