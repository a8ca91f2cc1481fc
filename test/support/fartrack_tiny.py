# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""FARTrack as small as it can be, to train: all 15 layers, one head, a few tokens."""
from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import torch

from lorat_ros.networks.network import Network
from lorat_ros.training.method import Given
from lorat_ros.training.methods.fartrack_distill import (DistillMethod, DistillSettings,
                                                         published_draws)
from lorat_ros.training.recipe import TrainConfig

DRAWS = replace(published_draws(), template_size=32, search_size=64)
SETTINGS = DistillSettings(width=64, draws=DRAWS, drop_path=0.0)
#: The same on the command line.
SET = ('width=64', 'draws.template_size=32', 'draws.search_size=64')


def train_config(**changes) -> TrainConfig:
    return TrainConfig(**{'steps': 3, 'batch': 4, 'schedule': 'stair', 'warmup_steps': 0,
                          'precision': 'fp32', 'ema': 0.0, 'beta2': 0.999, **changes})


def distill_method(start: Path | None = None, **changes) -> DistillMethod:
    """The first stages on a tiny network."""
    torch.manual_seed(0)
    return DistillMethod(replace(SETTINGS, **changes), Given(start=start))


def stir(network: Network, factor: float = 6.0) -> Network:
    """Make weights so large that every layer changes what is said."""
    with torch.no_grad():
        for parameter in network.parameters():
            if parameter.ndim > 1:
                parameter.mul_(factor)
    return network


def distilled_file(folder: Path) -> Path:
    """A file as the stage distill leaves it, of stirred weights."""
    method = distill_method()
    stir(method.objective.network)
    path = folder / method.product
    method.write(method.objective.network, path, {'step': 0})
    return path
