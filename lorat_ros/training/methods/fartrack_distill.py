# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
FARTrack's first two stages (ICLR 2026): frame by frame ('base'), then layer by layer into itself.

In the stage 'distill' the network answers after every layer from the fifth on, and each answer
learns of the truth and of the next deeper one. Afterwards the network cut off after any of these
layers is a tracker.
"""
from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from lorat_ros.networks.fartrack import FarTrack
from lorat_ros.networks.fartrack_variants import BLOCKS, FarTrackConfig
from lorat_ros.training import fartrack_files as files
from lorat_ros.training.drop_path import DropPath, rates
from lorat_ros.training.fartrack_words import (levels_of, sequence_of, template_tokens,
                                               word_losses)
from lorat_ros.training.method import Arrays, Given, TrainError
from lorat_ros.training.pool import Pool
from lorat_ros.training.square_draws import as_inputs, SquareConfig, SquareDraws, without_luck

SLOTS = 5            # templates that the network takes
STAGES = ('base', 'distill')


def published_draws() -> SquareConfig:
    """Samples as both stages are trained with; the gap is that of 'distill' ('base': 300)."""
    return SquareConfig(template_size=112, search_size=224, templates=SLOTS, frame_gap=200,
                        search_centre=3.5, search_scale=0.5, lone_flip=0.5)


@dataclass(frozen=True)
class Weights:
    """Of the losses in the total, as published (the weight 100 of 'kl' there is not used)."""

    siou: float = 2.0
    ce: float = 2.0
    kl: float = 0.01


@dataclass(frozen=True)
class DistillSettings:
    """What a recipe may say."""

    stage: str = 'distill'        # of STAGES; 'base' hears the last layer alone
    first: int = 5                # layers before the first answer
    depth: int = files.LAYERS     # of the bundle that is made, where --variant does not say
    width: int = 192              # of the network; its other sizes are those of the draws
    draws: SquareConfig = field(default_factory=published_draws)
    weights: Weights = field(default_factory=Weights)
    drop_path: float = 0.1        # of the last block; before it, rising evenly from 0
    backbone_rate: float = 1.0    # of the learning rate ('base': 0.1)

    def __post_init__(self) -> None:
        if self.stage not in STAGES:
            raise ValueError(f'stage is {self.stage!r}: give one of {", ".join(STAGES)}')
        if not 1 <= self.first < files.LAYERS:
            raise ValueError(f'first is {self.first}: give 1 to {files.LAYERS - 1} layers')
        if not self.first <= self.depth <= files.LAYERS:
            raise ValueError(f'depth is {self.depth}: give {self.first} to {files.LAYERS} layers, '
                             'for a network that ends before never learns to answer')
        if not 0 <= self.drop_path < 1:
            raise ValueError(f'drop_path is {self.drop_path}: give 0 or more, below 1')
        if self.draws.templates != SLOTS:
            raise ValueError(f'draws.templates is {self.draws.templates}: FARTrack has {SLOTS}')


class DistillObjective(nn.Module):
    """What several depths of one network say, and what they should."""

    def __init__(self, network: FarTrack, settings: DistillSettings) -> None:
        super().__init__()
        self.network = network
        self.first = settings.first if settings.stage == 'distill' else files.LAYERS
        self.weights = asdict(settings.weights)

    def forward(self, batch: Mapping[str, torch.Tensor], counts: Mapping[str, float]
                ) -> dict[str, torch.Tensor]:
        """See ``lorat_ros.training.method.Objective``."""
        crops = batch['template']
        templates = as_inputs(crops.flatten(0, 1)).unflatten(0, crops.shape[:2])
        tokens = template_tokens(self.network, templates).flatten(1, 2)
        x = sequence_of(self.network, tokens, as_inputs(batch['search']))
        logits = levels_of(self.network, x, self.first)
        return word_losses(logits, batch['box'], counts, self.weights,
                           range(self.first, files.LAYERS + 1))


def drop_paths(network: FarTrack, highest: float) -> None:
    """Let a network's branches be skipped by chance: the extension begins from 0 anew."""
    rising = rates(highest, BLOCKS)
    for number, block in enumerate(network.layers):
        block.drop_path = DropPath(rising[number % BLOCKS])


class DistillMethod:
    """Frame by frame, or layer by layer; see ``lorat_ros.training.method.Method``."""

    Settings = DistillSettings

    def __init__(self, settings: DistillSettings, given: Given) -> None:
        self.settings = settings
        wanted = files.asked_for(given, settings.stage, settings.depth)
        if wanted.depth < settings.first and settings.stage == 'distill':
            raise TrainError(f'--variant {given.variant} has {wanted.depth} layers, and the first '
                             f'that answers is {settings.first}: give first={wanted.depth}')
        self.exported: FarTrackConfig = replace(
            wanted, width=settings.width, template_size=settings.draws.template_size,
            search_size=settings.draws.search_size)
        self.config = replace(self.exported, depth=files.LAYERS)
        network, self.rest = files.network_of(self.config,
                                              files.begin_with(given.start, self.config))
        drop_paths(network, settings.drop_path)
        self.product = f'{files.NAMES[settings.stage]}.pth.tar'
        self.objective = DistillObjective(network, settings)

    def draws(self, pool: Pool) -> SquareDraws:
        """Five templates and a later search crop."""
        return SquareDraws(pool, self.settings.draws)

    def probes(self, pool: Pool) -> SquareDraws:
        """Samples whose pictures are as they are."""
        return SquareDraws(pool, without_luck(self.settings.draws))

    def counts(self, batch: Arrays) -> dict[str, float]:
        """Samples."""
        return {'samples': len(batch['box'])}

    def groups(self, weight_decay: float) -> list[dict[str, Any]]:
        """See ``fartrack_files.groups``."""
        return files.groups(self.objective.network, weight_decay, self.settings.backbone_rate)

    def blocks(self) -> Sequence[nn.Module]:
        """All layers."""
        return self.objective.network.layers

    def identity(self) -> dict[str, Any]:
        """Stage and sizes; how deep the bundle is may be said anew."""
        return {'method': 'fartrack-distill', **asdict(self.config)}

    def write(self, network: FarTrack, path: Path, about: Mapping[str, Any]) -> None:
        """See ``fartrack_files.write_official``: a file of all depths."""
        files.write_official(network, self.rest, path, about)

    def export(self, product: Path, bundle: Path, about: Mapping[str, Any],
               clip: Callable[[], Any]) -> None:
        """Make a bundle of the depth that was asked for, and prove it on real frames."""
        files.export(product, self.exported, bundle, about, clip)
