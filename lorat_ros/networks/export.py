# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Kestrel checkpoint to model bundle.

::

    python -m lorat_ros.networks.export RUN/kestrel.pt BUNDLE

Static graphs of opset 17, batch 1. Weights are stored in half precision and widened when the
file is loaded, so the arithmetic is float32 and the file half as large; every initialiser keeps
the name of its parameter, so the torch engine can read the network back out of the graphs.
"""
from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from onnx import helper, numpy_helper, TensorProto
from torch import nn
from torch.nn.attention import sdpa_kernel, SDPBackend
from torch.utils.flop_counter import FlopCounterMode

from lorat_ros.engines.session import open_session
from lorat_ros.models.bundle import describe_file, FORMAT, read_bundle, write_manifest
from lorat_ros.networks.kestrel import Kestrel, KestrelConfig, STAGE_OUTPUTS

OPSET = 17
HALF_FROM = 256       # elements; smaller initialisers stay float32
TOLERANCE = 0.01      # of scores and boxes, for weights in half precision


class _Stage(nn.Module):
    """One stage of a network as a module of its own, parameters under their own names."""

    def __init__(self, network: Kestrel, stage: str) -> None:
        super().__init__()
        self.network = network
        self.stage = stage

    def forward(self, *inputs: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return getattr(self.network, self.stage)(*inputs)


def load_checkpoint(path: Path | str) -> tuple[Kestrel, dict[str, Any]]:
    """Read ``kestrel.pt`` as ``lorat train`` writes it; returns the network and what it says."""
    state = torch.load(path, map_location='cpu', weights_only=True)
    network = Kestrel(KestrelConfig(**state['config']))
    network.load_state_dict(state['network'])
    return network.eval(), state


def stage_inputs(config: KestrelConfig) -> dict[str, dict[str, tuple[int, ...]]]:
    """Names and shapes of the inputs of either graph."""
    cells = config.template_grid ** 2
    return {
        'template': {'image': (1, 3, config.template_size, config.template_size),
                     'mask': (1, config.template_grid, config.template_grid)},
        'search': {'image': (1, 3, config.search_size, config.search_size),
                   'template_tokens': (1, cells, config.width),
                   'template_keys': (1, cells + 1, config.width)},
    }


def export_stage(network: Kestrel, stage: str, path: Path) -> None:
    """Write one stage as ONNX."""
    # Not optimised: torch's optimiser folds batch norm and transposes weights, and the names of
    # the parameters would be lost. Engines fold the same things when they load the graph.
    inputs = stage_inputs(network.config)[stage]
    example = tuple(torch.rand(shape) for shape in inputs.values())
    program = torch.onnx.export(_Stage(network, stage).eval(), example, dynamo=True,
                                opset_version=OPSET, input_names=list(inputs),
                                output_names=list(STAGE_OUTPUTS[stage]), optimize=False,
                                verbose=False)
    model = program.model_proto
    opset = {d.domain: d.version for d in model.opset_import}['']
    if opset != OPSET:
        raise RuntimeError(f'torch {torch.__version__} exported opset {opset}, expected {OPSET}')
    for initialiser in model.graph.initializer:
        _rename(model.graph, initialiser, initialiser.name.removeprefix('network.'))
    halve_weights(model)
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, path)


def _rename(graph: onnx.GraphProto, initialiser: onnx.TensorProto, name: str) -> None:
    old, initialiser.name = initialiser.name, name
    for node in graph.node:
        for index, used in enumerate(node.input):
            if used == old:
                node.input[index] = name


def halve_weights(model: onnx.ModelProto) -> None:
    """Store large float32 initialisers as float16, each behind a Cast that engines fold away."""
    casts = []
    for initialiser in model.graph.initializer:
        if initialiser.data_type != TensorProto.FLOAT:
            continue
        values = numpy_helper.to_array(initialiser)
        if values.size < HALF_FROM or np.abs(values).max() > 6e4:
            continue
        name = initialiser.name
        wide = name + '.float32'
        for node in model.graph.node:
            for index, used in enumerate(node.input):
                if used == name:
                    node.input[index] = wide
        initialiser.CopyFrom(numpy_helper.from_array(values.astype(np.float16), name))
        casts.append(helper.make_node('Cast', [name], [wide], to=TensorProto.FLOAT))
    nodes = [*casts, *model.graph.node]
    del model.graph.node[:]
    model.graph.node.extend(nodes)


def export_bundle(network: Kestrel, folder: Path, about: Mapping[str, Any],
                  template_factor: float = 2.0, search_factor: float = 4.0) -> None:
    """
    Write a bundle and prove it: the graphs must answer as the network does.

    :param about: what ``model.json`` says beyond the graphs: name, variant, postprocessing,
        score, licence, provenance.
    :param template_factor: how many times the target the template's crop spans.
    :param search_factor: how many times the target the search region spans.
    :raises RuntimeError: the graphs answer otherwise; the folder is left as it was.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent) as scratch:
        part = Path(scratch)
        for stage in STAGE_OUTPUTS:
            export_stage(network, stage, part / f'{stage}.onnx')
        config = network.config
        graphs = {stage: describe_file(part / f'{stage}.onnx') for stage in STAGE_OUTPUTS}
        graphs['template']['hands_over'] = list(STAGE_OUTPUTS['template'])
        write_manifest(part, {
            'format': FORMAT, **about, 'family': 'kestrel', 'graphs': graphs,
            'sizes': {'template': config.template_size, 'search': config.search_size,
                      'template_factor': template_factor, 'search_factor': search_factor},
            'network': config.as_dict(),
            'parameters': sum(p.numel() for p in network.parameters()),
            'macs': macs_per_frame(network)})
        worst = parity(part, network)
        if worst > TOLERANCE:
            raise RuntimeError(f'{folder}: ONNX Runtime and the network differ by {worst:.2g}, '
                               f'expected at most {TOLERANCE:g}: nothing was written')
        folder.mkdir(exist_ok=True)
        for path in part.iterdir():
            os.replace(path, folder / path.name)


