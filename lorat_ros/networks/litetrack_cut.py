# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Cutting a LiteTrack out of something heavier: its first blocks stay, the last ones go.

LiteTrack's authors prune so: a network of D blocks takes blocks 0 to D - 1 of the transformer
that it begins with, and of those the last few let the search region look at the template. No
tensor belongs to such a layer alone, so which blocks do that is decided anew for every depth.
"""
from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Optional

import torch
from torch import nn
from torch.nn import functional as F

from lorat_ros.networks.checkpoints import (Checkpoint, CheckpointError, listed, read_checkpoint)
from lorat_ros.networks.importing import recognise
from lorat_ros.networks.litetrack import LiteTrack, LiteTrackConfig, UNUSED

Tensors = Mapping[str, torch.Tensor]
BLOCKS = 'backbone.blocks.'
POSITIONS = ('backbone.pos_embed_z', 'backbone.pos_embed_x')
CAE = 'encoder.'                 # before the names of the encoder in CAE's checkpoints
HEAD = ('box_head.', 'target_token_embed.')
#: Where a fresh head's scores begin: at 0.1, as nearly all cells are empty (CenterNet).
PRIOR = -2.19


class Origin(NamedTuple):
    """A heavier network, its tensors under LiteTrack's names."""

    what: str                    # for people: 'LiteTrack with 9 blocks'
    tensors: Tensors
    left: tuple[str, ...]        # names in the file that have no counterpart


@dataclass(frozen=True)
class Cut:
    """What became of the tensors."""

    origin: str
    path: Path
    kept: tuple[str, ...]        # taken as they are
    resized: tuple[str, ...]     # position embeddings for another number of cells
    new: tuple[str, ...]         # not in the file, or of another shape there: begin at random
    dropped: tuple[str, ...]     # in the file, not in the network
    interaction: tuple[int, ...]      # blocks that look at the template now

    def lines(self) -> list[str]:
        """Say it to people."""
        blocks = ', '.join(map(str, self.interaction))
        told = [f'{self.path}: {self.origin}; in the cut, of its blocks, {blocks} look at the '
                'template']
        for name in ('kept', 'resized', 'new', 'dropped'):
            names = getattr(self, name)
            told.append(f'{name + ":":9}{len(names):4} tensors' + (f' ({grouped(names)})'
                                                                 if names else ''))
        return told


def grouped(names: tuple[str, ...]) -> str:
    """Count names by what they are of: 'backbone.blocks.0 15, box_head 72'."""
    counts: dict[str, int] = {}
    for name in names:
        parts = name.split('.')
        group = '.'.join(parts[:3] if 'blocks' in parts[:2] else parts[:1])
        counts[group] = counts.get(group, 0) + 1
    return ', '.join(f'{group} {count}' for group, count in counts.items())


def cut_out(path: Path, config: LiteTrackConfig) -> tuple[LiteTrack, Cut]:
    """
    Make a network of the first blocks of a heavier one.

    :param path: a LiteTrack checkpoint of at least as many blocks, or CAE-Base's.
    :raises CheckpointError: the file is of something else, has too few blocks, or is of another
        width.
    """
    checkpoint = read_checkpoint(path)
    origin = _origin_of(checkpoint)
    network = LiteTrack(config)
    begin(network)
    state = network.state_dict()
    _check_blocks(path, origin, state, config)
    kept, resized, new = [], [], []
    for name, value in state.items():
        there = origin.tensors.get(name)
        if there is not None and there.shape == value.shape:
            value.copy_(there)
            kept.append(name)
        elif there is not None and name in POSITIONS:
            value.copy_(resize_positions(there.float(), value.shape[1]))
            resized.append(name)
        elif not name.endswith('num_batches_tracked'):
            new.append(name)
    dropped = [name for name in origin.tensors if name not in state]
    first = config.depth - config.interaction
    return network, Cut(origin.what, Path(path), tuple(kept), tuple(resized), tuple(new),
                        (*dropped, *origin.left), tuple(range(first, config.depth)))


