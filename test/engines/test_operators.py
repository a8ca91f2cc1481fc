# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Every family's graphs hold only what the ONNX parsers of TensorRT 8.6 to 11 name as theirs."""
from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import onnx
import pytest
from onnx import shape_inference, TensorProto
from support.lorat_tiny import CONFIG
from support.tiny_bundles import FAMILIES

from lorat_ros.engines.plain_graph import plain
from lorat_ros.engines.typed_graph import mixed
from lorat_ros.models.catalog import find_bundle
from lorat_ros.networks.export import export_stage
from lorat_ros.networks.lorat import Lorat

PARSERS = json.loads((Path(__file__).resolve().parents[1] / 'data' / 'tensorrt'
                      / 'operators.json').read_text())
#: ONNX's types in the words of the lists; 8.6 makes 32 bits of 64 by itself, as its list says.
NAMES = {'FLOAT': 'FP32', 'FLOAT16': 'FP16', 'BFLOAT16': 'BF16', 'INT64': 'INT64',
         'INT32': 'INT32', 'INT8': 'INT8', 'BOOL': 'BOOL'}


def refused(model: onnx.ModelProto, version: str) -> set[str]:
    """What a version's parser does not name: operators, types of their first inputs, the opset."""
    parser = PARSERS[version]
    low, high = parser['opsets']
    found = {f'opset {entry.version} of {entry.domain!r}' for entry in model.opset_import
             if entry.domain or not (low or 0) <= entry.version <= high}
    graph = shape_inference.infer_shapes(model).graph
    types = {value.name: value.type.tensor_type.elem_type
             for value in (*graph.value_info, *graph.input, *graph.output)}
    types.update((constant.name, constant.data_type) for constant in graph.initializer)
    for node in graph.node:
        taken = parser['operators'].get(node.op_type)
        if taken is None:
            found.add(node.op_type)
        elif node.input:
            kind = NAMES[TensorProto.DataType.Name(types[node.input[0]])]
            kind = 'INT32' if version == '8.6' and kind == 'INT64' else kind
            if kind not in taken:
                found.add(f'{node.op_type} of {kind}')
    return found


@pytest.fixture(scope='module')
def plain_graphs(tiny_bundle, tmp_path_factory) -> dict[str, onnx.ModelProto]:
    """Graphs as builders get them: '<family>.<role>'; of LoRAT and Kestrel both kinds."""
    scratch = tmp_path_factory.mktemp('plain')
    found = {f'{family}.{role}': plain(path, scratch) for family in FAMILIES
             for role, path in tiny_bundle(family).graphs.items()}
    found |= {f'kestrel-s.{role}': plain(path, scratch)
              for role, path in find_bundle('kestrel-s').graphs.items()}
    export_stage(Lorat(replace(CONFIG, feed_forward='swiglu')), 'search', scratch)
    return {**found, 'lorat-g.search': plain(scratch / 'search.onnx', scratch)}


@pytest.mark.parametrize('version', PARSERS)
def test_graphs_in_float32_hold_nothing_that_a_parser_refuses(version, plain_graphs):
    assert {'kestrel.search', 'kestrel-s.search', 'lorat.template', 'litetrack.search',
            'fartrack.first', 'fartrack.search', 'lorat-g.search'} <= set(plain_graphs)
    assert {name: refused(graph, version) for name, graph in plain_graphs.items()
            if refused(graph, version)} == {}


@pytest.mark.parametrize('precision', ['fp16', 'bf16'])
@pytest.mark.parametrize('version', [name for name in PARSERS if name != '8.6'])
def test_typed_graphs_hold_nothing_that_a_parser_refuses(version, precision, plain_graphs):
    for name, graph in plain_graphs.items():
        copy = onnx.ModelProto()
        copy.CopyFrom(graph)
        made = mixed(copy, precision) or copy
        assert refused(made, version) == set(), name


def test_the_check_refuses_what_is_not_there(plain_graphs):
    graph = onnx.ModelProto()
    graph.CopyFrom(plain_graphs['kestrel.search'])
    products = [node for node in graph.graph.node if node.op_type == 'MatMul']
    products[0].op_type = 'MatMulInteger'
    assert refused(graph, '10.16') == {'MatMulInteger'}
    graph.opset_import[0].version = 21
    assert refused(graph, '10.3') >= {"opset 21 of ''", 'MatMulInteger'}


def test_a_bundle_s_own_graph_is_not_for_8_6(tiny_bundle):
    # Why builders get plain graphs: torch's exporter writes an operator that 8.6 has not.
    model = onnx.load(tiny_bundle('litetrack').graphs['search'])
    assert refused(model, '8.6') == {'CastLike'} and refused(model, '10.3') == set()
