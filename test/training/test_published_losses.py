# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""LoRAT's losses against numbers computed by hand."""
from __future__ import annotations

import math

import pytest
import torch

from lorat_ros.training.published_losses import published_losses


def softplus(x: float) -> float:
    return math.log1p(math.exp(x))


def sample(positive, box=(0.0, 0.0, 1.0, 1.0), present=True) -> dict[str, torch.Tensor]:
    return {'box': torch.tensor([box]), 'positive': torch.tensor([positive]),
            'present': torch.tensor([present])}


BATCH = sample([[True, False], [True, False]])
LOGITS = torch.tensor([[[1.0, 2.0], [-1.0, 0.0]]])
# Half of the truth; elsewhere; twice as wide as the truth and half out of it; whatever.
BOXES = torch.tensor([[[[0.0, 0.0, 0.5, 1.0], [0.0, 0.0, 0.1, 0.1]],
                       [[0.5, 0.0, 1.5, 1.0], [0.2, 0.2, 0.3, 0.3]]]])


def test_by_hand():
    found = published_losses(LOGITS, BOXES, BATCH, {'positive': 2, 'present': 1})
    # Overlaps 1/2 and 1/3 are what the two cells' scores should be; the others' 0.
    score = (softplus(1) - 0.5 * 1 + softplus(-1) + 1 / 3 + softplus(2) + softplus(0)) / 2
    # Hulls: the truth itself, and [0, 1.5] x [0, 1], all of which the union fills.
    giou = ((1 - 1 / 2) + (1 - 1 / 3)) / 2
    assert float(found['score']) == pytest.approx(score, abs=1e-6)
    assert float(found['giou']) == pytest.approx(giou, abs=1e-6)
    assert float(found['total']) == pytest.approx(score + giou, abs=1e-6)
    # The best score is the upper right cell's, whose box covers a hundredth.
    assert float(found['overlap']) == pytest.approx(0.01, abs=1e-6)


def test_a_box_apart_is_punished_by_the_gap():
    boxes = torch.tensor([[[[2.0, 0.0, 3.0, 1.0]]]])
    found = published_losses(torch.zeros(1, 1, 1), boxes, sample([[True]]),
                             {'positive': 1, 'present': 1})
    assert float(found['giou']) == pytest.approx(1 + 1 / 3, abs=1e-6)      # a third is gap


def test_the_overlap_that_a_score_learns_teaches_no_box():
    logits, boxes = LOGITS.clone().requires_grad_(), BOXES.clone().requires_grad_()
    found = published_losses(logits, boxes, BATCH, {'positive': 2, 'present': 1})
    assert torch.autograd.grad(found['score'], boxes, allow_unused=True)[0] is None
    found = published_losses(logits, boxes, BATCH, {'positive': 2, 'present': 1})
    slope, = torch.autograd.grad(found['giou'], boxes)
    assert slope[0, :, 0].abs().sum() > 0 and not slope[0, :, 1].any()


def test_a_step_without_a_target_learns_that_it_is_not_there():
    batch = sample([[False, False], [False, False]], present=False)
    found = published_losses(LOGITS, BOXES, batch, {'positive': 0, 'present': 0})
    expected = softplus(1) + softplus(2) + softplus(-1) + softplus(0)
    assert float(found['total']) == pytest.approx(expected, abs=1e-5)
    assert float(found['overlap']) == 0 and float(found['giou']) == 0


def test_half_precision_is_judged_in_single():
    found = published_losses(LOGITS.bfloat16(), BOXES, BATCH, {'positive': 2, 'present': 1})
    assert found['total'].dtype == torch.float32


def test_parts_add_up_to_the_whole():
    torch.manual_seed(0)
    logits, corner = torch.randn(4, 3, 3), torch.rand(4, 3, 3, 2)
    boxes = torch.cat([corner, corner + torch.rand(4, 3, 3, 2) + 0.1], -1)
    batch = {'box': torch.tensor([[0.1, 0.2, 0.7, 0.9]]).repeat(4, 1),
             'positive': torch.rand(4, 3, 3) > 0.5, 'present': torch.ones(4, dtype=torch.bool)}
    counts = {'positive': int(batch['positive'].sum()), 'present': 4}
    whole = published_losses(logits, boxes, batch, counts)
    parts = [published_losses(logits[rows], boxes[rows], {n: v[rows] for n, v in batch.items()},
                              counts) for rows in (slice(0, 1), slice(1, 4))]
    for name, value in whole.items():
        assert float(sum(p[name] for p in parts)) == pytest.approx(float(value), rel=1e-5), name
