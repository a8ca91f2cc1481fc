# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""FARTrack's sizes, the stages of its training, and the variants that come of them."""
from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Optional, TypedDict

from lorat_ros.models.catalog import SOURCES

PATCH = 16                                         # pixels a side
HEAD = 64                                          # dimensions of a head of attention
MLP = 4                                            # hidden dimensions of an MLP, in widths
COMMANDS = 4                                       # tokens at the end of the sequence
BLOCKS, EXTENSION = 12, 3                          # layers in a file, run in this order
COORDINATES = 600                                  # words for coordinates; the commands follow
WORDS = COORDINATES + COMMANDS + 1                 # the last one ends a sequence


@dataclass(frozen=True)
class Stage:
    """One stage of FARTrack's training, each with a network and a tracker of its own."""

    norm: str              # 'norm' or 'masknorm': which of a layer's norms it uses
    hidden: float          # share of a template's tokens that go once it has been judged
    bounded: bool          # the commands' words are scaled down to length 1
    slots: int = 5         # templates


#: Stage to what it does otherwise than others.
STAGES = {
    'base': Stage('norm', 0.0, False),
    'distill': Stage('norm', 0.0, False),
    'sparse': Stage('masknorm', 0.25, True),         # the published tracker
    'seq': Stage('norm', 0.0, True, slots=1),       # published for measuring speed
}


class Sizes(TypedDict, total=False):
    """Fields of ``FarTrackConfig`` that the tensors of a checkpoint tell."""

    width: int
    template_size: int
    search_size: int


@dataclass(frozen=True)
class FarTrackConfig:
    """What is not the same in all of FARTrack's networks; the sizes are the published ones."""

    stage: str                          # of STAGES
    depth: int                          # layers, at most 15
    positions: str = 'pos_embed_z1'     # position embedding of the templates, of POSITIONS
    width: int = 192
    template_size: int = 112            # pixels
    search_size: int = 224

    def __post_init__(self) -> None:
        if not 1 <= self.depth <= BLOCKS + EXTENSION:
            raise ValueError(f'depth is {self.depth}: give 1 to {BLOCKS + EXTENSION} layers')
        for name, unit in (('width', HEAD), ('template_size', PATCH), ('search_size', PATCH)):
            if getattr(self, name) % unit or getattr(self, name) < unit:
                raise ValueError(f'{name} is {getattr(self, name)}: give a multiple of {unit}')

    @property
    def heads(self) -> int:
        """Heads of attention: as many as fit, as in every ViT."""
        return self.width // HEAD

    @property
    def template_cells(self) -> int:
        """Tokens of a template."""
        return (self.template_size // PATCH) ** 2

    @property
    def search_grid(self) -> int:
        """Tokens along a side of the search region."""
        return self.search_size // PATCH

    @property
    def search_cells(self) -> int:
        """Tokens of the search region."""
        return self.search_grid ** 2

    @property
    def kept(self) -> int:
        """Tokens of a template that stay once it has been judged: 37 of 49, if any go."""
        return self.template_cells - int(self.template_cells * STAGES[self.stage].hidden)

    @property
    def official(self) -> bool:
        """Whether the sizes are the published ones."""
        return (self.width, self.template_size, self.search_size) == (192, 112, 224)


#: The published network reads pos_embed_z0, which its training trains. Yet the published tracker
#: loads a checkpoint into tensors that share their memory, so pos_embed_z1, the last to be
#: loaded, is what it evaluates with. The first here is what the published scores stand for.
POSITIONS = ('pos_embed_z1', 'pos_embed_z0')
CAPACITY = 1024                                    # templates that a tracker remembers
_DEPTHS = {'tiny': BLOCKS + EXTENSION, 'nano': 10, 'pico': 6}
#: 'fartrack-tiny' (sparse), 'fartrack-base-tiny', …; '-z0': the positions as they were trained.
VARIANTS = {f'fartrack-{prefix}{size}{suffix}': FarTrackConfig(stage, depth, positions)
            for positions, suffix in zip(POSITIONS, ('', '-z0'))
            for stage, prefix in (('sparse', ''), ('distill', 'distill-'), ('base', 'base-'))
            for size, depth in _DEPTHS.items()}
#: Multiply-adds a frame of the authors' own network in the sparse stage, counted by running it.
PUBLISHED_MACS = {'tiny': 4_159_000_000, 'nano': 2_794_000_000, 'pico': 1_703_000_000}


def describe(variant: str, config: Optional[FarTrackConfig] = None) -> dict[str, Any]:
    """
    What ``model.json`` says of a variant.

    :param config: with other sizes than the published ones; None: with these.
    """
    config = config or VARIANTS[variant]
    about = describe_network(config)
    if not config.official:
        return about
    size = variant.removesuffix('-z0').rpartition('-')[2]
    return {**about, 'variant': variant.removeprefix('fartrack-'),
            **({'published_macs': PUBLISHED_MACS[size]} if config.stage == 'sparse' else {})}


def describe_network(config: FarTrackConfig) -> dict[str, Any]:
    """What ``model.json`` says of a network of any depth and sizes."""
    prefix = '' if config.stage == 'sparse' else f'{config.stage}-'
    size = {depth: name for name, depth in _DEPTHS.items()}.get(config.depth, config.depth)
    # What the authors published of a variant is not true of one of other sizes.
    own = '' if config.official else '-own'
    return {
        'variant': f'{prefix}{size}{own}',
        'sizes': {'template': config.template_size, 'search': config.search_size,
                  'template_factor': 2.0, 'search_factor': 4.0},
        'postprocessing': {'schedule': 'distill' if config.stage == 'distill' else 'exponential',
                           'decoding': 'mean' if config.stage == 'sparse' else 'likeliest',
                           'kept': config.kept, 'capacity': CAPACITY},
        # The authors never call a target lost. A coordinate drawn by lot has 1/605. Not
        # calibrated: no trained weights were at hand.
        'score': {'lost': 0.02, 'recover': 0.05},
        'licence': str(SOURCES['fartrack'])}
