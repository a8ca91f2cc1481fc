# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""``lorat import``: make a model of a checkpoint that a tracker's authors published."""
from __future__ import annotations

import argparse
import json
import logging
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from lorat_ros.boxes import Box
from lorat_ros.models.bundle import Bundle
from lorat_ros.models.catalog import users_folder
from lorat_ros.tools.frames import FramesError, open_frames
from lorat_ros.tools.scene import cached_scene
from lorat_ros.tools.target_arguments import target_of

HELP = "make a model of a published tracker's checkpoint"
VERIFIED_FRAMES = 6      # the init frame and those searched in
FRAME_STEP = 5           # every so many frames of the clip: the target has moved


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the subcommand."""
    parser.add_argument('checkpoint', type=Path, metavar='CHECKPOINT',
                        help='safetensors, or a file that torch.save wrote; docs/import.md')
    parser.add_argument('--variant', help='where the file does not tell, such as lorat-b-224')
    parser.add_argument('--base', type=Path, metavar='FILE', help='what a LoRAT delta builds '
                        'upon: dinov2_vitb14_pretrain.pth; default: beside the checkpoint, or '
                        "in torch's cache")
    place = parser.add_mutually_exclusive_group()
    place.add_argument('--output', type=Path, metavar='FOLDER', help='bundle to write; its name '
                       "names the model (default: in the user's folder of models)")
    place.add_argument('--name', help='of the model (default: the name of the variant)')
    parser.add_argument('--licence', metavar='TEXT', help='of the weights, if it is known better')
    parser.add_argument('--describe', type=Path, metavar='JSON', help='more for model.json: '
                        'scores, score, postprocessing, …')
    parser.add_argument('--frames', metavar='VIDEO|FOLDER', help='images to verify the bundle '
                        'with (default: the rendered scene of the demo)')
    parser.add_argument('--init', metavar='x,y,w,h', help='target in the first of them, pixels')


def run(args: argparse.Namespace) -> int:
    """Run the subcommand; returns 0, or 2 after one line on stderr."""
    try:
        from lorat_ros.networks import importing
    except ImportError as error:
        print(f'lorat import needs {error.name}: pip install torch onnx onnxscript safetensors '
              '(torch for a machine without an NVIDIA GPU: pip install torch --index-url '
              'https://download.pytorch.org/whl/cpu)', file=sys.stderr)
        return 2
    try:
        if args.name and Path(args.name).name != args.name:
            raise FramesError(f'--name {args.name}: expected a name; a folder goes to --output')
        if args.init and not args.frames:
            raise FramesError('--init belongs to --frames VIDEO|FOLDER, which is missing')
        more = _more(args)
        own = verification_clip(args.frames, args.init) if args.frames else None
        with _quiet_exporter(), tqdm(total=len(importing.STAGES), unit='stage') as bar:
            def progress(stage: str) -> None:
                bar.update(importing.STAGES.index(stage) - bar.n)
                bar.set_description(f'{stage:9s}')
            result = importing.import_checkpoint(
                args.checkpoint, lambda variant: _folder(args, variant),
                lambda: importing.Clip(*own or verification_clip(cached_scene().images, None)),
                args.variant, args.base, more, progress)
            bar.update(len(importing.STAGES) - bar.n)
    except (ValueError, OSError, RuntimeError) as error:
        print(f'lorat import: {error}', file=sys.stderr)
        return 2
    _report(result)
    return 0


@contextmanager
def _quiet_exporter() -> Iterator[None]:
    """Keep to itself what torch's exporter says of its own inner workings."""
    logger = logging.getLogger('torch.onnx')
    level = logger.level
    logger.setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter('ignore', FutureWarning)
        try:
            yield
        finally:
            logger.setLevel(level)


def _folder(args: argparse.Namespace, variant: str) -> Path:
    if args.output:
        return args.output.expanduser().absolute()
    return (users_folder() / (args.name or variant)).absolute()


def _more(args: argparse.Namespace) -> dict[str, Any]:
    more: dict[str, Any] = {}
    if args.describe:
        try:
            more = json.loads(args.describe.read_text(encoding='utf-8'))
        except ValueError as error:
            raise FramesError(f'{args.describe} is not valid JSON: {error}') from None
        if not isinstance(more, dict):
            raise FramesError(f'{args.describe} holds a {type(more).__name__}, expected an object '
                              'with fields of model.json')
    # What the tool itself finds out is not for the user to say.
    for field in ('name', 'family', 'variant', 'provenance'):
        if field in more:
            raise FramesError(f'{args.describe} has the field {field!r}, which lorat import '
                              'writes itself: leave it out')
    return {**more, **({'licence': args.licence} if args.licence else {})}


def verification_clip(path: Path | str, init: str | None) -> tuple[list[np.ndarray], Box]:
    """
    Take a few frames to verify with, and the target in the first.

    :raises FramesError: no frames, fewer than two, or no target.
    """
    frames = open_frames(path)
    box = target_of(frames, init, None).init_box
    images = list(islice(frames, 0, VERIFIED_FRAMES * FRAME_STEP, FRAME_STEP))
    if len(images) < 2:      # a short clip: every frame of it
        images = list(islice(frames, VERIFIED_FRAMES))
    if len(images) < 2:
        raise FramesError(f'{frames.path} has {len(images)} frame, expected at least 2')
    return images, box


def _report(result: Any) -> None:
    """Print what was made: `result` is an ``importing.Imported``."""
    bundle: Bundle = result.bundle
    manifest, verification = bundle.manifest, result.verification
    size = sum(path.stat().st_size for path in bundle.path.iterdir())
    apart = ', '.join(f'{place} {value:.1e}' for place, value in verification.differences.items())
    layout = manifest['provenance'].get('layout')
    rows = [('model', f'{bundle.name} ({bundle.family} {bundle.variant}'
             + (f', {layout})' if layout else ')')),
            ('base', str(result.base) if result.base else ''),
            ('size', f'{size / 1e6:.1f} MB'),
            ('parameters', f'{manifest["parameters"] / 1e6:.2f} M'),
            ('GMACs', f'{manifest["macs"] / 1e9:.2f} a frame'),
            ('licence', manifest['licence']),
            ('verified', f'ONNX Runtime and torch in {len(verification.scores)} frames, largest '
             f'differences: {apart}'),
            *(('note', note) for note in manifest.get('notes', ()) if note != manifest['licence']),
            ('folder', str(bundle.path))]
    print('\n'.join(f'{name:11s} {text}' for name, text in rows if text))
    in_place = bundle.path.parent == users_folder().absolute()
    model = bundle.name if in_place else bundle.path
    print(f'\nTry it:\n  lorat track VIDEO --init x,y,w,h --model {model}\n'
          f'  ros2 launch lorat_ros tracker.launch.py model:={model}')
