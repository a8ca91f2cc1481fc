# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Kestrel: the package's own small tracker network, made for one CPU thread.

A convolutional stem turns template and search region into tokens of stride 16; a few
transformer blocks let them look at each other (one stream, as in LoRAT, ECCV 2024); a small
convolutional head reads a centre heat map (as in CenterNet and OSTrack) and, in every cell, the
distances to the four sides of the box. The template's part of the stem runs once per target.
"""
from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

from lorat_ros.networks.efficient_stem import EfficientStem
from lorat_ros.networks.vit import join_heads, split_heads


@dataclass(frozen=True)
class KestrelConfig:
    """
    Sizes of a Kestrel network. Sides are in pixels and multiples of the stride of 16.

    ``stem`` is 'plain' (:class:`Stem`) or 'efficient'
    (:class:`lorat_ros.networks.efficient_stem.EfficientStem`).
    """

    search_size: int = 160
    template_size: int = 80
    width: int = 192
    depth: int = 4
    heads: int = 3
    mlp_ratio: int = 3
    head_width: int = 64
    stem: str = 'plain'

    stride = 16

    def __post_init__(self) -> None:
        for name in ('search_size', 'template_size'):
            if getattr(self, name) % self.stride:
                raise ValueError(f'{name} is {getattr(self, name)}: give a multiple of 16')
        if self.stem not in STEMS:
            raise ValueError(f'stem is {self.stem!r}: give one of {", ".join(STEMS)}')
        if self.depth < 1:
            raise ValueError(f'depth is {self.depth}: give at least 1')
        if self.width % self.heads:
            raise ValueError(f'width {self.width} is not a multiple of heads {self.heads}')

    @property
    def search_grid(self) -> int:
        """Cells along one side of the search region."""
        return self.search_size // self.stride

    @property
    def template_grid(self) -> int:
        """Cells along one side of the template."""
        return self.template_size // self.stride

    def as_dict(self) -> dict[str, Any]:
        """Return the sizes as plain numbers, for checkpoints and model.json."""
        return asdict(self)


def unit(x: torch.Tensor) -> torch.Tensor:
    """Scale the vectors of the last axis to length 1.

    Written out because torch's normalize becomes a ReduceL2 whose axes opset 17 cannot express.
    """
    return x * torch.rsqrt((x * x).sum(-1, keepdim=True) + 1e-8)


def conv_norm(inputs: int, outputs: int, stride: int = 1) -> nn.Sequential:
    """3x3 convolution, batch norm, ReLU."""
    return nn.Sequential(nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False),
                         nn.BatchNorm2d(outputs), nn.ReLU(inplace=True))


class Stem(nn.Module):
    """Image (N, 3, S, S) to feature map (N, width, S/16, S/16)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.down = nn.Sequential(conv_norm(3, width // 8, 2),
                                  conv_norm(width // 8, width // 4, 2),
                                  conv_norm(width // 4, width // 2, 2),
                                  conv_norm(width // 2, width, 2))
        self.residual = nn.Sequential(conv_norm(width, width),
                                      nn.Conv2d(width, width, 3, 1, 1, bias=False),
                                      nn.BatchNorm2d(width))

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        x = self.down(image)
        return x + self.residual(x)


STEMS: dict[str, Callable[[int], nn.Module]] = {'plain': Stem, 'efficient': EfficientStem}


class Block(nn.Module):
    """Pre-norm transformer block with full attention over all tokens."""

    def __init__(self, width: int, heads: int, mlp_ratio: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm1 = nn.LayerNorm(width)
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)
        self.norm2 = nn.LayerNorm(width)
        self.mlp = nn.Sequential(nn.Linear(width, mlp_ratio * width), nn.GELU(),
                                 nn.Linear(mlp_ratio * width, width))
        # Tied start: attention begins as plain similarity (query = key), and what it gathers
        # comes back in the coordinates it left in (projection = transposed value). A tracker
        # is a matcher; from here it trains in minutes instead of hours.
        with torch.no_grad():
            query, _, value = self.qkv.weight.chunk(3)
            self.qkv.weight[width:2 * width] = query
            self.proj.weight.copy_(value.T)
            self.qkv.bias.zero_()
            self.proj.bias.zero_()

    def forward(self, x: torch.Tensor, last: int | None = None) -> torch.Tensor:
        """
        Transform tokens.

        :param x: (N, L, D).
        :param last: carry on with the last so many tokens only (the others are still looked at);
            None: with all.
        """
        width, qkv = x.shape[-1], self.qkv(self.norm1(x))
        query, key, value = (split_heads(qkv[..., k * width:(k + 1) * width], self.heads)
                             for k in range(3))
        if last is not None:
            query, x = query[:, :, -last:], x[:, -last:]
        x = x + self.proj(join_heads(F.scaled_dot_product_attention(query, key, value)))
        return x + self.mlp(self.norm2(x))


class Kestrel(nn.Module):
    """
    The network in two stages.

    ``template`` runs once per target, ``search`` once per frame. Images are RGB, normalised by
    the family (lorat_ros.tracking.kestrel); the mask tells which part of each template cell the
    target covers.
    """

    outputs = {'template': ('template_tokens', 'template_keys'),
               'search': ('score', 'boxes', 'similarity', 'features')}
    hands_over = {'template': outputs['template']}

    def __init__(self, config: KestrelConfig | None = None) -> None:
        super().__init__()
        self.config = config = config or KestrelConfig()
        width, cells = config.width, config.template_grid ** 2
        self.stem = STEMS[config.stem](width)
        self.norm_in = nn.LayerNorm(width)
        self.template_position = nn.Parameter(torch.empty(1, cells, width))
        self.search_position = nn.Parameter(torch.empty(1, config.search_grid ** 2, width))
        self.type_embedding = nn.Parameter(torch.empty(3, width))   # background, target, search
        self.match = nn.Linear(cells + 1, width)
        self.blocks = nn.ModuleList(Block(width, config.heads, config.mlp_ratio)
                                    for _ in range(config.depth))
        self.norm_out = nn.LayerNorm(width)
        self.score_tower = self._tower(width, config.head_width, 1)
        self.box_tower = self._tower(width, config.head_width, 4)
        for parameter in (self.template_position, self.search_position, self.type_embedding):
            nn.init.trunc_normal_(parameter, std=0.02)
        # Start from "seldom the centre" and from a box of a quarter of the search region.
        nn.init.constant_(self.score_tower[-1].bias, -3.0)
        nn.init.constant_(self.box_tower[-1].bias, -2.0)

    @classmethod
    def from_settings(cls, settings: Mapping[str, Any]) -> Kestrel:
        """Build it as ``model.json`` describes it, with weights still to be loaded."""
        return cls(KestrelConfig(**settings))

    def settings(self) -> dict[str, Any]:
        """Describe it for ``model.json``."""
        return self.config.as_dict()

    def example_inputs(self) -> dict[str, dict[str, torch.Tensor]]:
        """Inputs of either stage, with batch 1."""
        config, cells = self.config, self.config.template_grid
        return {'template': {'image': torch.randn(1, 3, *2 * [config.template_size]),
                             'mask': torch.rand(1, cells, cells)},
                'search': {'image': torch.randn(1, 3, *2 * [config.search_size]),
                           'template_tokens': torch.randn(1, cells ** 2, config.width),
                           'template_keys': torch.randn(1, cells ** 2 + 1, config.width)}}

    @staticmethod
    def _tower(width: int, hidden: int, outputs: int) -> nn.Sequential:
        return nn.Sequential(conv_norm(width, hidden), conv_norm(hidden, hidden),
                             nn.Conv2d(hidden, outputs, 1))

    def _tokens(self, image: torch.Tensor) -> torch.Tensor:
        return self.norm_in(self.stem(image).flatten(2).transpose(1, 2))

    def template(self, image: torch.Tensor, mask: torch.Tensor
                 ) -> tuple[torch.Tensor, torch.Tensor]:
        """
        Encode the template.

        :param image: (N, 3, T, T) normalised template crop.
        :param mask: (N, T/16, T/16) share of each cell that the target covers, in [0, 1].
        :returns: tokens (N, cells, width) for the blocks, and keys (N, cells + 1, width): unit
            vectors of every cell and, last, of the target as a whole.
        """
        tokens = self._tokens(image)
        weight = mask.flatten(1).unsqueeze(2)
        pooled = (tokens * weight).sum(1, keepdim=True) / (weight.sum(1, keepdim=True) + 1e-4)
        keys = unit(torch.cat([tokens, pooled], 1))
        background, target, _ = self.type_embedding
        kinds = weight * target + (1 - weight) * background
        return tokens + self.template_position + kinds, keys

    def search(self, image: torch.Tensor, template_tokens: torch.Tensor,
               template_keys: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """
        Find the template in a search region.

        :param image: (N, 3, S, S) normalised search crop.
        :param template_tokens: (N, cells, width) from ``template``.
        :param template_keys: (N, cells + 1, width) from ``template``.
        :returns: score logits (N, G, G) and boxes (N, 4, G, G) as x1, y1, x2, y2 in units of the
            search region (0..1 inside it), G = S/16; then, for ``lorat_ros.tracking.evidence``,
            cosine similarity (N, G * G, cells + 1) of every cell to the keys before template and
            region are mixed, and features (N, G * G, width) after that. Cells are row-major.
        """
        grid = self.config.search_grid
        tokens = self._tokens(image)
        similarity = unit(tokens) @ template_keys.transpose(1, 2)
        tokens = tokens + self.search_position + self.type_embedding[2] + self.match(similarity)
        x = torch.cat([template_tokens, tokens], 1)
        for block in self.blocks[:-1]:
            x = block(x)
        # Nobody reads the template's tokens after the last block: it need not make them.
        features = self.norm_out(self.blocks[-1](x, last=tokens.shape[1]))
        x = features.transpose(1, 2).reshape(features.shape[0], self.config.width, grid, grid)
        score = self.score_tower(x).squeeze(1).float()
        sides = self.box_tower(x).float().sigmoid()
        axis = (torch.arange(grid, device=x.device, dtype=torch.float32) + 0.5) / grid
        centre = torch.stack([axis.view(1, grid).expand(grid, grid),
                              axis.view(grid, 1).expand(grid, grid)])
        boxes = torch.cat([centre - sides[:, :2], centre + sides[:, 2:]], 1)
        return score, boxes, similarity.float(), features.float()

    def forward(self, template: torch.Tensor, mask: torch.Tensor, search: torch.Tensor
                ) -> tuple[torch.Tensor, torch.Tensor]:
        """Run both stages; returns score and boxes, shapes as in ``template`` and ``search``."""
        return self.search(search, *self.template(template, mask))[:2]
