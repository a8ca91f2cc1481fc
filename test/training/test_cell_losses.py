# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""OSTrack's losses against numbers worked out by hand."""
from __future__ import annotations

import math

import pytest
import torch

from lorat_ros.training.cell_losses import (best_boxes, cell_losses, focal_of_scores, radius_of,
                                            score_target)

MIDDLE = torch.tensor([[0.25, 0.25, 0.75, 0.75]])


@pytest.mark.parametrize(('size', 'radius'), [
    # Of a square of side s: (-2.8 + sqrt(7.84 + 3.36)) / 2 * s = 0.27332 * s.
    ((1.0, 1.0), 0), ((3.6, 3.6), 0), ((3.7, 3.7), 1), ((12.0, 12.0), 3),
    # (-1.4 * 10 + sqrt(1.96 * 100 + 4 * 2.8 * 0.3 * 16)) / 2 = 0.9029
    ((8.0, 2.0), 0), ((9.0, 2.5), 1), ((0.0, 0.0), 0)])
def test_radii(size, radius):
    assert radius_of(torch.tensor([size])).item() == radius


def test_the_target_is_a_gaussian_of_that_radius():
    target = score_target(MIDDLE, 8)[0]      # 4 x 4 cells: radius 1, so a spread of a half
    one, both = math.exp(-2), math.exp(-4)
    expected = torch.zeros(8, 8)
    expected[3:6, 3:6] = torch.tensor([[both, one, both], [one, 1, one], [both, one, both]])
    torch.testing.assert_close(target, expected)


@pytest.mark.parametrize(('centre', 'cell'), [
    ((0.5, 0.25), (1, 2)), ((0.60, 0.65), (3, 2)), ((0.99, 0.5), (2, 3)), ((0.0, 0.1), (0, 0))])
def test_the_cell_is_that_of_the_nearest_corner(centre, cell):
    x, y = centre
    target = score_target(torch.tensor([[x - 0.05, y - 0.1, x + 0.05, y + 0.1]]), 4)[0]
    assert divmod(int(target.argmax()), 4) == cell and target.sum() == 1


def test_focal_loss_of_an_undecided_map():
    target = score_target(torch.tensor([[0.4, 0.4, 0.6, 0.6]]), 4)
    loss = focal_of_scores(torch.full((1, 4, 4), 0.5), target)
    assert float(loss) == pytest.approx(16 * 0.25 * math.log(2))


def test_focal_loss_spares_the_neighbours():
    target = score_target(MIDDLE, 8)
    score = torch.full((1, 8, 8), 0.1)
    score[0, 4, 4], score[0, 4, 5] = 0.8, 0.6
    one, both = 1 - math.exp(-2), 1 - math.exp(-4)
    expected = -(0.2 ** 2 * math.log(0.8) + 0.6 ** 2 * math.log(0.4) * one ** 4
                 + 0.1 ** 2 * math.log(0.9) * (55 + 3 * one ** 4 + 4 * both ** 4))
    assert float(focal_of_scores(score, target)) == pytest.approx(expected, rel=1e-5)


def maps(size: float, offset: float = 0.0) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """A head's answer whose best cell is row 2, column 2 of 4."""
    score = torch.full((1, 4, 4), 0.1)
    score[0, 2, 2] = 0.9
    return score, torch.full((1, 2, 4, 4), size), torch.full((1, 2, 4, 4), offset)


def test_boxes_come_from_the_best_cell():
    score, size, offset = maps(0.2)
    score[0, 1, 3] = 0.95
    size[0, :, 1, 3], offset[0, :, 1, 3] = torch.tensor([0.4, 0.3]), torch.tensor([-0.4, 0.2])
    assert best_boxes(score, size, offset)[0].tolist() == pytest.approx(
        [0.65 - 0.2, 0.3 - 0.15, 0.65 + 0.2, 0.3 + 0.15])


def test_the_losses_of_a_box_half_as_large():
    found = cell_losses(*maps(0.25), MIDDLE, {'samples': 2})
    focal = float(focal_of_scores(maps(0.25)[0], score_target(MIDDLE, 4)))
    assert {name: float(value) for name, value in found.items()} == pytest.approx({
        'score': focal / 2, 'giou': 0.75 / 2, 'l1': 0.125 / 2, 'overlap': 0.25 / 2,
        'total': (focal + 2 * 0.75 + 5 * 0.125) / 2}, rel=1e-5)


def test_the_right_box_costs_nothing_and_overhang_is_cut():
    found = cell_losses(*maps(0.5), MIDDLE, {'samples': 1})
    assert float(found['giou']) == pytest.approx(0, abs=1e-6) and float(found['l1']) == 0
    wide = torch.tensor([[-0.5, 0.25, 1.5, 0.75]])
    score, size, offset = maps(0.5)
    size[:, 0] = 1.0
    cut = cell_losses(score, size, offset, wide, {'samples': 1})
    assert float(cut['overlap']) == pytest.approx(1) and float(cut['l1']) == 0


def test_only_the_best_cell_learns_the_box():
    score, size, offset = (v.requires_grad_() for v in maps(0.25, 0.7))
    cell_losses(score, size, offset, MIDDLE, {'samples': 1})['total'].backward()
    for gradient in (size.grad, offset.grad):
        assert gradient[0, :, 2, 2].abs().min() > 0
        gradient[0, :, 2, 2] = 0
        assert not gradient.any()


def test_the_losses_of_the_parts_of_a_step_add_up():
    torch.manual_seed(0)
    low = torch.rand(5, 2) * 0.6
    box = torch.cat([low, low + 0.1 + 0.3 * torch.rand(5, 2)], 1)
    answer = torch.rand(5, 6, 6) * 0.9 + 0.05, torch.rand(5, 2, 6, 6), torch.rand(5, 2, 6, 6)
    counts = {'samples': 5}
    whole = cell_losses(*answer, box, counts)
    parts = [cell_losses(*(v[k] for v in answer), box[k], counts)
             for k in (slice(2), slice(2, 5))]
    for name, value in whole.items():
        torch.testing.assert_close(parts[0][name] + parts[1][name], value)
