# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
LiteTrack (Wei et al., LiteTrack: Layer Pruning with Asynchronous Feature Extraction for
Lightweight and Efficient Visual Tracking, ICRA 2024): the first blocks of a CAE transformer, of
which the last ones let the search region look at the template, and a convolutional centre head.

Written from the published description; names of parameters are those of the official
checkpoints. The template goes through all blocks by itself, so everything that the search region
ever reads of it, one set of keys and values per interaction layer, is made once per target.
"""
from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from lorat_ros.models.catalog import SOURCES
from lorat_ros.networks import vit
from lorat_ros.networks.checkpoints import check_tensors, CheckpointError
from lorat_ros.networks.litetrack_layers import Block, Head, TargetToken
from lorat_ros.networks.network import Variant

PATCH = 16
HEAD_WIDTH = 64      # dimensions of an attention head, in every variant and in CAE
#: In official checkpoints, read by nothing at inference: neither needed nor kept.
UNUSED = ('backbone.pos_embed', 'backbone.cls_token')


@dataclass(frozen=True)
class LiteTrackConfig:
    """Sizes of a LiteTrack network; sides in pixels, multiples of the patch of 16."""

    depth: int                    # blocks
    interaction: int              # of them, the last so many look at the template
    width: int = 768
    heads: int = 12
    hidden: int = 3072            # of the feed-forward layers
    template_size: int = 128
    search_size: int = 256

    def __post_init__(self) -> None:
        if not 1 <= self.interaction <= self.depth:
            raise ValueError(f'interaction is {self.interaction} with depth {self.depth}: give 1 '
                             'to as many as there are blocks')
        for name in ('template_size', 'search_size'):
            if getattr(self, name) % PATCH or getattr(self, name) < PATCH:
                raise ValueError(f'{name} is {getattr(self, name)}: give a multiple of {PATCH}')
        if self.heads < 1 or self.width % self.heads:
            raise ValueError(f'width is {self.width} and heads {self.heads}: give a width that is '
                             f'a multiple of the heads, which have {HEAD_WIDTH} each')

    @property
    def template_grid(self) -> int:
        """Cells along one side of the template."""
        return self.template_size // PATCH

    @property
    def search_grid(self) -> int:
        """Cells along one side of the search region."""
        return self.search_size // PATCH


VARIANTS = {'litetrack-b4': LiteTrackConfig(4, 2), 'litetrack-b6': LiteTrackConfig(6, 3),
            'litetrack-b8': LiteTrackConfig(8, 3), 'litetrack-b9': LiteTrackConfig(9, 3)}
#: Multiply-adds a frame of the authors' code, the template's features made beforehand.
PUBLISHED_MACS = {'litetrack-b4': 9_810_000_000, 'litetrack-b6': 13_811_000_000,
                  'litetrack-b8': 17_637_000_000, 'litetrack-b9': 19_549_000_000}


class LiteTrack(nn.Module):
    """The network in two stages: ``template`` once per target, ``search`` once per frame."""

    outputs = {'template': ('template_keys', 'template_values'),
               'search': ('score', 'size', 'offset')}
    hands_over = {'template': outputs['template']}

    def __init__(self, config: LiteTrackConfig) -> None:
        """Build it without weights worth anything."""
        super().__init__()
        self.config = config
        self.backbone = backbone = nn.Module()
        for name, cells in (('z', config.template_grid ** 2), ('x', config.search_grid ** 2)):
            position = nn.Parameter(torch.zeros(1, cells, config.width))
            backbone.register_parameter(f'pos_embed_{name}', position)
        backbone.patch_embed = nn.Module()
        backbone.patch_embed.proj = nn.Conv2d(3, config.width, PATCH, PATCH)
        backbone.blocks = nn.ModuleList(Block(config.width, config.heads, config.hidden)
                                        for _ in range(config.depth))
        self.target_token_embed = TargetToken(config.width)
        self.box_head = Head(config.width)

    @classmethod
    def from_settings(cls, settings: Mapping[str, Any]) -> LiteTrack:
        """Build it as ``model.json`` describes it, with weights still to be loaded."""
        return cls(LiteTrackConfig(**settings))

    def settings(self) -> dict[str, Any]:
        """Describe it for ``model.json``."""
        return asdict(self.config)

    def example_inputs(self) -> dict[str, dict[str, torch.Tensor]]:
        """Inputs of either stage, with batch 1."""
        config = self.config
        memory = (1, config.interaction, config.heads, config.template_grid ** 2,
                  config.width // config.heads)
        return {'template': {'image': torch.randn(1, 3, *2 * [config.template_size]),
                             'target_box': torch.tensor([[0.25, 0.3, 0.75, 0.7]])},
                'search': {'image': torch.randn(1, 3, *2 * [config.search_size]),
                           'template_keys': torch.randn(memory),
                           'template_values': torch.randn(memory)}}

    @classmethod
    def variants(cls) -> dict[str, Variant]:
        """Every variant by name; see ``network.Importable``."""
        return {name: Variant(asdict(config), about_of(config, name))
                for name, config in VARIANTS.items()}

    @classmethod
    def recognise(cls, tensors: Mapping[str, torch.Tensor]) -> tuple[str, ...]:
        """Tell the variant of a checkpoint by its blocks; see ``network.Importable``."""
        if not any(name.startswith('target_token_embed.') for name in tensors):
            return ()
        depth = len({name.split('.')[2] for name in tensors
                     if name.startswith('backbone.blocks.')})
        found = [name for name, config in VARIANTS.items() if config.depth == depth]
        if not found:
            known = ', '.join(f'{config.depth} ({name})' for name, config in VARIANTS.items())
            raise CheckpointError(f'the file looks like LiteTrack, but has {depth} blocks, '
                                  f'expected {known}: give a file that its authors published')
        _check(found[0], tensors)
        return tuple(found)

    @classmethod
    def base_files(cls, variant: str) -> None:
        """Return None: its checkpoints are complete."""

    @classmethod
    def assemble(cls, variant: str, tensors: Mapping[str, torch.Tensor],
                 base: Path | None) -> tuple[LiteTrack, dict[str, Any]]:
        """Make the network of a variant; see ``network.Importable``."""
        if base is not None:
            raise CheckpointError(f'{variant} builds upon no other file, yet {base} was given: '
                                  'leave out --base')
        _check(variant, tensors)
        config = replace(VARIANTS[variant], **sizes_of(tensors))
        with torch.device('meta'):
            network = cls(config)
        network.load_state_dict(
            {name: torch.tensor(0) if _counts(name) else tensors[name].float().contiguous()
             for name in network.state_dict()}, assign=True)
        return network.eval(), about_of(config, variant)

    def embed_template(self, image: torch.Tensor) -> torch.Tensor:
        """Template (N, 3, T, T), normalised RGB, to tokens (N, cells, D)."""
        backbone = self.backbone
        return vit.patch_tokens(image, backbone.patch_embed.proj) + backbone.pos_embed_z

    def add_target(self, tokens: torch.Tensor, target_box: torch.Tensor) -> torch.Tensor:
        """
        Put the target token before a template's tokens; it has no position.

        :param target_box: (N, 4); see ``template``.
        """
        return torch.cat([self.target_token_embed(target_box).unsqueeze(1), tokens], 1)

    def embed_search(self, image: torch.Tensor) -> torch.Tensor:
        """Search region (N, 3, S, S), normalised RGB, to tokens (N, cells, D)."""
        backbone = self.backbone
        return vit.patch_tokens(image, backbone.patch_embed.proj) + backbone.pos_embed_x

    def encode_template(self, tokens: torch.Tensor) -> torch.Tensor:
        """
        Let a template go through all blocks by itself.

        :param tokens: (N, L, D) of ``embed_template``, with or without the target token.
        :returns: features (N, cells, D), the target token left out.
        """
        for block in self.backbone.blocks:
            tokens = block(tokens)
        return tokens[:, -self.config.template_grid ** 2:]

    def memory_of(self, features: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """
        Make the keys and values of a template in every interaction layer.

        All of them read the same features, those of the last block.

        :param features: (N, cells, D) from ``encode_template``.
        :returns: keys and values, each (N, layers, heads, cells, D / heads).
        """
        layers = [block.attn.memory(block.norm1(features))
                  for block in self.backbone.blocks[-self.config.interaction:]]
        keys, values = (torch.stack([layer[k] for layer in layers], 1) for k in (0, 1))
        return keys, values

    def template(self, image: torch.Tensor, target_box: torch.Tensor
                 ) -> tuple[torch.Tensor, torch.Tensor]:
        """
        Do all that is ever done with the template.

        :param image: (N, 3, T, T) normalised RGB.
        :param target_box: (N, 4) x1, y1, x2, y2 of the target in units of the crop, not clipped.
        :returns: keys and values; see ``memory_of``.
        """
        tokens = self.add_target(self.embed_template(image), target_box)
        return self.memory_of(self.encode_template(tokens))

    def search(self, image: torch.Tensor, template_keys: torch.Tensor,
               template_values: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """
        Find the template in a search region.

        :param image: (N, 3, S, S) normalised RGB.
        :param template_keys: (N, layers, heads, cells, D / heads) from ``template``.
        :param template_values: likewise.
        :returns: score (N, G, G), a probability and no logit, from 1e-4 to 1 - 1e-4; size
            (N, 2, G, G): w and h in units of the search region, in the same range; offset
            (N, 2, G, G): centre x and y from the cell's corner in cells, not limited; G = S/16.
        """
        x, first = self.embed_search(image), self.config.depth - self.config.interaction
        for k, block in enumerate(self.backbone.blocks):
            x = block(x) if k < first else block(x, template_keys[:, k - first],
                                                 template_values[:, k - first])
        grid = self.config.search_grid
        return self.box_head(x.transpose(1, 2).reshape(x.shape[0], -1, grid, grid))

    def forward(self, template: torch.Tensor, target_box: torch.Tensor, search: torch.Tensor
                ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Run both stages; shapes as there."""
        return self.search(search, *self.template(template, target_box))


