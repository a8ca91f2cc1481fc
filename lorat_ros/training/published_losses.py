# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Losses of LoRAT's head (Lin et al., ECCV 2024).

Every cell that the target touches learns the target's box (generalised IoU) and, as its score, the
overlap that its own box has at the moment; all other cells learn a score of 0.
"""
from __future__ import annotations

from collections.abc import Mapping

import torch
from torch.nn import functional as F

from lorat_ros.training.losses import pair_giou


def published_losses(logits: torch.Tensor, boxes: torch.Tensor, batch: Mapping[str, torch.Tensor],
                     counts: Mapping[str, float]) -> dict[str, torch.Tensor]:
    """
    Losses of some samples of a step; those of all parts add up to the loss of the step.

    :param logits: (N, G, G) score logits.
    :param boxes: (N, G, G, 4) predicted x1, y1, x2, y2 in units of the search region.
    :param batch: 'box' (N, 4) true box, same units; 'positive' (N, G, G) bool, cells that the
        target touches; 'present' (N,) bool.
    :param counts: of the whole step: cells that are 'positive', samples that are 'present'.
    :returns: 'total', its parts 'score' and 'giou', and 'overlap': the mean IoU in the cell of
        the highest score.
    """
    logits, boxes, positive = logits.float(), boxes.float(), batch['positive']
    iou, giou = pair_giou(boxes, batch['box'][:, None, None])
    cells = max(counts['positive'], 1)
    target = torch.where(positive, iou.detach(), torch.zeros_like(iou))
    score = F.binary_cross_entropy_with_logits(logits, target, reduction='sum') / cells
    giou_loss = torch.where(positive, 1 - giou, torch.zeros_like(giou)).sum() / cells
    best = logits.detach().flatten(1).argmax(1, keepdim=True)
    overlap = (iou.detach().flatten(1).gather(1, best)[:, 0] * batch['present']).sum()
    return {'total': score + giou_loss, 'score': score, 'giou': giou_loss,
            'overlap': overlap / max(counts['present'], 1)}
