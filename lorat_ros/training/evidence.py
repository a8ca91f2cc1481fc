# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Learn how the evidence for a box is weighed; see ``lorat_ros.tracking.evidence``.

::

    python -m lorat_ros.training.evidence BUNDLE --data POOL … [--cache FOLDER] [--write]

Every labelled clip is followed as it is, under camera faults and backward, while the target is
hidden twice and the view jumps. Frames in which the box is right and frames in which it is of
something else are told apart by a logistic regression. Where the network looks does not depend on
what is believed, so it looks once, and its answers are kept; what is remembered of a target does,
so they are weighed twice: with the weights that there are, or the network's word alone, and then
with what was learnt. It prints how well that works on clips that a fit did not see.
"""
from __future__ import annotations

import argparse
import hashlib
import json
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import cv2
import numpy as np
from tqdm import tqdm

from lorat_ros.boxes import Box, iou_xywh, roc_area
from lorat_ros.engines.session import open_session, Session
from lorat_ros.models.bundle import Bundle, write_manifest
from lorat_ros.models.catalog import find_bundle
from lorat_ros.tracking.evidence import Evidence, Pieces, PIECES, Weights
from lorat_ros.tracking.kestrel import KestrelFamily
from lorat_ros.training.closed_loop import Fault, FAULTS
from lorat_ros.training.items import Item
from lorat_ros.training.pool import read_pool
from lorat_ros.training.scenes import cover

HIDDEN = ((0.2, 0.4), (0.75, 0.9))     # of a clip: the target is covered
JUMP, FAR = 0.55, 3.0                  # of a clip, and by how many sides of the target
RIGHT, WRONG = 0.5, 0.1                # overlaps; what lies between teaches nothing
SPREAD = 1e-3                          # of the regression: how much large weights cost
KEPT = 0.96                            # of the right frames, where wrong ones are counted
ROUNDS = 2                             # of weighing: what is believed decides what is remembered
NETWORK_ALONE = Weights(peak=1.0, match=0.0, memory=0.0, agreement=0.0, bias=0.0)
#: Outputs of the graph, and how they are kept: with half the digits what is large, 45 kB a frame.
KEPT_AS: Mapping[str, type] = MappingProxyType({
    'score': np.float32, 'boxes': np.float32, 'similarity': np.float16, 'features': np.float16})


class Frames(NamedTuple):
    """Frames that teach: evidence (n, k), whether the box was right (n,), the clip (n,)."""

    pieces: np.ndarray
    right: np.ndarray
    clip: np.ndarray


def disturbed(clip: Sequence[Item]) -> Iterator[tuple[np.ndarray, Box, bool]]:
    """Images of a clip with the target hidden and the view shifted; its box; whether it shows."""
    length, shift = len(clip), 0
    for number, item in enumerate(clip):
        image, (x, y, w, h) = item.image, item.box
        hidden = any(round(a * length) <= number < round(b * length) for a, b in HIDDEN)
        if number == round(JUMP * length):
            far = round(FAR * np.sqrt(w * h))
            shift = far if x + w / 2 < image.shape[1] / 2 else -far
        image = cover(image, item.box) if hidden else image
        if shift:
            image = cv2.warpAffine(image, np.array([[1, 0, shift], [0, 1, 0]], np.float32),
                                   image.shape[1::-1], borderMode=cv2.BORDER_REPLICATE)
        inside = 0 <= x + shift + w / 2 < image.shape[1]
        yield image, (x + shift, y, w, h), inside and not hidden


def as_it_is(clip: Sequence[Item]) -> Sequence[Item]:
    """Leave a clip alone."""
    return clip


#: How a clip is followed: a fault of the camera, and what is made of the clip before.
WAYS: Mapping[str, tuple[Fault, Callable[[Sequence[Item]], Sequence[Item]]]] = MappingProxyType({
    **{name: (fault, as_it_is) for name, fault in FAULTS.items()},
    'every_third': (FAULTS['plain'], lambda clip: clip[::3]),
    'backward': (FAULTS['plain'], lambda clip: clip[::-1])})


class Witness(Evidence):
    """Writes down all that evidence is made of."""

    def __init__(self, mask: np.ndarray) -> None:
        super().__init__(mask)
        self.mask = mask
        self.heard: list[dict[str, np.ndarray]] = []

    def weigh(self, outputs: Mapping[str, np.ndarray], box: Box, score: float, weights: Weights
              ) -> tuple[Pieces, float]:
        """As evidence does."""
        if not set(KEPT_AS) <= set(outputs):
            raise ValueError(f'the graph "search" answers {", ".join(outputs)}, evidence is made '
                             f'of {", ".join(KEPT_AS)}: export the bundle anew')
        kept = {name: outputs[name][0].astype(kind) for name, kind in KEPT_AS.items()}
        self.heard.append({**kept, 'box': np.array(box), 'net': np.array(score)})
        return super().weigh(outputs, box, score, weights)

    def account(self) -> dict[str, np.ndarray]:
        """Return ``mask`` (g, g), and of the n frames what is in ``heard``, (n, …) each."""
        return {'mask': self.mask, **{name: np.stack([frame[name] for frame in self.heard])
                                      for name in self.heard[0]}}


def watch(bundle: Bundle, session: Session, clip: Sequence[Item], fault: Fault
          ) -> dict[str, np.ndarray]:
    """Follow a clip; returns a witness's account, and the ``overlap`` (n,) of these frames."""
    family, rng, overlaps = KestrelFamily(bundle), np.random.default_rng(0), []
    for number, (image, truth, shows) in enumerate(disturbed(clip)):
        image = fault(image, rng)
        if number == 0:
            inputs = family.start(image, truth)
            family.remember(session.run('template', inputs))
            family.evidence = witness = Witness(np.asarray(inputs['mask'])[0])
            continue
        answer = family.answer(session.run('search', family.look(image)))
        overlaps.append(float(iou_xywh(np.array(answer.box), np.array(truth))) if shows else 0.0)
    return {**witness.account(), 'overlap': np.array(overlaps)}


