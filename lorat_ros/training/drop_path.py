# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Stochastic depth (Huang et al., ECCV 2016): in training, samples skip branches by chance."""
from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn


class DropPath(nn.Module):
    """Sets whole samples of a branch to 0, and makes up for it with the others."""

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.rate = rate

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(N, …) to the same; as it is outside training."""
        if not self.training or not self.rate:
            return x
        kept = torch.rand(x.shape[0], *(x.ndim - 1) * [1], device=x.device) >= self.rate
        return x * (kept / (1 - self.rate)).to(x.dtype)


def rates(highest: float, depth: int) -> Sequence[float]:
    """Rates of blocks, rising evenly from 0 to the highest, as usual."""
    return torch.linspace(0, highest, depth).tolist()
