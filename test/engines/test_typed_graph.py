# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Mixed precision and eight bits in a graph: on real crops it answers nearly as float32 does."""
from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import helper, numpy_helper, TensorProto
from support.bfloat16 import runnable

from lorat_ros.engines.plain_graph import element_types, plain, save
from lorat_ros.engines.qdq import EIGHTS, quantise
from lorat_ros.engines.session import EngineError, open_session
from lorat_ros.engines.typed_graph import mixed, PRODUCTS
from lorat_ros.models.bundle import Bundle
from lorat_ros.models.catalog import find_bundle
from lorat_ros.tools.frames import open_frames
from lorat_ros.tools.target_arguments import target_of
from lorat_ros.tracking.parity import Clip, crops_of

FAMILIES = ('kestrel', 'lorat', 'litetrack', 'fartrack')
NEAR = {'fp16': 0.006, 'bf16': 0.04, 'int8': 0.08, 'fp8': 0.25}      # of the largest output
KESTREL_INT8 = 0.12      # seen: 0.095, with everything quantised, the convolutions of its stem too


@pytest.fixture(scope='module')
def bundles(tiny_bundle) -> dict[str, Bundle]:
    """A bundle of each family."""
    pytest.importorskip('torch')
    return {family: tiny_bundle(family) for family in FAMILIES}


@pytest.fixture(scope='module')
def clip(cache: Path) -> Clip:
    frames = open_frames(cache / 'lorat_ros' / 'scene' / 'img')
    return Clip(list(islice(frames, 8)), target_of(frames, None, None).init_box)


@pytest.fixture(scope='module')
def food(bundles: dict[str, Bundle], clip: Clip) -> dict[str, list[tuple[str, dict]]]:
    """What the graphs of each bundle are fed when they follow the clip's target."""
    found = {}
    for family, bundle in bundles.items():
        session = open_session(bundle, 'onnx')
        told, seen = Told(session), []
        list(crops_of(bundle, told, [clip]))
        for role, inputs in told.heard:
            seen.append((role, {name: np.asarray(getattr(value, 'value', value))
                                for name, value in inputs.items()}))
        found[family] = seen
    return found


class Told:
    """A session that remembers what it was given."""

    def __init__(self, session) -> None:
        self._session, self.heard = session, []

    def run(self, role, inputs):
        self.heard.append((role, inputs))
        return self._session.run(role, inputs)


def session_of(model: onnx.ModelProto, path: Path) -> onnxruntime.InferenceSession:
    save(model, path)
    options = onnxruntime.SessionOptions()
    options.log_severity_level, options.intra_op_num_threads = 3, 1
    # Q and DQ as they are written: fused, processors without VNNI let products of bytes saturate.
    options.add_session_config_entry('session.disable_quant_qdq', '1')
    return onnxruntime.InferenceSession(str(path), options, providers=['CPUExecutionProvider'])


def made(bundle: Bundle, role: str, precision: str, food: list, folder: Path
         ) -> Iterator[onnx.ModelProto]:
    """The graphs of a precision, from most to least."""
    if precision not in EIGHTS:
        yield mixed(plain(bundle.graphs[role], folder), precision, bundle.handed_over(role))
        return
    for level in EIGHTS[precision].levels:
        feeds = [inputs for of, inputs in food if of == role]
        yield mixed(quantise(plain(bundle.graphs[role], folder), precision, level, feeds, folder),
                    'fp16', bundle.handed_over(role))


@pytest.mark.parametrize('precision', ['fp16', 'bf16', 'int8', 'fp8'])
@pytest.mark.parametrize('family', FAMILIES)
def test_on_real_crops_it_answers_nearly_as_float32(family, precision, bundles, food, tmp_path):
    bundle = bundles[family]
    for role, path in bundle.graphs.items():
        if precision in EIGHTS and role != 'search':
            continue
        exact = onnxruntime.InferenceSession(str(path), providers=['CPUExecutionProvider'])
        graphs = list(made(bundle, role, precision, food[family], tmp_path))
        for model in (graphs[0], graphs[-1]):
            onnx.checker.check_model(model, full_check=True)
            sizes = [len(model.graph.node), sum(n.op_type in PRODUCTS for n in model.graph.node)]
            assert sizes[0] > sizes[1] > 0
            low = session_of(runnable(model), tmp_path / 'low.onnx')
            for which in ('get_inputs', 'get_outputs'):
                assert [(x.name, x.shape, x.type) for x in getattr(low, which)()] == [
                    (x.name, x.shape, x.type) for x in getattr(exact, which)()]
            compared = 0
            for _, inputs in [pair for pair in food[family] if pair[0] == role][:3]:
                for one, other in zip(exact.run(None, inputs), low.run(None, inputs)):
                    assert np.isfinite(other).all()
                    apart = np.abs(one.astype(np.float64) - other).max()
                    near = KESTREL_INT8 if (family, precision) == ('kestrel', 'int8') else \
                        NEAR[precision]
                    assert apart <= near * np.abs(one).max()
                    compared += apart > 0
            assert compared or precision == 'bf16'      # something did change