def weighed(account: Mapping[str, np.ndarray], weights: Weights) -> np.ndarray:
    """Pieces of evidence (n, k) of an account, if this is how they are weighed."""
    evidence, found = Evidence(account['mask']), []
    for number, box in enumerate(account['box']):
        outputs = {name: account[name][number][None].astype(np.float32) for name in KEPT_AS}
        pieces, _ = evidence.weigh(outputs, tuple(box.tolist()), float(account['net'][number]),
                                   weights)
        found.append(pieces)
    return np.array(found)


def watch_all(bundle: Bundle, session: Session, clips: Mapping[str, Sequence[Item]], cache: Path
              ) -> dict[str, list[Path]]:
    """Follow all clips in all ways; returns the accounts of each, new or found in the cache."""
    made_by = json.dumps([bundle.manifest[key] for key in ('graphs', 'sizes', 'postprocessing')])
    folder = cache / hashlib.sha256(made_by.encode()).hexdigest()[:16]
    folder.mkdir(parents=True, exist_ok=True)
    # Its weights play no part in where it looks, but without any it gathers no evidence.
    bundle = weighed_by(bundle, NETWORK_ALONE)
    found: dict[str, list[Path]] = {}
    for clip, items in tqdm(clips.items(), 'following', unit='clip'):
        found[clip] = [folder / f'{clip}-{way}.npz' for way in WAYS]
        for file, (fault, made_of) in zip(found[clip], WAYS.values()):
            if not file.exists():
                unfinished = file.with_suffix('.part')
                account: dict[str, Any] = watch(bundle, session, made_of(items), fault)
                with unfinished.open('wb') as out:
                    np.savez(out, **account)
                unfinished.rename(file)
    return found


def collect(accounts: Mapping[str, Sequence[Path]], weights: Weights) -> Frames:
    """Weigh all accounts; frames in which the box is half right teach nothing."""
    found = []
    for clip, files in tqdm(accounts.items(), 'weighing', unit='clip'):
        for file in files:
            with np.load(file) as account:
                told = dict(account)
            pieces, overlap = weighed(told, weights), told['overlap']
            clear = (overlap > RIGHT) | (overlap < WRONG)
            found.append(Frames(pieces[clear], overlap[clear] > RIGHT,
                                np.full(int(clear.sum()), clip)))
    return Frames(*(np.concatenate(part) for part in zip(*found)))


def weighed_by(bundle: Bundle, weights: Weights) -> Bundle:
    """Make the same bundle with other weights of the evidence."""
    return replace(bundle, manifest={**bundle.manifest, 'evidence': asdict(weights)})


def shares(frames: Frames) -> np.ndarray:
    """Weight of each frame: right ones and wrong ones as much, long clips not in proportion."""
    weight = np.zeros(len(frames.right))
    for right in (True, False):
        for clip in np.unique(frames.clip):
            mine = (frames.clip == clip) & (frames.right == right)
            weight[mine] = 1 / np.sqrt(max(int(mine.sum()), 1))
        weight[frames.right == right] /= max(weight[frames.right == right].sum(), 1e-9)
    return weight


