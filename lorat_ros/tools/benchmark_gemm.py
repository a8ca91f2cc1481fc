# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
How fast this machine multiplies matrices: the peak that ``lorat benchmark`` measures against.

Nearly all that a tracker's network does is products of matrices in float32, so no engine can be
faster than the fastest product. The fastest is looked for among those of NumPy, ONNX Runtime and
torch, as far as they are installed, because none of them is the best everywhere.
"""
from __future__ import annotations

import importlib.util
import time
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import NamedTuple

import numpy as np

from lorat_ros.tools.benchmark_clock import Clock, work_clock
from lorat_ros.tools.benchmark_figures import gflops

#: Rows, inner length, columns: a cube, and the products in a ViT-B over 320 tokens.
SHAPES = ((1024, 1024, 1024), (512, 512, 512), (320, 768, 768), (320, 768, 3072),
          (320, 3072, 768))
SECONDS = 0.15      # for one library and shape
SHORTEST = 5e-4     # seconds that a clock of a busy machine can still tell
OPSET, IR_VERSION = 17, 8

Product = Callable[[], object]


class Peak(NamedTuple):
    """The fastest product found."""

    gflops: float                      # by the clock of work_clock
    library: str
    shape: tuple[int, int, int]        # rows, inner length, columns


def _numpy(left: np.ndarray, right: np.ndarray, threads: int) -> Product:
    out = np.empty((len(left), right.shape[1]), np.float32)
    return lambda: np.matmul(left, right, out=out)


def _onnxruntime(left: np.ndarray, right: np.ndarray, threads: int) -> Product:
    import onnxruntime
    from onnx import helper, numpy_helper, TensorProto

    # The right-hand side is a constant, as weights are: the engine may arrange it as it likes.
    graph = helper.make_graph(
        [helper.make_node('MatMul', ['left', 'right'], ['out'])], 'product',
        [helper.make_tensor_value_info('left', TensorProto.FLOAT, left.shape)],
        [helper.make_tensor_value_info('out', TensorProto.FLOAT, (len(left), right.shape[1]))],
        [numpy_helper.from_array(right, 'right')])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid('', OPSET)],
                              ir_version=IR_VERSION)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    options.add_session_config_entry('session.intra_op.allow_spinning', '0')
    session = onnxruntime.InferenceSession(model.SerializeToString(), options,
                                           providers=['CPUExecutionProvider'])
    return lambda: session.run(['out'], {'left': left})


def _torch(left: np.ndarray, right: np.ndarray, threads: int) -> Product:
    from lorat_ros.networks.products import product
    return product(left, right, threads)


#: Library to what makes its product, and to the packages that this needs.
LIBRARIES: Mapping[str, tuple[Callable[[np.ndarray, np.ndarray, int], Product], tuple[str, ...]]]
LIBRARIES = MappingProxyType({
    'numpy': (_numpy, ()),
    'onnxruntime': (_onnxruntime, ('onnxruntime', 'onnx')),
    'torch': (_torch, ('torch',)),
})


def available() -> list[str]:
    """Names of the libraries that can be measured here."""
    return [name for name, (_, packages) in LIBRARIES.items()
            if all(importlib.util.find_spec(package) for package in packages)]


def shortest_ms(product: Product, clock: Clock, seconds: float = SECONDS) -> float:
    """
    Milliseconds of the fastest of the calls that fit into a time; at least three.

    Calls too short for the clock are timed by several at once.
    """
    product()      # the first call allocates
    took: list[float] = []
    at_once, end = 1, time.perf_counter() + seconds
    while len(took) < 3 or time.perf_counter() < end:
        start = clock()
        for _ in range(at_once):
            product()
        spent = clock() - start
        if spent < SHORTEST:
            at_once *= 2
        else:
            took.append(1e3 * spent / at_once)
    return min(took)


def measure_products(threads: int, seconds: float = SECONDS
                     ) -> dict[str, dict[tuple[int, int, int], float]]:
    """GFLOP/s of every library, by shape (rows, inner length, columns)."""
    clock = work_clock(threads)[1]
    rng = np.random.default_rng(0)
    found: dict[str, dict[tuple[int, int, int], float]] = {}
    for library in available():
        make = LIBRARIES[library][0]
        found[library] = {}
        for m, k, n in SHAPES:
            left, right = (rng.standard_normal(shape, np.float32) for shape in ((m, k), (k, n)))
            ms = shortest_ms(make(left, right, threads), clock, seconds)
            found[library][m, k, n] = gflops(m * k * n, ms)
    return found


def peak_of(*measured: Mapping[str, Mapping[tuple[int, int, int], float]]) -> Peak:
    """Find the fastest product in several measurements."""
    return max(Peak(rate, library, shape) for found in measured
               for library, shapes in found.items() for shape, rate in shapes.items())
