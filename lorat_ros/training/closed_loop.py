# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Judge a bundle in closed loop on labelled clips that were held out of its training.

::

    python -m lorat_ros.training.closed_loop BUNDLE --data POOL --clips NAME …

Every clip is tracked from its first frame, as it is and under camera faults that the clip lacks
(low resolution, motion blur, low light, compression); success is the area under the curve of
frames over 21 overlap thresholds, in percent. Then the target is covered for a while in the
middle of every clip: the scores seen then and otherwise are what the thresholds ``score.lost``
and ``score.recover`` of a bundle are chosen by; and once more, while a look-alike stands beside.
"""
from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np

from lorat_ros.boxes import iou_xywh, roc_area, success_auc
from lorat_ros.engines.session import open_session
from lorat_ros.models.catalog import find_bundle
from lorat_ros.tracking.tracker import Tracker
from lorat_ros.training import augment
from lorat_ros.training.pool import Item, read_pool
from lorat_ros.training.scenes import cover, twin_box, with_twin

Fault = Callable[[np.ndarray, np.random.Generator], np.ndarray]
Tracked = tuple[np.ndarray, np.ndarray]    # of a clip: overlaps, scores; (frames - 1,) each

FAULTS: dict[str, Fault] = {
    'plain': lambda image, rng: image,
    'low_resolution': lambda image, rng: cv2.resize(
        cv2.resize(image, None, fx=0.35, fy=0.35, interpolation=cv2.INTER_AREA),
        image.shape[1::-1], interpolation=cv2.INTER_LINEAR),
    'motion_blur': lambda image, rng: augment.motion_blur(image, 9, rng.uniform(0, np.pi)),
    'low_light': augment.low_light,
    'compressed': lambda image, rng: augment.compressed(image, 12),
    'every_third': lambda image, rng: image,
}


def track_clip(tracker: Tracker, clip: Sequence[Item], fault: Fault, seed: int = 0) -> Tracked:
    """Track a clip from its first frame; returns overlaps and scores, (frames - 1,) each."""
    rng = np.random.default_rng(seed)
    tracker.init(fault(clip[0].image, rng), clip[0].box)
    results = [tracker.update(fault(item.image, rng)) for item in clip[1:]]
    boxes = np.array([r.box for r in results])
    return (iou_xywh(boxes, np.array([item.box for item in clip[1:]])),
            np.array([r.score for r in results]))


def track_clips(tracker: Tracker, clips: Mapping[str, Sequence[Item]]
                ) -> dict[str, dict[str, Tracked]]:
    """Track every clip under every fault: {fault: {clip: overlaps and scores}}."""
    return {name: {clip: track_clip(tracker, items[::3 if name == 'every_third' else 1], fault)
                   for clip, items in clips.items()} for name, fault in FAULTS.items()}


def success_of(runs: Mapping[str, Mapping[str, Tracked]]) -> dict[str, dict[str, float]]:
    """Success of what ``track_clips`` found; the first frame, where the box was given, counts."""
    return {fault: {clip: success_auc(np.r_[1.0, overlap]) for clip, (overlap, _) in row.items()}
            for fault, row in runs.items()}


def score_area(tracked: Iterable[Tracked]) -> float:
    """ROC area of the score in [0, 1], overlap over 0.5 against none, over all frames."""
    overlap, score = map(np.concatenate, zip(*tracked))
    clear = np.isfinite(score) & ((overlap > 0.5) | (overlap == 0))
    return roc_area(score[clear], overlap[clear] > 0.5)


def evaluate(tracker: Tracker, clips: Mapping[str, Sequence[Item]]) -> dict[str, dict[str, float]]:
    """Success of every clip under every fault: {fault: {clip: AUC in [0, 1]}}."""
    return success_of(track_clips(tracker, clips))


def scores_seen_and_hidden(tracker: Tracker, clip: Sequence[Item], hidden: int = 15
                           ) -> tuple[list[float], list[float], list[float]]:
    """
    Track a clip whose target is covered for ``hidden`` frames in its middle.

    :returns: scores while it is followed (overlap over 0.5), scores while it is covered, and
        the overlaps of the ten frames after it came out again.
    """
    start = len(clip) // 2
    tracker.init(clip[0].image, clip[0].box)
    seen, unseen, after = [], [], []
    for number, item in enumerate(clip[1:], 1):
        covered = start <= number < start + hidden
        result = tracker.update(cover(item.image, item.box) if covered else item.image)
        overlap = float(iou_xywh(result.box, item.box))
        if covered:
            # The first frame shows the change; scores count once it has settled.
            unseen += [result.score] if number > start else []
        elif start + hidden <= number < start + hidden + 10:
            after.append(overlap)
        elif overlap > 0.5:
            seen.append(result.score)
    return seen, unseen, after


class Taken(NamedTuple):
    """What became of runs in which the target is hidden while a look-alike stands beside it."""

    runs: int
    share: float              # of the frames in which it is hidden, the look-alike was followed
    score: float              # median in those frames
    after: float              # mean overlap in the ten frames after


def look_alike_taken(tracker: Tracker, clips: Iterable[Sequence[Item]], hidden: int = 15
                     ) -> Taken:
    """
    Put a look-alike beside the target, and cover the target for ``hidden`` frames in the middle.

    Clips are left out on a side that has no room for it most of the time.
    """
    onto: list[float] = []
    scores: list[float] = []
    after: list[float] = []
    runs = 0
    for clip, side in ((clip, side) for clip in clips for side in (-1, 1)):
        start = len(clip) // 2
        shown = clip[:start + hidden + 10]
        if np.mean([twin_box(item, side) is not None for item in shown]) < 0.8:
            continue
        runs += 1
        tracker.init(with_twin(clip[0].image, clip[0], side), clip[0].box)
        for number, item in enumerate(shown[1:], 1):
            covered = start <= number < start + hidden
            image = cover(item.image, item.box) if covered else item.image
            result = tracker.update(with_twin(image, item, side))
            twin = twin_box(item, side)
            if covered and number > start:
                scores.append(result.score)
                onto.append(twin is not None and float(iou_xywh(result.box, twin)) > 0.3)
            elif number >= start + hidden:
                after.append(float(iou_xywh(result.box, item.box)))
    nothing = [np.nan]
    return Taken(runs, float(np.mean(onto or nothing)), float(np.median(scores or nothing)),
                 float(np.mean(after or nothing)))


def print_scores(tracker: Tracker, clips: Mapping[str, Sequence[Item]]) -> None:
    """Print the spread of scores while targets are followed and while they are covered."""
    runs = [scores_seen_and_hidden(tracker, clip) for clip in clips.values()]
    for name, part in (('followed', 0), ('covered', 1)):
        scores = np.concatenate([run[part] for run in runs])
        shares = np.percentile(scores, (5, 25, 50, 75, 95))
        print(f'scores while {name:9s} 5 % .. 95 %: ' + '  '.join(f'{v:.2f}' for v in shares))
    after = [overlap for run in runs for overlap in run[2]]
    print(f'mean overlap in the ten frames after: {np.mean(after or [np.nan]):.2f}')
    taken = look_alike_taken(tracker, clips.values())
    print(f'covered beside a look-alike ({taken.runs} runs): taken for it {taken.share:.0%}, '
          f'median score {taken.score:.2f}, mean overlap after {taken.after:.2f}')


def altered(model: str, changes: Sequence[str]) -> Tracker:
    """Load a model with other post-processing, given as 'name=value'."""
    bundle = find_bundle(model)
    post = {**bundle.manifest['postprocessing'],
            **{name: float(value) for name, value in (c.split('=') for c in changes)}}
    bundle = replace(bundle, manifest={**bundle.manifest, 'postprocessing': post})
    return Tracker(bundle, open_session(bundle))


def main(arguments: list[str] | None = None) -> int:
    """Command line; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.split('\n\n')[0])
    parser.add_argument('model', help='name or folder of a bundle')
    parser.add_argument('--data', type=Path, required=True)
    parser.add_argument('--clips', nargs='+', required=True)
    parser.add_argument('--set', nargs='*', default=[], metavar='NAME=VALUE',
                        help='try other values of postprocessing in model.json')
    args = parser.parse_args(arguments)
    clips = read_pool(args.data, only_clips=args.clips).clips
    tracker = altered(args.model, args.set)
    table = evaluate(tracker, clips)
    print(f'{"":16s}' + ''.join(f'{c[-14:]:>16s}' for c in clips) + f'{"mean":>8s}')
    for fault, row in table.items():
        print(f'{fault:16s}' + ''.join(f'{100 * v:16.1f}' for v in row.values())
              + f'{100 * np.mean(list(row.values())):8.1f}')
    mean = np.mean([list(row.values()) for row in table.values()])
    print(f'{"mean":16s}{100 * mean:{16 * len(clips) + 8}.1f}')
    print_scores(tracker, clips)
    return 0


if __name__ == '__main__':
    sys.exit(main())
