# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""``lorat build``: make a model run in lower precision on this machine, if the boxes stay."""
from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import TypeVar

import numpy as np
from tqdm import tqdm

from lorat_ros.boxes import Box
from lorat_ros.engines import plan_cache
from lorat_ros.engines.session import ENGINE_NAMES, EngineError, ENGINES, EXACT, open_session, \
    PRECISION_NAMES, Session
from lorat_ros.models.bundle import Bundle
from lorat_ros.models.catalog import find_bundle
from lorat_ros.tools.frames import Frames, FramesError, open_frames
from lorat_ros.tools.target_arguments import target_of
from lorat_ros.tracking.parity import Clip, crops_of, gate

HELP = 'make a model faster on this machine, if its boxes stay the same'
CALIBRATION = 100      # crops at least, where there are so many

Item = TypeVar('Item')


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the subcommand."""
    parser.add_argument('model', nargs='?', help='name or folder of a bundle; default: the '
                        'shipped one')
    parser.add_argument('--engine', required=True, choices=[n for n in ENGINE_NAMES
                                                            if n in _low()])
    parser.add_argument('--precision', required=True,
                        choices=[p for p in PRECISION_NAMES if p not in ('auto', EXACT)])
    parser.add_argument('--frames', required=True, action='append', metavar='VIDEO|FOLDER',
                        help='images of your camera with a target, 101 or more (201 for int8, '
                        'which needs its own); may be repeated')
    parser.add_argument('--init', action='append', metavar='x,y,w,h', default=[],
                        help='target in the first of them, pixels, in the order of --frames; '
                        'default: groundtruth.txt in or beside each')
    parser.add_argument('--threads', type=int, default=1)
    parser.add_argument('--engine-cache-dir', metavar='FOLDER', help="default: the user's cache")


def _low() -> dict[str, tuple[str, ...]]:
    """Engines to their precisions below float32."""
    low = {name: tuple(p for p in entry.precisions if p != EXACT)
           for name, entry in ENGINES.items()}
    return {name: precisions for name, precisions in low.items() if precisions}


def run(args: argparse.Namespace) -> int:
    """Run the subcommand; returns 0, 1 if the gate refused it, 2 after one line on stderr."""
    try:
        if args.precision not in ENGINES[args.engine].precisions:
            raise EngineError(f'engine {args.engine} does not offer {args.precision}, only '
                              f'{", ".join(_low()[args.engine])}')
        bundle = find_bundle(args.model)
        clips = clips_of(args.frames, args.init)
        verdict, folder = build(bundle, args, clips)
    except (ValueError, OSError, RuntimeError) as error:
        print(f'lorat build: {error}', file=sys.stderr)
        return 2
    name = f'{bundle.name}, {args.engine}, {args.precision}'
    if not verdict.passed:
        print(f'{name}: refused: {verdict}', file=sys.stderr)
        return 1
    option, parameter = f'--engine {args.engine} --precision {args.precision}', (
        f'engine: {args.engine}, precision: {args.precision}')
    if args.engine_cache_dir:
        option += f' --engine-cache-dir {args.engine_cache_dir}'
        parameter += f', engine_cache_dir: {args.engine_cache_dir}'
    print(f'{name}: passed: {verdict}\nin {folder}\nuse it: lorat track VIDEO --init x,y,w,h '
          f'--model {args.model or bundle.name} {option}\n        ros2 launch …, with the '
          f'parameters {parameter}')
    return 0


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


def clips_of(paths: list[str], inits: list[str]) -> list[Clip]:
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
        clips.append(Clip(images, box, images.name))
    return clips


def build(bundle: Bundle, args: argparse.Namespace, clips: list[Clip]
          ) -> tuple[plan_cache.Verdict, Path]:
    """Build what the precision needs, let the gate judge it, and keep both."""
    module = importlib.import_module(ENGINES[args.engine].module)
    folder = plan_cache.folder_of(bundle, args.engine, args.precision, module.version(),
                                  args.engine_cache_dir)
    folder.mkdir(parents=True, exist_ok=True)
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


def _attempts(bundle: Bundle, exact: Session, precision: str, clips: list[Clip], folder: Path
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


def thinned(items: Iterable[Item], least: int) -> list[Item]:
    """
    Keep items at even distances, whatever their number, and never many at once.

    :returns: all if there are fewer than twice ``least``, else from ``least`` to twice as many.
    """
    kept: list[Item] = []
    step = 1
    for number, item in enumerate(items):
        if number % step == 0:
            kept.append(item)
        if len(kept) == 2 * least:
            kept, step = kept[::2], 2 * step
    return kept


def _name(clips: list[Clip], what: str) -> None:
    for clip in clips:
        clip.frames.what = what
