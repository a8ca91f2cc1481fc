# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Judge a bundle in closed loop on labelled clips that were held out of its training.

::

    python -m lorat_ros.training.closed_loop BUNDLE --data POOL --clips NAME …

Every clip is tracked from its first frame, as it is and under camera faults that the clip lacks
(low resolution, motion blur, low light, compression); success is the area under the curve of
frames over 21 overlap thresholds, in percent.
"""
from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np

from lorat_ros.boxes import iou_xywh
from lorat_ros.tracking.tracker import load_tracker, Tracker
from lorat_ros.training import augment
from lorat_ros.training.pool import Item, read_pool

THRESHOLDS = np.arange(21) * 0.05
Fault = Callable[[np.ndarray, np.random.Generator], np.ndarray]

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


def success_auc(overlaps: np.ndarray) -> float:
    """Area under the success curve of overlaps (frames,), in [0, 1]."""
    return float((overlaps[:, None] > THRESHOLDS).mean())


def track_clip(tracker: Tracker, clip: list[Item], fault: Fault, seed: int = 0
               ) -> tuple[np.ndarray, np.ndarray]:
    """Track a clip from its first frame; returns overlaps and scores, (frames - 1,) each."""
    rng = np.random.default_rng(seed)
    tracker.init(fault(clip[0].image, rng), clip[0].box)
    results = [tracker.update(fault(item.image, rng)) for item in clip[1:]]
    boxes = np.array([r.box for r in results])
    return (iou_xywh(boxes, np.array([item.box for item in clip[1:]])),
            np.array([r.score for r in results]))


def evaluate(tracker: Tracker, clips: dict[str, list[Item]]) -> dict[str, dict[str, float]]:
    """Success of every clip under every fault: {fault: {clip: AUC in [0, 1]}}."""
    table = {}
    for name, fault in FAULTS.items():
        step = 3 if name == 'every_third' else 1
        table[name] = {clip: success_auc(np.r_[1.0, track_clip(tracker, items[::step], fault)[0]])
                       for clip, items in clips.items()}
    return table


def main(arguments: list[str] | None = None) -> int:
    """Command line; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.split('\n\n')[0])
    parser.add_argument('model', help='name or folder of a bundle')
    parser.add_argument('--data', type=Path, required=True)
    parser.add_argument('--clips', nargs='+', required=True)
    args = parser.parse_args(arguments)
    clips = read_pool(args.data, only_clips=args.clips).clips
    table = evaluate(load_tracker(args.model), clips)
    print(f'{"":16s}' + ''.join(f'{c[-14:]:>16s}' for c in clips) + f'{"mean":>8s}')
    for fault, row in table.items():
        print(f'{fault:16s}' + ''.join(f'{100 * v:16.1f}' for v in row.values())
              + f'{100 * np.mean(list(row.values())):8.1f}')
    mean = np.mean([list(row.values()) for row in table.values()])
    print(f'{"mean":16s}{100 * mean:{16 * len(clips) + 8}.1f}')
    return 0


if __name__ == '__main__':
    sys.exit(main())
