# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""How a run ends: a bundle, and a card that says what it was made of and how well it does."""
from __future__ import annotations

import argparse
import json
import os
import platform
import shlex
import shutil
import tempfile
from collections.abc import Iterable
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Optional

import numpy as np
import torch
from tqdm import tqdm

import lorat_ros
from lorat_ros.engines.session import open_session
from lorat_ros.models.bundle import Bundle, MANIFEST, read_bundle, sha256_of, write_manifest
from lorat_ros.networks.importing import Clip
from lorat_ros.tracking.tracker import Tracker
from lorat_ros.training.card_text import card_of, Facts, PICTURE, SHEET
from lorat_ros.training.judging import draw_worst, judge, Judgement
from lorat_ros.training.loop import Trainer
from lorat_ros.training.origins import origins_of
from lorat_ros.training.pool import Pool
from lorat_ros.training.recipe import Recipe
from lorat_ros.training.saving import replace_with
from lorat_ros.training.sources import detect, share_of

CARD, RUN = 'MODEL_CARD.md', 'run.json'
PROOF_FRAMES = 5


def proof_clip(*pools: Optional[Pool]) -> Clip:
    """
    Real frames to prove a bundle with: of a clip, else a still seen twice, the second time moved.

    :param pools: in the order in which they are asked.
    """
    there = [pool for pool in pools if pool is not None]
    for pool in there:
        for clip in pool.clips.values():
            if len(clip) > 1:
                items = clip[:PROOF_FRAMES]
                return Clip([item.image for item in items], items[0].box)
    for pool in there:
        for stills in pool.stills.values():
            if len(stills):
                item = stills[0]
                return Clip([item.image, np.roll(item.image, 2, 1)], item.box)
    image = there[0].images[0]
    height, width = image.shape[:2]
    return Clip([image, np.roll(image, 2, 1)],
                (0.35 * width, 0.35 * height, 0.3 * width, 0.3 * height))


def versions() -> dict[str, str]:
    """Of the software that made a model."""
    found = {'lorat_ros': lorat_ros.__version__, 'Python': platform.python_version(),
             'torch': torch.__version__, 'numpy': np.__version__}
    for name in ('onnx', 'onnxruntime', 'opencv-python-headless', 'opencv-python'):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def machine() -> str:
    """What it was made on."""
    if torch.cuda.is_available():
        return torch.cuda.get_device_name()
    return f'{os.cpu_count()} CPU cores ({platform.machine()})'


def facts_of_run(trainer: Trainer, recipe: Recipe) -> dict[str, Any]:
    """Plain facts: how long, how fast, on what, begun how."""
    try:
        starts = json.loads((trainer.output / RUN).read_text(encoding='utf-8'))['starts']
    except (OSError, ValueError, KeyError, TypeError):
        starts = []
    samples = trainer.step * recipe.train.batch
    return {'recipe': recipe.name, 'steps': trainer.step, 'samples': samples,
            'hours': trainer.seconds / 3600, 'rate': samples / max(trainer.seconds, 1e-9),
            'processes': trainer.world, 'machine': machine(), 'versions': versions(),
            'starts': starts}


def files_of(args: argparse.Namespace) -> dict[str, str]:
    """What the run began with: names and checksums."""
    found = {'--variant': args.variant} if args.variant else {}
    for option, path in (('--base', args.base), ('--from', args.start)):
        if path is not None and Path(path).is_file():
            found[option] = f'{path.name} (SHA-256 {sha256_of(path)[:16]}…)'
    return found


def judge_bundle(bundle: Bundle, held_out: Pool | None, sheet: Path) -> Optional[Judgement]:
    """Follow the held-out clips with a finished bundle; draws where it goes most wrong."""
    if held_out is None or not held_out.clips:
        return None

    def bar(items: Iterable[Any]) -> Iterable[Any]:
        return tqdm(items, desc='judging', unit='clip')
    tracker = Tracker(bundle, open_session(bundle))
    try:
        found = judge(tracker, held_out.clips, bar)
        if found is not None:
            chosen = found.thresholds()
            draw_worst(tracker, held_out.clips, found,
                       chosen.lost if chosen else bundle.score_lost, sheet)
    finally:
        tracker.close()
    return found


def described(manifest: dict[str, Any], found: Optional[Judgement], judging: str
              ) -> dict[str, Any]:
    """``model.json`` with what the held-out clips taught: thresholds and scores."""
    if found is None:
        return manifest
    scores = {'held-out AUC': round(100 * found.mean('plain'), 1)}
    if np.isfinite(found.area):
        scores['held-out ROC'] = round(100 * found.area, 1)
    chosen = found.thresholds()
    return {**manifest, **({'score': {**manifest['score'], **chosen._asdict()}} if chosen else {}),
            'scores': {**manifest.get('scores', {}), **scores, 'what': 'success AUC and ROC area '
                       f'of the score in percent, {len(found.overlaps)} clips held out of '
                       'training', **({'command': judging} if judging else {})}}


def finish(trainer: Trainer, recipe: Recipe, bundle: Path, args: argparse.Namespace, pool: Pool,
           held_out: Pool | None) -> None:
    """
    Make the bundle of a finished run, with its card.

    :param bundle: folder to write; its name names the model.
    :raises RuntimeError, ValueError: the graphs answer otherwise than the network.
    :raises OSError: something could not be written.
    """
    run = facts_of_run(trainer, recipe)
    shares = [share_of(text) for text in args.data]
    origins = origins_of(pool, shares, args.output / 'data')
    about = {'licence': args.licence, 'provenance': {
        **run, 'recipe': recipe.as_dict(), 'data': [o.as_dict() for o in origins],
        'held_out': list(args.hold_out), 'left_out': list(args.leave_out)}}
    product = args.output / trainer.method.product
    trainer.method.export(product, bundle, about, partial(proof_clip, held_out, pool))
    made = read_bundle(bundle)
    (bundle / SHEET).unlink(missing_ok=True)
    found = judge_bundle(made, held_out, bundle / SHEET)
    judging = shlex.join([
        'python', '-m', 'lorat_ros.training.closed_loop', str(bundle), '--data',
        str(shares[0].path), '--clips', *found.overlaps]) if found and \
        [detect(share.path).name for share in shares] == ['pool'] else ''
    manifest = described(dict(made.manifest), found, judging)
    trainer.curves.write()
    shutil.copyfile(args.output / PICTURE, bundle / PICTURE)
    text = card_of(Facts(
        manifest, recipe.as_dict(), run, files_of(args), origins,
        [] if held_out is None else origins_of(held_out, shares, args.output / 'data'),
        {'held out': args.hold_out, 'left out': args.leave_out}, trainer.curves,
        {} if held_out is None else held_out.clips, found, judging))
    replace_with(bundle / CARD, lambda part: part.write_text(text, encoding='utf-8'))
    with tempfile.TemporaryDirectory(dir=bundle, prefix='.part-') as part:
        write_manifest(Path(part), manifest)
        os.replace(Path(part) / MANIFEST, bundle / MANIFEST)
    if found is not None:
        print(f'held-out clips: success AUC {100 * found.mean("plain"):.1f} as they are, '
              f'{100 * np.mean([found.mean(f) for f in found.success]):.1f} over all faults; '
              f'{bundle / CARD}', flush=True)
