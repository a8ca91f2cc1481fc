# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Kestrel checkpoint to model bundle.

::

    python -m lorat_ros.networks.kestrel_bundle RUN/kestrel.pt BUNDLE

Weights are stored in half precision and widened when the file is loaded, so the arithmetic is
float32 and the file half as large.
"""
from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from lorat_ros.networks import export
from lorat_ros.networks.kestrel import Kestrel, KestrelConfig

# Of score logits, of boxes in units of the search region, of cosines, and of features with a
# variance of about 1, for weights in half precision.
TOLERANCE = {'search.score': 0.05, 'search.boxes': 0.01, 'search.similarity': 0.01,
             'search.features': 0.05}
DEFAULTS = {'postprocessing': {'window': 0.45, 'shape_penalty': 0.1, 'size_rate': 0.5,
                               'hold_score': 0.18, 'widening': 0.04, 'widest': 2.0},
            'score': {'lost': 0.25, 'recover': 0.45}}


def load_checkpoint(path: Path | str) -> tuple[Kestrel, dict[str, Any]]:
    """Read what ``save_checkpoint`` wrote; returns the network and what the file says."""
    state = torch.load(path, map_location='cpu', weights_only=True)
    network = Kestrel(KestrelConfig(**state['config']))
    network.load_state_dict(state['network'])
    return network.eval(), state


def save_checkpoint(network: Kestrel, path: Path, pairs: Mapping[str, Any],
                    about: Mapping[str, Any]) -> None:
    """
    Write a file that ``load_checkpoint`` reads.

    :param pairs: what it was or will be shown (``PairConfig``): tells the crops' factors.
    :param about: more plain values: step, seconds.
    """
    torch.save({'network': network.state_dict(), 'config': network.config.as_dict(),
                'train': {'pairs': dict(pairs)}, **about}, path)


def write_bundle(network: Kestrel, folder: Path, about: Mapping[str, Any],
                 template_factor: float = 2.0, search_factor: float = 4.0) -> None:
    """
    Write a bundle and prove it: the graphs must answer as the network does.

    :param about: what ``model.json`` says beyond graphs and sizes: name, variant,
        postprocessing, score, licence, provenance.
    :param template_factor: how many times the target the template's crop spans.
    :param search_factor: how many times the target the search region spans.
    :raises RuntimeError: the graphs answer otherwise; the folder is left as it was.
    """
    config = network.config
    sizes = {'template': config.template_size, 'search': config.search_size,
             'template_factor': template_factor, 'search_factor': search_factor}

    def check(part: Path) -> None:
        for place, found in export.parity(part, network).items():
            if found > TOLERANCE[place]:
                raise RuntimeError(f'{folder}: ONNX Runtime and the network differ by {found:.2g} '
                                   f'in {place}, expected at most {TOLERANCE[place]:g}: nothing '
                                   'was written')

    export.export_bundle(network, folder, {**about, 'family': 'kestrel', 'sizes': sizes}, check,
                         half=True)


def export_checkpoint(checkpoint: Path, bundle: Path, about: Mapping[str, Any]) -> None:
    """
    Make a bundle of what ``lorat train`` wrote.

    :param bundle: folder to write; its name names the model.
    :param about: more for ``model.json``, before what is usual: licence, score, provenance, …
    :raises RuntimeError: the graphs answer otherwise than the network.
    """
    network, state = load_checkpoint(checkpoint)
    pairs = state['train'].get('pairs', {})
    factors = {name: pairs[name] for name in ('template_factor', 'search_factor')
               if name in pairs}
    write_bundle(network, bundle, {
        'name': bundle.name, 'variant': 's', **DEFAULTS, 'licence': 'not stated', **about,
        'provenance': {'steps': state['step'], 'train': state['train'],
                       **about.get('provenance', {})}}, **factors)


def main(arguments: list[str] | None = None) -> int:
    """Command line; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.split('\n\n')[0])
    parser.add_argument('checkpoint', type=Path)
    parser.add_argument('bundle', type=Path, help='folder to write; its name names the model')
    parser.add_argument('--variant', default='s')
    parser.add_argument('--licence', default='not stated', help='of the weights')
    parser.add_argument('--describe', type=Path, metavar='JSON',
                        help='more for model.json: postprocessing, score, scores, provenance, …')
    args = parser.parse_args(arguments)
    more = json.loads(args.describe.read_text(encoding='utf-8')) if args.describe else {}
    export_checkpoint(args.checkpoint, args.bundle,
                      {'variant': args.variant, 'licence': args.licence, **more})
    total = sum(p.stat().st_size for p in args.bundle.iterdir())
    print(f'{args.bundle}: {total / 1e6:.1f} MB, graphs agree with the network')
    return 0


if __name__ == '__main__':
    sys.exit(main())