def begin(network: LiteTrack) -> None:
    """Give a head values to begin with, as its authors do, and a first guess of the score."""
    for name, parameter in network.box_head.named_parameters():
        if parameter.ndim > 1:
            nn.init.xavier_uniform_(parameter)
        elif name == 'conv5_ctr.bias':
            nn.init.constant_(parameter, PRIOR)


def resize_positions(positions: torch.Tensor, cells: int) -> torch.Tensor:
    """
    Position embeddings (1, n, D) of a square grid for another one of ``cells``; bicubic.

    :returns: (1, cells, D).
    """
    there, here = (round(n ** 0.5) for n in (positions.shape[1], cells))
    grid = positions.transpose(1, 2).reshape(1, -1, there, there)
    grid = F.interpolate(grid, size=(here, here), mode='bicubic', align_corners=False)
    return grid.flatten(2).transpose(1, 2)


def _of_litetrack(checkpoint: Checkpoint) -> Optional[Origin]:
    tensors = checkpoint.tensors
    if not any(name.startswith(HEAD[1]) for name in tensors):
        return None
    return Origin(f'LiteTrack with {depth_of(tensors)} blocks',
                  {n: v for n, v in tensors.items() if n not in UNUSED},
                  tuple(n for n in tensors if n in UNUSED))


def _of_cae(checkpoint: Checkpoint) -> Optional[Origin]:
    tensors = checkpoint.tensors
    if not {f'{CAE}pos_embed', f'{CAE}blocks.0.attn.q_bias'} <= tensors.keys():
        return None
    patches = tensors[f'{CAE}pos_embed'][:, 1:]        # the first one is the class token's
    named = {name.replace(CAE, 'backbone.', 1): value for name, value in tensors.items()
             if name.startswith((f'{CAE}blocks.', f'{CAE}patch_embed.'))}
    left = tuple(name for name in tensors if name != f'{CAE}pos_embed'
                 and name.replace(CAE, 'backbone.', 1) not in named)
    depth = depth_of(named)
    return Origin(f'CAE with {depth} blocks', {**named, **dict.fromkeys(POSITIONS, patches)},
                  left)


_KINDS: tuple[Callable[[Checkpoint], Optional[Origin]], ...] = (_of_litetrack, _of_cae)


def _origin_of(checkpoint: Checkpoint) -> Origin:
    for kind in _KINDS:
        if (origin := kind(checkpoint)) is not None:
            return origin
    wanted = 'expected a LiteTrack checkpoint of more blocks, or CAE-Base (cae_base.pth)'
    try:
        family, _ = recognise(checkpoint)
    except CheckpointError as error:
        raise CheckpointError(f'{error}; {wanted}') from None
    raise CheckpointError(f'{checkpoint.path} is a checkpoint of {family}, {wanted}')


def depth_of(tensors: Tensors) -> int:
    """Number of blocks, by the names of the tensors."""
    return len({name.split('.')[2] for name in tensors if name.startswith(BLOCKS)})


def _check_blocks(path: Path, origin: Origin, state: Tensors, config: LiteTrackConfig) -> None:
    """Check that the transformer fits: it is what a cut is for, nothing of it begins anew."""
    depth = depth_of(origin.tensors)
    if depth < config.depth:
        raise CheckpointError(f'{path} is {origin.what}, and a network of {config.depth} is asked '
                              'for: give a checkpoint of at least as many, or ask for fewer')
    wanted = {name: value.shape for name, value in state.items()
              if name.startswith((BLOCKS, 'backbone.patch_embed.'))}
    if missing := wanted.keys() - origin.tensors.keys():
        raise CheckpointError(f'{path} lacks {listed(missing)}: it is not whole, download it '
                              'again')
    for name, shape in wanted.items():
        if origin.tensors[name].shape != shape:
            raise CheckpointError(f'{path}: {name} is {tuple(origin.tensors[name].shape)}, '
                                  f'expected {tuple(shape)}: the network asked for is of another '
                                  'width than this')
    for name in POSITIONS:
        positions = origin.tensors.get(name)
        if positions is not None and (round(positions.shape[1] ** 0.5) ** 2 != positions.shape[1]
                                      or positions.shape[2] != config.width):
            raise CheckpointError(f'{path}: {name} is {tuple(positions.shape)}, expected a square '
                                  f'number of cells of width {config.width}')
