# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
SIoU (Gevorgyan, 2022): the loss of a box by overlap, shape and distance, as FARTrack takes it.

    1 - IoU + (shape + distance) / 2

Distance counts the more the less it lies along one axis: a box that is off to the side alone is
thought to be nearer than one that is off in both.
"""
from __future__ import annotations

import torch

THETA = 4            # how much shape counts; 4 is published
WORST = 3.0          # no loss is greater: no overlap, shape 2, distance 2
_LEAST = 1e-7


def shape_cost(w: torch.Tensor, h: torch.Tensor, true_w: torch.Tensor, true_h: torch.Tensor
               ) -> torch.Tensor:
    """How far sides (N,) are from the true ones: 0, where they are equal, to 2."""
    return sum((1 - torch.exp(-(mine - true).abs() / torch.maximum(mine, true).clamp(min=_LEAST)))
               ** THETA for mine, true in ((w, true_w), (h, true_h)))


def distance_cost(dx: torch.Tensor, dy: torch.Tensor, hull_w: torch.Tensor, hull_h: torch.Tensor
                  ) -> torch.Tensor:
    """
    How far centres are apart, (N,): 0, where they meet, to 2.

    :param dx: between the centres; ``hull_w``: width of what encloses both boxes.
    """
    # The sine of twice the angle between the way and an axis: 0 along it, 1 halfway.
    angle = 2 * (dx * dy).abs() / (dx ** 2 + dy ** 2).clamp(min=_LEAST)
    return sum(1 - torch.exp((angle - 2) * (way / hull.clamp(min=_LEAST)) ** 2)
               for way, hull in ((dx, hull_w), (dy, hull_h)))


def siou_loss(found: torch.Tensor, truth: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """
    SIoU loss and plain overlap of pairs of boxes.

    :param found: (..., 4) x1, y1, x2, y2; a box whose sides are the wrong way round overlaps
        nothing.
    :param truth: (..., 4) with sides longer than 0.
    :returns: loss (...) and IoU (...) in [0, 1].
    """
    low, high = torch.maximum(found[..., :2], truth[..., :2]), \
        torch.minimum(found[..., 2:], truth[..., 2:])
    sides, true_sides = found[..., 2:] - found[..., :2], truth[..., 2:] - truth[..., :2]
    both = (high - low).clamp(min=0).prod(-1)
    union = sides.clamp(min=0).prod(-1) + true_sides.prod(-1) - both
    iou = both / union.clamp(min=_LEAST)
    hull = torch.maximum(found[..., 2:], truth[..., 2:]) - \
        torch.minimum(found[..., :2], truth[..., :2])
    way = (found[..., :2] + found[..., 2:] - truth[..., :2] - truth[..., 2:]) / 2
    shape = shape_cost(*sides.unbind(-1), *true_sides.unbind(-1))
    distance = distance_cost(*way.unbind(-1), *hull.unbind(-1))
    return 1 - iou + (shape + distance) / 2, iou
