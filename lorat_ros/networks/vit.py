# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Blocks of a plain pre-norm vision transformer, as the published trackers build on them.

Names of submodules are those of DINOv2's checkpoints. Linear layers are made by factories, so
that LoRA can stand in their place (``lorat_ros.networks.lora``). Shapes: N batch, L tokens,
D width, heads of D / heads dimensions each.
"""
from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn
from torch.nn import functional as F

Linear = Callable[[int, int], nn.Module]      # (inputs, outputs) to a layer with bias


def patch_tokens(image: torch.Tensor, convolution: nn.Conv2d) -> torch.Tensor:
    """Image (N, 3, S, S) to tokens (N, cells, D), left to right, then down."""
    return convolution(image).flatten(2).transpose(1, 2)


def split_heads(x: torch.Tensor, heads: int) -> torch.Tensor:
    """(N, L, D) to (N, heads, L, D / heads): head h holds the h-th run of dimensions."""
    n, length, width = x.shape
    return x.reshape(n, length, heads, width // heads).transpose(1, 2)


def join_heads(x: torch.Tensor) -> torch.Tensor:
    """(N, heads, L, d) back to (N, L, heads * d)."""
    n, heads, length, dims = x.shape
    return x.transpose(1, 2).reshape(n, length, heads * dims)


class Attention(nn.Module):
    """Multi-head attention of all tokens to all tokens."""

    def __init__(self, width: int, heads: int, linear: Linear = nn.Linear,
                 qkv: Linear = nn.Linear) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = qkv(width, 3 * width)
        self.proj = linear(width, width)

    def forward(self, x: torch.Tensor, last: int | None = None) -> torch.Tensor:
        """
        Mix tokens.

        :param x: (N, L, D).
        :param last: answer for the last so many tokens only; None: for all.
        """
        width, qkv = x.shape[-1], self.qkv(x)
        # Slices, not chunk(): that becomes an ONNX sequence, which TensorRT cannot read.
        query, key, value = (split_heads(qkv[..., k * width:(k + 1) * width], self.heads)
                             for k in range(3))
        if last is not None:
            query = query[:, :, -last:]
        return self.proj(join_heads(F.scaled_dot_product_attention(query, key, value)))


class Mlp(nn.Module):
    """Two linear layers with an exact (erf) GELU between."""

    def __init__(self, width: int, hidden: int, linear: Linear = nn.Linear) -> None:
        super().__init__()
        self.fc1 = linear(width, hidden)
        self.fc2 = linear(hidden, width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.fc2(F.gelu(self.fc1(x)))


class SwiGlu(nn.Module):
    """Gated MLP of DINOv2 giant: w3(silu(a) * b), a and b the halves of w12."""

    def __init__(self, width: int, hidden: int, linear: Linear = nn.Linear) -> None:
        super().__init__()
        self.w12 = linear(width, 2 * hidden)
        self.w3 = linear(hidden, width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        both = self.w12(x)
        hidden = both.shape[-1] // 2
        return self.w3(F.silu(both[..., :hidden]) * both[..., hidden:])


class LayerScale(nn.Module):
    """One learned factor per dimension."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.full((width,), 1e-5))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * self.gamma


class Block(nn.Module):
    """Pre-norm block of DINOv2 (LayerNorm eps 1e-6, LayerScale on both branches)."""

    def __init__(self, width: int, heads: int, feed_forward: nn.Module,
                 linear: Linear = nn.Linear, qkv: Linear = nn.Linear) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width, eps=1e-6)
        self.attn = Attention(width, heads, linear, qkv)
        self.ls1 = LayerScale(width)
        self.norm2 = nn.LayerNorm(width, eps=1e-6)
        self.mlp = feed_forward
        self.ls2 = LayerScale(width)

    def forward(self, x: torch.Tensor, last: int | None = None) -> torch.Tensor:
        """
        Transform tokens.

        :param x: (N, L, D).
        :param last: carry on with the last so many tokens only (the others are still looked at);
            None: with all.
        """
        mixed = self.ls1(self.attn(self.norm1(x), last))
        x = mixed + (x if last is None else x[:, -last:])
        return x + self.ls2(self.mlp(self.norm2(x)))
