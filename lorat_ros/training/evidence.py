# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Learn how the evidence for a box is weighed; see ``lorat_ros.tracking.evidence``.

::

    python -m lorat_ros.training.evidence BUNDLE --data POOL … [--write]

Every labelled clip is followed as it is, under camera faults and backward, while the target is
hidden twice and the view jumps. Frames in which the box is right and frames in which it is of
something else are told apart by a logistic regression on four numbers. What the tracker remembers
depends on what it believes, so a bundle without evidence is followed twice: with the network's
word, then with what was learnt; one that has some begins with that. It prints how well that works
on clips that a fit did not see.
"""
from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, astuple, replace
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from tqdm import tqdm

from lorat_ros.boxes import Box, iou_xywh, roc_area
from lorat_ros.engines.session import open_session, Session
from lorat_ros.models.bundle import Bundle, write_manifest
from lorat_ros.models.catalog import find_bundle
from lorat_ros.tracking.evidence import Weights
from lorat_ros.tracking.kestrel import KestrelFamily
from lorat_ros.training.closed_loop import FAULTS
from lorat_ros.training.items import Item
from lorat_ros.training.pool import read_pool
from lorat_ros.training.scenes import cover

HIDDEN = ((0.2, 0.4), (0.75, 0.9))     # of a clip: the target is covered
JUMP, FAR = 0.55, 3.0                  # of a clip, and by how many sides of the target
RIGHT, WRONG = 0.5, 0.1                # overlaps; what lies between teaches nothing
SPREAD = 1e-3                          # of the regression: how much large weights cost
KEPT = 0.96                            # of the right frames, where wrong ones are counted
NETWORK_ALONE = Weights(peak=1.0, match=0.0, memory=0.0, agreement=0.0, bias=0.0)


class Frames(NamedTuple):
    """Frames that teach: evidence (n, 4), whether the box was right (n,), the clip (n,)."""

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


def follow(family: KestrelFamily, session: Session, clip: Sequence[Item], fault: str
           ) -> tuple[np.ndarray, np.ndarray]:
    """Evidence (n, 4) and overlap (n,) of the frames after the first."""
    pieces: list[tuple[float, ...]] = []
    overlaps: list[float] = []
    rng = np.random.default_rng(0)
    for number, (image, truth, shows) in enumerate(disturbed(clip)):
        image = FAULTS[fault](image, rng)
        if number == 0:
            family.remember(session.run('template', family.start(image, truth)))
            continue
        answer = family.answer(session.run('search', family.look(image)))
        if family.pieces is None:
            raise ValueError('this bundle gathers no evidence: give it weights first')
        pieces.append(astuple(family.pieces))
        overlap = float(iou_xywh(np.array(answer.box), np.array(truth)))
        overlaps.append(overlap if shows else 0.0)
    return np.array(pieces), np.array(overlaps)


def weighed_by(bundle: Bundle, weights: Weights) -> Bundle:
    """Make the same bundle with other weights of the evidence."""
    return replace(bundle, manifest={**bundle.manifest, 'evidence': asdict(weights)})


def collect(bundle: Bundle, session: Session, clips: Mapping[str, Sequence[Item]]) -> Frames:
    """Follow all clips in all ways."""
    found = []
    for name, clip in tqdm(clips.items(), 'following', unit='clip'):
        ways = [(clip[::3] if fault == 'every_third' else clip, fault) for fault in FAULTS]
        for items, fault in [*ways, (clip[::-1], 'plain')]:
            pieces, overlap = follow(KestrelFamily(bundle), session, items, fault)
            clear = (overlap > RIGHT) | (overlap < WRONG)
            found.append(Frames(pieces[clear], overlap[clear] > RIGHT,
                                np.full(int(clear.sum()), name)))
    return Frames(*(np.concatenate(part) for part in zip(*found)))


def shares(frames: Frames) -> np.ndarray:
    """Weight of each frame: right ones and wrong ones as much, long clips not in proportion."""
    weight = np.zeros(len(frames.right))
    for right in (True, False):
        for clip in np.unique(frames.clip):
            mine = (frames.clip == clip) & (frames.right == right)
            weight[mine] = 1 / np.sqrt(max(int(mine.sum()), 1))
        weight[frames.right == right] /= max(weight[frames.right == right].sum(), 1e-9)
    return weight


def fit(frames: Frames) -> Weights:
    """Logistic regression, by Newton's method on standardised evidence."""
    middle, spread = frames.pieces.mean(0), frames.pieces.std(0) + 1e-9
    inputs = np.c_[(frames.pieces - middle) / spread, np.ones(len(frames.right))]
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
    peak, match, memory, agreement = scale.tolist()
    return Weights(peak, match, memory, agreement, float(found[-1] - scale @ middle))


def believed(frames: Frames, weights: Weights) -> np.ndarray:
    """Weigh the evidence of all frames: (n,) logits of belief."""
    return frames.pieces @ np.array(astuple(weights)[:-1]) + weights.bias


def unseen(frames: Frames) -> np.ndarray:
    """Logits of belief (n,), those of each clip by a fit on all the others."""
    logits = np.zeros(len(frames.right))
    for clip in np.unique(frames.clip):
        mine = frames.clip == clip
        logits[mine] = believed(frames, fit(Frames(*(v[~mine] for v in frames))))[mine]
    return logits


def report(frames: Frames, groups: Mapping[str, Sequence[str]]) -> str:
    """Table: how well network and evidence tell right from wrong, by pool."""
    logits, lines = unseen(frames), []
    for group, clips in groups.items():
        mine = np.isin(frames.clip, clips)
        right = frames.right[mine]
        for name, value in (('network', frames.pieces[mine, 0]), ('evidence', logits[mine])):
            least = np.quantile(value[right], 1 - KEPT)
            lines.append(f'{group[-24:]:24s} {name:9s} ROC {100 * roc_area(value, right):5.1f}   '
                         f'wrong ones left where {KEPT:.0%} of the right ones are kept: '
                         f'{100 * np.mean(value[~right] >= least):4.1f} %')
    return '\n'.join(lines)


def main(arguments: list[str] | None = None) -> int:
    """Command line; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.split('\n\n')[0])
    parser.add_argument('model', help='name or folder of a Kestrel bundle')
    parser.add_argument('--data', type=Path, nargs='+', required=True, metavar='POOL',
                        help='training pools with labelled clips')
    parser.add_argument('--write', action='store_true', help="into the bundle's model.json")
    args = parser.parse_args(arguments)
    cv2.setNumThreads(1)
    pools = {str(data): read_pool(data).clips for data in args.data}
    clips = {name: clip for pool in pools.values() for name, clip in pool.items()}
    if not clips:
        parser.error(f'no labelled clips in {", ".join(pools)}: expected clips/NAME/boxes.csv')
    bundle = find_bundle(args.model)
    session, known = open_session(bundle), Weights.of(bundle.manifest)
    weights = known or NETWORK_ALONE
    for _ in range(1 if known else 2):
        frames = collect(weighed_by(bundle, weights), session, clips)
        weights = fit(frames)
    print(report(frames, {name: list(pool) for name, pool in pools.items()}))
    rounded = {name: round(value, 3) for name, value in asdict(weights).items()}
    print(json.dumps({'evidence': rounded}, indent=2))
    if args.write:
        write_manifest(bundle.path, {**bundle.manifest, 'evidence': rounded})
    return 0


if __name__ == '__main__':
    sys.exit(main())
