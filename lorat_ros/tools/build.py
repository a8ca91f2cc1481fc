# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""``lorat build``: make a model faster on this machine, if the boxes stay."""
from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from tqdm import tqdm

from lorat_ros.boxes import Box
from lorat_ros.engines import plan_cache, plan_record
from lorat_ros.engines.session import ENGINE_NAMES, EngineError, ENGINES, EXACT, open_session, \
    PRECISION_NAMES, Session
from lorat_ros.models.bundle import Bundle
from lorat_ros.models.catalog import find_bundle
from lorat_ros.tools.build_steps import Console, JsonLines, News, ShownClip, thinned
from lorat_ros.tools.frames import Frames, FramesError, open_frames
from lorat_ros.tools.scene import cached_scene
from lorat_ros.tools.target_arguments import target_of
from lorat_ros.tracking.family import family_class
from lorat_ros.tracking.parity import crops_of, gate

HELP = 'make a model faster on this machine, if its boxes stay the same'
CALIBRATION = 100      # crops at least, where there are so many


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the subcommand."""
    parser.add_argument('model', nargs='?', help='name or folder of a bundle; default: the '
                        'shipped one')
    parser.add_argument('--engine', required=True, choices=[n for n in ENGINE_NAMES
                                                            if n in _low()])
    parser.add_argument('--precision', default='auto', choices=PRECISION_NAMES,
                        help='auto (tensorrt only): the best one that the gate passes')
    parser.add_argument('--frames', action='append', metavar='VIDEO|FOLDER', default=[],
                        help='images of your camera with a target, 101 or more (201 for int8 and '
                        'fp8, which need their own); may be repeated; for tensorrt by default '
                        "the demo's rendered clip")
    parser.add_argument('--init', action='append', metavar='x,y,w,h', default=[],
                        help='target in the first of them, pixels, in the order of --frames; '
                        'default: groundtruth.txt in or beside each')
    parser.add_argument('--threads', type=int, default=1)
    parser.add_argument('--engine-cache-dir', metavar='FOLDER', help="default: the user's cache")
    parser.add_argument('--progress', choices=sorted(NEWS), default='bar',
                        help='json: lines for programs, on stdout')
    plans = parser.add_argument_group('tensorrt')
    plans.add_argument('--workspace', type=int, default=0, metavar='MB',
                       help="memory that a layer may use; default: a quarter of the GPU's, at "
                       'most 4096')
    plans.add_argument('--dla', type=int, default=-1, metavar='CORE',
                       help='build for this core of a deep learning accelerator, in fp16; what '
                       'it cannot run stays on the GPU')
    plans.add_argument('--version-compatible', action='store_true',
                       help='plans that later minor versions of TensorRT can read, a little '
                       'slower')
    plans.add_argument('--again', action='store_true', help='also what is there and proven')


def _low() -> dict[str, tuple[str, ...]]:
    """Engines that need a proof to their precisions that do."""
    low = {name: tuple(p for p in entry.precisions if entry.built or p != EXACT)
           for name, entry in ENGINES.items()}
    return {name: precisions for name, precisions in low.items() if precisions}


def run(args: argparse.Namespace) -> int:
    """Run the subcommand; returns 0, 1 if the gate refused it, 2 after one line on stderr."""
    try:
        _check(args)
        bundle = find_bundle(args.model)
        family_class(bundle)      # what is wrong with it is said before minutes go into plans
        verdict, folder, precision = WAYS.get(args.engine, _build_one)(bundle, args)
    except (ValueError, OSError, RuntimeError) as error:
        print(f'lorat build: {error}', file=sys.stderr)
        return 2
    name = f'{bundle.name}, {args.engine}, {precision}'
    if not verdict.passed:
        print(f'{name}: refused: {verdict}', file=sys.stderr)
        return 1
    _say_how_to_use(args, bundle, name, precision, verdict, folder)
    return 0


def _check(args: argparse.Namespace) -> None:
    entry, offered = ENGINES[args.engine], _low()[args.engine]
    if args.precision == 'auto' and not entry.built:
        raise EngineError(f'engine {args.engine} needs --precision, one of {", ".join(offered)}')
    if args.precision != 'auto' and args.precision not in offered:
        raise EngineError(f'engine {args.engine} does not offer {args.precision}, only '
                          f'{", ".join(offered)}')
    if not args.frames and not entry.built:
        raise EngineError(f'engine {args.engine} needs --frames: a clip of your camera with a '
                          'target in it')
    if args.precision in ('int8', 'fp8') and not args.frames:
        raise EngineError(f'{args.precision} is calibrated on images of your camera: give '
                          '--frames')
    if args.workspace < 0:
        raise EngineError(f'--workspace is {args.workspace}, expected MB, or 0 for the default')


def _say_how_to_use(args: argparse.Namespace, bundle: Bundle, name: str, precision: str,
                    verdict: plan_cache.Verdict, folder: Path) -> None:
    option, parameter = f'--engine {args.engine} --precision {precision}', (
        f'engine: {args.engine}, precision: {precision}')
    if args.engine_cache_dir:
        option += f' --engine-cache-dir {args.engine_cache_dir}'
        parameter += f', engine_cache_dir: {args.engine_cache_dir}'
    print(f'{name}: passed: {verdict}\nin {folder}\nuse it: lorat track VIDEO --init x,y,w,h '
          f'--model {args.model or bundle.name} {option}\n        ros2 launch …, with the '
          f'parameters {parameter}')


class _Images:
    """Frames of a clip that can be gone through again, with a progress bar."""

    def __init__(self, frames: Frames) -> None:
        self._frames, self.what = frames, ''

    @property
    def name(self) -> str:
        """What to call the clip."""
        path = self._frames.path
        return path.parent.name if path.name in ('img', 'color') else path.name

    def __iter__(self) -> Iterator[np.ndarray]:
        yield from tqdm(self._frames, desc=f'{self.what}: {self.name}', unit='frame',
                        total=len(self._frames) or None, mininterval=0.5)


def clips_of(paths: list[str], inits: list[str]) -> list[ShownClip]:
    """
    Open clips with their targets.

    :raises FramesError: more boxes than clips, no target, or a clip that cannot be read.
    """
    if len(inits) > len(paths):
        raise FramesError(f'--init is given {len(inits)} times and --frames {len(paths)} times: '
                          'give a box for each clip, in their order')
    clips = []
    for path, init in zip(paths, [*inits, *[None] * (len(paths) - len(inits))]):
        frames = open_frames(path)
        box: Box = target_of(frames, init, None).init_box
        images = _Images(frames)
        clips.append(ShownClip(images, box, images.name))
    return clips


Built = tuple[plan_cache.Verdict, Path, str]      # verdict, folder, precision


def _build_plans(bundle: Bundle, args: argparse.Namespace) -> Built:
    # TensorRT's own modules are loaded only where it is asked for.
    from lorat_ros.engines import tensorrt
    from lorat_ros.engines.plan_failure import Attempt
    from lorat_ros.engines.tensorrt_api import load_tensorrt, usable_gpu
    from lorat_ros.engines.tensorrt_job import Options
    from lorat_ros.tools.build_tensorrt import build as build_plans, Here, Wanted
    here = Here(load_tensorrt(), usable_gpu(), tensorrt)
    news = NEWS[args.progress]()
    if not args.frames:
        news.say("no --frames: the gate is shown the demo's rendered clip; better are images of "
                 'your camera')
    clips = clips_of(args.frames or [str(cached_scene().images)], args.init)
    options = Options(args.workspace, args.dla, args.version_compatible)
    attempt = Attempt(bundle, 'tensorrt', args.precision, args.frames, args.engine_cache_dir)
    try:
        verdict, folder = build_plans(Wanted(bundle, args.precision, clips, options, args.threads,
                                             args.engine_cache_dir, args.again), here, news)
    except EngineError as error:
        attempt.remember(str(error))      # a node need not spend minutes on it at each start
        raise
    attempt.forget()
    record = plan_record.read_record(folder)      # none of what was refused
    return verdict, folder, record.precision if record else args.precision


def _build_one(bundle: Bundle, args: argparse.Namespace) -> Built:
    verdict, folder = build(bundle, args, clips_of(args.frames, args.init))
    return verdict, folder, args.precision


NEWS: Mapping[str, Callable[[], News]] = MappingProxyType({'bar': Console, 'json': JsonLines})
#: Engines that are built in a way of their own.
WAYS: Mapping[str, Any] = MappingProxyType({'tensorrt': _build_plans})


def build(bundle: Bundle, args: argparse.Namespace, clips: list[ShownClip]
          ) -> tuple[plan_cache.Verdict, Path]:
    """Build what the precision needs, let the gate judge it, and keep both."""
    module = importlib.import_module(ENGINES[args.engine].module)
    folder = plan_cache.folder_of(bundle, args.engine, args.precision, module.version(),
                                  args.engine_cache_dir)
    plan_cache.make_folder(folder)
    # What is built from here on is not what an earlier verdict was about.
    (folder / plan_cache.GATE).unlink(missing_ok=True)
    exact = open_session(bundle, args.engine, args.threads)
    # What calibrated does not judge: every second crop each.
    every = 2 if args.precision == 'int8' else 1
    for attempt in _attempts(bundle, exact, args.precision, clips, folder):
        candidate = module.open_session(bundle, args.threads, args.precision, folder)
        _name(clips, f'comparing {args.precision}{attempt}')
        verdict = gate(bundle, exact, candidate, clips, every, first=every - 1)
        candidate.close()
        if verdict.passed:
            break
        print(f'{args.precision}{attempt}: refused: {verdict}', file=sys.stderr)
        for graph in folder.glob('*.onnx'):
            graph.unlink()
    plan_cache.write_verdict(folder, verdict)
    return verdict, folder


def _attempts(bundle: Bundle, exact: Session, precision: str, clips: list[ShownClip], folder: Path
              ) -> Iterator[str]:
    """Make one version after the other, the fastest first; yields what to call it."""
    if precision != 'int8':
        yield ''
        return
    from lorat_ros.engines.int8 import LEVELS, quantise      # onnx, which nothing else needs
    _name(clips, 'calibrating')
    # A graph that runs once or a few times per target is neither worth it nor ever judged.
    feeds = thinned((feed for role, feed in islice(crops_of(bundle, exact, clips), 0, None, 2)
                     if role == 'search'), CALIBRATION)
    graph = bundle.graphs['search']
    for level in LEVELS:
        quantise(graph, folder / graph.name, feeds, level)
        yield f' in {level}'


def _name(clips: list[ShownClip], what: str) -> None:
    for clip in clips:
        clip.frames.what = what
