# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Kestrel from scratch."""
from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from lorat_ros.networks import kestrel_bundle
from lorat_ros.networks.efficient_stem import EfficientStem
from lorat_ros.networks.kestrel import Kestrel, KestrelConfig
from lorat_ros.tracking.kestrel import IMAGE_MEAN, IMAGE_SCALE
from lorat_ros.training.losses import centre_losses
from lorat_ros.training.method import Arrays, decayed_apart, Given, TrainError
from lorat_ros.training.pairs import PairConfig, PairSampler
from lorat_ros.training.pool import Pool


LEARNT_BEFORE = 0.1     # of the learning rate, for what was trained to classify


@dataclass(frozen=True)
class KestrelSettings:
    """What a recipe may say."""

    network: KestrelConfig = field(default_factory=KestrelConfig)
    pairs: PairConfig = field(default_factory=PairConfig)

    def __post_init__(self) -> None:
        for name in ('search_size', 'template_size'):
            if getattr(self.network, name) != getattr(self.pairs, name):
                raise ValueError(f'network.{name} is {getattr(self.network, name)} and pairs.'
                                 f'{name} {getattr(self.pairs, name)}: give both the same')


def normalised(image: torch.Tensor) -> torch.Tensor:
    """Crops (N, S, S, 3) uint8 BGR to (N, 3, S, S) float32 as the tracker's family makes them."""
    mean = torch.from_numpy(IMAGE_MEAN).to(image.device)
    scaled = (image.float() - mean) * float(IMAGE_SCALE)
    # Permuting channels-last data gives channels-last memory: what the convolutions want.
    return scaled.flip(3).permute(0, 3, 1, 2)


class KestrelObjective(nn.Module):
    """Centre losses of pairs."""

    def __init__(self, network: Kestrel) -> None:
        super().__init__()
        self.network = network.to(memory_format=torch.channels_last)

    def forward(self, batch: Mapping[str, torch.Tensor], counts: Mapping[str, float]
                ) -> dict[str, torch.Tensor]:
        """See ``lorat_ros.training.method.Objective``."""
        logits, boxes = self.network(normalised(batch['template']), batch['mask'],
                                     normalised(batch['search']))
        return centre_losses(logits, boxes, batch['box'], batch['present'], counts)


class KestrelMethod:
    """Kestrel from scratch; see ``lorat_ros.training.method.Method``."""

    Settings = KestrelSettings
    product = 'kestrel.pt'

    def __init__(self, settings: KestrelSettings, given: Given) -> None:
        for name in ('variant', 'base'):
            if getattr(given, name) is not None:
                raise TrainError(f'--{name} {getattr(given, name)}: Kestrel is trained from '
                                 'scratch and takes none; its sizes are network.width and so on')
        self.settings = settings
        if given.start is None:
            if settings.network.stem == 'efficient':      # most of it would stay as chance made it
                raise TrainError('a Kestrel whose network.stem is efficient begins with what a '
                                 'classifier has learnt: give --from what python -m '
                                 'lorat_ros.training.graft has written')
            network = Kestrel(settings.network)
        else:
            network, _ = kestrel_bundle.load_checkpoint(given.start)
            if network.config != settings.network:
                raise TrainError(f'{given.start} is of a network with {network.config}, asked '
                                 f'for is {settings.network}: give the same sizes')
        if isinstance(network.stem, EfficientStem):
            network.stem.freeze()
        self.objective = KestrelObjective(network)

    def draws(self, pool: Pool) -> PairSampler:
        """Pairs as the recipe says."""
        return PairSampler(pool, self.settings.pairs)

    def probes(self, pool: Pool) -> PairSampler:
        """Pairs whose target is there."""
        return PairSampler(pool, replace(self.settings.pairs, texture=0.0, absent=0.0,
                                         dyed=0.0))

    def counts(self, batch: Arrays) -> dict[str, float]:
        """Samples, and of them those whose target is there."""
        return {'samples': len(batch['present']), 'present': int(np.sum(batch['present']))}

    def groups(self, weight_decay: float) -> list[dict[str, Any]]:
        """Vectors and embeddings are not decayed."""
        return decayed_apart(self.objective.network, weight_decay, lambda name, p:
                             p.ndim < 2 or 'position' in name or 'embedding' in name,
                             lambda name: LEARNT_BEFORE if 'stem.blocks' in name else 1.0)

    def blocks(self) -> Sequence[nn.Module]:
        """The transformer's; the stem's batch norms must not see a batch twice."""
        return list(self.objective.network.blocks)

    def identity(self) -> dict[str, Any]:
        """The sizes of the network."""
        return {'method': 'kestrel', **self.settings.network.as_dict()}

    def write(self, network: Kestrel, path: Path, about: Mapping[str, Any]) -> None:
        """Write the network, its sizes and what it was shown."""
        kestrel_bundle.save_checkpoint(network, path, asdict(self.settings.pairs), about)

    def export(self, product: Path, bundle: Path, about: Mapping[str, Any],
               clip: Callable[[], Any]) -> None:
        """See ``kestrel_bundle``; it is proven on random inputs, every stage by itself."""
        kestrel_bundle.export_checkpoint(product, bundle, about)
