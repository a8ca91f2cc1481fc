# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""FARTrack's sizes, the stages of its training, and the variants that come of them."""
from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from lorat_ros.models.catalog import SOURCES

WIDTH, HEADS, HIDDEN, PATCH = 192, 3, 768, 16
TEMPLATE_SIZE, SEARCH_SIZE = 112, 224              # pixels
TEMPLATE_CELLS, SEARCH_GRID = 49, 14
SEARCH_CELLS = SEARCH_GRID ** 2
COMMANDS = 4                                       # tokens at the end of the sequence
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


#: Stage to what it does otherwise than others.
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
    positions: str = 'pos_embed_z1'     # position embedding of the templates, of POSITIONS


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


def describe(variant: str) -> dict[str, Any]:
    """What ``model.json`` says of a variant."""
    config, size = VARIANTS[variant], variant.removesuffix('-z0').rpartition('-')[2]
    sparse = config.stage == 'sparse'
    return {
        'variant': variant.removeprefix('fartrack-'),
        'sizes': {'template': TEMPLATE_SIZE, 'search': SEARCH_SIZE,
                  'template_factor': 2.0, 'search_factor': 4.0},
        'postprocessing': {'schedule': 'distill' if config.stage == 'distill' else 'exponential',
                           'decoding': 'mean' if sparse else 'likeliest',
                           'kept': STAGES[config.stage].kept, 'capacity': CAPACITY},
        # The authors never call a target lost. A coordinate drawn by lot has 1/605. Not
        # calibrated: no trained weights were at hand.
        'score': {'lost': 0.02, 'recover': 0.05},
        'licence': str(SOURCES['fartrack']),
        **({'published_macs': PUBLISHED_MACS[size]} if sparse else {})}