def test_weights_that_one_protobuf_cannot_hold_go_beside_it(bundles, food, tmp_path,
                                                            monkeypatch):
    bundle = bundles['lorat']
    exact = onnxruntime.InferenceSession(str(bundle.graphs['search']),
                                         providers=['CPUExecutionProvider'])
    monkeypatch.setattr('lorat_ros.engines.plain_graph.LARGEST', 10_000)
    folder = tmp_path / 'large'
    folder.mkdir()
    # As an import writes it: weights in a file of their own; then folded, typed, and saved again.
    graph = folder / 'search.onnx'
    onnx.save(onnx.load(bundle.graphs['search']), graph, save_as_external_data=True,
              location='search.data', size_threshold=0)
    model = mixed(plain(graph, tmp_path), 'fp16', bundle.handed_over('search'))
    save(model, tmp_path / 'typed.onnx')
    assert (tmp_path / 'typed.data').stat().st_size > 10_000
    low = onnxruntime.InferenceSession(str(tmp_path / 'typed.onnx'),
                                       providers=['CPUExecutionProvider'])
    inputs = next(inputs for role, inputs in food['lorat'] if role == 'search')
    for one, other in zip(exact.run(None, inputs), low.run(None, inputs)):
        assert np.abs(one - other).max() <= NEAR['fp16'] * np.abs(one).max()


def kinds_around(model: onnx.ModelProto, *operators: str) -> set[int]:
    types = element_types(model)
    return {types[node.input[0]] for node in model.graph.node if node.op_type in operators}


@pytest.mark.parametrize('precision', ['fp16', 'bf16'])
@pytest.mark.parametrize('family', FAMILIES)
def test_what_overflows_stays_float32_and_what_costs_does_not(family, precision, bundles,
                                                              tmp_path):
    bundle = bundles[family]
    model = mixed(plain(bundle.graphs['search'], tmp_path), precision)
    types = element_types(model)
    assert kinds_around(model, 'Softmax', 'LayerNormalization', 'ReduceSum', 'Sqrt', 'Pow',
                        'ReduceMean') <= {TensorProto.FLOAT}
    low = {'fp16': TensorProto.FLOAT16, 'bf16': TensorProto.BFLOAT16}[precision]
    constants = {value.name for value in model.graph.initializer}
    for node in model.graph.node:
        if node.op_type == 'Add' and not constants & set(node.input):      # a residual
            assert {types[name] for name in node.input} == {TensorProto.FLOAT}
    products = [types[node.input[0]] for node in model.graph.node
                if node.op_type in ('MatMul', 'Gemm')]
    assert products.count(low) >= 0.8 * len(products)
    convolutions = {types[node.input[0]] for node in model.graph.node if node.op_type == 'Conv'}
    assert (low in convolutions) is (precision == 'fp16')      # opset 17 has none in bfloat16
    # Every operator gets operands of one type: a strongly typed network is refused otherwise.
    for node in model.graph.node:
        floats = {types[name] for name in node.input if types.get(name) in (TensorProto.FLOAT,
                                                                           low)}
        assert len(floats) <= 1, node


def test_a_decomposed_layer_norm_stays_float32_too():
    made = helper.make_node
    weight = numpy_helper.from_array(np.eye(4, dtype=np.float32), 'w')
    two, tiny = (numpy_helper.from_array(np.float32(value), name)
                 for value, name in ((2.0, 'two'), (1e-6, 'tiny')))
    huge = numpy_helper.from_array(np.float32(-1e9), 'huge')
    nodes = [made('MatMul', ['x', 'w'], ['h']), made('ReduceMean', ['h'], ['m'], axes=[-1]),
             made('Sub', ['h', 'm'], ['d']), made('Pow', ['d', 'two'], ['p']),
             made('ReduceMean', ['p'], ['v'], axes=[-1]), made('Add', ['v', 'tiny'], ['e']),
             made('Sqrt', ['e'], ['s']), made('Div', ['d', 's'], ['n']),
             made('MatMul', ['n', 'w'], ['k']), made('Add', ['k', 'huge'], ['masked']),
             made('MatMul', ['masked', 'w'], ['y'])]
    value = helper.make_tensor_value_info
    graph = helper.make_graph(nodes, 'norm', [value('x', TensorProto.FLOAT, [2, 4])],
                              [value('y', TensorProto.FLOAT, [2, 4])], [weight, two, tiny, huge])
    model = mixed(helper.make_model(graph, opset_imports=[helper.make_opsetid('', 17)]), 'fp16')
    onnx.checker.check_model(model, full_check=True)
    low = [node.op_type + node.output[0] for node in model.graph.node
           if any(name.endswith('.fp16') for name in node.output) and node.op_type != 'Cast']
    # What half precision cannot hold (-1e9) is added in float32, and the last product stays.
    assert low == ['MatMulh.fp16', 'MatMulk.fp16']


def test_nothing_to_calibrate_with_is_said(tmp_path):
    with pytest.raises(EngineError, match='nothing to calibrate with: give --frames'):
        quantise(plain(find_bundle().graphs['search'], tmp_path), 'int8', 'products with weights',
                 [], tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_graph_that_cannot_be_read_is_named(tmp_path):
    (tmp_path / 'search.onnx').write_bytes(find_bundle().graphs['search'].read_bytes()[:2000])
    with pytest.raises(EngineError, match=r'search\.onnx cannot be loaded by ONNX Runtime'):
        plain(tmp_path / 'search.onnx', tmp_path)