def fit(frames: Frames, names: Sequence[str] = PIECES) -> Weights:
    """Logistic regression on some of the pieces, by Newton's method on standardised evidence."""
    pieces = frames.pieces[:, [PIECES.index(name) for name in names]]
    middle, spread = pieces.mean(0), pieces.std(0) + 1e-9
    inputs = np.c_[(pieces - middle) / spread, np.ones(len(frames.right))]
    weight, found = shares(frames), np.zeros(inputs.shape[1])
    cost = SPREAD * weight.sum() * np.eye(len(found))
    cost[-1, -1] = 1e-9
    for _ in range(100):
        chance = 1 / (1 + np.exp(-inputs @ found))
        curve = weight * np.maximum(chance * (1 - chance), 1e-5)
        step = np.linalg.solve((inputs.T * curve) @ inputs + cost,
                               inputs.T @ (weight * (chance - frames.right)) + cost @ found)
        found -= step * min(1.0, 3 / max(np.abs(step).max(), 1e-12))
        if np.abs(step).max() < 1e-8:
            break
    scale = found[:-1] / spread
    return Weights(**{**dict.fromkeys(PIECES, 0.0), **dict(zip(names, scale.tolist()))},
                   bias=float(found[-1] - scale @ middle))


def believed(frames: Frames, weights: Weights) -> np.ndarray:
    """Weigh the evidence of all frames: (n,) logits of belief."""
    return frames.pieces @ [getattr(weights, name) for name in PIECES] + weights.bias


def unseen(frames: Frames, apart: np.ndarray, names: Sequence[str] = PIECES) -> np.ndarray:
    """
    Logits of belief (n,), each by a fit on frames that lie apart from it.

    :param apart: (n,) names of what is left out together: clips, or pools.
    """
    logits = np.zeros(len(frames.right))
    for one in np.unique(apart):
        mine = apart == one
        others = Frames(*(part[~mine] for part in frames))
        logits[mine] = believed(frames, fit(others, names))[mine]
    return logits


def report(frames: Frames, groups: Mapping[str, Sequence[str]], names: Sequence[str]) -> str:
    """Table: how well network and evidence tell right from wrong, by pool."""
    pool = np.array([next(group for group, clips in groups.items() if clip in clips)
                     for clip in frames.clip])
    values = {'network': frames.pieces[:, PIECES.index('peak')],
              'other clips': unseen(frames, frames.clip, names)}
    if len(groups) > 1:
        values['other pools'] = unseen(frames, pool, names)
    lines = [f'{len(frames.right)} frames; by the network alone, and by evidence learnt on other '
             'clips and on other pools:']
    for group in groups:
        for name, value in values.items():
            logits, right = value[pool == group], frames.right[pool == group]
            wrong = np.mean(logits[~right] >= np.quantile(logits[right], 1 - KEPT))
            area = 100 * roc_area(logits, right)
            lines.append(f'{group[-24:]:24s} {name:12s} ROC {area:5.1f}   wrong ones left where '
                         f'{KEPT:.0%} of the right ones are kept: '
                         f'{100 * wrong:4.1f} %')
    return '\n'.join(lines)


def main(arguments: list[str] | None = None) -> int:
    """Command line; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.split('\n\n')[0])
    parser.add_argument('model', help='name or folder of a Kestrel bundle')
    parser.add_argument('--data', type=Path, nargs='+', required=True, metavar='POOL',
                        help='training pools with labelled clips')
    parser.add_argument('--pieces', nargs='+', choices=PIECES, default=PIECES,
                        help='what is weighed, to see what a piece is worth (default: all)')
    parser.add_argument('--cache', type=Path, metavar='FOLDER', help='keep what the network said '
                        'here, 45 kB a frame, and do not ask it again about a clip of this name '
                        '(default: a folder that is gone afterwards)')
    parser.add_argument('--write', action='store_true', help="into the bundle's model.json")
    args = parser.parse_args(arguments)
    cv2.setNumThreads(1)
    pools = {str(data): read_pool(data).clips for data in args.data}
    clips = {name: clip for pool in pools.values() for name, clip in pool.items()}
    if not clips:
        parser.error(f'no labelled clips in {", ".join(pools)}: expected clips/NAME/boxes.csv')
    bundle = find_bundle(args.model)
    weights = Weights.of(bundle.manifest) or NETWORK_ALONE
    with tempfile.TemporaryDirectory() as gone:
        accounts = watch_all(bundle, open_session(bundle), clips, args.cache or Path(gone))
        for _ in range(ROUNDS):
            frames = collect(accounts, weights)
            weights = fit(frames, args.pieces)
    print(report(frames, {name: list(pool) for name, pool in pools.items()}, args.pieces))
    rounded = {name: round(value, 3) for name, value in asdict(weights).items()}
    print(json.dumps({'evidence': rounded}, indent=2))
    if args.write:
        write_manifest(bundle.path, {**bundle.manifest, 'evidence': rounded})
    return 0


if __name__ == '__main__':
    sys.exit(main())
