# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
What FARTrack's training begins with and what it leaves: files in the layout of the authors.

A file holds all 15 layers and tensors that nothing reads. Those are carried along, so that the
authors' own code can take over a file from here.

The published network has two embeddings of a template's positions, of which training trains one
and the published tracker reads the other (``lorat_ros.networks.fartrack_variants.POSITIONS``).
That is a mistake, not a method: here the one that is read is the one that learns, and files hold
it under all names.
"""
from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Optional

import torch
from torch import nn
from torch.nn import functional as F

from lorat_ros.models.bundle import read_bundle
from lorat_ros.networks.checkpoints import CheckpointError, read_checkpoint
from lorat_ros.networks.export import export_bundle
from lorat_ros.networks.fartrack import FarTrack, file_shapes, load, sizes_of
from lorat_ros.networks.fartrack_variants import (BLOCKS, describe_network, EXTENSION,
                                                  FarTrackConfig, POSITIONS, VARIANTS)
from lorat_ros.networks.importing import verify
from lorat_ros.training.method import decayed_apart, Given, TrainError

Tensors = dict[str, torch.Tensor]

LAYERS = BLOCKS + EXTENSION
#: Stage to what its files are called.
NAMES = {'base': 'FARTrack', 'distill': 'FARTrackDistill', 'sparse': 'FARTrackSparse'}
_SPREAD = 0.02                   # standard deviation of what begins by chance
_PATCHES = 'patch_embed.proj.weight'
#: Names of the one embedding of a template's positions.
_SAME = ('backbone.pos_embed_z0', 'backbone.pos_embed_z1', 'backbone.pos_embed_z')


def asked_for(given: Given, stage: str, depth: int) -> FarTrackConfig:
    """
    The published variant that the user asks for, or one of ``depth`` layers; of published sizes.

    :raises TrainError: it is of another stage, or --base was given.
    """
    if given.base is not None:
        raise TrainError(f'--base {given.base}: nothing of FARTrack stays frozen; give what to '
                         'begin with as --from')
    if given.variant is None:
        return FarTrackConfig(stage, depth)
    ours = [name for name, config in VARIANTS.items() if config.stage == stage]
    if given.variant.lower() not in ours:
        raise TrainError(f'--variant {given.variant}: this trains the stage {stage}, whose '
                         f'variants are {", ".join(ours)}')
    return VARIANTS[given.variant.lower()]


def fresh(config: FarTrackConfig) -> Tensors:
    """A file's tensors by chance: matrices small normal ones, factors 1, biases 0."""
    made = {}
    for name, shape in file_shapes(config).items():
        if len(shape) > 1:
            made[name] = nn.init.trunc_normal_(torch.empty(shape), std=_SPREAD)
        else:
            made[name] = torch.zeros(shape) if name.endswith('bias') else torch.ones(shape)
    return _with_one_position(made)


def from_encoder(config: FarTrackConfig, tensors: Mapping[str, torch.Tensor]) -> Tensors:
    """
    A file's tensors with those of a plain ViT with patches of 16 pixels in it, such as MAE
    ViT-Tiny (what FARTrack began with): its last three blocks make the extension, too.

    :raises TrainError: its sizes are others.
    """
    mark = next(name for name in tensors if name.endswith(_PATCHES))
    prefix = mark.removesuffix(_PATCHES)
    theirs = {name.removeprefix(prefix): value.float() for name, value in tensors.items()
              if name.startswith(prefix)}
    made = fresh(config)
    for name in ('patch_embed.proj.weight', 'patch_embed.proj.bias', 'cls_token',
                 *(n for n in theirs if n.startswith(('blocks.', 'norm.')))):
        _take(made, f'backbone.{name}', theirs, name)
    for k in range(EXTENSION):
        source = f'blocks.{BLOCKS - EXTENSION + k}.'
        for name in [name for name in theirs if name.startswith(source)]:
            _take(made, f'backbone.extension.{k}.{name.removeprefix(source)}', theirs, name)
    if 'pos_embed' in theirs:
        grid = theirs['pos_embed'][:, 1:]
        made['backbone.pos_embed_x'] = _on_grid(grid, config.search_cells)
        made['backbone.pos_embed_z1'] = _on_grid(grid, config.template_cells)
    return _with_one_position(made)


def _take(made: Tensors, name: str, theirs: Mapping[str, torch.Tensor], source: str) -> None:
    there = tuple(theirs[source].shape) if source in theirs else None
    if name not in made or there != made[name].shape:
        expected = tuple(made[name].shape) if name in made else 'none such'
        raise TrainError(f'{source} is {there}, expected {expected}: give a ViT-Tiny with patches '
                         'of 16 pixels and 12 blocks, such as mae_tiny_distill_400e.pth.tar, or '
                         'fitting sizes')
    made[name] = theirs[source].clone()


def _on_grid(positions: torch.Tensor, cells: int) -> torch.Tensor:
    """Embedding (1, n * n, D) of positions on another square grid."""
    old, new = (round(count ** 0.5) for count in (positions.shape[1], cells))
    if old == new:
        return positions.clone()
    grid = positions.transpose(1, 2).unflatten(2, (old, old))
    resized = F.interpolate(grid, size=(new, new), mode='bicubic', align_corners=False)
    return resized.flatten(2).transpose(1, 2).contiguous()


