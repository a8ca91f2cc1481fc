# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A DINOv2 base and a LoRAT so small that a test can train them."""
from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import torch

from lorat_ros.networks.lorat import base_shapes, LoratConfig

CONFIG = LoratConfig(width=48, depth=2, heads=3, hidden=96, feed_forward='mlp', template_size=56,
                     search_size=112)
RANK = 4


def base_tensors(config: LoratConfig = CONFIG, seed: int = 0) -> dict[str, torch.Tensor]:
    """A base that knows nothing, but hands on what it sees: random, of the usual spreads."""
    generator = torch.Generator().manual_seed(seed)
    found = {}
    for name, shape in base_shapes(config).items():
        leaf = name.rpartition('.')[2]
        if leaf == 'gamma':
            found[name] = torch.full(shape, 0.5)
        elif leaf == 'weight' and len(shape) == 1:
            found[name] = torch.ones(shape)
        elif leaf == 'bias':
            found[name] = torch.zeros(shape)
        else:
            fan = 1 if 'embed' in name and leaf != 'weight' else shape[1:].numel() \
                if isinstance(shape, torch.Size) else torch.Size(shape[1:]).numel()
            spread = 0.3 if fan == 1 else fan ** -0.5
            found[name] = torch.randn(shape, generator=generator) * spread
    return found


def write_base(folder: Path, config: LoratConfig = CONFIG) -> Path:
    """Write it as DINOv2's hub has it; returns the file."""
    path = folder / 'dinov2_tiny_pretrain.pth'
    torch.save(base_tensors(config), path)
    return path


def own_sizes(config: LoratConfig = CONFIG) -> list[str]:
    """What ``lorat train --set`` takes to ask for such a network."""
    return [f'network.{name}={value}' for name, value in asdict(config).items()]
