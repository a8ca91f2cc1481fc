# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Checkpoints of FARTrack's stages in the official format, with generated values.

``python -m support.fartrack_checkpoints FOLDER VARIANT…`` (in ``test/``) writes the files that
FARTrack's training would leave: a torch pickle with the network under ``net`` beside objects of
the training package, which nobody who imports the file has. One file serves all depths.
"""
from __future__ import annotations

import argparse
import json
import math
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
import torch
from support.goldens import DATA
from support.litetrack_checkpoints import training_package
from support.litetrack_golden import stream
from tqdm import tqdm

from lorat_ros.networks.fartrack import FarTrack
from lorat_ros.networks.fartrack_variants import FarTrackConfig, VARIANTS

#: Stage to the key list of its checkpoint, and to the name that official files begin with.
KEYS = {'base': 'keys_fartrack', 'distill': 'keys_fartrack_distill',
        'sparse': 'keys_fartrack_sparse', 'seq': 'keys_fartrack_seq'}
NAMES = {'base': 'FARTrack', 'distill': 'FARTrackDistill', 'sparse': 'FARTrackSparse'}
WIDTH, COORDINATES = 192, 600


def official_keys(stage: str) -> dict[str, tuple[int, ...]]:
    """Names of an official checkpoint's tensors to their shapes."""
    listed = json.loads((DATA / 'fartrack' / f'{KEYS[stage]}.json').read_text())
    return {name: tuple(shape) for name, (shape, _) in listed.items()}


def _words(values: np.ndarray) -> np.ndarray:
    """Coordinates near 0.375 and 0.625 that point along or against one direction."""
    places = np.arange(COORDINATES) / 300.0 - 0.5
    bumps = (np.exp(-0.5 * ((places - 0.375) / 0.05) ** 2)
             - np.exp(-0.5 * ((places - 0.625) / 0.05) ** 2))
    words = 0.09 * values
    words[:COORDINATES] += 0.5 * bumps[:, None] * _direction()
    return words


def _commands(values: np.ndarray) -> np.ndarray:
    """Two commands along that direction, two against it."""
    return 0.1 * values + 6.0 * np.array([1.0, 1.0, -1.0, -1.0])[:, None] * _direction()


def _direction() -> np.ndarray:
    return np.where(np.arange(WIDTH) % 2 == 0, 1.0, -1.0) / np.sqrt(float(WIDTH))


_BY_NAME = {'.prev_position_embeddings.weight': lambda values: 0.1 * values,
            '.position_embeddings.weight': _commands, '.word_embeddings.weight': _words}


def weight(name: str, shape: tuple[int, ...]) -> np.ndarray:
    """Values of a tensor by its official name, float32."""
    values = stream(name).standard_normal(shape)
    for ending, rule in _BY_NAME.items():
        if name.endswith(ending):
            return rule(values).astype(np.float32)
    fan = math.prod(shape[1:])
    small = 0.25 if name.endswith(('attn.proj.weight', 'mlp.fc2.weight')) else 1.0
    offset, factor = {1: (1.0, 0.1) if name.endswith('.weight') else (0.0, 0.05),
                      2: (0.0, small / np.sqrt(fan)), 3: (0.0, 0.2),
                      4: (0.0, np.sqrt(2.0 / fan))}[len(shape)]
    return (offset + factor * values).astype(np.float32)


def tensors_of(stage: str) -> dict[str, torch.Tensor]:
    """All tensors of a stage's official checkpoint, generated."""
    return {name: torch.from_numpy(weight(name, shape))
            for name, shape in official_keys(stage).items()}


def network_of(stage: str, depth: int = 15, positions: str = 'pos_embed_z1') -> FarTrack:
    """Return a network with generated weights as they are: no row of them is scaled."""
    network = FarTrack(FarTrackConfig(stage, depth, positions))
    tensors = tensors_of(stage)
    network.load_state_dict({name: tensors[name] for name in network.state_dict()}, assign=True)
    return network.eval()


def write_checkpoint(folder: Path, stage: str, tensors: Mapping[str, torch.Tensor]) -> Path:
    """Write an official file with optimiser, statistics and settings; returns it."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f'{NAMES[stage]}_ep0015.pth.tar'
    with training_package() as classes:
        meter, settings = classes['AverageMeter'](), classes['Settings']()
        meter.__dict__.update(val=0.5, avg=0.4, sum=4.0, count=10, history=[0.4])
        settings.__dict__.update(project_path=f'train/fartrack_{stage}', batchsize=8)
        torch.save({'epoch': 15, 'actor_type': 'FARTrackActor', 'net_type': NAMES[stage],
                    'net': dict(tensors), 'net_info': None, 'constructor': None,
                    'optimizer': {'state': {}, 'param_groups': [{'lr': 4e-6}]},
                    'stats': {'train': {'Loss/total': meter}}, 'settings': settings}, path)
    return path


def main(arguments: Iterable[str] | None = None) -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('folder', type=Path)
    parser.add_argument('variants', nargs='+', choices=VARIANTS)
    args = parser.parse_args(arguments)
    for variant in tqdm(args.variants, unit='variant'):
        stage = VARIANTS[variant].stage
        path = write_checkpoint(args.folder / stage, stage, tensors_of(stage))
        print(f'lorat import {path} --variant {variant} --output '
              f'{args.folder / "bundles" / variant}')


if __name__ == '__main__':
    main()
