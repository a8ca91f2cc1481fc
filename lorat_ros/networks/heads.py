# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Heads: what reads score and box out of the tokens of a search region."""
from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F


class MlpHead(nn.Module):
    """LoRAT's: score and distances to the four sides, each read by an MLP from every token."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.cls_mlp = _Mlp3(width, 1)
        self.reg_mlp = _Mlp3(width, 4)

    def forward(self, x: torch.Tensor, grid: int) -> tuple[torch.Tensor, torch.Tensor]:
        """(N, grid * grid, D) to logits (N, grid, grid) and boxes (N, grid, grid, 4)."""
        score = self.cls_mlp(x).reshape(-1, grid, grid)
        # Under mixed precision half a number's digits would make steps of a pixel in a box.
        sides = self.reg_mlp(x).float().sigmoid().reshape(-1, grid, grid, 4)
        axis = (torch.arange(grid, device=x.device, dtype=sides.dtype) + 0.5) / grid
        centre = torch.stack([axis.view(1, grid).expand(grid, grid),
                              axis.view(grid, 1).expand(grid, grid)], dim=-1)
        return score, torch.cat([centre - sides[..., :2], centre + sides[..., 2:]], dim=-1)


class _Mlp3(nn.Module):
    """Three linear layers, exact GELU between."""

    def __init__(self, width: int, outputs: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList([nn.Linear(width, width), nn.Linear(width, width),
                                     nn.Linear(width, outputs)])

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.layers[2](F.gelu(self.layers[1](F.gelu(self.layers[0](x)))))
