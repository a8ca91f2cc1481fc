# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
The parity gate: do the boxes stay the same when a model runs in lower precision?

A tracker in float32 goes through clips; at each frame both sessions see the same crop, and both
answers are turned into boxes from the same state. So what is compared is one frame's answer, not
how two runs drift apart. That is looked at too: over the first frames of each clip the session
under test tracks by itself beside the other.
"""
from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from lorat_ros.boxes import Box, iou_xywh
from lorat_ros.engines.gate import ParitySession
from lorat_ros.engines.plan_cache import judge, Verdict
from lorat_ros.engines.session import arrays, Handle, Session, Value
from lorat_ros.models.bundle import Bundle
from lorat_ros.tracking.family import Family, family_class

FLAT = 1e-6         # a map that varies less is the same everywhere
SEQUENCE = 60      # frames of each clip through which a session tracks by itself


@dataclass(frozen=True)
class Clip:
    """Real images with a target."""

    frames: Iterable[np.ndarray]      # (height, width, 3) uint8 BGR; may be gone through again
    box: Box                          # target in the first of them, xywh in pixels
    name: str = 'images without a name'


def _start(bundle: Bundle, session: Session, image: np.ndarray, box: Box) -> Family:
    family = family_class(bundle)(bundle)
    inputs = family.start(image, box)
    if inputs:
        family.remember(session.run('template', inputs))
    return family


def _searched(bundle: Bundle, session: Session, clip: Clip
              ) -> Iterator[tuple[np.ndarray, Family | None, Mapping[str, Value]]]:
    """Track through a clip: an image, and before its answer is taken the family and its inputs."""
    family: Family | None = None
    for image in clip.frames:
        if family is None:
            family = _start(bundle, session, image, clip.box)
            yield image, None, {}
        else:
            yield image, family, family.look(image)


def crops_of(bundle: Bundle, session: Session, clips: Iterable[Clip]
             ) -> Iterator[tuple[str, dict[str, np.ndarray]]]:
    """
    Track through clips and tell what the network is fed.

    :returns: role of the graph and its inputs by name, for every frame but the first of a clip.
    """
    for clip in clips:
        for _, family, inputs in _searched(bundle, session, clip):
            if family is None:
                continue
            yield family.role, {name: np.asarray(value.value if isinstance(value, Handle)
                                                 else value) for name, value in inputs.items()}
            family.answer(session.run(family.role, inputs))


def _overlap(a: Box, b: Box) -> float:
    return 1.0 if tuple(a) == tuple(b) else float(np.nan_to_num(iou_xywh(a, b)))


def _correlation(one: Mapping[str, Value], other: Mapping[str, Value]) -> float:
    """
    Least correlation of two answers' maps; 0 where a number is none.

    Every output that the family reads counts as a map. One that hardly varies says nothing.
    """
    least, others = 1.0, arrays(other)
    for name, value in arrays(one).items():
        a, b = (np.ravel(x).astype(np.float64) for x in (value, others[name]))
        if not (np.isfinite(a).all() and np.isfinite(b).all()):
            return 0.0
        a, b = a - a.mean(), b - b.mean()
        if np.abs(a).max() < FLAT:
            continue
        # Not `@`: of so many numbers OpenBLAS shares the sum, and its threads spin until the next.
        scale = np.sqrt((a * a).sum() * (b * b).sum())
        least = min(least, float((a * b).sum() / max(scale, 1e-30)))
    return least


class _Alone:
    """A session that tracks a clip's first frames by itself."""

    def __init__(self, bundle: Bundle, session: Session) -> None:
        self._bundle, self._session = bundle, session
        self._family: Family | None = None
        self._left = 0

    def begin(self, image: np.ndarray, box: Box) -> None:
        """Take a clip's target."""
        self._family, self._left = _start(self._bundle, self._session, image, box), SEQUENCE

    def overlap(self, image: np.ndarray, box: Box) -> float | None:
        """Overlap of its box with another; None once the sequence is over."""
        if not self._left or self._family is None:
            return None
        self._left -= 1
        outputs = self._session.run(self._family.role, self._family.look(image))
        return _overlap(self._family.answer(outputs).box, box)


def gate(bundle: Bundle, exact: Session, candidate: Session, clips: Iterable[Clip],
         every: int = 1, first: int = 0) -> Verdict:
    """
    Compare a session with the one in float32, crop by crop, and over short sequences.

    Crops in which the exact session does not see the target (score below ``score.lost``) do not
    count: which place is the least unlike the target says nothing of a model's precision.

    :param every: compare crops on every so many frames, the others are only tracked through.
    :param first: number of the first frame compared.
    """
    pair, free = ParitySession(exact, candidate), _Alone(bundle, candidate)
    overlaps: list[float] = []
    scores: list[float] = []
    maps: list[float] = []
    tracked: list[float] = []
    names: list[str] = []
    number = -1
    for clip in clips:
        names.append(clip.name)
        for image, family, inputs in _searched(bundle, pair, clip):
            if family is None:
                free.begin(image, clip.box)
                continue
            number += 1
            outputs = pair.run(family.role, inputs)
            twin = copy.deepcopy(family) if number % every == first else None
            answer = family.answer(outputs)
            alone = free.overlap(image, answer.box)
            if answer.score < bundle.score_lost:
                continue
            tracked += [] if alone is None else [alone]
            if twin is not None:
                other = twin.answer(pair.reference)
                overlaps.append(_overlap(answer.box, other.box))
                scores.append(abs(answer.score - other.score))
                maps.append(_correlation(outputs, pair.reference))
    return judge(overlaps, scores, maps, tracked, ', '.join(names))
