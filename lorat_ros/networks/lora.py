# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
LoRA: a frozen linear layer plus a trained product of two thin matrices, and merging the two.

As LoRAT (ECCV 2024) uses it: ``y = W x + b + scaling * B (A x)``, with A (rank, inputs) and
B (outputs, rank); the query, key and value parts of a fused layer have an adapter each. Merged,
``W' = W + scaling * B A`` costs nothing at run time.
"""
from __future__ import annotations

import math
from collections.abc import Callable, Container, Iterator, Mapping
from functools import partial

import torch
from torch import nn
from torch.nn import functional as F

RANK = 64
QKV = ('q', 'k', 'v')      # thirds of the rows of a fused layer, in this order


class Adapter(nn.Module):
    """The thin matrices of one linear layer."""

    def __init__(self, inputs: int, outputs: int, rank: int = RANK) -> None:
        super().__init__()
        self.A = nn.Parameter(torch.empty(rank, inputs))
        self.B = nn.Parameter(torch.empty(outputs, rank))
        # LoRAT starts both away from zero, so that the sum differs from the base from the start.
        for matrix in (self.A, self.B):
            nn.init.trunc_normal_(matrix, std=0.02)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return F.linear(F.linear(x, self.A), self.B)


class LoraLinear(nn.Module):
    """A linear layer with its adapter; names as in LoRAT's checkpoints."""

    def __init__(self, inputs: int, outputs: int, rank: int = RANK, scaling: float = 1.0) -> None:
        super().__init__()
        self.linear = nn.Linear(inputs, outputs)
        self.lora = Adapter(inputs, outputs, rank)
        self.scaling = scaling

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.linear(x) + self.lora(x) * self.scaling


class LoraQkv(nn.Module):
    """Query, key and value as three adapted layers; answers like one fused layer."""

    def __init__(self, inputs: int, outputs: int, rank: int = RANK, scaling: float = 1.0) -> None:
        super().__init__()
        for part in QKV:
            self.add_module(part, LoraLinear(inputs, outputs // 3, rank, scaling))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.cat([getattr(self, part)(x) for part in QKV], dim=-1)


def adapted(rank: int = RANK, scaling: float = 1.0) -> dict[str, Callable[..., nn.Module]]:
    """Return the factories that put LoRA into a ``Block``: its arguments linear and qkv."""
    return {'linear': partial(LoraLinear, rank=rank, scaling=scaling),
            'qkv': partial(LoraQkv, rank=rank, scaling=scaling)}


def scaling_of(alpha: float | None, rank: int, rank_stabilised: bool = False) -> float:
    """
    Factor of the product B A.

    :param alpha: as in a checkpoint; None: the file says nothing, which means 1.
    :param rank: of the adapters.
    :param rank_stabilised: alpha / sqrt(rank) (rsLoRA) in place of alpha / rank.
    """
    if alpha is None:
        return 1.0
    return alpha / (math.sqrt(rank) if rank_stabilised else rank)


def adapted_layers(names: Mapping[str, object]) -> Iterator[str]:
    """Names of the layers that have an adapter, for example ``blocks.0.attn.qkv.q``."""
    return (name.removesuffix('.lora.A') for name in names if name.endswith('.lora.A'))


def merge(base: Mapping[str, torch.Tensor], adapters: Mapping[str, torch.Tensor], scaling: float
          ) -> dict[str, torch.Tensor]:
    """
    Add adapters to the weights they belong to, in float32.

    :param base: tensors under their plain names (``blocks.0.attn.qkv.weight``).
    :param adapters: ``<layer>.lora.A`` and ``<layer>.lora.B``; other names are ignored.
    :returns: all of ``base``; changed tensors are copies in the type they had.
    :raises KeyError: a layer that ``base`` lacks.
    """
    merged = dict(base)
    changed: dict[str, torch.Tensor] = {}
    for layer in adapted_layers(adapters):
        delta = adapters[f'{layer}.lora.B'].float() @ adapters[f'{layer}.lora.A'].float() * scaling
        owner, _, part = layer.rpartition('.')
        fused = owner.endswith('qkv') and part in QKV
        name = f'{owner if fused else layer}.weight'
        if name not in changed:
            changed[name] = base[name].float().clone()
        rows = changed[name].chunk(3)[QKV.index(part)] if fused else changed[name]
        rows += delta
    merged.update((name, value.to(base[name].dtype)) for name, value in changed.items())
    return merged


def split_wrapped(tensors: Mapping[str, torch.Tensor]
                  ) -> tuple[dict[str, torch.Tensor], dict[str, torch.Tensor]]:
    """
    Take a state dict with layers wrapped in ``LoraLinear`` and ``LoraQkv`` apart.

    :returns: the base under plain names (query, key and value joined), and all the rest that is
        no wrapped layer as it is, in one; the adapters in the other.
    """
    base: dict[str, torch.Tensor] = {}
    adapters: dict[str, torch.Tensor] = {}
    parts: dict[str, dict[str, torch.Tensor]] = {}
    for name, value in tensors.items():
        if '.lora.' in name:
            adapters[name] = value
        elif '.linear.' not in name:
            base[name] = value
        else:
            layer, _, leaf = name.rpartition('.linear.')
            owner, _, part = layer.rpartition('.')
            if owner.endswith('qkv') and part in QKV:
                parts.setdefault(f'{owner}.{leaf}', {})[part] = value
            else:
                base[f'{layer}.{leaf}'] = value
    base.update((name, torch.cat([found[part] for part in QKV]))
                for name, found in parts.items())
    return base, adapters


def wrapped(base: Mapping[str, torch.Tensor], adapted_names: Container[str]
            ) -> dict[str, torch.Tensor]:
    """
    Name plain tensors as a network of adapted layers names them; ``split_wrapped`` backwards.

    :param base: tensors under their plain names.
    :param adapted_names: of the tensors of the adapted network.
    """
    found = {}
    for name, value in base.items():
        layer, _, leaf = name.rpartition('.')
        if f'{layer}.linear.{leaf}' in adapted_names:
            found[f'{layer}.linear.{leaf}'] = value
        elif f'{layer}.{QKV[0]}.linear.{leaf}' in adapted_names:
            found.update((f'{layer}.{part}.linear.{leaf}', rows)
                         for part, rows in zip(QKV, value.chunk(3)))
        else:
            found[name] = value
    return found