def sizes_of(tensors: Mapping[str, torch.Tensor]) -> dict[str, int]:
    """
    Read a checkpoint's width, heads, hidden, template_size and search_size off its tensors.

    :raises CheckpointError: no network has such sizes.
    """
    sizes = {}
    for name, tensor, axis in (('width', 'patch_embed.proj.bias', 0),
                               ('hidden', 'blocks.0.mlp.fc1.bias', 0),
                               ('template_size', 'pos_embed_z', 1),
                               ('search_size', 'pos_embed_x', 1)):
        found = tensors.get(f'backbone.{tensor}')
        if found is not None and found.ndim > axis:
            shape = found.shape
            sizes[name] = PATCH * math.isqrt(shape[1]) if axis else shape[0]
    if 'width' in sizes:
        sizes['heads'] = sizes['width'] // HEAD_WIDTH
    try:
        LiteTrackConfig(1, 1, **sizes)
    except ValueError as error:
        raise CheckpointError(f'this is no checkpoint of LiteTrack: {error}') from None
    return sizes


def _counts(name: str) -> bool:
    """Whether a tensor only counts the batches of training."""
    return name.endswith('num_batches_tracked')


def _check(variant: str, tensors: Mapping[str, torch.Tensor]) -> None:
    """Check that a checkpoint holds all that a variant reads, and nothing unknown."""
    # Of whatever sizes it is: a training run of one's own may have chosen others.
    with torch.device('meta'):
        state = LiteTrack(replace(VARIANTS[variant], **sizes_of(tensors))).state_dict()
    check_tensors({name: value for name, value in tensors.items()
                   if name not in UNUSED and not _counts(name)},
                  {name: tuple(value.shape) for name, value in state.items()
                   if not _counts(name)}, f'a checkpoint of {variant}')


def about_of(config: LiteTrackConfig, variant: str | None = None) -> dict[str, Any]:
    """
    What ``model.json`` says of a network.

    :param variant: name of the published one whose depth it has; None: of another depth.
    """
    name = (variant or f'b{config.depth}').removeprefix('litetrack-')
    published = {} if variant is None or config != VARIANTS[variant] else {
        'published_macs': PUBLISHED_MACS[variant]}
    return {'variant': name,
            'sizes': {'template': config.template_size, 'search': config.search_size,
                      'template_factor': 2.0, 'search_factor': 4.0},
            'postprocessing': {'margin': 10.0},
            # The authors never call a target lost. The score is trained towards 1 at the centre
            # of the target and towards 0 elsewhere. Not calibrated.
            'score': {'lost': 0.3, 'recover': 0.5},
            'licence': str(SOURCES['litetrack']), **published}
