# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
FARTrack (ICLR 2026): five templates of different age, the search region and four command tokens
in one stream of a small transformer; the commands become the words for x1, y1, x2 and y2.

Written from the published description; names of parameters are those of the official
checkpoints.
"""
from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, cast

import torch
from torch import nn
from torch.nn import functional as F

from lorat_ros.networks import vit
from lorat_ros.networks.checkpoints import check_tensors, CheckpointError
from lorat_ros.networks.fartrack_layers import Block, layer_norm, tail_of
from lorat_ros.networks.fartrack_variants import (
    BLOCKS, COMMANDS, COORDINATES, describe, EXTENSION, FarTrackConfig, PATCH, POSITIONS,
    Sizes, STAGES, VARIANTS, WORDS)
from lorat_ros.networks.network import Variant

Tensors = Mapping[str, torch.Tensor]

_TABLE = 'backbone.word_embeddings.weight'


class FarTrack(nn.Module):
    """
    The network, as ``first`` while not all templates but the newest are known tokens, and as
    ``search`` from then on.

    A template becomes tokens once, as the newest one. They come out with the answer, and those
    that stay are put in again with later frames: hidden tokens are not masked, they are not there.
    """

    outputs = dict.fromkeys(('first', 'search'), ('logits', 'tokens', 'rank'))
    hands_over: Mapping[str, tuple[str, ...]] = {}

    def __init__(self, config: FarTrackConfig) -> None:
        """Build it without weights worth anything."""
        super().__init__()
        self.config, self.stage, width = config, STAGES[config.stage], config.width
        self.kept = config.kept
        self.identity = nn.Parameter(torch.zeros(1, self.stage.slots + 1, width))
        self.backbone = backbone = nn.Module()
        backbone.patch_embed = nn.Module()
        backbone.patch_embed.proj = nn.Conv2d(3, width, PATCH, PATCH)
        for name, cells in ((config.positions, config.template_cells),
                            ('pos_embed_x', config.search_cells)):
            backbone.register_parameter(name, nn.Parameter(torch.zeros(1, cells, width)))
        backbone.word_embeddings = nn.Embedding(WORDS, width)
        backbone.position_embeddings = nn.Embedding(COMMANDS, width)
        plain = min(config.depth, BLOCKS)
        backbone.blocks = nn.ModuleList(Block(config) for _ in range(plain))
        backbone.extension = nn.ModuleList(Block(config) for _ in range(config.depth - plain))
        backbone.norm = layer_norm(width)
        backbone.output_bias = nn.Parameter(torch.zeros(WORDS))

    @classmethod
    def from_settings(cls, settings: Mapping[str, Any]) -> FarTrack:
        """Build it as ``model.json`` describes it, with weights still to be loaded."""
        return cls(FarTrackConfig(**settings))

    def settings(self) -> dict[str, Any]:
        """Describe it for ``model.json``."""
        return asdict(self.config)

    def example_inputs(self) -> dict[str, dict[str, torch.Tensor]]:
        """Inputs of either stage, with batch 1."""
        search, template = self.config.search_size, self.config.template_size
        image = torch.randn(1, 3, search, search)
        templates = torch.randn(self.stage.slots, 3, template, template)
        memory = torch.randn(1, self.stage.slots - 1, self.kept, self.config.width)
        return {'first': {'image': image, 'templates': templates},
                'search': {'image': image, 'newest': templates[:1], 'memory': memory}}

    @classmethod
    def variants(cls) -> dict[str, Variant]:
        """Every variant by name; see ``network.Importable``."""
        return {name: Variant(asdict(config), describe(name)) for name, config in VARIANTS.items()}

    @classmethod
    def recognise(cls, tensors: Tensors) -> tuple[str, ...]:
        """
        Tell the variants a checkpoint may be; see ``network.Importable``.

        The file says neither how many layers shall be run nor, of base and distill, which it is.
        The other reading of the template's positions is offered where it makes a difference.
        """
        if not {'identity', 'backbone.word_embeddings.weight'} <= tensors.keys():
            return ()
        if any('.masknorm' in name for name in tensors):
            stages: tuple[str, ...] = ('sparse',)
        elif 'backbone.prev_position_embeddings.weight' in tensors:
            raise CheckpointError(
                "this is a checkpoint of FARTrack's stage 'seq', whose published tracker does not "
                'run: give one of the stages sparse (the published tracker), distill or base')
        else:
            stages = ('base', 'distill')
        # Of whatever sizes it is: a training run of one's own may have chosen others.
        config = replace(FarTrackConfig(stages[0], BLOCKS + EXTENSION), **sizes_of(tensors))
        check_tensors(tensors, file_shapes(config), f'a checkpoint of FARTrack, stage '
                      f'{" or ".join(stages)}')
        readings = POSITIONS if _apart(tensors) else POSITIONS[:1]
        return tuple(name for name, config in VARIANTS.items()
                     if config.stage in stages and config.positions in readings)

    @classmethod
    def base_files(cls, variant: str) -> None:
        """Return None: its checkpoints are complete."""

    @classmethod
    def assemble(cls, variant: str, tensors: Tensors, base: Path | None
                 ) -> tuple[FarTrack, dict[str, Any]]:
        """Make the network of a variant; see ``network.Importable``."""
        config = replace(VARIANTS[variant], **sizes_of(tensors))
        if base is not None:
            raise CheckpointError(f'{variant} builds upon no other file, yet {base} was given: '
                                  'leave out --base')
        check_tensors(tensors, file_shapes(config), f'a checkpoint of {variant}')
        return load(config, tensors), {**describe(variant, config), **_origin(config, tensors)}

    def first(self, image: torch.Tensor, templates: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """
        Find the target with templates of which none is known yet.

        :param image: search region (1, 3, 224, 224), normalised RGB.
        :param templates: crops (slots, 3, 112, 112), the newest one in the last slot.
        :returns: as ``search``, with the tokens of all templates (slots, 49, D).
        """
        tokens = self.embed_templates(templates)
        named = tokens + self.identity[0, :-1, None]
        return self._answer(named.reshape(1, -1, self.config.width), image, tokens)

    def search(self, image: torch.Tensor, newest: torch.Tensor, memory: torch.Tensor
               ) -> tuple[torch.Tensor, ...]:
        """
        Find the target with one new template and what is kept of the others.

        :param image: search region (1, 3, 224, 224), normalised RGB.
        :param newest: crop (1, 3, 112, 112), normalised RGB: the template of the last slot.
        :param memory: (1, slots - 1, kept, D), tokens of the other slots from earlier answers.
        :returns: logits of all words for x1, y1, x2, y2 (1, 4, 605); the newest template's
            tokens (1, 49, D); how much the centre of the search region looks at each of them
            (1, 49), summed over the layers. The sparse stage keeps the best of them.
        """
        tokens = self.embed_templates(newest)
        older = memory + self.identity[:, :-2].unsqueeze(2)
        named = torch.cat([older.flatten(1, 2), tokens + self.identity[:, -2:-1]], 1)
        return self._answer(named, image, tokens)

    def _answer(self, templates: torch.Tensor, image: torch.Tensor, tokens: torch.Tensor
                ) -> tuple[torch.Tensor, ...]:
        logits, centre = self.read(self.sequence(templates, image))
        tail = tail_of(self.config)
        return logits, tokens, centre[:, -tail - self.config.template_cells:-tail]

    def embed_templates(self, crops: torch.Tensor) -> torch.Tensor:
        """Crops (T, 3, 112, 112) to tokens (T, 49, D); what slot they are in comes later."""
        positions = self.backbone.get_parameter(self.config.positions)
        return vit.patch_tokens(crops, self.backbone.patch_embed.proj) + positions

    def sequence(self, templates: torch.Tensor, image: torch.Tensor) -> torch.Tensor:
        """Put together template tokens (1, K, D), search region and commands: (1, K + 200, D)."""
        return torch.cat([templates, *self.search_and_commands(image)], 1)

    def search_and_commands(self, image: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Search regions (N, 3, S, S) to tokens (N, cells, D), and the commands' (1, 4, D)."""
        net = self.backbone
        search = vit.patch_tokens(image, net.patch_embed.proj) + self.identity[:, -1:]
        commands = net.word_embeddings.weight[COORDINATES:COORDINATES + COMMANDS]
        commands = (commands + net.position_embeddings.weight).unsqueeze(0)
        return search + net.pos_embed_x, commands

    @property
    def layers(self) -> list[Block]:
        """All blocks in the order in which they run."""
        return [*self.backbone.blocks, *self.backbone.extension]

    def read(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Sequence (N, L, D) to logits (N, 4, 605) and the centre's attention (N, L), summed."""
        total = torch.zeros(())
        layers = self.layers
        for block in layers[:-1]:
            x, centre = block(x)
            total = total + centre
        # Of the last block only the commands are read.
        x, centre = layers[-1].answer(x)
        return self.words(x), total + centre

    def words(self, commands: torch.Tensor) -> torch.Tensor:
        """Commands after some block, (N, 4, D), to logits (N, 4, 605)."""
        net = self.backbone
        return F.linear(net.norm(commands), net.word_embeddings.weight, net.output_bias)


def bound_commands(table: torch.Tensor) -> torch.Tensor:
    """
    Scale the commands' rows of the word table (605, D) down to length 1 where they are longer.

    The published network does so in place whenever it looks them up, and its output layer reads
    the same table.
    """
    rows = slice(COORDINATES, COORDINATES + COMMANDS)
    length = table[rows].norm(dim=1, keepdim=True)
    bounded = table.clone()
    bounded[rows] = torch.where(length > 1, table[rows] / (length + 1e-7), table[rows])
    return bounded


def load(config: FarTrackConfig, tensors: Tensors) -> FarTrack:
    """Make a network of the tensors of a whole checkpoint of its sizes."""
    with torch.device('meta'):
        network = FarTrack(config)
    state = {name: tensors[name].float().contiguous() for name in network.state_dict()}
    if network.stage.bounded:
        state[_TABLE] = bound_commands(state[_TABLE])
    network.load_state_dict(state, assign=True)
    return network.eval()


def sizes_of(tensors: Tensors) -> Sizes:
    """
    Read a checkpoint's width, template_size and search_size off the shapes of its tensors.

    :raises CheckpointError: no network has such sizes.
    """
    found = {}
    for name, tensor, axis in (('width', 'identity', 2),
                               ('template_size', 'backbone.pos_embed_z0', 1),
                               ('search_size', 'backbone.pos_embed_x', 1)):
        if tensor in tensors and tensors[tensor].ndim == 3:
            length = tensors[tensor].shape[axis]
            found[name] = length if axis == 2 else PATCH * math.isqrt(length)
    sizes = cast(Sizes, found)
    try:
        FarTrackConfig('base', 1, **sizes)
    except ValueError as error:
        raise CheckpointError(f'this is no checkpoint of FARTrack: {error}') from None
    return sizes


def file_shapes(config: FarTrackConfig) -> dict[str, tuple[int, ...]]:
    """Names and shapes of all that a checkpoint holds, read or not; it has all 15 layers."""
    with torch.device('meta'):
        network = FarTrack(replace(config, depth=BLOCKS + EXTENSION, positions=POSITIONS[0]))
    width, cells = config.width, config.template_cells
    shapes = {name: tuple(value.shape) for name, value in network.state_dict().items()}
    unread: dict[str, tuple[int, ...]] = {
        'cls_token': (1, 1, width), 'pos_embed': (1, 1 + config.search_cells, width),
        'pos_embed_z0': (1, cells, width)}
    if network.stage.bounded:
        unread |= {'pos_embed_z': (1, cells, width),
                   'prev_position_embeddings.weight': (3 * COMMANDS, width)}
    if network.stage.norm == 'masknorm':
        unread |= {f'{part}.{k}.norm{place}.{leaf}': (width,) for place in '12'
                   for part, count in (('blocks', BLOCKS), ('extension', EXTENSION))
                   for k in range(count) for leaf in ('weight', 'bias')}
    return {**shapes, **{f'backbone.{name}': shape for name, shape in unread.items()}}


def _origin(config: FarTrackConfig, tensors: Tensors) -> dict[str, Any]:
    """What ``model.json`` says of how a checkpoint was read."""
    apart = _apart(tensors)
    return {'provenance': {'layout': f'stage {config.stage}',
                           'template_positions': config.positions,
                           'pos_embed_z0_z1_apart': apart},
            'notes': [_say_positions(config, apart)]}


def _apart(tensors: Tensors) -> float:
    """Largest difference between a checkpoint's two position embeddings of the templates."""
    one, other = (tensors[f'backbone.{name}'].float() for name in POSITIONS)
    return float((one - other).abs().max())


def _say_positions(config: FarTrackConfig, apart: float) -> str:
    if apart == 0:
        return ('the checkpoint holds the template positions pos_embed_z0 and pos_embed_z1, and '
                'they are equal: which one is read makes no difference')
    other = next(name for name in POSITIONS if name != config.positions)
    why = {'pos_embed_z1': "as the authors' own tracker does when it loads a checkpoint",
           'pos_embed_z0': 'which was trained, but which the authors did not evaluate'}
    return (f'the checkpoint holds two template positions that differ by up to {apart:.3g}; '
            f'{config.positions} is read, {why[config.positions]}; for {other} give the variant '
            f'{"with" if other.endswith("z0") else "without"} the ending -z0')
