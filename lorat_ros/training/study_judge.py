# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What a bundle is worth on clips that had no part in its making: the judge of studies."""
from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any, Optional

import numpy as np

from lorat_ros.boxes import roc_area
from lorat_ros.tracking.tracker import load_tracker, Tracker
from lorat_ros.training.closed_loop import (score_area, scores_seen_and_hidden, success_of,
                                            track_clips)
from lorat_ros.training.items import Item, Shelf
from lorat_ros.training.pool import read_pool

LEAST_FRAMES = 8                # of a track that is judged on


def movement(track: Shelf) -> float:
    """How far the centre of a track's boxes gets along an axis, in mean sizes of the boxes."""
    boxes = track.boxes[track.rows]
    centres = boxes[:, :2] + boxes[:, 2:] / 2
    return float(np.ptp(centres, axis=0).max() / np.sqrt(boxes[:, 2:].prod(1)).mean())


def judged_clips(data: Path, labelled: Sequence[str], tracked: Sequence[str],
                 tracks: Optional[Path], tracks_a_clip: int) -> dict[str, Sequence[Item]]:
    """
    Read what is judged on.

    Of a clip without labels the tracks that move most are taken: of those that stay where they
    are, many are pieces of the background, which any model follows.

    :returns: labelled clips by name, tracks as 'name#number'.
    """
    pool = read_pool(data, only_clips=(*labelled, *tracked), tracks=tracks)
    clips: dict[str, Sequence[Item]] = {name: pool.clips[name] for name in labelled}
    for name in tracked:
        found = {k: t for k, t in enumerate(pool.tracks[name])
                 if isinstance(t, Shelf) and len(t) >= LEAST_FRAMES}
        most = sorted(found, key=lambda k: -movement(found[k]))[:tracks_a_clip]
        clips.update({f'{name}#{k}': found[k] for k in sorted(most)})
    return clips


def covered_area(tracker: Tracker, clips: Mapping[str, Sequence[Item]]) -> float:
    """
    ROC area of the score in [0, 1]: target followed against target covered in mid-clip.

    A model that loses none of these clips has no frames without overlap, and no other area.
    """
    runs = [scores_seen_and_hidden(tracker, clip, min(15, len(clip) // 3))
            for clip in clips.values()]
    seen, covered = (np.array([score for run in runs for score in run[part]]) for part in (0, 1))
    return roc_area(np.r_[seen, covered], np.arange(len(seen) + len(covered)) < len(seen))


def judge(bundle: str | Path, clips: Mapping[str, Sequence[Item]]) -> dict[str, Any]:
    """
    Track all clips in closed loop and measure.

    :param bundle: name or folder.
    :returns: in percent, as plain values: 'plain' and each fault, the mean success over the
        clips; 'faults', the mean of those but 'plain'; 'roc' and 'roc_faults', the area of the
        score without and with faults, over all frames of all clips; 'roc_covered', that of
        ``covered_area``; 'clips', success by fault and clip. None where there is none.
    """
    tracker = load_tracker(str(bundle))
    runs = track_clips(tracker, clips)
    success = {fault: {clip: round(100 * v, 3) for clip, v in row.items()}
               for fault, row in success_of(runs).items()}
    means = {fault: float(np.mean(list(row.values()))) for fault, row in success.items()}
    faulty = {fault: row for fault, row in runs.items() if fault != 'plain'}
    areas = {'roc': score_area(runs['plain'].values()),
             'roc_faults': score_area(chain.from_iterable(r.values() for r in faulty.values())),
             'roc_covered': covered_area(tracker, clips)}
    return {**means, 'faults': float(np.mean([means[fault] for fault in faulty])),
            **{name: 100 * v if np.isfinite(v) else None for name, v in areas.items()},
            'clips': success}
