# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""FARTrack made of generated checkpoints, run through the golden files' clips."""
from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from support.fartrack_checkpoints import tensors_of
from support.litetrack_golden import bgr_frame, INIT_BOX

from lorat_ros.engines.session import Session, Value
from lorat_ros.engines.torch import TorchSession
from lorat_ros.models.bundle import Bundle
from lorat_ros.networks.fartrack import FarTrack
from lorat_ros.networks.fartrack_variants import describe, VARIANTS
from lorat_ros.tracking.fartrack import kept_tokens, softmax
from lorat_ros.tracking.tracker import Tracker


@dataclass(frozen=True)
class Case:
    """A run in e2e.npz: which variant, over how many frames after the first."""

    variant: str
    frames: int
    init: tuple[float, float, float, float] = INIT_BOX


#: Prefix of the arrays in e2e.npz to the run they come from.
CASES = {'sparse_tiny': Case('fartrack-tiny', 12), 'sparse_nano': Case('fartrack-nano', 12),
         'sparse_pico': Case('fartrack-pico', 12),
         'sparse_tiny_edge': Case('fartrack-tiny', 6, (268.0, 196.0, 50.0, 42.0)),
         'base_tiny': Case('fartrack-base-tiny', 8),
         'distill_tiny': Case('fartrack-distill-tiny', 8)}


def generated(variant: str) -> FarTrack:
    """Network of a variant with generated weights."""
    return FarTrack.assemble(variant, tensors_of(VARIANTS[variant].stage), None)[0]


def manifest_of(variant: str) -> dict:
    """What model.json says of a variant, without files."""
    return {**describe(variant), 'name': variant, 'family': 'fartrack',
            'graphs': {'first': {}, 'search': {}}}


class Witness:
    """A session that remembers what it was asked and what it answered."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self.engine, self.device = session.engine, session.device
        self.runs: list[tuple[str, dict[str, Value], dict[str, Value]]] = []

    def run(self, role: str, inputs: Mapping[str, Value]) -> dict[str, Value]:
        """Run the graph of a role; see ``Session.run``."""
        outputs = self._session.run(role, inputs)
        self.runs.append((role, dict(inputs), outputs))
        return outputs

    def close(self) -> None:
        """Give back memory."""
        self._session.close()


def torch_tracker(variant: str) -> tuple[Tracker, Witness]:
    """Return a tracker on the network itself."""
    witness = Witness(TorchSession(generated(variant), 1))
    return Tracker(Bundle(Path('made-here'), manifest_of(variant), {}), witness), witness


def follow(tracker: Tracker, witness: Witness, case: Case) -> dict[str, np.ndarray]:
    """Track through a clip; returns what e2e.npz holds of it, without the prefix."""
    tracker.init(bgr_frame(0), case.init)
    witness.runs.clear()
    boxes, slots = [], []
    for index in range(1, case.frames + 1):
        boxes.append(tracker.update(bgr_frame(index)).box)
        slots.append(tracker._family.slots)
    slots.append(tracker._family._slots_at(case.frames))
    logits = np.stack([outputs['logits'][0] for _, _, outputs in witness.runs])
    best = np.sort(logits, -1)
    found = {'boxes': np.array(boxes), 'logits_every37': logits[..., ::37],
             'seqs': logits.argmax(-1), 'conf': softmax(logits).max(-1),
             'template_ids_after': np.array(slots[1:]),
             'min_logit_gap': (best[..., -1] - best[..., -2]).min(-1)}
    if VARIANTS[case.variant].stage == 'sparse':
        found |= _masks(witness, slots)
    return found


def _masks(witness: Witness, slots: list[tuple[int, ...]]) -> dict[str, np.ndarray]:
    """Which tokens a template kept and which took part, read off what the network was given."""
    stored, rows, known = [], [], {}
    for newest, (role, inputs, outputs) in enumerate(witness.runs):
        row = np.ones(445, bool)
        if role == 'search':
            for slot, number in enumerate(slots[newest][:-1]):
                given = inputs['memory'][0, slot]
                # A token is one of the 49 that came out when its template was new.
                row[49 * slot:49 * slot + 49] = (
                    known[number][:, None] == given[None]).all(-1).any(-1)
            assert row.sum() == inputs['memory'][0, ..., 0].size + 49 + 196 + 4 == 397
        known[newest] = outputs['tokens'][-1]
        keep = np.zeros(49, bool)
        keep[kept_tokens(outputs['rank'][0], 37)] = True
        stored.append(keep)
        rows.append(row)
    return {'store_mask25': np.array(stored), 'mask_row_used': np.array(rows)}
