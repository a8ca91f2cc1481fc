# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""``lorat track``: follow a target through a video or a folder of frames, without ROS."""
from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple, Optional

import cv2
import numpy as np
from tqdm import tqdm

from lorat_ros.boxes import Box, iou_xywh
from lorat_ros.overlay import draw_overlay
from lorat_ros.target.status import TargetState, TargetStatus
from lorat_ros.tools.frames import check_folders_of, Frames, FramesError, open_frames
from lorat_ros.tools.target_arguments import add_target_arguments, ClipTarget, target_of
from lorat_ros.tracking.tracker import load_tracker, Tracker, TrackResult

HELP = 'follow a target through a video or a folder of frames'


class Step(NamedTuple):
    """One frame: its picture, and what was found in it (None: it is the init frame)."""

    image: np.ndarray
    result: Optional[TrackResult]
    state: TargetState


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the subcommand."""
    parser.add_argument('video', metavar='VIDEO|FOLDER', help='video file or folder of frames')
    add_target_arguments(parser)
    parser.add_argument('--model', help='name or folder of a bundle; see lorat models')
    parser.add_argument('--engine', default='auto', help='what runs the model')
    parser.add_argument('--precision', default='auto', help='auto = fp32; what is below must have '
                        'been proven with lorat build')
    parser.add_argument('--engine-cache-dir', metavar='FOLDER', help='of what lorat build made; '
                        "default: the user's cache")
    parser.add_argument('--threads', type=int, default=1, help='CPU threads of the engine')
    parser.add_argument('--output', type=Path, metavar='OUT.mp4', help='write an annotated video')
    parser.add_argument('--boxes', type=Path, metavar='BOXES.txt', help='write x,y,w,h,score of '
                        'each frame, a line each')


def run(args: argparse.Namespace) -> int:
    """Run the subcommand; returns 0, or 2 after one line on stderr."""
    try:
        frames = open_frames(args.video)
        target = target_of(frames, args.init, args.truth)
        _check_outputs(args)
        tracker = load_tracker(args.model, args.engine, args.threads, args.precision,
                               args.engine_cache_dir)
        _follow(frames, target, tracker, args)
    except (ValueError, OSError, RuntimeError) as error:
        print(f'lorat track: {error}', file=sys.stderr)
        return 2
    return 0


def _check_outputs(args: argparse.Namespace) -> None:
    """Raise before the work rather than after it."""
    if args.output and args.output.suffix.lower() != '.mp4':
        raise FramesError(f'--output {args.output}: expected a name ending in .mp4')
    check_folders_of(args.output, args.boxes)


def _follow(frames: Frames, target: ClipTarget, tracker: Tracker,
            args: argparse.Namespace) -> None:
    """Track, write what is asked for, print the figures."""
    box, truth = target
    results: list[TrackResult] = []
    lines = [_line(box, 1.0)]
    lost = 0
    with ExitStack() as stack:
        video = _video(args.output, frames, stack) if args.output else None
        bar = tqdm(_steps(frames, box, tracker), desc=frames.path.name, total=len(frames) or None,
                   unit='frame', mininterval=0.3)
        for index, step in enumerate(bar):
            if video:
                video.write(_picture(step, box, truth, index, frames.size_wh))
            if step.result is None:
                continue
            results.append(step.result)
            lines.append(_line(step.result.box, step.result.score))
            lost += step.state is TargetState.LOST
            bar.set_postfix_str(f'{step.state} {step.result.score:.2f}', refresh=False)
    if args.boxes:
        args.boxes.write_text('\n'.join(lines) + '\n')
    print(_figures(tracker, results, lost, truth))


def _steps(frames: Frames, box: Box, tracker: Tracker) -> Iterator[Step]:
    bundle = tracker.bundle
    status = TargetStatus(bundle.score_lost, bundle.score_recover,
                          confirmations=bundle.return_frames)
    for index, image in enumerate(frames):
        if index == 0:
            tracker.init(image, box)
            yield Step(image, None, status.start())
        else:
            result = tracker.update(image)
            yield Step(image, result, status.observe(result.score))


def _video(path: Path, frames: Frames, stack: ExitStack) -> cv2.VideoWriter:
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*'mp4v'), frames.fps,
                             frames.size_wh)
    stack.callback(writer.release)
    if not writer.isOpened():
        raise FramesError(f'{path}: this OpenCV cannot write mp4 there (its FFmpeg is missing, '
                          'or the folder cannot be written to)')
    return writer


def _picture(step: Step, init_box: Box, truth: Optional[np.ndarray], index: int,
             size_wh: tuple[int, int]) -> np.ndarray:
    known = tuple(truth[index]) if truth is not None and index < len(truth) else None
    result = step.result
    drawn = draw_overlay(
        step.image, box=result.box if result else init_box, truth=known,
        score=result.score if result else None, status=str(step.state),
        search_window=result.search_window if result else None)
    same = (drawn.shape[1], drawn.shape[0]) == size_wh
    return drawn if same else cv2.resize(drawn, size_wh, interpolation=cv2.INTER_AREA)


def _line(box: Box, score: float) -> str:
    return ','.join(f'{value:.3f}' for value in box) + f',{score:.4f}'


def _figures(tracker: Tracker, results: list[TrackResult], lost: int,
             truth: Optional[np.ndarray]) -> str:
    rows = [('model', f'{tracker.bundle.name} ({tracker.session.engine}, '
                      f'{tracker.session.precision}, {tracker.session.device})'),
            ('frames', f'{len(results) + 1}, {lost} of them with status lost')]
    if results:
        total = np.array([result.timings['total'] for result in results])
        p50, p95 = np.percentile(total, (50, 95))
        rows.append(('update', f'{p50:.2f} ms p50, {p95:.2f} ms p95, {1e3 / total.mean():.0f} '
                               'fps (reading and drawing apart)'))
    count = min(len(results), len(truth) - 1) if truth is not None else 0
    if truth is not None and count > 0:
        iou = iou_xywh(np.array([r.box for r in results[:count]]), truth[1:count + 1])
        known = np.isfinite(truth[1:count + 1]).all(axis=1)
        if known.any():
            rows.append(('mean overlap', f'{iou[known].mean():.3f} over {known.sum()} frames with '
                                         'a known box (the first apart)'))
    return '\n'.join(f'  {name:<14} {value}' for name, value in rows)
