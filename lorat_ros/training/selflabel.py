# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Make training data of clips that nobody labelled: a model tracks, and proves it by the way back.

::

    python -m lorat_ros.training.selflabel MODEL --data POOL --output TRACKS
    lorat train kestrel --data POOL --tracks TRACKS …

Boxes are proposed where something moves or has texture. Each is tracked forward through a piece
of its clip, then backward from where it ended, without knowing the way it came. Where both ways
agree the track is kept: what a model can do only in one direction it has guessed. A clip gives
``TRACKS/NAME.csv`` with the columns track, frame, x, y, w, h (pixels).
"""
from __future__ import annotations

import argparse
import csv
import sys
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from tqdm import tqdm

from lorat_ros.boxes import Box, iou_xywh
from lorat_ros.tracking.tracker import load_tracker, Tracker
from lorat_ros.training.pool import read_images

LENGTH = 40              # frames of a track
AGREEMENT = 0.6          # least overlap of both ways, at the start and in the median
LEAST_SCORE = 0.35


def motion_map(frames: Sequence[np.ndarray], index: int, gap: int = 3) -> np.ndarray:
    """How much changes around a frame within ``gap`` frames, (height, width) float32, >= 0."""
    grey = [cv2.cvtColor(frames[i], cv2.COLOR_BGR2GRAY).astype(np.float32)
            for i in (index, min(index + gap, len(frames) - 1))]
    return cv2.GaussianBlur(np.abs(grey[0] - grey[1]), (0, 0), 5)


def propose(frames: Sequence[np.ndarray], index: int, rng: np.random.Generator) -> Box | None:
    """Propose a box in a frame where something moves; None if the place has no texture."""
    image = frames[index]
    height, width = image.shape[:2]
    motion = motion_map(frames, index)
    weight = (motion ** 2).ravel()
    weight += 1e-3 * weight.max() + 1e-6
    y, x = divmod(int(rng.choice(weight.size, p=weight / weight.sum())), width)
    labels, _, boxes, _ = cv2.connectedComponentsWithStats(
        (motion > max(0.35 * motion.max(), 6)).astype(np.uint8))[:4]
    whole = [b[:4] for b in boxes[1:] if b[0] <= x < b[0] + b[2] and b[1] <= y < b[1] + b[3]
             and min(b[2:4]) >= 12 and b[2] < 0.6 * width and b[3] < 0.8 * height]
    if labels > 1 and whole and rng.random() < 0.6:
        left, top, wide, high = (float(v) for v in whole[0])
        box: Box = (left, top, wide, high)
    else:
        side = np.exp(rng.uniform(np.log(18), np.log(0.45 * min(width, height))))
        w, h = side * np.exp(np.array([0.5, -0.5]) * rng.normal(0, 0.4))
        box = (x - w / 2, y - h / 2, float(w), float(h))
    x, y = max(int(box[0]), 0), max(int(box[1]), 0)
    part = image[y:int(box[1] + box[3]), x:int(box[0] + box[2])]
    inside = part.shape[0] * part.shape[1] > 0.8 * box[2] * box[3]
    return box if inside and part.size and part.std() > 14 else None


def follow(tracker: Tracker, frames: Sequence[np.ndarray], box: Box) -> tuple[np.ndarray, float]:
    """Track a box from the first of ``frames``; returns boxes (frames, 4) and the least score."""
    tracker.init(frames[0], box)
    results = [tracker.update(frame) for frame in frames[1:]]
    boxes = np.array([box, *(r.box for r in results)])
    return boxes, min((r.score for r in results), default=1.0)


def track_both_ways(tracker: Tracker, frames: Sequence[np.ndarray], box: Box
                    ) -> np.ndarray | None:
    """Boxes (frames, 4) of the way forward if the way back agrees with it, else None."""
    forward, score = follow(tracker, frames, box)
    if score < LEAST_SCORE or min(forward[-1, 2:]) < 8:
        return None
    backward, score = follow(tracker, frames[::-1], tuple(forward[-1].tolist()))
    overlap = iou_xywh(forward, backward[::-1])
    agree = score >= LEAST_SCORE and overlap[0] > AGREEMENT and np.median(overlap) > AGREEMENT
    return forward if agree else None


def label_clip(tracker: Tracker, frames: Sequence[np.ndarray], tracks: int,
               rng: np.random.Generator) -> list[tuple[int, np.ndarray]]:
    """Up to ``tracks`` tracks of a clip, as (first frame, boxes (frames, 4))."""
    found = []
    for _ in range(3 * tracks):
        first = int(rng.integers(max(1, len(frames) - LENGTH + 1)))
        piece = frames[first:first + LENGTH]
        box = propose(frames, first, rng)
        boxes = None if box is None or len(piece) < 8 else track_both_ways(tracker, piece, box)
        if boxes is not None:
            found.append((first, boxes))
        if len(found) == tracks:
            break
    return found


def write_tracks(path: Path, tracks: Sequence[tuple[int, np.ndarray]]) -> None:
    """Write the tracks of one clip as CSV."""
    with path.open('w', newline='') as lines:
        table = csv.writer(lines)
        table.writerow(['track', 'frame', 'x', 'y', 'w', 'h'])
        for number, (first, boxes) in enumerate(tracks):
            table.writerows([number, first + k, *(f'{v:.2f}' for v in box)]
                            for k, box in enumerate(boxes))


def main(arguments: list[str] | None = None) -> int:
    """Command line; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.split('\n\n')[0])
    parser.add_argument('model', help='name or folder of a bundle')
    parser.add_argument('--data', type=Path, required=True, help='training pool')
    parser.add_argument('--output', type=Path, required=True, help='folder for the tracks')
    parser.add_argument('--tracks', type=int, default=24, help='of each clip, at most')
    parser.add_argument('--leave-out', nargs='*', default=[], metavar='CLIP')
    args = parser.parse_args(arguments)
    args.output.mkdir(parents=True, exist_ok=True)
    tracker, rng = load_tracker(args.model), np.random.default_rng(0)
    clips = [p for p in sorted((args.data / 'clips').iterdir())
             if p.name not in args.leave_out and not (p / 'boxes.csv').is_file()]
    total = 0
    for clip in tqdm(clips, 'labelling', unit='clip'):
        tracks = label_clip(tracker, read_images(clip), args.tracks, rng)
        write_tracks(args.output / f'{clip.name}.csv', tracks)
        total += len(tracks)
    print(f'{total} tracks of {len(clips)} clips in {args.output}')
    return 0


if __name__ == '__main__':
    sys.exit(main())
