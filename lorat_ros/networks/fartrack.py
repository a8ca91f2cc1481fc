# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
FARTrack (ICLR 2026): five templates of different age, the search region and four command tokens
in one stream of a small transformer; the commands become the words for x1, y1, x2 and y2.

Written from the published description; names of parameters are those of the official
checkpoints. What a checkpoint holds is the business of ``lorat_ros.networks.fartrack_files``.
"""
from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

from lorat_ros.networks import vit
from lorat_ros.networks.checkpoints import check_tensors, CheckpointError
from lorat_ros.networks.fartrack_layers import Block, COMMANDS, layer_norm, TAIL, WIDTH

PATCH = 16
TEMPLATE_SIZE, SEARCH_SIZE = 112, 224              # pixels
TEMPLATE_CELLS, SEARCH_CELLS = 49, 196
BLOCKS, EXTENSION = 12, 3                          # layers in a file, run in this order
COORDINATES = 600                                  # words for coordinates; the commands follow
WORDS = COORDINATES + COMMANDS + 1                 # the last one ends a sequence


@dataclass(frozen=True)
class Stage:
    """One stage of FARTrack's training, each with a network and a tracker of its own."""

    norm: str              # 'norm' or 'masknorm': which of a layer's norms it uses
    kept: int              # tokens of a template that stay once it has been judged
    bounded: bool          # the commands' words are scaled down to length 1
    slots: int = 5         # templates


STAGES = {
    'base': Stage('norm', 49, False),
    'distill': Stage('norm', 49, False),
    'sparse': Stage('masknorm', 37, True),         # the published tracker
    'seq': Stage('norm', 49, True, slots=1),       # published for measuring speed
}


@dataclass(frozen=True)
class FarTrackConfig:
    """What is not the same in all of FARTrack's networks."""

    stage: str                          # of STAGES
    depth: int                          # layers, at most 15
    positions: str = 'pos_embed_z1'     # position embedding of the templates


class FarTrack(nn.Module):
    """
    The network, as ``first`` while not all templates but the newest are known tokens, and as
    ``search`` from then on.

    A template becomes tokens once, as the newest one. They come out with the answer, and those
    that stay are put in again with later frames: hidden tokens are not masked, they are not there.
    """

    hands_over: Mapping[str, tuple[str, ...]] = {}

    def __init__(self, config: FarTrackConfig) -> None:
        """Build it without weights worth anything."""
        super().__init__()
        self.config, self.stage = config, STAGES[config.stage]
        ranks = ('rank',) if self.stage.kept < TEMPLATE_CELLS else ()
        self.outputs = dict.fromkeys(('first', 'search'), ('logits', 'tokens', *ranks))
        self.identity = nn.Parameter(torch.zeros(1, self.stage.slots + 1, WIDTH))
        self.backbone = backbone = nn.Module()
        backbone.patch_embed = nn.Module()
        backbone.patch_embed.proj = nn.Conv2d(3, WIDTH, PATCH, PATCH)
        for name, cells in ((config.positions, TEMPLATE_CELLS), ('pos_embed_x', SEARCH_CELLS)):
            backbone.register_parameter(name, nn.Parameter(torch.zeros(1, cells, WIDTH)))
        backbone.word_embeddings = nn.Embedding(WORDS, WIDTH)
        backbone.position_embeddings = nn.Embedding(COMMANDS, WIDTH)
        plain = min(config.depth, BLOCKS)
        backbone.blocks = nn.ModuleList(Block(self.stage.norm) for _ in range(plain))
        backbone.extension = nn.ModuleList(Block(self.stage.norm)
                                           for _ in range(config.depth - plain))
        backbone.norm = layer_norm()
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
        image = torch.randn(1, 3, SEARCH_SIZE, SEARCH_SIZE)
        templates = torch.randn(self.stage.slots, 3, TEMPLATE_SIZE, TEMPLATE_SIZE)
        memory = torch.randn(1, self.stage.slots - 1, self.stage.kept, WIDTH)
        return {'first': {'image': image, 'templates': templates},
                'search': {'image': image, 'newest': templates[:1], 'memory': memory}}

    @classmethod
    def recognise(cls, tensors: Mapping[str, torch.Tensor]) -> tuple[str, ...]:
        """Tell the variants a checkpoint may be; see ``network.Importable``."""
        from lorat_ros.networks import fartrack_files
        return fartrack_files.recognise(tensors)

    @classmethod
    def assemble(cls, variant: str, tensors: Mapping[str, torch.Tensor], base: Path | None
                 ) -> tuple[FarTrack, dict[str, Any]]:
        """Make the network of a variant; see ``network.Importable``."""
        from lorat_ros.networks import fartrack_files
        return fartrack_files.assemble(variant, tensors)

    def first(self, image: torch.Tensor, templates: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """
        Find the target with templates of which none is known yet.

        :param image: search region (1, 3, 224, 224), normalised RGB.
        :param templates: crops (slots, 3, 112, 112), the newest one in the last slot.
        :returns: as ``search``, with the tokens of all templates (slots, 49, D).
        """
        tokens = self.embed_templates(templates)
        named = tokens + self.identity[0, :-1, None]
        return self._answer(named.reshape(1, -1, WIDTH), image, tokens)

    def search(self, image: torch.Tensor, newest: torch.Tensor, memory: torch.Tensor
               ) -> tuple[torch.Tensor, ...]:
        """
        Find the target with one new template and what is kept of the others.

        :param image: search region (1, 3, 224, 224), normalised RGB.
        :param newest: crop (1, 3, 112, 112), normalised RGB: the template of the last slot.
        :param memory: (1, slots - 1, kept, D), tokens of the other slots from earlier answers.
        :returns: logits of all words for x1, y1, x2, y2 (1, 4, 605); the newest template's
            tokens (1, 49, D); in the sparse stage, how much the centre of the search region
            looks at each of them (1, 49), summed over the layers.
        """
        tokens = self.embed_templates(newest)
        older = memory + self.identity[:, :-2].unsqueeze(2)
        named = torch.cat([older.flatten(1, 2), tokens + self.identity[:, -2:-1]], 1)
        return self._answer(named, image, tokens)

    def _answer(self, templates: torch.Tensor, image: torch.Tensor, tokens: torch.Tensor
                ) -> tuple[torch.Tensor, ...]:
        logits, centre = self.read(self.sequence(templates, image))
        rank = centre[:, -TAIL - TEMPLATE_CELLS:-TAIL]
        return (logits, tokens, rank)[:len(self.outputs['search'])]

    def embed_templates(self, crops: torch.Tensor) -> torch.Tensor:
        """Crops (T, 3, 112, 112) to tokens (T, 49, D); what slot they are in comes later."""
        positions = self.backbone.get_parameter(self.config.positions)
        return vit.patch_tokens(crops, self.backbone.patch_embed.proj) + positions

    def sequence(self, templates: torch.Tensor, image: torch.Tensor) -> torch.Tensor:
        """Put together template tokens (1, K, D), search region and commands: (1, K + 200, D)."""
        net = self.backbone
        search = vit.patch_tokens(image, net.patch_embed.proj) + self.identity[:, -1:]
        commands = net.word_embeddings.weight[COORDINATES:COORDINATES + COMMANDS]
        commands = (commands + net.position_embeddings.weight).unsqueeze(0)
        return torch.cat([templates, search + net.pos_embed_x, commands], 1)

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