def macs_per_frame(network: Kestrel) -> int:
    """Count the multiply-adds of the search stage; the template stage runs once per target."""
    inputs = [torch.zeros(shape) for shape in stage_inputs(network.config)['search'].values()]
    # Written out as matrix products: the counter does not see into a fused attention.
    with torch.no_grad(), sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        network.eval().search(*inputs)
    return counter.get_total_flops() // 2


def parity(folder: Path, network: Kestrel) -> float:
    """
    Largest difference between a bundle under ONNX Runtime and the network it was made of.

    Compared are what the user sees: scores in [0, 1] and boxes in units of the search region, on
    random input. The network has its weights in single precision, the bundle in half.
    """
    rng = np.random.default_rng(0)
    shapes = stage_inputs(network.config)
    template = {name: rng.random(shape, np.float32) for name, shape in shapes['template'].items()}
    image = rng.standard_normal(shapes['search']['image']).astype(np.float32)
    session = open_session(read_bundle(folder), 'onnx')
    found = session.run('search', {'image': image, **session.run('template', template)})
    with torch.inference_mode():
        score, boxes = network.eval()(torch.from_numpy(template['image']),
                                      torch.from_numpy(template['mask']), torch.from_numpy(image))
    found_score = 1 / (1 + np.exp(-found['score'].astype(np.float64)))
    return max(float(np.abs(found_score - score.sigmoid().numpy()).max()),
               float(np.abs(found['boxes'] - boxes.numpy()).max()))


DEFAULTS = {'postprocessing': {'window': 0.45, 'shape_penalty': 0.1, 'size_rate': 0.5,
                               'hold_score': 0.18, 'widening': 0.04, 'widest': 2.0},
            'score': {'lost': 0.25, 'recover': 0.45}}


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
    network, state = load_checkpoint(args.checkpoint)
    more = json.loads(args.describe.read_text(encoding='utf-8')) if args.describe else {}
    pairs = state['train'].get('pairs', {})
    factors = {name: pairs[name] for name in ('template_factor', 'search_factor')
               if name in pairs}
    export_bundle(network, args.bundle, {
        'name': args.bundle.name, 'variant': args.variant, **DEFAULTS, 'licence': args.licence,
        **more, 'provenance': {**more.get('provenance', {}), 'steps': state['step'],
                               'train': state['train']}}, **factors)
    total = sum(p.stat().st_size for p in args.bundle.iterdir())
    print(f'{args.bundle}: {total / 1e6:.1f} MB, graphs agree with the network')
    return 0


if __name__ == '__main__':
    sys.exit(main())
