# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""``lorat evaluate``: one-pass evaluation of a model on a folder of sequences with truth."""
from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import cv2
import numpy as np
from tqdm import tqdm

from lorat_ros.boxes import Box, BoxError, centre_distance_xywh, iou_xywh, success_auc
from lorat_ros.engines.session import ENGINE_NAMES, EngineError, PRECISION_NAMES
from lorat_ros.models.bundle import BundleError
from lorat_ros.tools.frames import (first_box, Frames, FramesError, open_frames, read_boxes,
                                    TRUTH_NAME)
from lorat_ros.tracking.tracker import load_tracker, Tracker

HELP = 'measure a model on sequences with known truth'
COLUMNS = ('frames', 'AUC', 'P20', 'AO', 'SR50', 'SR75', 'ms')


@dataclass(frozen=True)
class Figures:
    """
    What one sequence, or the mean over several, came to. Shares in percent.

    AUC (OTB success): mean over the thresholds 0, 0.05 … 1 of the share of frames with more
    overlap; P20 (OTB precision): share of frames whose centre is at most 20 pixels off. Both
    count the first frame, whose box was given. AO, SR50, SR75 (GOT-10k): mean overlap, share of
    frames over 0.5 and 0.75, without the first frame. Frames without truth count for nothing.
    """

    frames: int
    AUC: float
    P20: float
    AO: float
    SR50: float
    SR75: float
    ms: float          # CPU milliseconds of update(), median over frames


def measure(boxes: np.ndarray, truth: np.ndarray, cpu_ms: Sequence[float]) -> Figures:
    """
    Judge the boxes of one sequence.

    :param boxes: (n, 4) xywh; row 0 is the given box.
    :param truth: (n, 4) xywh, nan where the target is absent.
    :param cpu_ms: of every update.
    """
    known = np.isfinite(truth).all(1)
    known[0] = True
    overlaps = iou_xywh(boxes, truth)
    near = np.nan_to_num(centre_distance_xywh(boxes, truth), nan=np.inf) <= 20
    after = overlaps[1:][known[1:]]
    return Figures(len(truth), 100 * success_auc(overlaps[known]), 100 * float(near[known].mean()),
                   *(100 * float(np.mean(v)) if len(after) else float('nan')
                     for v in (after, after > 0.5, after > 0.75)),
                   float(np.median(cpu_ms)) if len(cpu_ms) else float('nan'))


@dataclass(frozen=True)
class Run:
    """What the tracker said in one sequence of n frames."""

    boxes: np.ndarray         # (n, 4) xywh; row 0 is the given box
    scores: np.ndarray        # (n,); of row 0: nan
    cpu_ms: list[float]       # (n - 1,)


def run_sequence(tracker: Tracker, frames: Frames, box: Box, length: int) -> Run:
    """Track ``length`` frames from the first one."""
    boxes, scores, cpu = [box], [np.nan], []
    for number, image in zip(range(length), frames):
        if number == 0:
            tracker.init(image, box)
            continue
        start = time.process_time()
        result = tracker.update(image)
        cpu.append(1e3 * (time.process_time() - start))
        boxes.append(result.box)
        scores.append(result.score)
    return Run(np.array(boxes), np.array(scores), cpu)


def roc_area(scores: np.ndarray, good: np.ndarray) -> float:
    """
    Chance that a good frame has a higher score than a bad one, ties at half; nan without both.

    :param scores: (n,).
    :param good: (n,) bool.
    """
    right, wrong = scores[good], np.sort(scores[~good])
    if not len(right) or not len(wrong):
        return float('nan')
    below = [np.searchsorted(wrong, right, side) for side in ('left', 'right')]
    return float((sum(below) / 2 / len(wrong)).mean())


def find_sequences(folder: Path) -> list[Path]:
    """
    Folders with a groundtruth.txt, in ``folder`` or being it.

    :raises FramesError: there is none.
    """
    found = sorted(p.parent for p in (*folder.glob(TRUTH_NAME), *folder.glob(f'*/{TRUTH_NAME}')))
    if not found:
        raise FramesError(f'{folder} holds no sequence: expected folders with {TRUTH_NAME} and '
                          'frames beside it or in img/')
    return found


def evaluate(tracker: Tracker, sequences: Sequence[Path]) -> tuple[dict[str, Figures], float]:
    """
    Figures of every sequence by name, and the ROC area of the score in [0, 1].

    The area says how well the score tells frames with overlap over 0.5 from those with none,
    over all frames of all sequences.
    """
    results, overlaps, scores = {}, [], []
    for path in tqdm(sequences, 'evaluating', unit='sequence'):
        truth, frames = read_boxes(path / TRUTH_NAME), open_frames(path)
        length = min(len(truth), len(frames))
        box = first_box(truth, str(path / TRUTH_NAME))
        said = run_sequence(tracker, frames, box, length)
        results[path.name] = measure(said.boxes, truth[:length], said.cpu_ms)
        known = np.isfinite(truth[:length]).all(1) & np.isfinite(said.scores)
        overlaps.append(iou_xywh(said.boxes, truth[:length])[known])
        scores.append(said.scores[known])
    overlap = np.concatenate(overlaps)
    clear = (overlap > 0.5) | (overlap == 0)
    return results, roc_area(np.concatenate(scores)[clear], overlap[clear] > 0.5)


def mean_of(results: dict[str, Figures]) -> Figures:
    """Mean over sequences; frames are added up."""
    rows = np.array([[getattr(f, c) for c in COLUMNS[1:]] for f in results.values()])
    return Figures(sum(f.frames for f in results.values()), *np.nanmean(rows, 0).tolist())


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the subcommand."""
    parser.add_argument('folder', type=Path, help=f'sequences: folders with {TRUTH_NAME} (x,y,w,h '
                        'a line, nan where absent) and frames beside it or in img/')
    parser.add_argument('--model', help='name or folder of a bundle (default: the shipped one)')
    parser.add_argument('--engine', default='auto', choices=ENGINE_NAMES)
    parser.add_argument('--precision', default='auto', choices=PRECISION_NAMES)
    parser.add_argument('--threads', type=int, default=1, help='CPU threads (default: 1)')
    parser.add_argument('--json', type=Path, metavar='FILE', help='write the figures here')


def run(args: argparse.Namespace) -> int:
    """Run the subcommand; returns the exit status (2: something cannot be read)."""
    cv2.setNumThreads(args.threads)
    try:
        sequences = find_sequences(args.folder.expanduser())
        tracker = load_tracker(args.model, args.engine, args.threads, args.precision)
        results, area = evaluate(tracker, sequences)
    except (FramesError, BoxError, BundleError, EngineError) as error:
        print(f'lorat evaluate: {error}', file=sys.stderr)
        return 2
    print(f'{"sequence":20s}' + ''.join(f'{c:>8s}' for c in COLUMNS))
    for name, figures in {**results, 'MEAN': mean_of(results)}.items():
        print(f'{name[:20]:20s}{figures.frames:8d}'
              + ''.join(f'{getattr(figures, c):8.1f}' for c in COLUMNS[1:]))
    print(f'area under the ROC curve of the score, overlap > 0.5 against none: {100 * area:.1f}')
    if args.json:
        report = {'model': tracker.bundle.name, 'engine': tracker.session.engine,
                  'score_roc_area': 100 * area,
                  'mean': asdict(mean_of(results)),
                  'sequences': {name: asdict(f) for name, f in results.items()}}
        args.json.write_text(json.dumps(report, indent=1) + '\n', encoding='utf-8')
    return 0
