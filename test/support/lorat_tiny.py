# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A DINOv2 base and a LoRAT so small that a test can train them."""
from __future__ import annotations

import math
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
from support.pools import disc, scene

from lorat_ros.networks.lorat import base_shapes, LoratConfig
from lorat_ros.training.items import Item, outline_of_box

CONFIG = LoratConfig(width=48, depth=2, heads=3, hidden=96, feed_forward='mlp', template_size=56,
                     search_size=112)
RANK = 8


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
            spread = math.prod(shape[1:]) ** -0.5 if leaf == 'weight' else 0.3
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


def disc_clip(seed: int, frames: int = 24, radius: int = 14,
              colour: tuple[int, int, int] | None = None) -> list[Item]:
    """Frames (160, 240) in which a disc drifts over texture and turns round at the borders."""
    rng = np.random.default_rng(seed)
    ground = scene(rng, (160, 240))
    colour = colour or tuple(int(v) for v in rng.integers(0, 255, 3))
    place, velocity = rng.uniform((50, 50), (110, 90)), rng.uniform(-4, 4, 2)
    items = []
    for _ in range(frames):
        image, (x, y) = ground.copy(), place.astype(int).tolist()
        disc(image, x, y, radius, colour)
        box = (float(x - radius), float(y - radius), *2 * (2.0 * radius + 1,))
        items.append(Item(image, box, outline_of_box(box)))
        place = place + velocity
        velocity = np.where((place < 20) | (place > (220, 140)), -velocity, velocity)
    return items
