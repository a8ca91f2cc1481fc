# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
LiteTrack cut out of a heavier checkpoint and trained on (Wei et al., ICRA 2024).

Losses, sampling and rates of learning are the published ones. One thing is not: the published
training leaves the target token out, though the published tracker uses it, so that it acts with
random weights. Here the network is trained as it is run, and the token learns, too.
"""
from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Optional

import torch
from torch import distributed, nn

from lorat_ros.models.bundle import read_bundle
from lorat_ros.networks.checkpoints import read_checkpoint
from lorat_ros.networks.export import export_bundle
from lorat_ros.networks.importing import verify
from lorat_ros.networks.litetrack import (about_of, HEAD_WIDTH, LiteTrack, LiteTrackConfig,
                                          VARIANTS)
from lorat_ros.networks.litetrack_cut import cut_out
from lorat_ros.training.cell_losses import cell_losses
from lorat_ros.training.drop_path import DropPath, rates
from lorat_ros.training.method import Arrays, decayed_apart, Given, TrainError
from lorat_ros.training.pool import Pool
from lorat_ros.training.square_draws import as_inputs, SquareConfig, SquareDraws, without_luck

NORMS = ('batch', 'frozen')


@dataclass(frozen=True)
class Sizes:
    """Of the network; other than these are not the published ones. Sides in pixels."""

    width: int = 768
    hidden: int = 3072            # of the feed-forward layers
    template_size: int = 128      # multiples of 16
    search_size: int = 256
    depth: int = 0                # blocks, where --variant does not say; see ``config_of``


@dataclass(frozen=True)
class LiteTrackSettings:
    """What a recipe may say."""

    network: Sizes = field(default_factory=Sizes)
    draws: SquareConfig = field(default_factory=SquareConfig)
    drop_path: float = 0.1        # of the last block; before it, rising evenly from 0
    backbone_rate: float = 0.1    # of the learning rate; head and target token have all of it
    head_norm: str = 'batch'      # statistics of the head's norms: of the samples that pass at
                                  # once, or 'frozen' as in the checkpoint (for few samples)

    def __post_init__(self) -> None:
        if self.head_norm not in NORMS:
            raise ValueError(f'head_norm is {self.head_norm!r}: give one of {", ".join(NORMS)}')
        if not 0 <= self.drop_path < 1:
            raise ValueError(f'drop_path is {self.drop_path}: give 0 or more, below 1')
        if self.draws.templates != 1:
            raise ValueError(f'draws.templates is {self.draws.templates}: LiteTrack has 1')


class LiteTrackObjective(nn.Module):
    """Losses of pairs, the network run as the tracker runs it: template, then search."""

    def __init__(self, network: LiteTrack, frozen_norms: bool) -> None:
        super().__init__()
        self.network, self.frozen_norms = network, frozen_norms

    def train(self, mode: bool = True) -> LiteTrackObjective:
        """Go into training or out of it; frozen norms stay out."""
        super().train(mode)
        for module in self.network.modules():
            if self.frozen_norms and isinstance(module, nn.BatchNorm2d):
                module.eval()
        return self

    def forward(self, batch: Mapping[str, torch.Tensor], counts: Mapping[str, float]
                ) -> dict[str, torch.Tensor]:
        """See ``lorat_ros.training.method.Objective``."""
        score, size, offset = self.network(
            as_inputs(batch['template'][:, 0]), batch['template_box'][:, 0],
            as_inputs(batch['search']))
        return cell_losses(score, size, offset, batch['box'], counts)


def config_of(settings: LiteTrackSettings, variant: Optional[str]) -> LiteTrackConfig:
    """
    Sizes of the network that is asked for.

    A network of a depth that was not published gets half its blocks for interaction, at most
    three, as the published ones have.

    :raises TrainError: none or two are, or the samples are of other sizes.
    """
    sizes = asdict(settings.network)
    depth = sizes.pop('depth')
    if (depth > 0) == (variant is not None):
        said = f'--variant {variant} and network.depth={depth} are both given' if depth else \
            'no network is asked for'
        raise TrainError(f'{said}: give either --variant, one of {", ".join(VARIANTS)}, or '
                         'network.depth')
    if variant not in (None, *VARIANTS):
        raise TrainError(f'--variant {variant} is no LiteTrack: give one of {", ".join(VARIANTS)}')
    blocks = VARIANTS[variant] if variant else LiteTrackConfig(depth, max(1, min(3, depth // 2)))
    config = replace(blocks, heads=sizes['width'] // HEAD_WIDTH, **sizes)
    for name in ('template_size', 'search_size'):
        if getattr(settings.draws, name) != getattr(config, name):
            raise TrainError(f'draws.{name} is {getattr(settings.draws, name)} and the one of '
                             f'the network {getattr(config, name)}: give both the same')
    return config


class LiteTrackMethod:
    """Cut and train; see ``lorat_ros.training.method.Method``."""

    Settings = LiteTrackSettings
    product = 'litetrack.pth.tar'

    def __init__(self, settings: LiteTrackSettings, given: Given) -> None:
        self.settings, self.variant = settings, given.variant
        self.config = config_of(settings, given.variant)
        if given.base is not None:
            raise TrainError(f'--base {given.base}: nothing of LiteTrack stays frozen; give what '
                             'it is cut out of with --from')
        if given.start is None:
            raise TrainError('--from is missing: LiteTrack is cut out of a heavier checkpoint. '
                             'Give one of a LiteTrack with at least as many blocks, or CAE-Base '
                             '(cae_base.pth)')
        network, self.cut = cut_out(given.start, self.config)
        fresh = sum(name.startswith('box_head.') for name in self.cut.new)
        if fresh and settings.head_norm == 'frozen':
            raise TrainError(f'head_norm is frozen, yet {given.start} has no head of this kind '
                             f'({fresh} of its tensors begin anew): give --set head_norm=batch')
        if not distributed.is_initialized() or distributed.get_rank() == 0:
            print('\n'.join(self.cut.lines()), flush=True)
        for block, rate in zip(network.backbone.blocks,
                               rates(settings.drop_path, self.config.depth)):
            block.drop_path = DropPath(rate)
        self.objective = LiteTrackObjective(network, settings.head_norm == 'frozen')

    def draws(self, pool: Pool) -> SquareDraws:
        """Pairs as published."""
        return SquareDraws(pool, self.settings.draws)

    def probes(self, pool: Pool) -> SquareDraws:
        """Pairs whose pictures are as they are."""
        return SquareDraws(pool, without_luck(self.settings.draws))

    def counts(self, batch: Arrays) -> dict[str, float]:
        """Samples."""
        return {'samples': len(batch['box'])}

    def groups(self, weight_decay: float) -> list[dict[str, Any]]:
        """Everything is decayed, the backbone learns more slowly."""
        return decayed_apart(
            self.objective.network, weight_decay, lambda name, p: False,
            lambda name: self.settings.backbone_rate if name.startswith('backbone.') else 1.0)

    def blocks(self) -> Sequence[nn.Module]:
        """The transformer's; the head's batch norms must not see a batch twice."""
        return list(self.objective.network.backbone.blocks)

    def identity(self) -> dict[str, Any]:
        """The sizes of the network."""
        return {'method': 'litetrack', **asdict(self.config)}

    def write(self, network: LiteTrack, path: Path, about: Mapping[str, Any]) -> None:
        """Write a file as LiteTrack's authors do: the network under 'net', by their names."""
        torch.save({'net': {name: value.detach().cpu() for name, value
                            in network.state_dict().items()},
                    'train': {'network': asdict(self.config), 'cut': self.cut.lines(), **about}},
                   path)

    def export(self, product: Path, bundle: Path, about: Mapping[str, Any],
               clip: Callable[[], Any]) -> None:
        """Make a bundle, and let both follow a target through real frames."""
        network = LiteTrack(self.config)
        network.load_state_dict(dict(read_checkpoint(product).tensors))
        frames = clip()
        more = {'provenance': {**about.get('provenance', {}), 'cut': self.cut.lines()}}
        export_bundle(network.eval(), bundle,
                      {'name': bundle.name, 'family': 'litetrack',
                       **about_of(self.config, self.variant), **about, **more},
                      lambda part: verify(read_bundle(part), network, frames).check())
