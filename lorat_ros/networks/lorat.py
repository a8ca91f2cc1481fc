# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
LoRAT (Lin et al., Tracking Meets LoRA, ECCV 2024): a DINOv2 transformer that looks at template
and search region in one stream, with an anchor-free MLP head.

The network, and how it is put together from a DINOv2 base and LoRAT's own tensors. Written from
the published description; names of parameters are those of the official checkpoints.
"""
from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

from lorat_ros.networks import checkpoints, vit
from lorat_ros.networks.checkpoints import BaseNeeded, check_tensors, CheckpointError
from lorat_ros.networks.heads import MlpHead
from lorat_ros.networks.lora import adapted, merge, RANK, scaling_of, split_wrapped
from lorat_ros.networks.lorat_variants import (base_file, describe, LoratConfig, PATCH,
                                               search_factor_of, VARIANTS)
from lorat_ros.networks.network import Variant

__all__ = ['Lorat', 'LoratConfig', 'put_together', 'VARIANTS']

Tensors = Mapping[str, torch.Tensor]
Shapes = dict[str, tuple[int, ...]]

BASE_GRID = 37                                # DINOv2 was trained at 518 pixels
SCALARS = ('lora_alpha', 'use_rslora')        # of the checkpoint format of 2024
LEFT_OUT = ('cls_token', 'mask_token')        # of DINOv2
FEED_FORWARD = {'mlp': vit.Mlp, 'swiglu': vit.SwiGlu}


class Lorat(nn.Module):
    """
    The network in two stages: ``template`` once per target, ``search`` once per frame.

    LoRAT runs template and search tokens through all blocks together, so the first stage only
    embeds the template. The answers are those of the published single pass.
    """

    outputs = {'template': ('template_tokens',), 'search': ('score', 'boxes')}
    hands_over = {'template': outputs['template']}

    def __init__(self, config: LoratConfig, layers: Mapping[str, vit.Linear] | None = None
                 ) -> None:
        """
        Build it without weights worth anything.

        :param layers: factories for the linear layers of the blocks (``lora.adapted()``); None:
            plain ones, which hold merged weights.
        """
        super().__init__()
        self.config = config
        width, layers = config.width, layers or {}
        self.patch_embed = nn.Module()
        self.patch_embed.proj = nn.Conv2d(3, width, PATCH, PATCH)
        self.pos_embed = nn.Parameter(torch.zeros(1, config.search_grid ** 2, width))
        self.token_type_embed = nn.Parameter(torch.zeros(3, width))   # background, target, search
        linear = layers.get('linear', nn.Linear)
        feed_forward = FEED_FORWARD[config.feed_forward]
        self.blocks = nn.ModuleList(
            vit.Block(width, config.heads, feed_forward(width, config.hidden, linear), **layers)
            for _ in range(config.depth))
        self.norm = nn.LayerNorm(width, eps=1e-6)
        self.head = MlpHead(width)

    @classmethod
    def from_settings(cls, settings: Mapping[str, Any]) -> Lorat:
        """Build it as ``model.json`` describes it, with weights still to be loaded."""
        return cls(LoratConfig(**settings))

    def settings(self) -> dict[str, Any]:
        """Describe it for ``model.json``."""
        return asdict(self.config)

    def example_inputs(self) -> dict[str, dict[str, torch.Tensor]]:
        """Inputs of either stage, with batch 1."""
        cells, config = self.config.template_grid, self.config
        return {'template': {'image': torch.randn(1, 3, *2 * [config.template_size]),
                             'mask': torch.ones(1, cells, cells)},
                'search': {'image': torch.randn(1, 3, *2 * [config.search_size]),
                           'template_tokens': torch.randn(1, cells ** 2, config.width)}}

    @classmethod
    def variants(cls) -> dict[str, Variant]:
        """Return every variant by its name; see ``network.Importable``."""
        return {name: Variant(asdict(config), _about(name, config))
                for name, config in VARIANTS.items()}

    @classmethod
    def recognise(cls, tensors: Tensors) -> tuple[str, ...]:
        """Tell the variants a checkpoint may be; see ``network.Importable``."""
        if not any('.attn.qkv.q.lora.' in name or name.startswith('head.cls_mlp.')
                   for name in tensors):
            return ()
        width = tensors['token_type_embed'].shape[-1] if 'token_type_embed' in tensors else 0
        sized = {name: config for name, config in VARIANTS.items() if config.width == width}
        if not sized:
            raise CheckpointError(f'the file looks like LoRAT, but token_type_embed has width '
                                  f'{width} (0: it is missing), expected that of one of '
                                  f'{", ".join(VARIANTS)}')
        cells = tensors['pos_embed'].shape[1] if 'pos_embed' in tensors else 0
        if cells:      # all is in the file, the size of the search region too
            sized = {n: c for n, c in sized.items() if c.search_grid ** 2 == cells} or sized
        config = next(iter(sized.values()))
        title = next(iter(sized)).removeprefix('lorat-').partition('-')[0].upper()
        check_checkpoint(tensors, config, f'LoRAT-{title}')
        return tuple(sized)

    @classmethod
    def assemble(cls, variant: str, tensors: Tensors, base: Path | None
                 ) -> tuple[Lorat, dict[str, Any]]:
        """Make the network of a variant, LoRA merged; see ``network.Importable``."""
        name, url = cls.base_files(variant)
        if base is None and 'pos_embed' not in tensors:
            raise BaseNeeded(f'this checkpoint holds what {variant} adds to DINOv2, not '
                             f'DINOv2 itself: give {name} with --base; it is at {url}')
        network, origin = put_together(VARIANTS[variant], tensors, base, f'{variant} ({name})')
        return network, {**_about(variant, VARIANTS[variant]), 'provenance': origin}

    @classmethod
    def base_files(cls, variant: str) -> tuple[str, str]:
        """Name of the DINOv2 file that a variant builds upon, and where its authors keep it."""
        return base_file(variant)

    def template(self, image: torch.Tensor, mask: torch.Tensor) -> tuple[torch.Tensor]:
        """
        Embed the template.

        :param image: (N, 3, T, T) normalised RGB.
        :param mask: (N, T/14, T/14) 1 where the target is, else 0.
        :returns: tokens (N, cells, D), the one output of this stage.
        """
        grid, cells = self.config.search_grid, self.config.template_grid
        corner = self.pos_embed.reshape(grid, grid, -1)[:cells, :cells].reshape(cells ** 2, -1)
        background, target = self.token_type_embed[0], self.token_type_embed[1]
        mask = mask.flatten(1).unsqueeze(2)
        kinds = mask * target + (1 - mask) * background
        return (vit.patch_tokens(image, self.patch_embed.proj) + corner + kinds,)

    def embed_search(self, image: torch.Tensor) -> torch.Tensor:
        """Search region (N, 3, S, S), normalised RGB, to tokens (N, cells, D)."""
        tokens = vit.patch_tokens(image, self.patch_embed.proj)
        return tokens + self.pos_embed + self.token_type_embed[2]

    def search(self, image: torch.Tensor, template_tokens: torch.Tensor
               ) -> tuple[torch.Tensor, torch.Tensor]:
        """
        Find the template in a search region.

        :param image: (N, 3, S, S) normalised RGB.
        :param template_tokens: (N, cells, D) from ``template``.
        :returns: score logits (N, G, G), and boxes (N, G, G, 4) as x1, y1, x2, y2 in units of
            the search region, not clipped; G = S/14.
        """
        x = torch.cat([template_tokens, self.embed_search(image)], 1)
        for block in self.blocks[:-1]:
            x = block(x)
        # Nobody reads the template's tokens of the last block: they are looked at, not made.
        x = self.blocks[-1](x, last=self.config.search_grid ** 2)
        return self.head(self.norm(x), self.config.search_grid)

    def forward(self, template: torch.Tensor, mask: torch.Tensor, search: torch.Tensor
                ) -> tuple[torch.Tensor, torch.Tensor]:
        """Run both stages; shapes as there."""
        return self.search(search, *self.template(template, mask))


def resize_positions(pos_embed: torch.Tensor, grid: int) -> torch.Tensor:
    """DINOv2's position embedding (1, 1 + 37 * 37, D) to (1, grid * grid, D), bicubic."""
    patches = pos_embed[:, 1:].float().reshape(1, BASE_GRID, BASE_GRID, -1).permute(0, 3, 1, 2)
    # The size is given, not a scale: DINOv2's own offset of 0.1 makes other values.
    resized = F.interpolate(patches, size=(grid, grid), mode='bicubic', align_corners=False)
    return resized.permute(0, 2, 3, 1).reshape(1, grid * grid, -1)


