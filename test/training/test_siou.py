# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""SIoU against numbers computed by hand."""
from __future__ import annotations

from math import exp

import pytest
import torch

from lorat_ros.training.siou import siou_loss


@pytest.mark.parametrize(('found', 'truth', 'loss', 'overlap'), [
    ((0, 0, 2, 2), (0, 0, 2, 2), 0.0, 1.0),
    # Beside it: IoU 2/6; along an axis distance counts twice, and the hull is 3 wide.
    ((0, 0, 2, 2), (1, 0, 3, 2), 2 / 3 + (1 - exp(-2 / 9)) / 2, 1 / 3),
    # Diagonally: IoU 1/7; halfway between the axes distance counts once, on both of them.
    ((0, 0, 2, 2), (1, 1, 3, 3), 6 / 7 + (1 - exp(-1 / 9)), 1 / 7),
    # Twice as wide and as high around the same centre: IoU 1/4, each side off by half.
    ((0, 0, 4, 2), (1, 0.5, 3, 1.5), 0.75 + (1 - exp(-0.5)) ** 4, 0.25),
    # One way round in x: no overlap with a box of negative width; its side is off by 4 of 2.
    ((3, 0, 1, 2), (1, 0, 3, 2), 1 + (1 - exp(-2.0)) ** 4 / 2, 0.0),
])
def test_by_hand(found, truth, loss, overlap):
    both = torch.tensor([found, truth], dtype=torch.float64)
    made, iou = siou_loss(both[:1], both[1:])
    assert made.item() == pytest.approx(loss, abs=1e-7)
    assert iou.item() == pytest.approx(overlap, abs=1e-7)


def test_a_box_that_learns_by_it_arrives():
    truth = torch.tensor([[0.3, 0.4, 0.7, 0.6]])
    box = torch.tensor([[-0.2, -0.1, 0.1, 0.3]], requires_grad=True)
    optimiser = torch.optim.Adam([box], lr=0.02)
    for _ in range(200):
        optimiser.zero_grad()
        siou_loss(box, truth)[0].sum().backward()
        assert torch.isfinite(box.grad).all()
        optimiser.step()
    assert siou_loss(box, truth)[1].item() > 0.9


def test_exact_boxes_have_finite_gradients():
    box = torch.tensor([[0.3, 0.4, 0.7, 0.6]], requires_grad=True)
    siou_loss(box, box.detach().clone())[0].sum().backward()
    assert torch.isfinite(box.grad).all()
