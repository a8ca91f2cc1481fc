# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Graphs in bfloat16 for ONNX Runtime's CPU kernels, which have none."""
from __future__ import annotations

import numpy as np
import onnx
from onnx import helper, numpy_helper, TensorProto

from lorat_ros.engines.plain_graph import element_types


def runnable(model: onnx.ModelProto) -> onnx.ModelProto:
    """
    A graph that ONNX Runtime's CPU kernels can run, with the same numbers.

    They know no bfloat16: there what is rounded to it is widened again at once, and products get
    operands that are bfloat16 in value and float32 in type, as tensor cores take them.
    """
    kinds = {value.name: value for value in model.graph.initializer}
    if not any(value.data_type == TensorProto.BFLOAT16 for value in kinds.values()):
        return model
    nodes, types = [], element_types(model)
    for value in model.graph.initializer:
        if value.data_type == TensorProto.BFLOAT16:
            bits = np.frombuffer(value.raw_data, '<u2').astype(np.uint32) << 16
            value.CopyFrom(numpy_helper.from_array(
                bits.view(np.float32).reshape(tuple(value.dims)), value.name))
    for node in model.graph.node:
        rounds = [k for k, name in enumerate(node.output) if
                  types.get(name) == TensorProto.BFLOAT16]
        tails = []
        for k in rounds:
            name = node.output[k]
            if node.op_type == 'Cast':
                node.output[k] = f'{name}.narrow'
                tails.append(helper.make_node('Cast', [f'{name}.narrow'], [name],
                                              to=TensorProto.FLOAT))
            else:
                node.output[k] = f'{name}.raw'
                tails += [helper.make_node('Cast', [f'{name}.raw'], [f'{name}.narrow'],
                                           to=TensorProto.BFLOAT16),
                          helper.make_node('Cast', [f'{name}.narrow'], [name],
                                           to=TensorProto.FLOAT)]
        nodes += [onnx.NodeProto.FromString(node.SerializeToString()), *tails]
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    return model
