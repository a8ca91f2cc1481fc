# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
A bundle's graph as builders want it: weights as plain float32 constants, nothing left to fold.

The graphs of bundles keep every weight under its parameter's name, some in half precision and some
transposed. ONNX Runtime folds all of that, batch norms too, and writes a graph of the same opset
and of standard operators. Needs the package ``onnx``.
"""
from __future__ import annotations

import os
import tempfile
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from onnx import numpy_helper, TensorProto

from lorat_ros.engines.session import EngineError

LARGEST = 1_800_000_000      # bytes of weights in one protobuf, which ends at 2 GB


def plain(graph: Path, folder: Path) -> onnx.ModelProto:
    """
    Fold a graph; names, shapes and types of its inputs and outputs stay.

    :param graph: ONNX file, with its weights in it or beside it.
    :param folder: for scratch files, as large as the graph in float32.
    :raises EngineError: ONNX Runtime cannot load the graph.
    :raises OSError: there is no room for scratch files.
    """
    wide, folded = (folder / f'{graph.stem}.{what}.onnx' for what in ('wide', 'folded'))
    small = graph.stat().st_size < LARGEST / 2 and not graph.with_suffix('.data').exists()
    try:
        if small:
            onnx.save(_widened(onnx.load(graph)), wide)
            _fold(wide, folded)
            folded.replace(wide)      # CastLike has become Cast, and that can be folded too
        _fold(wide if small else graph, folded)
    except Exception as error:      # ONNX Runtime's own exception types are not importable
        _check_room(folder, graph)
        raise EngineError(f'{graph} cannot be loaded by ONNX Runtime {onnxruntime.__version__}: '
                          f'{error}; copy or import the bundle anew, or update onnxruntime'
                          ) from None
    model = onnx.load(folded)
    for scratch in (wide, folded, folded.with_suffix('.data')):
        scratch.unlink(missing_ok=True)
    standard = [entry for entry in model.opset_import if entry.domain == '']
    del model.opset_import[:]
    model.opset_import.extend(standard)
    return model


def _check_room(folder: Path, graph: Path) -> None:
    """Raise OSError if a graph in float32 does not fit into a folder."""
    data = graph.with_suffix('.data')
    size = sum(path.stat().st_size for path in (graph, data) if path.exists())
    with tempfile.TemporaryFile(dir=folder) as probe:
        os.posix_fallocate(probe.fileno(), 0, 2 * size + 4096)


def _fold(graph: Path, target: Path) -> None:
    """Let ONNX Runtime write what it makes of a graph before it becomes its own."""
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    options.optimized_model_filepath = str(target)
    options.log_severity_level = 3
    if graph.with_suffix('.data').exists():
        options.add_session_config_entry('session.optimized_model_external_initializers_file_name',
                                         target.with_suffix('.data').name)
    onnxruntime.InferenceSession(str(graph), options, providers=['CPUExecutionProvider'])


def save(model: onnx.ModelProto, target: Path) -> None:
    """Write a graph; weights that one protobuf cannot hold go into a file beside it."""
    large = sum(len(value.raw_data) for value in model.graph.initializer) > LARGEST
    data = target.with_suffix('.data')
    data.unlink(missing_ok=True)      # onnx would append to it
    onnx.save(model, target, save_as_external_data=large, location=data.name, size_threshold=1024)


def element_types(model: onnx.ModelProto) -> dict[str, int]:
    """Name of every tensor of a graph to its ``TensorProto`` type."""
    inferred = onnx.shape_inference.infer_shapes(_without_weights(model)).graph
    types = {info.name: info.type.tensor_type.elem_type
             for info in (*inferred.value_info, *inferred.input, *inferred.output)}
    types.update((value.name, value.data_type) for value in model.graph.initializer)
    return types


def _without_weights(model: onnx.ModelProto) -> onnx.ModelProto:
    """Copy a graph, large weights as further inputs: all of it may be too large for a protobuf."""
    bare = onnx.ModelProto()
    bare.ir_version = model.ir_version
    bare.opset_import.extend(model.opset_import)
    graph = bare.graph
    graph.name = model.graph.name
    graph.node.extend(model.graph.node)
    graph.input.extend(model.graph.input)
    graph.output.extend(model.graph.output)
    for value in model.graph.initializer:
        if len(value.raw_data) > 4096:
            graph.input.append(onnx.helper.make_tensor_value_info(value.name, value.data_type,
                                                                  list(value.dims)))
        else:
            graph.initializer.append(value)
    return bare


def _widened(model: onnx.ModelProto) -> onnx.ModelProto:
    """Make weights that are kept in half precision behind a Cast float32 constants."""
    halves = {value.name: value for value in model.graph.initializer
              if value.data_type == TensorProto.FLOAT16}
    nodes, wide = [], []
    for node in model.graph.node:
        half = halves.get(node.input[0]) if node.op_type == 'Cast' else None
        if half is None or node.attribute[0].i != TensorProto.FLOAT:
            nodes.append(node)
            continue
        values = numpy_helper.to_array(half).astype(np.float32)
        wide.append(numpy_helper.from_array(values, node.output[0]))
    used = {name for node in nodes for name in node.input}
    kept = [value for value in model.graph.initializer if value.name in used]
    for field, values in (('node', nodes), ('initializer', [*kept, *wide])):
        copies = [type(value)() for value in values]
        for copy, value in zip(copies, values):
            copy.CopyFrom(value)
        del getattr(model.graph, field)[:]
        getattr(model.graph, field).extend(copies)
    return model
