# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
What LiteTrack is made of: blocks of a CAE transformer, the target token, the centre head.

Names of submodules are those of the official checkpoints. Shapes: N batch, L tokens, D width,
G cells along a side of the search region.
"""
from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F

from lorat_ros.networks import vit

HEAD_CHANNELS = (256, 128, 64, 32)
LEAST = 1e-4         # scores and sizes stay this far from 0 and 1


class Attention(nn.Module):
    """Multi-head attention whose queries and values have a bias and whose keys have none."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width, bias=False)
        self.q_bias = nn.Parameter(torch.zeros(width))
        self.v_bias = nn.Parameter(torch.zeros(width))
        self.proj = nn.Linear(width, width)

    def forward(self, x: torch.Tensor, keys: torch.Tensor | None = None,
                values: torch.Tensor | None = None) -> torch.Tensor:
        """
        Let tokens look at each other, and at remembered ones before them.

        :param x: (N, L, D).
        :param keys: (N, heads, M, D / heads) of what is remembered; None: nothing.
        :param values: likewise.
        """
        query = self._part(x, 0, self.q_bias)
        key, value = self.memory(x)
        if keys is not None:
            key, value = torch.cat([keys, key], 2), torch.cat([values, value], 2)
        return self.proj(vit.join_heads(F.scaled_dot_product_attention(query, key, value)))

    def memory(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Keys and values (N, heads, L, D / heads) of tokens (N, L, D)."""
        return self._part(x, 1, None), self._part(x, 2, self.v_bias)

    def _part(self, x: torch.Tensor, part: int, bias: torch.Tensor | None) -> torch.Tensor:
        """Queries, keys or values: part 0, 1 or 2 of the rows of ``qkv``, split into heads."""
        # Engines cut the weights once, when they load the graph.
        width = self.proj.in_features
        weight = self.qkv.weight[part * width:(part + 1) * width]
        return vit.split_heads(F.linear(x, weight, bias), self.heads)


class Block(nn.Module):
    """Pre-norm block of CAE: a learned factor per dimension on both branches."""

    def __init__(self, width: int, heads: int, hidden: int) -> None:
        super().__init__()
        self.gamma_1 = nn.Parameter(torch.full((width,), 0.1))
        self.gamma_2 = nn.Parameter(torch.full((width,), 0.1))
        self.norm1 = nn.LayerNorm(width, eps=1e-6)
        self.attn = Attention(width, heads)
        self.norm2 = nn.LayerNorm(width, eps=1e-6)
        self.mlp = vit.Mlp(width, hidden)
        #: Passes each branch on; training may put something in its place that drops some.
        self.drop_path = nn.Identity()

    def forward(self, x: torch.Tensor, keys: torch.Tensor | None = None,
                values: torch.Tensor | None = None) -> torch.Tensor:
        """Transform tokens (N, L, D); ``keys`` and ``values`` as in ``Attention``."""
        x = x + self.drop_path(self.gamma_1 * self.attn(self.norm1(x), keys, values))
        return x + self.drop_path(self.gamma_2 * self.mlp(self.norm2(x)))


class TargetToken(nn.Module):
    """The target's box in the template crop as one more token."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(4, 4)
        self.fc2 = nn.Linear(4, width)

    def forward(self, box: torch.Tensor) -> torch.Tensor:
        """Box (N, 4) to token (N, D)."""
        return self.fc2(F.gelu(self.fc1(box)))


class Head(nn.Module):
    """Score, size and offset in every cell, each read by four convolutions and a last one."""

    _branches = {'ctr': 1, 'size': 2, 'offset': 2}

    def __init__(self, width: int) -> None:
        super().__init__()
        for branch, outputs in self._branches.items():
            channels = (width, *HEAD_CHANNELS)
            for k in range(len(HEAD_CHANNELS)):
                self.add_module(f'conv{k + 1}_{branch}', nn.Sequential(
                    nn.Conv2d(channels[k], channels[k + 1], 3, padding=1),
                    nn.BatchNorm2d(channels[k + 1]), nn.ReLU()))
            self.add_module(f'conv5_{branch}', nn.Conv2d(HEAD_CHANNELS[-1], outputs, 1))

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """(N, D, G, G) to score (N, G, G), size and offset (N, 2, G, G)."""
        # In bfloat16, where training computes, 1 - 1e-4 would be 1.
        score, size, offset = (self._branch(x, branch).float() for branch in self._branches)
        score, size = (value.sigmoid().clamp(LEAST, 1 - LEAST) for value in (score, size))
        return score.squeeze(1), size, offset

    def _branch(self, x: torch.Tensor, branch: str) -> torch.Tensor:
        for k in range(len(HEAD_CHANNELS) + 1):
            x = getattr(self, f'conv{k + 1}_{branch}')(x)
        return x
