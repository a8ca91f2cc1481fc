# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
``lorat demo``: a real ROS graph follows a target, and the result is measured.

Three processes: ``video_publisher`` plays a clip, ``tracker_node`` tracks, ``recorder`` gives it
the init box over ``~/init_box`` and records what it publishes. Without ``--video`` the clip is
this package's own rendered scene, and the run fails (status 1) if the mean overlap is below 0.6,
fewer than 90 % of the frames were processed, or the occlusion was not reported as a loss. With
one's own video only the 90 % are asked, and ``--min-overlap`` where it is given.
"""
from __future__ import annotations

import argparse
import json
import signal
import sys
import time
from pathlib import Path
from typing import NamedTuple, Optional

import numpy as np
from tqdm import tqdm

from lorat_ros.boxes import Box
from lorat_ros.models.catalog import find_bundle
from lorat_ros.tools import demo_report
from lorat_ros.tools.demo_sheet import SHEET_NAME, write_sheet
from lorat_ros.tools.frames import first_box, FramesError, open_frames
from lorat_ros.tools.graph import Graph, GraphError, NodeProcess, ros_is_there
from lorat_ros.tools.recording import BOXES_NAME, load_recording, READY, RECORDING_NAME, \
    VIDEO_NAME
from lorat_ros.tools.scene import cached_scene
from lorat_ros.tools.target_arguments import add_target_arguments, target_of

HELP = 'watch a real ROS 2 graph follow a target'
SUMMARY_NAME, STAMPS_NAME = 'summary.json', 'stamps.txt'
START_TIMEOUT = 90.0  # seconds until the tracker waits for its first frame
STALL_TIMEOUT = 60.0  # seconds without a published frame


class Clip(NamedTuple):
    """What is played, and what is known of it."""

    path: Path
    fps: float
    length: int
    init_box: Box
    truth: Optional[np.ndarray]  # (n, 4), nan where hidden
    limits: demo_report.Limits


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the subcommand."""
    parser.add_argument('--video', metavar='PATH', help='video file or folder of frames; '
                        'default: the own rendered scene')
    add_target_arguments(parser)
    parser.add_argument('--min-overlap', type=float, metavar='IOU', help='fail below this mean '
                        f'overlap with the truth; {demo_report.MIN_OVERLAP} for the own scene')
    parser.add_argument('--model', default='', help='name or folder of a bundle; see lorat models')
    parser.add_argument('--engine', default='auto', help='what runs the model')
    parser.add_argument('--rate', type=float, metavar='FPS', help="default: the video's own")
    parser.add_argument('--lock-step', action='store_true', help='play a frame when the one '
                        'before is answered: for slow machines, nothing is dropped')
    parser.add_argument('--output', type=Path, default=Path('demo'), metavar='FOLDER',
                        help='for the video, the pictures and the figures (default: demo)')
    parser.add_argument('--start-timeout', type=float, default=START_TIMEOUT, metavar='SECONDS',
                        help='for the tracker to load its model (default: %(default)s)')
    parser.add_argument('--domain-id', type=int, metavar='N', help='ROS_DOMAIN_ID, to watch '
                        'along with RViz; default: one of its own')