def _about(variant: str, config: LoratConfig) -> dict[str, Any]:
    return describe(config, variant.removeprefix('lorat-'), search_factor_of(variant))


def check_checkpoint(tensors: Tensors, config: LoratConfig, what: str) -> tuple[int, float]:
    """
    Check that a checkpoint is whole: a delta, or all of a network, its adapters merged or not.

    :param what: the network, for errors.
    :returns: rank of the adapters, and the factor of their products; 0 and 1: there are none.
    :raises CheckpointError: it is not, or the adapters would be scaled by what is no number.
    """
    rank, scaling = _adapters_of(tensors)
    found = {name: value for name, value in tensors.items() if name not in SCALARS}
    check_tensors(found, *_expected(found, config, rank, what))
    return rank, scaling


def _adapters_of(tensors: Tensors) -> tuple[int, float]:
    names = sorted(name for name in tensors if name.endswith('.lora.A'))
    if not names:
        return 0, 1.0
    rank = tensors[names[0]].shape[0]
    alpha, stabilised = (tensors[n].item() if n in tensors else None for n in SCALARS)
    scaling = scaling_of(alpha, rank, bool(stabilised)) if rank else 0.0
    if not 0 < scaling < math.inf:      # an adapter times 0 is silently none
        raise CheckpointError(f'its adapters are of rank {rank} with lora_alpha {alpha}, so '
                              f'scaled by {scaling}, expected a finite number above 0: it is '
                              'damaged, get it again')
    return rank, scaling


