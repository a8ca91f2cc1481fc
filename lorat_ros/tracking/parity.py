# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
The parity gate: do the boxes stay the same when a model runs in lower precision?

A tracker in float32 goes through clips; at each frame both sessions see the same crop, and both
answers are turned into boxes from the same state. So what is compared is one frame's answer, not
how two runs drift apart.
"""
from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from lorat_ros.boxes import Box, iou_xywh
from lorat_ros.engines.gate import ParitySession
from lorat_ros.engines.plan_cache import judge, Verdict
from lorat_ros.engines.session import Handle, Session
from lorat_ros.models.bundle import Bundle
from lorat_ros.tracking.family import Family, family_class


@dataclass(frozen=True)
class Clip:
    """Real images with a target."""

    frames: Iterable[np.ndarray]      # (height, width, 3) uint8 BGR; may be gone through again
    box: Box                          # target in the first of them, xywh in pixels


def _start(bundle: Bundle, session: Session, image: np.ndarray, box: Box) -> Family:
    family = family_class(bundle)(bundle)
    inputs = family.start(image, box)
    if inputs:
        family.remember(session.run('template', inputs))
    return family


def _searched(bundle: Bundle, session: Session, clip: Clip
              ) -> Iterator[tuple[Family, Mapping[str, object]]]:
    """Track through a clip: before each answer is taken, the family and its inputs."""
    family: Family | None = None
    for image in clip.frames:
        if family is None:
            family = _start(bundle, session, image, clip.box)
        else:
            yield family, family.look(image)


def crops_of(bundle: Bundle, session: Session, clips: Iterable[Clip]
             ) -> Iterator[tuple[str, dict[str, np.ndarray]]]:
    """
    Track through clips and tell what the network is fed.

    :returns: role of the graph and its inputs by name, for every frame but the first of a clip.
    """
    for clip in clips:
        for family, inputs in _searched(bundle, session, clip):
            yield family.role, {name: np.asarray(value.value if isinstance(value, Handle)
                                                 else value) for name, value in inputs.items()}
            family.answer(session.run(family.role, inputs))


def _overlap(a: Box, b: Box) -> float:
    return 1.0 if tuple(a) == tuple(b) else float(np.nan_to_num(iou_xywh(a, b)))


def gate(bundle: Bundle, exact: Session, candidate: Session, clips: Iterable[Clip],
         every: int = 1, first: int = 0) -> Verdict:
    """
    Compare a session with the one in float32, crop by crop.

    Crops in which the exact session does not see the target (score below ``score.lost``) do not
    count: which place is the least unlike the target says nothing of a model's precision.

    :param every: compare on every so many frames, the others are only tracked through.
    :param first: number of the first frame compared.
    """
    pair, overlaps, scores = ParitySession(exact, candidate), [], []
    number = -1
    for clip in clips:
        for family, inputs in _searched(bundle, pair, clip):
            number += 1
            outputs = pair.run(family.role, inputs)
            twin = copy.deepcopy(family) if number % every == first else None
            answer = family.answer(outputs)
            if twin is None or answer.score < bundle.score_lost:
                continue
            other = twin.answer(pair.reference)
            overlaps.append(_overlap(answer.box, other.box))
            scores.append(abs(answer.score - other.score))
    return judge(overlaps, scores)
