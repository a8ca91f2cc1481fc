# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Layers of FARTrack's transformer, which also tell how the centre of the search region looks at
the templates. Shapes: N batch, L tokens, D width.
"""
from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F

from lorat_ros.networks import vit
from lorat_ros.networks.fartrack_variants import COMMANDS, FarTrackConfig, MLP, STAGES


def tail_of(config: FarTrackConfig) -> int:
    """Tokens after the templates."""
    return config.search_cells + COMMANDS


def centre_of(config: FarTrackConfig) -> int:
    """Place of the search region's centre token, from the end: of 14 rows the 8th, as columns."""
    return -tail_of(config) + config.search_grid // 2 * (config.search_grid + 1)


class MaskNorm(nn.Module):
    """The norm of the sparse stage; of tokens that are there, a LayerNorm."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width, eps=1e-5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.norm(x)


def layer_norm(width: int) -> nn.LayerNorm:
    return nn.LayerNorm(width, eps=1e-6)


_NORMS = {'norm': layer_norm, 'masknorm': MaskNorm}


class Attention(nn.Module):
    """Attention that also tells how the centre of the search region looks at all tokens."""

    def __init__(self, config: FarTrackConfig) -> None:
        super().__init__()
        self.heads = config.heads
        self.qkv = nn.Linear(config.width, 3 * config.width)
        self.proj = nn.Linear(config.width, config.width)
        self._centre = centre_of(config)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """
        Mix tokens.

        :param x: (N, L, D).
        :returns: (N, L, D), and the centre token's attention (N, L), mean of the heads. It is
            computed by itself: attention of all to all can stay fused.
        """
        width, qkv = x.shape[-1], self.qkv(x)
        query, key, value = (vit.split_heads(qkv[..., k * width:(k + 1) * width], self.heads)
                             for k in range(3))
        mixed = vit.join_heads(F.scaled_dot_product_attention(query, key, value))
        centre = _attention_to(query[:, :, self._centre:self._centre + 1], key)
        return self.proj(mixed), _mean_of_heads(centre)

    def answer(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """
        Mix tokens into the commands alone.

        :param x: (N, L, D).
        :returns: the commands (N, 4, D), and the centre's attention as in ``forward``.
        """
        width, weight, bias = x.shape[-1], self.qkv.weight, self.qkv.bias
        asking = torch.cat([x[:, self._centre:self._centre + 1], x[:, -COMMANDS:]], 1)
        query = vit.split_heads(F.linear(asking, weight[:width], bias[:width]), self.heads)
        both = F.linear(x, weight[width:], bias[width:])
        key, value = (vit.split_heads(half, self.heads)
                      for half in (both[..., :width], both[..., width:]))
        attention = _attention_to(query, key)
        mixed = vit.join_heads(attention[:, :, 1:] @ value)
        return self.proj(mixed), _mean_of_heads(attention[:, :, :1])


def _attention_to(query: torch.Tensor, key: torch.Tensor) -> torch.Tensor:
    """Softmax of (N, heads, Q, d) over (N, heads, L, d): (N, heads, Q, L)."""
    return torch.softmax((query * query.shape[-1] ** -0.5) @ key.transpose(-2, -1), -1)


def _mean_of_heads(row: torch.Tensor) -> torch.Tensor:
    """(N, heads, 1, L) to (N, L)."""
    return row.sum(1).flatten(1) / row.shape[1]


class Block(nn.Module):
    """Pre-norm block; its norms are those that the stage uses of the file's."""

    def __init__(self, config: FarTrackConfig) -> None:
        super().__init__()
        self._norm = norm = STAGES[config.stage].norm
        self.attn = Attention(config)
        self.mlp = vit.Mlp(config.width, MLP * config.width)
        for place in '12':
            self.add_module(norm + place, _NORMS[norm](config.width))
        #: Passes each branch on; training may put something in its place that drops some.
        self.drop_path = nn.Identity()

    def normed(self, x: torch.Tensor, place: int) -> torch.Tensor:
        """Normalise tokens before attention (place 1) or before the MLP (place 2)."""
        return self.get_submodule(f'{self._norm}{place}')(x)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Transform tokens (N, L, D); returns them and the centre's attention (N, L)."""
        mixed, centre = self.attn(self.normed(x, 1))
        x = x + self.drop_path(mixed)
        return x + self.drop_path(self.mlp(self.normed(x, 2))), centre

    def answer(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Transform tokens (N, L, D) into the commands alone, (N, 4, D)."""
        mixed, centre = self.attn.answer(self.normed(x, 1))
        commands = x[:, -COMMANDS:] + self.drop_path(mixed)
        return commands + self.drop_path(self.mlp(self.normed(commands, 2))), centre
