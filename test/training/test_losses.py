# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Losses of the centre head: their targets and what they prefer."""
from __future__ import annotations

import pytest
import torch

from lorat_ros.training.losses import centre_losses, focal_loss, heat_map, pair_giou

BOX = torch.tensor([[0.40, 0.30, 0.60, 0.70]])
HERE = torch.tensor([True])
ONE = {'samples': 1, 'present': 1}


def test_the_heat_map_peaks_in_the_cell_of_the_centre():
    heat = heat_map(torch.tensor([[0.1, 0.6, 0.3, 0.9]]), HERE, 10)[0]
    row, column = divmod(int(heat.argmax()), 10)
    assert (row, column) == (7, 1) or (row, column) == (7, 2)
    assert heat.max() == 1 and heat.min() >= 0


def test_an_absent_or_outside_target_has_no_heat():
    assert heat_map(BOX, torch.tensor([False]), 10).max() == 0
    assert heat_map(torch.tensor([[1.2, 0.1, 1.6, 0.5]]), HERE, 10).max() == 0


def test_focal_loss_falls_as_the_peak_grows():
    heat = heat_map(BOX, HERE, 10)
    losses = [float(focal_loss((heat * 2 - 1) * k, heat)) for k in (0.5, 2.0, 6.0)]
    assert losses[0] > losses[1] > losses[2] > 0


@pytest.mark.parametrize(('other', 'iou', 'giou'), [
    ((0.0, 0.0, 1.0, 1.0), 1.0, 1.0),
    ((0.5, 0.0, 1.5, 1.0), 1 / 3, 1 / 3),
    ((2.0, 0.0, 3.0, 1.0), 0.0, -1 / 3),
])
def test_giou_of_known_boxes(other, iou, giou):
    found = pair_giou(torch.tensor([0.0, 0.0, 1.0, 1.0]), torch.tensor(other))
    assert float(found[0]) == pytest.approx(iou, abs=1e-5)
    assert float(found[1]) == pytest.approx(giou, abs=1e-5)


def test_the_right_answer_costs_least():
    heat = heat_map(BOX, HERE, 10)
    logits = (heat - 0.5) * 16
    right = BOX.view(1, 4, 1, 1).expand(1, 4, 10, 10)
    good = centre_losses(logits, right, BOX, HERE, ONE)
    shifted = centre_losses(logits, right + 0.1, BOX, HERE, ONE)
    unsure = centre_losses(logits * 0, right, BOX, HERE, ONE)
    assert float(good['overlap']) == pytest.approx(1, abs=1e-4)
    assert float(good['giou']) == pytest.approx(0, abs=1e-4) and float(good['l1']) < 1e-6
    assert good['total'] < shifted['total'] and good['total'] < unsure['total']
    assert float(shifted['overlap']) < 0.6


def test_a_batch_without_targets_is_finite():
    losses = centre_losses(torch.zeros(2, 10, 10, requires_grad=True), torch.rand(2, 4, 10, 10),
                           BOX.repeat(2, 1), torch.tensor([False, False]),
                           {'samples': 2, 'present': 0})
    losses['total'].backward()
    assert torch.isfinite(losses['total']) and float(losses['giou']) == 0


def test_the_losses_of_the_parts_of_a_step_add_up():
    torch.manual_seed(0)
    batch = (torch.randn(6, 10, 10), torch.rand(6, 4, 10, 10), BOX.repeat(6, 1),
             torch.tensor([True, False, True, True, False, True]))
    counts = {'samples': 6, 'present': 4}
    whole = centre_losses(*batch, counts)
    first, second = (centre_losses(*(v[part] for v in batch), counts)
                     for part in (slice(2), slice(2, 6)))
    for name, value in whole.items():
        torch.testing.assert_close(first[name] + second[name], value)
