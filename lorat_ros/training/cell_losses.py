# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Losses of OSTrack's centre head (Ye et al., ECCV 2022), which LiteTrack is trained with.

The score learns a Gaussian around the target's cell by CenterNet's focal loss (Zhou et al.,
2019); the box is judged where the network itself finds the target, and learns there alone.
"""
from __future__ import annotations

from collections.abc import Mapping

import torch

from lorat_ros.training.losses import pair_giou

MIN_OVERLAP = 0.7
GIOU, L1, SCORE = 2.0, 5.0, 1.0      # weights in the total


def radius_of(size: torch.Tensor) -> torch.Tensor:
    """
    Radius of the Gaussian, in whole cells.

    CornerNet's rule with the slip that its code is known for (the root of a quadratic is divided
    by 2, not by 2a), which published weights were trained with: it makes Gaussians wider.

    :param size: (N, 2) w and h of boxes in cells.
    :returns: (N,) at least 0.
    """
    both, area = size.sum(1), size.prod(1)
    quadratics = ((1.0, both, area * (1 - MIN_OVERLAP) / (1 + MIN_OVERLAP)),
                  (4.0, 2 * both, (1 - MIN_OVERLAP) * area),
                  (4 * MIN_OVERLAP, -2 * MIN_OVERLAP * both, (MIN_OVERLAP - 1) * area))
    roots = [(b + (b * b - 4 * a * c).clamp(min=0).sqrt()) / 2 for a, b, c in quadratics]
    return torch.stack(roots).amin(0).clamp(min=0).floor()


def score_target(box: torch.Tensor, grid: int) -> torch.Tensor:
    """
    What the score map should be: 1 in the target's cell, a Gaussian around it, 0 elsewhere.

    The target's cell is that whose corner is nearest to its centre; offsets count from there.

    :param box: (N, 4) x1, y1, x2, y2 in units of the search crop.
    :param grid: cells along a side.
    :returns: (N, grid, grid), row-major.
    """
    centre = ((box[:, :2] + box[:, 2:]) / 2 * grid).round().clamp(0, grid - 1)
    radius = radius_of((box[:, 2:] - box[:, :2]) * grid)[:, None]
    away = torch.arange(grid, device=box.device) - centre[..., None]      # (N, 2, grid)
    profile = torch.exp(-0.5 * (away / ((2 * radius + 1) / 6)[..., None]) ** 2)
    across, down = (profile * (away.abs() <= radius[..., None])).unbind(1)
    return down[:, :, None] * across[:, None, :]


def focal_of_scores(score: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """
    Penalty-reduced focal loss (alpha 2, beta 4), summed over all cells; scalar.

    :param score: (N, G, G) probabilities, away from 0 and 1.
    :param target: (N, G, G) of ``score_target``.
    """
    centre = target == 1
    positive = torch.log(score) * (1 - score) ** 2 * centre
    negative = torch.log(1 - score) * score ** 2 * (1 - target) ** 4 * ~centre
    return -(positive + negative).sum()


def best_boxes(score: torch.Tensor, size: torch.Tensor, offset: torch.Tensor) -> torch.Tensor:
    """Boxes (N, 4) x1, y1, x2, y2 of the cells of the highest score; maps as the head's."""
    grid = score.shape[-1]
    best = score.flatten(1).argmax(1)
    wh, shift = (maps.flatten(2).gather(2, best[:, None, None].expand(-1, 2, 1))[..., 0]
                 for maps in (size, offset))
    corner = torch.stack([best % grid, best.div(grid, rounding_mode='floor')], 1)
    centre = (corner + shift) / grid
    return torch.cat([centre - wh / 2, centre + wh / 2], 1)


def cell_losses(score: torch.Tensor, size: torch.Tensor, offset: torch.Tensor, box: torch.Tensor,
                counts: Mapping[str, float]) -> dict[str, torch.Tensor]:
    """
    Losses of some samples of a step; those of all parts add up to the loss of the step.

    :param score: (N, G, G), size and offset (N, 2, G, G): of ``LiteTrack.search``, float32.
    :param box: (N, 4) true x1, y1, x2, y2 in units of the search crop; cut at its border.
    :param counts: 'samples' of the whole step.
    :returns: 'total', its parts 'score', 'giou', 'l1', and 'overlap': the mean IoU.
    """
    samples = counts['samples']
    focal = focal_of_scores(score, score_target(box, score.shape[-1])) / samples
    found, truth = best_boxes(score, size, offset), box.clamp(0, 1)
    iou, giou = pair_giou(found, truth)
    giou_loss = (1 - giou).sum() / samples
    l1 = (found - truth).abs().mean(1).sum() / samples
    return {'total': SCORE * focal + GIOU * giou_loss + L1 * l1, 'score': focal,
            'giou': giou_loss, 'l1': l1, 'overlap': iou.detach().sum() / samples}
