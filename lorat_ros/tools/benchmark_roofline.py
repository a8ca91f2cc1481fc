# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
The roofline: no network can be faster than its arithmetic, nor than its memory traffic.

Roofline model: Williams, Waterman and Patterson, Communications of the ACM 52 (4), 2009. What is
counted of a graph is what its matrix products and convolutions read and write; all between them
is taken as fused into them, which is the best that an engine can do. The machine's two limits are
measured, not read off a data sheet.
"""
from __future__ import annotations

import math
import tempfile
from pathlib import Path
from typing import NamedTuple

from lorat_ros.engines.session import EngineError

PRODUCTS = ('MatMul', 'Gemm', 'Conv', 'ConvTranspose', 'Einsum')
BYTES = {'fp32': 4, 'fp16': 2, 'bf16': 2, 'int8': 1, 'fp8': 1}      # of a number
SMALL = 4096                # bytes of constants that may be shapes


class Traffic(NamedTuple):
    """Numbers that the products of a graph move."""

    weights: int            # each read once
    activations: int        # read and written


class Limits(NamedTuple):
    """What a device was seen to do at most; None: not measured."""

    gflops: float | None    # 10^9 floating-point operations a second
    gbytes: float | None    # 10^9 bytes a second, read and written together


class Bound(NamedTuple):
    """The least that a frame can take."""

    ms: float
    by: str                 # 'arithmetic' or 'memory'


def traffic_of(graph: Path) -> Traffic | None:
    """
    Count what a graph moves: elements, whatever their type.

    :returns: None where onnx is not installed, or where shapes cannot be inferred.
    """
    try:
        from onnx import shape_inference

        from lorat_ros.engines.plain_graph import plain
    except ImportError:
        return None
    try:
        with tempfile.TemporaryDirectory(prefix='lorat-') as scratch:
            model = plain(graph, Path(scratch))
    except EngineError:      # a model that an engine runs all the same is still measured
        return None
    sizes = {weight.name: math.prod(weight.dims) for weight in model.graph.initializer}
    weights = set(sizes)
    for weight in model.graph.initializer:
        if len(weight.raw_data) > SMALL:
            weight.ClearField('raw_data')      # the shape tells enough, and there is a limit
    inferred = shape_inference.infer_shapes(model, data_prop=True).graph
    for value in (*inferred.input, *inferred.value_info, *inferred.output):
        shape = [axis.dim_value for axis in value.type.tensor_type.shape.dim]
        if all(shape):
            sizes.setdefault(value.name, math.prod(shape))
    products = [node for node in inferred.node if node.op_type in PRODUCTS]
    moved = [name for node in products for name in (*node.input, *node.output) if name]
    if not all(name in sizes for name in moved):
        return None
    return Traffic(sum(sizes[name] for name in weights & set(moved)),
                   sum(sizes[name] for name in moved if name not in weights))


def bound_of(macs: int | None, traffic: Traffic | None, precision: str, limits: Limits
             ) -> Bound | None:
    """
    Find the least time of a frame: the larger one of arithmetic's and memory's.

    :param precision: 'fp32', …: says how many bytes a number has.
    :returns: None if neither is known.
    """
    times = []
    if macs and limits.gflops:
        times.append(Bound(2 * macs / (limits.gflops * 1e6), 'arithmetic'))
    if traffic and limits.gbytes:
        moved = BYTES.get(precision, 4) * (traffic.weights + traffic.activations)
        times.append(Bound(moved / (limits.gbytes * 1e6), 'memory'))
    return max(times, default=None)
