# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Eight bits written into a graph: pairs of QuantizeLinear and DequantizeLinear, for TensorRT.

Symmetric, as TensorRT asks: a scale for each activation from the largest value seen while the
graph runs on real crops, a scale for each output channel of an int8 weight, one for an FP8 weight.
Needs the package ``onnx``.
"""
from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
import onnx
import onnxruntime
from onnx import helper, numpy_helper, TensorProto, version_converter

from lorat_ros.engines.plain_graph import element_types, LARGEST, save
from lorat_ros.engines.session import EngineError


class Eight(NamedTuple):
    """A type of eight bits."""

    kind: int           # TensorProto type
    largest: float      # what the largest value becomes
    opset: int          # from which Q/DQ know it
    channels: bool      # a scale for each output channel of a weight
    #: What is quantised, from most to least: the gate decides how much a model bears.
    levels: Mapping[str, tuple[str, ...]]


#: A product of two computed operands counts as 'attention'. Convolutions are not worth FP8: few
#: GPUs have them.
EIGHTS = MappingProxyType({
    'int8': Eight(TensorProto.INT8, 127.0, 17, True, MappingProxyType({
        'all products and convolutions': ('weights', 'Conv', 'attention'),
        'products with weights and convolutions': ('weights', 'Conv'),
        'products with weights': ('weights',)})),
    'fp8': Eight(TensorProto.FLOAT8E4M3FN, 448.0, 19, False, MappingProxyType({
        'all products': ('weights', 'attention'), 'products with weights': ('weights',)}))})


def quantise(model: onnx.ModelProto, precision: str, level: str,
             feeds: Iterable[Mapping[str, np.ndarray]], scratch: Path) -> onnx.ModelProto:
    """
    Put Q/DQ pairs before what a level names.

    :param model: float32, as ``plain_graph.plain`` makes it.
    :param precision: one of EIGHTS.
    :param level: one of its levels.
    :param feeds: inputs of the graph by name, as it gets them at work; about 100 do.
    :param scratch: folder for a graph that tells what flows through it.
    :raises EngineError: the graph is too large, or there is nothing to calibrate with.
    """
    if sum(len(value.raw_data) for value in model.graph.initializer) > LARGEST:
        raise EngineError(f'graphs with weights of over {LARGEST / 1e9:.1f} GB cannot be '
                          'quantised here: use a smaller variant, or precision fp16')
    eight = EIGHTS[precision]
    if eight.opset > 17:
        model = version_converter.convert_version(model, eight.opset)
    chosen = [node for node in model.graph.node if _kind_of(node, model) in eight.levels[level]]
    weights = {value.name: value for value in model.graph.initializer}
    wanted = sorted({name for node in chosen for name in node.input[:2] if name not in weights})
    largest = _largest_values(model, wanted, feeds, scratch)
    pairs: dict[str, str] = {}      # tensor to its twin that went through eight bits
    before: dict[str, list[onnx.NodeProto]] = {}
    for node in chosen:
        for index, name in enumerate(node.input[:2]):
            if name not in pairs:
                axis = _channels_of(node) if name in weights and eight.channels else None
                scale = _scale_of(weights[name], axis) if name in weights else largest[name]
                pairs[name] = f'{name}.{precision}'
                before[name] = _pair(model.graph, name, pairs[name], scale, axis, eight)
            node.input[index] = pairs[name]
    _insert(model.graph, before)
    return model


def _kind_of(node: onnx.NodeProto, model: onnx.ModelProto) -> str:
    if node.op_type not in ('MatMul', 'Gemm'):
        return node.op_type
    weights = {value.name for value in model.graph.initializer}
    return 'weights' if weights & set(node.input[:2]) else 'attention'


def _largest_values(model: onnx.ModelProto, names: list[str],
                    feeds: Iterable[Mapping[str, np.ndarray]], scratch: Path) -> dict[str, float]:
    """Largest absolute value of each tensor over all feeds."""
    told = onnx.ModelProto()
    told.CopyFrom(model)
    types = element_types(model)
    given = {value.name for value in (*model.graph.input, *model.graph.output)}
    told.graph.output.extend(helper.make_tensor_value_info(name, types[name], None)
                             for name in names if name not in given)
    path = scratch / 'told.onnx'
    save(told, path)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(str(path), options,
                                           providers=['CPUExecutionProvider'])
    path.unlink()
    computed = [name for name in names if name not in {value.name for value in told.graph.input}]
    largest = dict.fromkeys(names, 0.0)
    fed = False
    for feed in feeds:
        fed = True
        values = {**feed, **dict(zip(computed, session.run(computed, dict(feed))))}
        for name in names:
            largest[name] = max(largest[name], float(np.abs(values[name]).max()))
    if not fed:
        raise EngineError('there is nothing to calibrate with: give --frames with more than the '
                          'init frame')
    return largest


def _channels_of(node: onnx.NodeProto) -> int:
    """Axis of a weight along which the outputs lie."""
    if node.op_type == 'Conv':
        return 0
    turned = any(entry.name == 'transB' and entry.i for entry in node.attribute)
    return 0 if turned else 1


def _scale_of(weight: onnx.TensorProto, axis: int | None) -> np.ndarray | float:
    values = np.abs(numpy_helper.to_array(weight))
    if axis is None or values.ndim <= axis:
        return float(values.max())
    return values.max(axis=tuple(k for k in range(values.ndim) if k != axis))


def _pair(graph: onnx.GraphProto, name: str, twin: str, largest: np.ndarray | float,
          axis: int | None, eight: Eight) -> list[onnx.NodeProto]:
    """Q and DQ of a tensor, with their constants."""
    scale = np.maximum(np.asarray(largest, np.float32) / eight.largest, np.float32(1e-8))
    graph.initializer.append(numpy_helper.from_array(scale, f'{twin}.scale'))
    graph.initializer.append(helper.make_tensor(f'{twin}.zero', eight.kind, scale.shape,
                                                bytes(scale.size), raw=True))
    extra = {'axis': axis} if axis is not None and scale.ndim else {}
    constants = [f'{twin}.scale', f'{twin}.zero']
    return [helper.make_node('QuantizeLinear', [name, *constants], [f'{twin}.q'],
                             name=f'{twin}.q', **extra),
            helper.make_node('DequantizeLinear', [f'{twin}.q', *constants], [twin], name=twin,
                             **extra)]


def _insert(graph: onnx.GraphProto, before: dict[str, list[onnx.NodeProto]]) -> None:
    """Put each pair behind what makes its tensor, or first where nothing does."""
    made = {name for node in graph.node for name in node.output}
    nodes = [pair for name, pairs in before.items() if name not in made for pair in pairs]
    for node in graph.node:
        nodes.append(node)
        nodes += [pair for name in node.output for pair in before.get(name, ())]
    copies = [onnx.NodeProto.FromString(node.SerializeToString()) for node in nodes]
    del graph.node[:]
    graph.node.extend(copies)
    del graph.value_info[:]
