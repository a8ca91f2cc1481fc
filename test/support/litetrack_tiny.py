# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""LiteTracks and a CAE of a few thousand weights, as checkpoint files."""
from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import torch

from lorat_ros.networks.litetrack import LiteTrack, LiteTrackConfig, VARIANTS
from lorat_ros.networks.untrained import randomise

SIZES = {'width': 64, 'hidden': 64, 'template_size': 32, 'search_size': 64}
LIGHT = replace(VARIANTS['litetrack-b4'], heads=1, **SIZES)
HEAVY = replace(VARIANTS['litetrack-b6'], heads=1, **SIZES)


def heavy_tensors(config: LiteTrackConfig = HEAVY) -> dict[str, torch.Tensor]:
    """Tensors of a checkpoint, those that no network reads included."""
    network = LiteTrack(config)
    randomise(network, 7)
    with torch.no_grad():
        for name, value in network.state_dict().items():
            if 'pos_embed' in name:
                value.normal_(std=0.2)
    return {**network.state_dict(), 'backbone.cls_token': torch.zeros(1, 1, config.width),
            'backbone.pos_embed': torch.zeros(1, 197, config.width)}


def write_heavy(folder: Path, config: LiteTrackConfig = HEAVY) -> Path:
    """Write a LiteTrack as its authors do."""
    path = folder / f'LiteTrack_{config.depth}.pth.tar'
    torch.save({'epoch': 1, 'net': heavy_tensors(config)}, path)
    return path


def write_cae(folder: Path, config: LiteTrackConfig = HEAVY, grid: int = 3) -> Path:
    """Write a CAE of the same width: an encoder, and more that no tracker wants."""
    named = {name.replace('backbone.', 'encoder.', 1): value
             for name, value in heavy_tensors(config).items()
             if name.startswith(('backbone.blocks.', 'backbone.patch_embed.'))}
    torch.manual_seed(3)
    named['encoder.pos_embed'] = torch.randn(1, grid * grid + 1, config.width)
    named['encoder.cls_token'] = torch.randn(1, 1, config.width)
    named['decoder.blocks.0.norm1.weight'] = torch.ones(config.width)
    path = folder / 'cae_tiny.pth'
    torch.save({'model': named}, path)
    return path


def own_sizes() -> list[str]:
    """What ``lorat train litetrack --set`` takes for them."""
    return [*(f'network.{name}={value}' for name, value in SIZES.items()),
            *(f'draws.{name}={value}' for name, value in SIZES.items() if name.endswith('size'))]