def _with_one_position(tensors: Tensors) -> Tensors:
    """The tensors, pos_embed_z1 under the other names that they have for it, too."""
    return {**tensors, **{name: tensors[_SAME[1]].clone() for name in _SAME if name in tensors}}


def as_stage(config: FarTrackConfig, tensors: Mapping[str, torch.Tensor]) -> Tensors:
    """
    Tensors of a file of any stage as those of the stage that is asked for.

    Into the sparse stage, the norms go into both kinds of norm; what else is new, nothing reads.

    :raises TrainError: a file of the sparse stage for one before it.
    """
    wanted = file_shapes(config)
    if more := tensors.keys() - wanted.keys():
        raise TrainError(f'it is of a later stage than {config.stage} ({sorted(more)[0]}): give a '
                         f'checkpoint of {config.stage} or of a stage before it')
    made = {}
    for name, shape in wanted.items():
        source = name.replace('.masknorm1.norm.', '.norm1.').replace('.masknorm2.norm.', '.norm2.')
        found = tensors.get(name, tensors.get(source))
        made[name] = torch.zeros(shape) if found is None else found.float().clone()
    return made


def begin_with(path: Optional[Path], wanted: FarTrackConfig) -> Tensors:
    """
    Read what frame by frame training begins with, or draw it by chance.

    :param path: a checkpoint of FARTrack or a ViT encoder; None: nothing.
    :param wanted: with the sizes of the network.
    :returns: a whole file's tensors of the stage, the caller's own.
    :raises TrainError: the file is of another kind or of other sizes.
    """
    if path is None:
        return fresh(wanted)
    tensors = read_checkpoint(path).tensors
    try:
        if 'identity' in tensors:
            return take_over(tensors, wanted)
        if any(name.endswith(_PATCHES) for name in tensors):
            return from_encoder(wanted, tensors)
    except (TrainError, CheckpointError) as error:
        raise TrainError(f'{path}: {error}') from None
    raise TrainError(f'{path} is neither a checkpoint of FARTrack nor a ViT encoder (with '
                     f'…{_PATCHES}): give such a file with --from')


def take_over(tensors: Mapping[str, torch.Tensor], wanted: FarTrackConfig) -> Tensors:
    """
    Tensors of FARTrack's file as those of the stage and the sizes that are asked for.

    :raises TrainError, CheckpointError: it is not whole, or of other sizes or of a later stage.
    """
    FarTrack.recognise(tensors)
    for name, there in sizes_of(tensors).items():
        if there != getattr(wanted, name):
            raise TrainError(f'its {name} is {there}, asked for is {getattr(wanted, name)}: give '
                             f'{there} in the recipe, too')
    return as_stage(wanted, tensors)


def network_of(config: FarTrackConfig, tensors: Tensors) -> tuple[FarTrack, Tensors]:
    """Make the network to train; returns it and the file's tensors that are not in it."""
    network = load(config, tensors).train()
    inside = network.state_dict().keys()
    return network, {name: value for name, value in tensors.items() if name not in inside}


def write_official(network: FarTrack, rest: Mapping[str, torch.Tensor], path: Path,
                   about: Mapping[str, Any]) -> None:
    """
    Write a file as the authors' training does: the network under 'net', by their names.

    :param rest: the file's tensors that are not in the network.
    """
    state = {name: value.detach().float().cpu() for name, value in network.state_dict().items()}
    read = state[f'backbone.{network.config.positions}']
    net = {**rest, **state}
    net = {**net, **{name: read.clone() for name in _SAME if name in net}}
    torch.save({'net': {name: net[name] for name in file_shapes(network.config)},
                'net_type': NAMES[network.config.stage], 'train': dict(about)}, path)


def export(product: Path, config: FarTrackConfig, bundle: Path, about: Mapping[str, Any],
           clip: Callable[[], Any]) -> None:
    """
    Make a bundle of a file of ``write_official``, and prove it on real frames.

    :param config: depth of the network, of those that the file can be.
    """
    network = load(replace(config, positions=POSITIONS[0]), dict(read_checkpoint(product).tensors))
    frames = clip()
    export_bundle(network, bundle, {'name': bundle.name, 'family': 'fartrack',
                                    **describe_network(config), **about},
                  lambda part: verify(read_bundle(part), network, frames).check())


def _published_rate(name: str, backbone_rate: float) -> float:
    """Factor of the learning rate: the backbone's for what came with the backbone."""
    new = any(part in name for part in ('output_bias', 'embeddings', 'extension'))
    return backbone_rate if name.startswith('backbone.') and not new else 1.0


def groups(network: FarTrack, weight_decay: float, backbone_rate: float) -> list[dict[str, Any]]:
    """Everything is decayed; what came with the backbone learns at a rate of its own."""
    return decayed_apart(network, weight_decay, lambda name, p: False,
                         lambda name: _published_rate(name, backbone_rate))
