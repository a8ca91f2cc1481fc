# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Checkpoints of every LoRAT variant in the official format, with generated values.

``python -m support.lorat_checkpoints FOLDER VARIANT…`` (in ``test/``) writes the DINOv2 base and
LoRAT's delta of each variant, as their authors' files are named and laid out.
"""
from __future__ import annotations

import argparse
import math
from collections.abc import Iterable, Mapping
from pathlib import Path

import torch
from safetensors.torch import save_file
from tqdm import tqdm

from lorat_ros.networks.lorat import base_shapes, delta_shapes, Lorat, LoratConfig, VARIANTS
from support.generator import parameter

_ROOT3 = math.sqrt(3)


def rule(name: str, shape: tuple[int, ...]) -> tuple[float, float]:
    """Mean and half range of a tensor's values."""
    leaf = name.rpartition('.')[2]
    if name == 'norm.weight' or name.endswith(('norm1.weight', 'norm2.weight')):
        return 1.0, 0.1
    if leaf == 'gamma':
        return 0.5, 0.1
    if name in ('cls_token', 'mask_token'):
        return 0.0, 0.02
    if name in ('pos_embed', 'token_type_embed'):
        return 0.0, 0.5
    if name == 'head.reg_mlp.layers.2.bias':
        return -1.95, 0.05
    if leaf == 'bias':
        return 0.0, 0.05
    if name == 'head.reg_mlp.layers.2.weight':
        return 0.0, 0.3 * _ROOT3 / math.sqrt(shape[1])
    if name.startswith('head.'):
        return 0.0, 1.5 * _ROOT3 / math.sqrt(shape[1])
    if name.endswith('.lora.B'):
        return 0.0, 0.5 * _ROOT3 / math.sqrt(shape[1])
    return 0.0, _ROOT3 / math.sqrt(math.prod(shape[1:]))


def generate(shapes: Mapping[str, tuple[int, ...]]) -> dict[str, torch.Tensor]:
    """Values of tensors by their official names."""
    return {name: torch.from_numpy(parameter(name, shape, rule)) for name, shape in shapes.items()}


def base_tensors(config: LoratConfig) -> dict[str, torch.Tensor]:
    """Tensors of the DINOv2 base."""
    return generate(base_shapes(config))


def delta_tensors(config: LoratConfig) -> dict[str, torch.Tensor]:
    """Tensors of LoRAT's delta."""
    return generate(delta_shapes(config))


def write_base(folder: Path, variant: str) -> Path:
    """Write a DINOv2 base as Meta's hub has it; returns the file."""
    path = folder / Lorat.base_files(variant)[0]
    if not path.is_file():
        torch.save(base_tensors(VARIANTS[variant]), path)
    return path


def write_delta(folder: Path, variant: str) -> Path:
    """Write a delta as LoRAT's code of today does; returns the file."""
    path = folder / variant / 'model.safetensors'
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file(delta_tensors(VARIANTS[variant]), path)
    return path


def main(arguments: Iterable[str] | None = None) -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('folder', type=Path)
    parser.add_argument('variants', nargs='+', choices=VARIANTS)
    args = parser.parse_args(arguments)
    for variant in tqdm(args.variants, unit='variant'):
        print(f'lorat import {write_delta(args.folder, variant)} --variant {variant} --base '
              f'{write_base(args.folder, variant)} --output {args.folder / "bundles" / variant}')


if __name__ == '__main__':
    main()
