# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Checkpoints of every LiteTrack variant in the official format, with generated values.

``python -m support.litetrack_checkpoints FOLDER VARIANT…`` (in ``test/``) writes the files that
LiteTrack's training would leave: a torch pickle with the network under ``net`` and, of early
epochs, objects of the training package, which nobody who imports the file has.
"""
from __future__ import annotations

import argparse
import json
import math
import sys
import types
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from support.goldens import DATA
from support.litetrack_golden import stream, VARIANTS
from tqdm import tqdm

Shapes = dict[str, tuple[int, ...]]


def official_keys(variant: str) -> dict[str, tuple[tuple[int, ...], str]]:
    """Names of an official checkpoint's tensors to shape and data type."""
    path = DATA / 'litetrack' / f'keys_{variant.removeprefix("litetrack-").upper()}.json'
    return {name: (tuple(shape), kind)
            for name, (shape, kind) in json.loads(path.read_text()).items()}


#: The first rule whose ending (or beginning with '=': whole name) fits gives offset and factor.
_BY_NAME = {
    'gamma_1': (0.3, 0.05), 'gamma_2': (0.3, 0.05), 'running_mean': (0.0, 0.1),
    '=box_head.conv5_size.bias': (-1.2, 0.05), '=box_head.conv5_offset.bias': (0.5, 0.05),
}
_WEAK = ('box_head.conv5_size.weight', 'box_head.conv5_offset.weight')


def weight(name: str, shape: tuple[int, ...]) -> np.ndarray:
    """Values of a tensor by its official name."""
    if name.endswith('num_batches_tracked'):
        return np.zeros(shape, np.int64)
    values = stream(name).standard_normal(shape)
    if name.endswith('running_var'):
        return (1.0 + 0.2 * np.abs(values)).astype(np.float32)
    offset, factor = _rule(name, shape)
    return (offset + factor * values).astype(np.float32)


def _rule(name: str, shape: tuple[int, ...]) -> tuple[float, float]:
    for pattern, rule in _BY_NAME.items():
        if name == pattern[1:] or name.endswith(pattern):
            return rule
    fan = math.prod(shape[1:])
    if name in _WEAK:
        return 0.0, 0.3 / math.sqrt(fan)
    by_axes = {1: (1.0, 0.1) if name.endswith('.weight') else (0.0, 0.05), 3: (0.0, 0.2),
               4: (0.0, math.sqrt(2 / fan))}
    return by_axes.get(len(shape), (0.0, 1 / math.sqrt(fan)))


def tensors_of(variant: str) -> dict[str, torch.Tensor]:
    """All tensors of a variant's official checkpoint, generated."""
    return {name: torch.from_numpy(weight(name, shape))
            for name, (shape, _) in official_keys(variant).items()}


@contextmanager
def training_package() -> Iterator[Mapping[str, type]]:
    """The classes whose objects lie in official files, importable only inside."""
    modules = {}
    for name in ('lib', 'lib.train', 'lib.train.admin', 'lib.train.admin.stats',
                 'lib.train.admin.settings'):
        modules[name] = types.ModuleType(name)
    classes = {'AverageMeter': 'lib.train.admin.stats', 'Settings': 'lib.train.admin.settings'}
    made = {}
    for name, place in classes.items():
        made[name] = type(name, (), {'__module__': place})
        setattr(modules[place], name, made[name])
    sys.modules.update(modules)
    try:
        yield made
    finally:
        for name in modules:
            del sys.modules[name]


def write_checkpoint(folder: Path, variant: str, tensors: Mapping[str, torch.Tensor],
                     early: bool = True) -> Path:
    """
    Write an official file; returns it.

    :param early: of an epoch before the last fifth, with optimiser, statistics and settings.
    """
    folder.mkdir(parents=True, exist_ok=True)
    epoch = 150 if early else 300
    path = folder / f'LiteTrack_ep{epoch:04d}.pth.tar'
    with training_package() as classes:
        content = {'net': dict(tensors)}
        if early:
            meter, settings = classes['AverageMeter'](), classes['Settings']()
            meter.__dict__.update(val=0.5, avg=0.4, sum=4.0, count=10, history=[0.4])
            settings.__dict__.update(project_path=f'train/litetrack/{variant}', batchsize=32)
            content = {'epoch': epoch, 'actor_type': 'OSTrackActor', 'net_type': 'LiteTrack',
                       **content, 'net_info': None, 'constructor': None,
                       'optimizer': {'state': {}, 'param_groups': [{'lr': 1e-4}]},
                       'stats': {'train': {'Loss/total': meter}}, 'settings': settings}
        torch.save(content, path)
    return path


def main(arguments: Iterable[str] | None = None) -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('folder', type=Path)
    parser.add_argument('variants', nargs='+', choices=VARIANTS)
    args = parser.parse_args(arguments)
    for variant in tqdm(args.variants, unit='variant'):
        path = write_checkpoint(args.folder / variant, variant, tensors_of(variant))
        print(f'lorat import {path} --output {args.folder / "bundles" / variant}')


if __name__ == '__main__':
    main()