def read_base(path: Path, config: LoratConfig, what: str) -> dict[str, torch.Tensor]:
    """
    Read what a delta builds upon: a DINOv2 base, or a LoRAT checkpoint that holds its base.

    :param what: the network, for the error: 'lorat-b-224 (dinov2_vitb14_pretrain.pth)'.
    :returns: under plain names, the position embedding resized to the search region.
    :raises CheckpointError: it cannot be read, or is of other sizes.
    """
    found = checkpoints.read_checkpoint(path).tensors
    if 'token_type_embed' not in found:
        check_tensors(found, base_shapes(config), f'the DINOv2 base of {what}')
        return {**{name: value for name, value in found.items() if name not in LEFT_OUT},
                'pos_embed': resize_positions(found['pos_embed'], config.search_grid)}
    check_checkpoint(found, config, what)
    if 'pos_embed' not in found:
        raise CheckpointError(f'{path} is a delta itself: give what it builds upon')
    return {n: v for n, v in split_wrapped(found)[0].items() if not is_trained(n)
            and n not in SCALARS}


def put_together(config: LoratConfig, tensors: Tensors, base: Path | None, what: str
                 ) -> tuple[Lorat, dict[str, Any]]:
    """
    Make a network of a checkpoint, adapters merged.

    :param tensors: a delta, or all of a network, its adapters merged or not.
    :param base: what a delta builds upon, see ``read_base``.
    :param what: the network, for errors.
    :returns: the network, and what provenance says of its file.
    :raises CheckpointError: the files do not fit together, or there is a base too many.
    """
    full, (rank, scaling) = 'pos_embed' in tensors, check_checkpoint(tensors, config, what)
    if full and base is not None:
        raise CheckpointError('this checkpoint holds DINOv2, too, and builds upon no other '
                              f'file, yet {base} was given: leave out --base')
    below, adapters = split_wrapped(tensors)
    if base is not None:
        below = {**read_base(base, config, what), **below}
    state = merge(below, adapters, scaling)
    with torch.device('meta'):
        network = Lorat(config)
    network.load_state_dict({name: state[name].float().contiguous()
                             for name in network.state_dict()}, assign=True)
    layout = ('merged' if not rank else 'full' if full else
              'delta of 2024, with scalars' if SCALARS[0] in tensors else 'delta')
    return network.eval(), {'layout': layout, 'rank': rank, 'scaling': scaling}


def _shapes(config: LoratConfig, layers: Mapping[str, vit.Linear] | None = None) -> Shapes:
    with torch.device('meta'):
        return {name: tuple(value.shape) for name, value in
                Lorat(config, layers).state_dict().items()}


def _expected(found: Tensors, config: LoratConfig, rank: int, what: str) -> tuple[Shapes, str]:
    """Names and shapes that a checkpoint's layout asks for, and the layout in words."""
    if 'pos_embed' not in found:
        return delta_shapes(config, rank or RANK), f'a checkpoint of {what}'
    if not any('.lora.' in name or '.linear.' in name for name in found):
        return _shapes(config), f'a merged checkpoint of {what}'
    return full_shapes(config, rank or RANK), f'a full checkpoint of {what}'


def is_trained(name: str) -> bool:
    """Whether LoRAT trains the tensor of this name: adapters, head, type embedding."""
    return '.lora.' in name or name.startswith('head.') or name == 'token_type_embed'


def base_shapes(config: LoratConfig) -> Shapes:
    """Names and shapes of the tensors of the DINOv2 base."""
    own = {name: shape for name, shape in _shapes(config).items() if not is_trained(name)}
    return {**own, 'pos_embed': (1, 1 + BASE_GRID ** 2, config.width),
            'cls_token': (1, 1, config.width), 'mask_token': (1, config.width)}


def delta_shapes(config: LoratConfig, rank: int = RANK) -> Shapes:
    """Names and shapes of what LoRAT trains: adapters, head, type embedding."""
    return {name: shape for name, shape in full_shapes(config, rank).items() if is_trained(name)}


def full_shapes(config: LoratConfig, rank: int = RANK) -> Shapes:
    """Names and shapes of the whole network, its adapters not merged."""
    return _shapes(config, adapted(rank))
