# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
A network to a model bundle: one static ONNX graph of opset 17 and batch 1 per stage.

Every initialiser keeps the name of its parameter, so the torch engine can read the network back
out of the graphs. Weights of over 1.8 GB go into a file of their own, because a protobuf ends at
2 GB.
"""
from __future__ import annotations

import logging
import os
import tempfile
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx_ir
import torch
from onnx import defs, helper, numpy_helper, TensorProto
from torch import nn
from torch.nn.attention import sdpa_kernel, SDPBackend
from torch.utils.flop_counter import FlopCounterMode

from lorat_ros.engines.gate import ParitySession
from lorat_ros.engines.session import open_session
from lorat_ros.engines.torch import TorchSession
from lorat_ros.models.bundle import (BundleError, describe_file, FORMAT, MANIFEST, read_bundle,
                                     read_manifest, write_manifest)
from lorat_ros.networks.network import Network
from lorat_ros.networks.spelling import spelling

OPSET = 17
EXPORTED_OPSET = 18               # what torch's exporter writes; see _as_opset_17
IR_VERSION = 8                    # of ONNX 1.12, as old as opset 17: older engines read it
HALF_FROM = 256                   # elements; smaller initialisers stay float32
EXTERNAL_FROM = 1_800_000_000     # bytes


class _Stage(nn.Module):
    """One stage of a network as a module of its own, parameters under their own names."""

    def __init__(self, network: Network, stage: str) -> None:
        super().__init__()
        self.network = network
        self.stage = stage

    def forward(self, *inputs: torch.Tensor) -> tuple[torch.Tensor, ...]:
        return getattr(self.network, self.stage)(*inputs)


def export_stage(network: Network, stage: str, folder: Path, half: bool = False,
                 external_from: int = EXTERNAL_FROM) -> dict[str, Any]:
    """
    Write one stage as ``<stage>.onnx``.

    :param half: store large weights in half precision, widened when an engine loads them.
    :param external_from: bytes of weights from which they get a file of their own.
    :returns: the stage's entry for ``graphs`` in ``model.json``.
    """
    # Not optimised: torch's optimiser folds batch norm and transposes weights, and the names of
    # the parameters would be lost. Engines fold the same things when they load the graph.
    inputs = network.example_inputs()[stage]
    with _quiet():
        program = torch.onnx.export(
            _Stage(network, stage).eval(), tuple(inputs.values()), dynamo=True,
            opset_version=EXPORTED_OPSET, input_names=list(inputs),
            output_names=list(network.outputs[stage]), optimize=False, verbose=False,
            custom_translation_table=spelling())
    model = program.model
    _as_opset_17(model)
    _forget_the_source(model)
    for value in list(model.graph.initializers.values()):
        value.name = value.name.removeprefix('network.')
    path, data = folder / f'{stage}.onnx', []
    weights = sum(value.const_value.nbytes for value in model.graph.initializers.values())
    if half:
        proto = onnx_ir.to_proto(model)
        halve_weights(proto)
        onnx.save(proto, path)
    elif weights >= external_from:
        onnx_ir.save(model, path, external_data=f'{stage}.data')
        data = [describe_file(folder / f'{stage}.data')]
    else:
        onnx_ir.save(model, path)
    onnx.checker.check_model(str(path), full_check=not data)
    entry = describe_file(path)
    if network.hands_over.get(stage):
        entry['hands_over'] = list(network.hands_over[stage])
    return {**entry, 'data': data} if data else entry


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep the exporter from telling users about torchvision and its own insides."""
    log = logging.getLogger('torch.onnx')
    before = log.level
    log.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter('ignore', FutureWarning)
            yield
    finally:
        log.setLevel(before)


def _as_opset_17(model: onnx_ir.Model) -> None:
    """
    Declare a graph to be of opset 17 if every operator in it means the same there.

    The exporter knows 18 and above; its converter goes through one protobuf, which large models
    do not fit into.
    """
    changed = sorted({node.op_type for node in model.graph.all_nodes() if node.domain == '' and
                      defs.get_schema(node.op_type, EXPORTED_OPSET).since_version > OPSET})
    if model.opset_imports[''] != EXPORTED_OPSET or changed:
        raise RuntimeError(f'torch {torch.__version__} exported opset {model.opset_imports[""]} '
                           f'with operators that opset {OPSET} lacks: {", ".join(changed)}; '
                           'write them otherwise in the network')
    model.opset_imports[''] = OPSET
    model.ir_version = IR_VERSION


