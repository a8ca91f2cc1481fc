# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
LoRAT (Lin et al., Tracking Meets LoRA, ECCV 2024): LoRA upon a frozen DINOv2 base.

Losses, sampling, weight decay and what begins how are the published ones. The published code
drops, at rates over 0.1, an exact share of a batch from a branch; here samples are dropped by
chance at any rate, so that small parts of a step are dropped as the whole would be.
"""
from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Optional

import torch
from torch import nn

from lorat_ros.models.bundle import sha256_of
from lorat_ros.networks.lora import RANK, scaling_of
from lorat_ros.networks.lorat import is_trained, Lorat
from lorat_ros.networks.lorat_variants import (drop_path_of, LoratConfig, OWN, SEARCH_FACTOR,
                                               search_factor_of, TEMPLATE_FACTOR, VARIANTS)
from lorat_ros.tracking.family import CropSizes
from lorat_ros.training import lorat_files as files
from lorat_ros.training.drop_path import DropPath
from lorat_ros.training.method import Arrays, decayed_apart, Given, TrainError
from lorat_ros.training.pool import Pool
from lorat_ros.training.published_losses import published_losses
from lorat_ros.training.published_pairs import PublishedConfig, PublishedPairs, without_luck
from lorat_ros.training.square_draws import as_inputs

ADAPT = ('lora', 'full')


@dataclass(frozen=True)
class Sizes:
    """Of a network that is none of the published variants; depth 0: it is one of them."""

    width: int = 384
    depth: int = 0
    heads: int = 6
    hidden: int = 1536            # of the feed-forward layers
    feed_forward: str = 'mlp'     # or 'swiglu'
    template_size: int = 112      # pixels, multiples of 14
    search_size: int = 224
    search_factor: float = SEARCH_FACTOR      # how many times the target the search region spans


@dataclass(frozen=True)
class LoratSettings:
    """What a recipe may say."""

    adapt: str = 'lora'           # or 'full': all weights are trained
    rank: int = RANK              # of the adapters
    alpha: int = RANK             # alpha / rank scales their products
    drop_path: float = -1.0       # in every block; below 0: as published (L 0.1, g 0.4, else 0)
    base_rate: float = 1.0        # of the learning rate, for the base's own weights ('full')
    network: Sizes = field(default_factory=Sizes)
    draws: PublishedConfig = field(default_factory=PublishedConfig)

    def __post_init__(self) -> None:
        if self.adapt not in ADAPT:
            raise ValueError(f'adapt is {self.adapt!r}: give one of {", ".join(ADAPT)}')
        for name in ('rank', 'alpha'):
            if getattr(self, name) < 1:
                raise ValueError(f'{name} is {getattr(self, name)}: give 1 or more')
        if not self.drop_path < 1:
            raise ValueError(f'drop_path is {self.drop_path}: give less than 1')
        if not 0 < self.base_rate <= 1:
            raise ValueError(f'base_rate is {self.base_rate}: give more than 0, at most 1')


class LoratObjective(nn.Module):
    """Losses of pairs, the network run as the tracker runs it."""

    def __init__(self, network: Lorat) -> None:
        super().__init__()
        self.network = network

    def forward(self, batch: Mapping[str, torch.Tensor], counts: Mapping[str, float]
                ) -> dict[str, torch.Tensor]:
        """See ``lorat_ros.training.method.Objective``."""
        logits, boxes = self.network(as_inputs(batch['template']), batch['mask'],
                                     as_inputs(batch['search']))
        return published_losses(logits, boxes, batch, counts)


def wanted_of(settings: LoratSettings, variant: Optional[str]) -> files.Wanted:
    """
    The network that is asked for.

    :raises TrainError: none or two are, or it cannot be built.
    """
    sizes = asdict(settings.network)
    factor, depth = sizes.pop('search_factor'), settings.network.depth
    if (depth > 0) == (variant is not None):
        said = f'--variant {variant} and network.depth={depth} are both given' if depth else \
            'no network is asked for'
        raise TrainError(f'{said}: give either --variant, one of {", ".join(VARIANTS)}, or '
                         'network.depth and the other sizes of a base of your own')
    if variant is None:
        config = LoratConfig(**sizes)
        try:
            config.check()
        except ValueError as error:
            raise TrainError(f'network.{error}') from None
        if not factor >= 1:
            raise TrainError(f'network.search_factor is {factor}: give 1 or more')
        return files.Wanted(config, None, factor)
    name = variant.lower()
    if name not in VARIANTS:
        raise TrainError(f'--variant {variant} is no LoRAT: give one of {", ".join(VARIANTS)}')
    return files.Wanted(VARIANTS[name], name, search_factor_of(name))


def skip_branches(network: Lorat, rate: float) -> None:
    """Let both branches of every block be skipped in training, at one rate."""
    def hook(module: nn.Module, inputs: tuple[Any, ...], output: torch.Tensor) -> torch.Tensor:
        return DropPath(rate).train(module.training)(output)
    for block in network.blocks:
        for branch in (block.ls1, block.ls2):
            branch.register_forward_hook(hook)


class LoratMethod:
    """LoRA or all weights; see ``lorat_ros.training.method.Method``."""

    Settings = LoratSettings

    def __init__(self, settings: LoratSettings, given: Given) -> None:
        self.settings, self.wanted = settings, wanted_of(settings, given.variant)
        self.rank = settings.rank if settings.adapt == 'lora' else 0
        self.scaling = scaling_of(settings.alpha, settings.rank)
        self.product = 'delta.safetensors' if self.rank else 'full.safetensors'
        source = files.source_of(self.wanted, given.base, given.start)
        self.base = source.base
        network = files.build_adapted(self.wanted, source, self.rank, self.scaling) if self.rank \
            else files.build_whole(self.wanted, source)
        rate = settings.drop_path
        if rate < 0:
            rate = drop_path_of(self.wanted.variant) if self.wanted.variant else 0.0
        if rate:
            skip_branches(network, rate)
        self.objective = LoratObjective(network)
        self._sha256 = sha256_of(self.base)

    @property
    def sizes(self) -> CropSizes:
        """Of the crops."""
        config = self.wanted.config
        return CropSizes(config.template_size, config.search_size, TEMPLATE_FACTOR,
                         self.wanted.search_factor)

    def draws(self, pool: Pool) -> PublishedPairs:
        """Pairs as published."""
        return PublishedPairs(pool, self.sizes, self.settings.draws)

    def probes(self, pool: Pool) -> PublishedPairs:
        """Pairs whose pictures are as they are, and whose targets are there."""
        return PublishedPairs(pool, self.sizes, without_luck(self.settings.draws))

    def counts(self, batch: Arrays) -> dict[str, float]:
        """Cells that targets touch, and samples whose target is there."""
        return {name: int(batch[name].sum()) for name in ('positive', 'present')}

    def groups(self, weight_decay: float) -> list[dict[str, Any]]:
        """Vectors, embeddings and what reads a single score are not decayed."""
        return decayed_apart(
            self.objective.network, weight_decay,
            lambda name, p: p.ndim < 2 or 'embed' in name or p.shape[0] == 1,
            lambda name: 1.0 if is_trained(name) else self.settings.base_rate)

    def blocks(self) -> Sequence[nn.Module]:
        """The transformer's."""
        return list(self.objective.network.blocks)

    def identity(self) -> dict[str, Any]:
        """The network, what of it is trained, and upon which base."""
        return {'method': 'lorat', **asdict(self.wanted.config),
                'variant': self.wanted.variant or OWN, 'rank': self.rank,
                'scaling': self.scaling if self.rank else 1.0, 'base': self._sha256}

    def write(self, network: Lorat, path: Path, about: Mapping[str, Any]) -> None:
        """Write the delta as LoRAT's authors do, or the whole network; see ``lorat_files``."""
        files.write(network, path, self.rank, self.scaling, {**self.identity(), **about})

    def export(self, product: Path, bundle: Path, about: Mapping[str, Any],
               clip: Callable[[], Any]) -> None:
        """Merge and make a bundle, and let torch and ONNX Runtime follow a target through it."""
        recipe = {'adapt': self.settings.adapt, 'alpha': self.settings.alpha}
        files.export(self.wanted, product, self.base if self.rank else None, bundle,
                     {**about, 'provenance': {**recipe, **about.get('provenance', {})}}, clip)
