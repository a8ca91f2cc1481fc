# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Mixed precision written into a graph: what TensorRT builds as it is, strongly typed.

Products and convolutions, and what only moves or bends their results, run in half precision or
bfloat16. Sums that run through the whole network (residuals), norms, softmax, and the last
products before an output stay in float32: there half precision overflows or is seen in the boxes
(NVIDIA/TensorRT-LLM#3223 measured what becomes of a ViT without that). Inputs and outputs keep
names, shapes and types. Needs the package ``onnx``.
"""
from __future__ import annotations

from collections.abc import Collection, Iterable
from types import MappingProxyType

import numpy as np
import onnx
from onnx import defs, helper, numpy_helper, TensorProto

from lorat_ros.engines.plain_graph import element_types

#: Precision to its type in ONNX and to the largest number it holds.
LOW = MappingProxyType({'fp16': (TensorProto.FLOAT16, 65504.0),
                        'bf16': (TensorProto.BFLOAT16, 3.3e38)})
PRODUCTS = frozenset({'Conv', 'ConvTranspose', 'MatMul', 'Gemm'})
#: Move numbers and leave them as they are.
_MOVERS = frozenset({'Concat', 'DepthToSpace', 'Expand', 'Flatten', 'Gather', 'Identity', 'Pad',
                     'Reshape', 'Slice', 'SpaceToDepth', 'Split', 'Squeeze', 'Tile', 'Transpose',
                     'Unsqueeze'})
#: Change each number by itself and keep its size, or nearly.
_BENDERS = frozenset({'Clip', 'Erf', 'LeakyRelu', 'MaxPool', 'Mul', 'Neg', 'Relu', 'Tanh'})
#: Of one computed value and a constant only: a bias is one, a residual is none.
_WITH_CONSTANT = frozenset({'Add', 'Div', 'Sub'})
_AFTERWARDS = _MOVERS | _BENDERS | _WITH_CONSTANT | {'Exp', 'Sigmoid'}


def mixed(model: onnx.ModelProto, precision: str, handed_over: Collection[str] = ()
          ) -> onnx.ModelProto:
    """
    Write a mixed precision into a graph.

    :param model: float32, as ``plain_graph.plain`` makes it, perhaps with Q/DQ in it: what takes
        its operands from DequantizeLinear is left as it is. The model is changed.
    :param precision: one of LOW.
    :param handed_over: outputs that another graph reads: no last product is sought behind them.
    :returns: the same model.
    """
    types = element_types(model)
    constants = {value.name: value for value in model.graph.initializer}
    low = _chosen(model, precision, types, constants, handed_over)
    _rewrite(model, low, precision, types, constants)
    return model


def _chosen(model: onnx.ModelProto, precision: str, types: dict[str, int],
            constants: dict[str, onnx.TensorProto], handed_over: Collection[str]) -> set[int]:
    """Numbers of the nodes that run in low precision."""
    kind, largest = LOW[precision]
    opset = next(entry.version for entry in model.opset_import if entry.domain == '')
    nodes = model.graph.node
    able = {op: _takes(op, opset, kind) for op in {node.op_type for node in nodes}}
    made_by = {name: number for number, node in enumerate(nodes) for name in node.output}
    last = _last_products(model, made_by, constants, handed_over)
    chosen: set[int] = set()
    for number, node in enumerate(nodes):      # each after what it reads, as ONNX asks
        floats = [name for name in node.input if types.get(name) == TensorProto.FLOAT]
        computed = [name for name in floats if name not in constants]
        if not able[node.op_type] or not computed or not all(
                _fits(constants[name], largest) for name in floats if name in constants):
            continue
        sources = [made_by.get(name) for name in computed]
        if node.op_type in PRODUCTS:
            quantised = any(source is not None and nodes[source].op_type == 'DequantizeLinear'
                            for source in sources)
            take = number not in last and not quantised
        else:
            follows = node.op_type in _MOVERS | _BENDERS or (
                node.op_type in _WITH_CONSTANT and len(computed) == 1)
            take = follows and all(source in chosen for source in sources)
        if take:
            chosen.add(number)
    return chosen


def _takes(op: str, opset: int, kind: int) -> bool:
    """Whether an operator of an opset takes a type as its first input."""
    try:
        schema = defs.get_schema(op, opset)
    except defs.SchemaError:
        return False
    if not schema.inputs:
        return False
    wanted = f'tensor({TensorProto.DataType.Name(kind).lower()})'
    return wanted in schema.inputs[0].types


def _fits(constant: onnx.TensorProto, largest: float) -> bool:
    values = numpy_helper.to_array(constant)
    return values.size == 0 or bool(np.abs(values).max() <= largest)


def _last_products(model: onnx.ModelProto, made_by: dict[str, int],
                   constants: Iterable[str], handed_over: Collection[str]) -> set[int]:
    """Products between which and an output nothing else is that mixes numbers."""
    found, waiting = set(), [output.name for output in model.graph.output
                             if output.name not in handed_over]
    while waiting:
        number = made_by.get(waiting.pop())
        if number is None:
            continue
        node = model.graph.node[number]
        if node.op_type in PRODUCTS:
            found.add(number)
        computed = [name for name in node.input if name not in constants]
        if node.op_type in _AFTERWARDS and len(computed) == 1:
            waiting += computed
    return found


def _rewrite(model: onnx.ModelProto, low: set[int], precision: str, types: dict[str, int],
             constants: dict[str, onnx.TensorProto]) -> None:
    """Put casts where the two worlds meet: ``name`` is float32, ``name.fp16`` its twin."""
    kind, graph = LOW[precision][0], model.graph
    floats = {name for name, found in types.items() if found == TensorProto.FLOAT}
    wanted_wide = {output.name for output in graph.output} | {
        name for number, node in enumerate(graph.node) if number not in low
        for name in node.input}
    nodes, twins = [], set()
    for number, node in enumerate(graph.node):
        if number not in low:
            nodes.append(node)
            continue
        for index, name in enumerate(node.input):
            if name not in floats:
                continue
            twin = f'{name}.{precision}'
            if twin not in twins:
                twins.add(twin)
                if name in constants:
                    graph.initializer.append(_narrowed(constants[name], twin, kind))
                else:
                    nodes.append(helper.make_node('Cast', [name], [twin], name=twin, to=kind))
            node.input[index] = twin
        nodes.append(node)
        for index, name in enumerate(node.output):
            if name not in floats:
                continue
            node.output[index] = twin = f'{name}.{precision}'
            twins.add(twin)
            if name in wanted_wide:
                nodes.append(helper.make_node('Cast', [twin], [name], name=f'{name}.wide',
                                              to=TensorProto.FLOAT))
    copies = [onnx.NodeProto.FromString(node.SerializeToString()) for node in nodes]
    del graph.node[:]
    graph.node.extend(copies)
    _drop_unused(graph)
    del graph.value_info[:]      # types noted there are past


def _drop_unused(graph: onnx.GraphProto) -> None:
    used = {name for node in graph.node for name in node.input}
    used |= {output.name for output in graph.output}
    for index in reversed(range(len(graph.initializer))):
        if graph.initializer[index].name not in used:
            del graph.initializer[index]


def _narrowed(constant: onnx.TensorProto, name: str, kind: int) -> onnx.TensorProto:
    values = numpy_helper.to_array(constant).astype(np.float32)
    if kind == TensorProto.FLOAT16:
        return numpy_helper.from_array(values.astype(np.float16), name)
    bits = np.ascontiguousarray(values).view(np.uint32)
    rounded = (bits + 0x7fff + ((bits >> 16) & 1)) >> 16      # to nearest, ties to even
    return helper.make_tensor(name, kind, values.shape,
                              rounded.astype('<u2').tobytes(), raw=True)