def _forget_the_source(model: onnx_ir.Model) -> None:
    """Drop what torch noted of the code: stack traces, with the paths of whoever exported it."""
    graph = model.graph
    for part in (model, graph, *graph.all_nodes(), *graph.inputs, *graph.initializers.values(),
                 *(value for node in graph.all_nodes() for value in node.outputs)):
        part.metadata_props.clear()


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
    halved = {cast.input[0] for cast in casts}
    kept = [info for info in model.graph.value_info if info.name not in halved]
    del model.graph.value_info[:]
    model.graph.value_info.extend(kept)      # what torch noted of the weights' types is past
    nodes = [*casts, *model.graph.node]
    del model.graph.node[:]
    model.graph.node.extend(nodes)


Check = Callable[[Path], None]      # of a bundle just written; raises if it is not as it should be


def export_bundle(network: Network, folder: Path, about: Mapping[str, Any], check: Check,
                  half: bool = False, external_from: int = EXTERNAL_FROM) -> None:
    """
    Write a bundle, prove it, and only then put it in its place.

    :param about: what ``model.json`` says beyond the graphs: name, family, variant, sizes,
        postprocessing, score, licence, provenance.
    :param check: gets the folder of the finished bundle; what it raises leaves ``folder`` as it
        was.
    :param half: store the weights in half precision.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix='.bundle-') as scratch:
        part = Path(scratch)
        graphs = {stage: export_stage(network, stage, part, half, external_from)
                  for stage in network.outputs}
        write_manifest(part, {
            'format': FORMAT, **about, 'graphs': graphs, 'network': network.settings(),
            'parameters': sum(p.numel() for p in network.parameters()),
            'macs': macs_per_frame(network)})
        check(part)
        _put_in_place(part, folder)


def _put_in_place(part: Path, folder: Path) -> None:
    """Move the files of a bundle to its folder; those of an older one there are replaced."""
    try:
        older = _files_of(folder)
    except BundleError:      # there is none, or none that can be read
        older = set()
    newer = _files_of(part)
    folder.mkdir(exist_ok=True)
    for name in (*sorted(newer), MANIFEST):      # what describes them comes last
        os.replace(part / name, folder / name)
    for name in older - newer:
        (folder / name).unlink(missing_ok=True)


def _files_of(folder: Path) -> set[str]:
    """Names of the files that a bundle's manifest describes."""
    graphs = read_manifest(folder)['graphs'].values()
    return {entry['file'] for graph in graphs for entry in (graph, *graph.get('data', ()))}


def macs_per_frame(network: Network) -> int:
    """Count the multiply-adds of the search stage; what runs once per target is not in it."""
    # Without weights it costs no time, and a second copy of a large network no memory.
    with torch.device('meta'):
        shape = type(network).from_settings(network.settings())
    return macs_of(shape)


def macs_of(shape: Network) -> int:
    """Count the multiply-adds of the search stage of a network on the device 'meta'."""
    inputs = [value.to('meta') for value in shape.example_inputs()['search'].values()]
    shape.eval()
    # Written out as matrix products: the counter does not see into a fused attention.
    with torch.no_grad(), sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        _Stage(shape, 'search').forward(*inputs)
    return counter.get_total_flops() // 2


def parity(folder: Path, network: Network) -> dict[str, float]:
    """
    Largest differences between a bundle under ONNX Runtime and the network it was made of.

    :returns: '<role>.<output>' to the largest absolute difference on random input.
    """
    torch.manual_seed(0)
    both = ParitySession(open_session(read_bundle(folder), 'onnx'), TorchSession(network, 1))
    memory: dict[str, Any] = {}
    for role, inputs in network.example_inputs().items():      # 'template' before 'search'
        feed = {name: value.numpy() for name, value in inputs.items()}
        memory.update(both.run(role, {**feed, **{n: memory[n] for n in feed if n in memory}}))
    return both.differences