def run(args: argparse.Namespace) -> int:
    """Run the demo; returns 0, 1 (it did not work), 2 (bad arguments) or 130 (interrupted)."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # stop the nodes then, too
    try:
        clip = _own_clip(args) if args.video is None else _users_clip(args)
        find_bundle(args.model or None)
        if not ros_is_there():
            raise FramesError('this Python finds no ROS 2 (rclpy, vision_msgs): run `make env` '
                              'and use .venv/bin/lorat, or source an installed ROS 2 first')
        _clean(args.output)
    except (ValueError, OSError) as error:
        print(f'lorat demo: {error}', file=sys.stderr)
        return 2
    try:
        stamps = _play(clip, args)
    except GraphError as error:
        print(f'lorat demo: {error}', file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print('lorat demo: interrupted; all nodes are stopped', file=sys.stderr)
        return 130
    return _conclude(clip, args.output, stamps)


def _own_clip(args: argparse.Namespace) -> Clip:
    if args.init or args.truth:
        raise FramesError('--init and --truth belong to --video PATH, which is missing')
    scene = cached_scene()
    frames = open_frames(scene.images, args.rate)
    overlap = demo_report.MIN_OVERLAP if args.min_overlap is None else args.min_overlap
    limits = demo_report.Limits(overlap=overlap, hidden=np.flatnonzero(scene.visibility == 0))
    return Clip(scene.images, frames.fps, len(frames), first_box(scene.boxes, 'the scene'),
                scene.boxes, limits)


def _users_clip(args: argparse.Namespace) -> Clip:
    frames = open_frames(args.video, args.rate)
    target = target_of(frames, args.init, args.truth)
    if args.min_overlap is not None and target.truth is None:
        raise FramesError('--min-overlap needs --truth FILE')
    return Clip(frames.path.absolute(), frames.fps, len(frames), target.init_box, target.truth,
                demo_report.Limits(overlap=args.min_overlap))


def _clean(output: Path) -> None:
    """Make the folder, and remove what an earlier run left: old results must not look new."""
    output.mkdir(parents=True, exist_ok=True)
    for name in (VIDEO_NAME, SHEET_NAME, SUMMARY_NAME, STAMPS_NAME, RECORDING_NAME, BOXES_NAME):
        (output / name).unlink(missing_ok=True)


def _play(clip: Clip, args: argparse.Namespace) -> list[int]:
    """Run the graph until the clip has ended; returns the stamps of the published frames."""
    output = args.output.absolute()
    stamps = output / STAMPS_NAME
    with Graph(output / 'logs', args.domain_id) as graph:
        print(f'ROS_DOMAIN_ID={graph.domain_id}, topics under {graph.namespace}', flush=True)
        graph.start('tracker_node', {
            'model': args.model, 'engine': args.engine,
            'image_reliability': 'reliable', 'debug_image.max_rate': 1000.0,
            'debug_image.max_width': 1280})
        recorder = graph.start('recorder', {
            'init_box': list(clip.init_box), 'output': str(output), 'fps': clip.fps,
            'start_timeout': args.start_timeout})
        recorder.wait_for_text(READY, args.start_timeout + 10)
        graph.start('video_publisher', {
            'path': str(clip.path), 'rate': clip.fps, 'lock_step': args.lock_step,
            'wait_for_subscribers': 1, 'start_delay': 0.5, 'stamps_file': str(stamps)},
            {'detections': 'lorat_tracker/detections'})
        _watch(graph, recorder, stamps, clip.length)
    return _read_stamps(stamps)


def _watch(graph: Graph, recorder: NodeProcess, stamps: Path, length: int) -> None:
    """Show the progress until the recorder, which ends last, has ended."""
    moved = time.monotonic()
    with tqdm(total=length or None, desc='playing', unit='frame', mininterval=0.3) as bar:
        while recorder.status is None:
            graph.check()
            count = len(_read_stamps(stamps))
            if count > bar.n:
                bar.update(count - bar.n)
                moved = time.monotonic()
            if time.monotonic() - moved > STALL_TIMEOUT:
                raise GraphError(f'nothing was played for {STALL_TIMEOUT:.0f} s; the end of the '
                                 f"recorder's log:\n{recorder.tail()}")
            time.sleep(0.1)
        bar.update(len(_read_stamps(stamps)) - bar.n)
    if recorder.status:
        raise GraphError(f'recorder ended with status {recorder.status}:\n{recorder.tail()}')


def _read_stamps(path: Path) -> list[int]:
    if not path.exists():
        return []
    lines = path.read_text().splitlines()
    return [int(line.split()[1]) for line in lines if len(line.split()) == 2]


def _missing(output: Path) -> list[str]:
    """Return one line per picture file that a run has to leave behind and did not."""
    wanted = [output / VIDEO_NAME, output / SHEET_NAME]
    return [f'{path} is missing or empty: no debug image was recorded, or the disk is full; see '
            f"{output / 'logs' / 'recorder.log'}"
            for path in wanted if not path.is_file() or path.stat().st_size == 0]


def _conclude(clip: Clip, output: Path, stamps: list[int]) -> int:
    """Measure, write and print everything; returns the exit status."""
    recording = load_recording(output)
    report = demo_report.make_report(recording, stamps, clip.truth, clip.limits)
    write_sheet(output, recording, stamps, np.empty((0, 4)) if clip.truth is None else clip.truth,
                clip.fps)
    report.failures += _missing(output)
    summary = {'clip': str(clip.path), 'init_box': list(clip.init_box), **report.to_json()}
    (output / SUMMARY_NAME).write_text(json.dumps(summary, indent=2) + '\n')
    print(f'\n{demo_report.table(report)}\n')
    print(f'  {output / VIDEO_NAME}, {output / SHEET_NAME}, {output / SUMMARY_NAME}')
    for failure in report.failures:
        print(f'lorat demo: FAILED: {failure}', file=sys.stderr)
    if not report.failures:
        print('  passed')
    return 1 if report.failures else 0
