# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The roofline: what a graph moves, counted by hand, and which limit binds."""
from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from lorat_ros.models.catalog import find_bundle
from lorat_ros.tools.benchmark_copies import measure_copies
from lorat_ros.tools.benchmark_roofline import Bound, bound_of, Limits, Traffic, traffic_of


def write_graph(path: Path) -> Path:
    """Add, MatMul with weights, Softmax, MatMul of two activations, Gemm with a bias."""
    onnx = pytest.importorskip('onnx')
    from onnx import helper, numpy_helper, TensorProto
    weights = {'shift': (4, 8), 'w': (8, 6), 'g': (6, 5), 'bias': (5,)}
    nodes = [('Add', ['x', 'shift'], ['a'], {}), ('MatMul', ['a', 'w'], ['b'], {}),
             ('Softmax', ['b'], ['c'], {}), ('Transpose', ['c'], ['t'], {'perm': [1, 0]}),
             ('MatMul', ['c', 't'], ['d'], {}), ('MatMul', ['d', 'b'], ['e'], {}),
             ('Gemm', ['e', 'g', 'bias'], ['y'], {})]
    graph = helper.make_graph(
        [helper.make_node(kind, *ends, **more) for kind, *ends, more in nodes], 'hand',
        [helper.make_tensor_value_info('x', TensorProto.FLOAT, (4, 8))],
        [helper.make_tensor_value_info('y', TensorProto.FLOAT, (4, 5))],
        [numpy_helper.from_array(np.zeros(shape, np.float32), name)
         for name, shape in weights.items()])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid('', 17)]), str(path))
    return path


def test_traffic_counted_by_hand(tmp_path: Path) -> None:
    found = traffic_of(write_graph(tmp_path / 'hand.onnx'))
    # w, g and bias; shift belongs to no product.
    assert found.weights == 8 * 6 + 6 * 5 + 5
    # a b | c t d | d b e | e y
    assert found.activations == (32 + 24) + (24 + 24 + 16) + (16 + 24 + 24) + (24 + 20)


def test_the_shipped_model_can_be_counted() -> None:
    pytest.importorskip('onnx')
    bundle = find_bundle()
    found = traffic_of(bundle.graphs['search'])
    assert 0.5e6 < found.weights <= bundle.manifest['parameters']
    assert found.activations > 3 * 160 * 160 / 4


def test_the_tighter_limit_binds() -> None:
    limits, traffic = Limits(gflops=200.0, gbytes=10.0), Traffic(weights=1_000_000,
                                                                 activations=250_000)
    # 5 MB at 10 GB/s: 0.5 ms. 2 x 10 M operations at 200 GFLOP/s: 0.1 ms; 2 x 100 M: 1 ms.
    assert bound_of(10_000_000, traffic, 'fp32', limits) == Bound(0.5, 'memory')
    assert bound_of(100_000_000, traffic, 'fp32', limits) == Bound(1.0, 'arithmetic')
    assert bound_of(10_000_000, traffic, 'fp16', limits) == Bound(0.25, 'memory')


def test_what_is_not_known_binds_nothing() -> None:
    traffic = Traffic(1000, 1000)
    assert bound_of(None, None, 'fp32', Limits(1.0, 1.0)) is None
    assert bound_of(1000, traffic, 'fp32', Limits(None, None)) is None
    assert bound_of(1000, traffic, 'fp32', Limits(None, 1.0)).by == 'memory'


@pytest.mark.parametrize('threads', [1, 2])
def test_copies_are_measured(threads: int) -> None:
    assert 0.01 < measure_copies(threads, seconds=0.001, size=2 ** 20) < 1e5


def test_a_device_of_torch_is_measured_alike() -> None:
    torch = pytest.importorskip('torch')
    from lorat_ros.networks.device_limits import measure_device
    found = measure_device(torch.device('cpu'), sides=(16, 32), copied=2 ** 16)
    assert set(found['gflops']) == {'fp32', 'fp16', 'bf16'} and found['name'] == 'cpu'
    assert all(rate > 0 for rate in (*found['gflops'].values(), found['gbytes']))
