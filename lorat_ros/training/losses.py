# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Losses of a centre head: penalty-reduced focal loss on the heat map, GIoU and L1 on the boxes.

Sources: the heat map and its loss as in CenterNet (Zhou et al., 2019), weights 1, 2 and 5 as in
OSTrack (ECCV 2022); every cell near the centre learns its box, weighted by the heat map, as in
TTFNet (AAAI 2020), which trains in far fewer steps than the centre cell alone.
"""
from __future__ import annotations

from collections.abc import Mapping

import torch


def heat_map(box: torch.Tensor, present: torch.Tensor, grid: int) -> torch.Tensor:
    """
    Target heat map: a Gaussian around the centre, 1 in the nearest cell.

    :param box: (N, 4) x1, y1, x2, y2 in units of the search region.
    :param present: (N,) bool; False gives a map of zeros.
    :param grid: cells along a side.
    :returns: (N, grid, grid) in [0, 1], row-major (row = y).
    """
    axis = (torch.arange(grid, device=box.device) + 0.5) / grid
    centre, size = (box[:, :2] + box[:, 2:]) / 2, box[:, 2:] - box[:, :2]
    # A sixth of the box on either side, but never narrower than the cells can show.
    sigma = torch.clamp(size / 6, min=0.55 / grid)
    profile = [torch.exp(-0.5 * ((axis[None] - centre[:, k:k + 1]) / sigma[:, k:k + 1]) ** 2)
               for k in (0, 1)]
    # Scaled so that the nearest cell is exactly 1: the focal loss counts such cells as centres.
    across, down = (p / p.amax(1, keepdim=True).clamp(min=1e-6) for p in profile)
    inside = ((centre > 0) & (centre < 1)).all(1) & present
    return down[:, :, None] * across[:, None, :] * inside[:, None, None]


def focal_loss(logits: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Penalty-reduced focal loss (alpha 2, beta 4), summed over all cells; scalar."""
    p = torch.sigmoid(logits).clamp(1e-4, 1 - 1e-4)
    centre = target > 0.999
    positive = torch.log(p) * (1 - p) ** 2 * centre
    negative = torch.log(1 - p) * p ** 2 * (1 - target) ** 4 * ~centre
    return -(positive + negative).sum()


def pair_giou(a: torch.Tensor, b: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """IoU and generalised IoU of boxes (..., 4) as x1, y1, x2, y2."""
    low, high = torch.maximum(a[..., :2], b[..., :2]), torch.minimum(a[..., 2:], b[..., 2:])
    overlap = (high - low).clamp(min=0).prod(-1)
    areas = [(v[..., 2:] - v[..., :2]).clamp(min=0).prod(-1) for v in (a, b)]
    union = areas[0] + areas[1] - overlap
    hull = (torch.maximum(a[..., 2:], b[..., 2:])
            - torch.minimum(a[..., :2], b[..., :2])).prod(-1)
    iou = overlap / union.clamp(min=1e-7)
    return iou, iou - (hull - union) / hull.clamp(min=1e-7)


def centre_losses(logits: torch.Tensor, boxes: torch.Tensor, box: torch.Tensor,
                  present: torch.Tensor, counts: Mapping[str, float]) -> dict[str, torch.Tensor]:
    """
    Losses of some samples of a step; those of all parts add up to the loss of the step.

    :param logits: (N, G, G) score logits.
    :param boxes: (N, 4, G, G) predicted x1, y1, x2, y2 in units of the search region.
    :param box: (N, 4) true box, same units.
    :param present: (N,) bool.
    :param counts: of the whole step: 'samples', and of them 'present'.
    :returns: 'total', which is minimised, its parts 'score', 'giou' and 'l1', and 'overlap': the
        mean IoU in the cell of the highest score.
    """
    target = heat_map(box, present, logits.shape[-1])
    # By samples, not by centres: a step without any target must not divide by nothing.
    score = focal_loss(logits, target) / counts['samples']
    seen = max(counts['present'], 1)
    weight = torch.where(target > 0.2, target, torch.zeros_like(target))
    weight = weight / weight.sum((1, 2), keepdim=True).clamp(min=1e-6)
    predicted = boxes.permute(0, 2, 3, 1)
    truth = box[:, None, None, :]
    iou, giou = pair_giou(predicted, truth)
    giou_loss = ((1 - giou) * weight).sum() / seen
    l1 = ((predicted - truth).abs().mean(-1) * weight).sum() / seen
    with torch.no_grad():
        best = logits.flatten(1).argmax(1, keepdim=True)
        overlap = (iou.flatten(1).gather(1, best)[:, 0] * present).sum() / seen
    return {'total': score + 2 * giou_loss + 5 * l1, 'score': score, 'giou': giou_loss, 'l1': l1,
            'overlap': overlap}
