# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
The files that a LoRAT training run begins with and ends in.

Fine-tuned by LoRA, a network is written as LoRAT's own code writes it: a delta of adapters, head
and type embedding, which ``lorat import`` merges into the base. Trained as a whole it is written
merged: every tensor under its plain name, which ``lorat import`` reads, too.
"""
from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple, Optional

import torch
from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import nn

from lorat_ros.models.bundle import describe_file, read_bundle
from lorat_ros.networks.checkpoints import read_checkpoint
from lorat_ros.networks.export import export_bundle
from lorat_ros.networks.importing import Clip, find_base, verify
from lorat_ros.networks.lora import adapted, wrapped
from lorat_ros.networks.lorat import (check_checkpoint, is_trained, Lorat, LoratConfig,
                                      put_together, read_base, SCALARS)
from lorat_ros.networks.lorat_variants import base_file, describe, OWN
from lorat_ros.training.method import TrainError

SPREAD = 0.02      # of fresh weights, as LoRAT begins with them
WHAT = 'lorat_ros'      # key of what is noted in a file beside its tensors


class Wanted(NamedTuple):
    """The network that is asked for."""

    config: LoratConfig
    variant: Optional[str]      # None: of other sizes than the published ones
    search_factor: float

    @property
    def title(self) -> str:
        """Its name, for errors."""
        return f'{self.variant} ({base_file(self.variant)[0]})' if self.variant else \
            f'a LoRAT of width {self.config.width} with {self.config.depth} blocks'


class Source(NamedTuple):
    """What training begins with."""

    base: Path                                  # file with the weights that LoRA leaves alone
    start: Optional[Mapping[str, torch.Tensor]]      # checkpoint that is trained on


def base_of(wanted: Wanted, given: Optional[Path], beside: Optional[Path]) -> Path:
    """
    The DINOv2 base: as given, or found as ``lorat import`` finds it.

    :param beside: a file in whose folder it is looked for, before torch's cache; None: here.
    :raises TrainError: there is none.
    """
    if given is not None:
        if not given.is_file():
            raise TrainError(f'--base {given}: there is no such file; give the DINOv2 base of '
                             f'{wanted.title}')
        return given
    if wanted.variant is None:
        raise TrainError('--base is missing: LoRA adapts a frozen base. Give the DINOv2 base that '
                         f'{wanted.title} builds upon, or a LoRAT checkpoint that holds one')
    name, url = base_file(wanted.variant)
    found, folders = find_base(beside or Path(name), name)
    if found is None:
        raise TrainError(f'--base is missing: {wanted.variant} builds upon {name}, which is at '
                         f'{url}, and is not in {", ".join(map(str, folders))}: give it with '
                         '--base')
    return found


def source_of(wanted: Wanted, base: Optional[Path], start: Optional[Path]) -> Source:
    """
    Find what training begins with.

    :raises TrainError, CheckpointError: there is no base, or one too many, or a file is none.
    """
    if start is None:
        return Source(base_of(wanted, base, None), None)
    tensors = read_checkpoint(start).tensors
    if 'pos_embed' not in tensors:
        return Source(base_of(wanted, base, start), tensors)
    if 'token_type_embed' not in tensors:
        raise TrainError(f'--from {start} is a bare DINOv2 base, no LoRAT: give it with --base')
    if base is not None:
        raise TrainError(f'{start} holds its base, too, yet --base {base} was given: leave it out')
    return Source(start, tensors)


def _fresh(network: Lorat) -> None:
    """Begin with a head and a type embedding as LoRAT does; adapters begin so by themselves."""
    nn.init.trunc_normal_(network.token_type_embed, std=SPREAD)
    for module in network.head.modules():
        if isinstance(module, nn.Linear):
            nn.init.trunc_normal_(module.weight, std=SPREAD)
            nn.init.zeros_(module.bias)


def build_adapted(wanted: Wanted, source: Source, rank: int, scaling: float) -> Lorat:
    """
    Build a network with adapters; everything but what LoRAT trains is frozen.

    :raises TrainError: the adapters of the checkpoint are of another rank or scaling.
    :raises CheckpointError: a file is of another network.
    """
    network = Lorat(wanted.config, adapted(rank, scaling))
    _fresh(network)
    state = wrapped(read_base(source.base, wanted.config, wanted.title), network.state_dict())
    if source.start is not None:
        there = check_checkpoint(source.start, wanted.config, wanted.title)
        if there[0] and there != (rank, scaling):
            raise TrainError(
                f'the adapters of --from are of rank {there[0]} and scaled by {there[1]:g}, the '
                f'recipe asks for rank {rank} and {scaling:g}: give --set rank={there[0]} '
                f'alpha={there[0] * there[1]:g}')
        state.update((n, v.float()) for n, v in source.start.items() if is_trained(n))
    network.load_state_dict({**network.state_dict(), **state})
    for name, parameter in network.named_parameters():
        parameter.requires_grad_(is_trained(name))
    return network


def build_whole(wanted: Wanted, source: Source) -> Lorat:
    """
    Build a network without adapters, all of which is trained; those of a checkpoint are merged.

    :raises CheckpointError: a file is of another network.
    """
    if source.start is not None:
        full = 'pos_embed' in source.start
        network, _ = put_together(wanted.config, source.start, None if full else source.base,
                                  wanted.title)
        return network.requires_grad_(True)
    network = Lorat(wanted.config)
    _fresh(network)
    below = {n: v.float() for n, v in read_base(source.base, wanted.config, wanted.title).items()}
    network.load_state_dict({**network.state_dict(), **below})
    return network


def write(network: Lorat, path: Path, rank: int, scaling: float, notes: Mapping[str, Any]) -> None:
    """
    Write what was trained, as safetensors.

    :param rank: 0: the network has no adapters, and all of it is written.
    :param notes: plain values that go into the file's header; LoRAT's code does not read them.
    :raises OSError: it could not be written.
    """
    tensors = {name: value.detach().cpu().contiguous() for name, value in
               network.state_dict().items() if not rank or is_trained(name)}
    if rank and scaling != 1:      # what readers of today's format take for granted
        tensors.update(zip(SCALARS, (torch.tensor(round(scaling * rank)), torch.tensor(False))))
    try:
        save_file(tensors, path, {'format': 'pt', WHAT: json.dumps(dict(notes))})
    except SafetensorError as error:
        raise OSError(str(error)) from None


def export(wanted: Wanted, product: Path, base: Optional[Path], bundle: Path,
           about: Mapping[str, Any], clip: Callable[[], Clip]) -> None:
    """
    Make a bundle, adapters merged, and let torch and ONNX Runtime follow a target with it.

    :param base: what a delta builds upon; None: the file is complete.
    :raises CheckpointError: the files do not fit together, or the engines do not agree.
    """
    network, origin = put_together(wanted.config, read_checkpoint(product).tensors, base,
                                   wanted.title)
    variant = wanted.variant.removeprefix('lorat-') if wanted.variant else OWN
    origin['checkpoint'] = describe_file(product)
    if base is not None:
        origin['base'] = describe_file(base.resolve())
    frames = clip()
    export_bundle(network, bundle, {
        'name': bundle.name, 'family': 'lorat',
        **describe(wanted.config, variant, wanted.search_factor), **about,
        'provenance': {**about.get('provenance', {}), **origin}},
        lambda part: verify(read_bundle(part), network, frames).check())
