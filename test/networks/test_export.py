# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Checkpoint to bundle: static graphs that answer as the network does and describe themselves."""
from __future__ import annotations

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from lorat_ros.engines.torch import build_network
from lorat_ros.models.bundle import BundleError, read_bundle
from lorat_ros.networks import export, kestrel_bundle
from lorat_ros.networks.kestrel import Kestrel, KestrelConfig

SMALL = KestrelConfig(search_size=96, template_size=48, width=48, depth=2, heads=3, head_width=16)


@pytest.fixture(scope='module')
def exported(tmp_path_factory):
    torch.manual_seed(1)
    network = Kestrel(SMALL)
    with torch.no_grad():      # batch norm that is not the identity
        network.train()(torch.rand(4, 3, 48, 48), torch.rand(4, 3, 3), torch.rand(4, 3, 96, 96))
    folder = tmp_path_factory.mktemp('export')
    state = {'network': network.state_dict(), 'config': SMALL.as_dict(), 'step': 7, 'train': {}}
    torch.save(state, folder / 'kestrel.pt')
    (folder / 'about.json').write_text('{"scores": {"AUC": 1}, "provenance": {"data": "none"}}')
    arguments = [folder / 'kestrel.pt', folder / 'tiny', '--variant', 'xs', '--describe',
                 folder / 'about.json']
    assert kestrel_bundle.main([str(argument) for argument in arguments]) == 0
    return network.eval(), folder / 'tiny'


def test_the_bundle_describes_itself(exported):
    network, folder = exported
    bundle = read_bundle(folder)
    assert (bundle.name, bundle.variant) == ('tiny', 'xs')
    assert bundle.manifest['sizes']['search'] == 96
    assert bundle.manifest['licence'] == 'not stated'
    # Of it the blocks' linear layers alone: tokens x 2 blocks x (4 + 2 x 3) x 48 squared.
    linear = (36 + 9) * 2 * 10 * 48 ** 2
    assert linear < bundle.manifest['macs'] < 20 * linear
    assert bundle.manifest['scores'] == {'AUC': 1}
    assert bundle.manifest['provenance'] == {'data': 'none', 'steps': 7, 'train': {}}
    assert bundle.manifest['parameters'] == sum(p.numel() for p in network.parameters())


def test_graphs_are_static_and_of_opset_17(exported):
    for stage in Kestrel.outputs:
        model = onnx.load(exported[1] / f'{stage}.onnx')
        assert {d.version for d in model.opset_import if d.domain == ''} == {17}
        for value in [*model.graph.input, *model.graph.output]:
            shape = [d.dim_value for d in value.type.tensor_type.shape.dim]
            assert shape and all(d > 0 for d in shape), (stage, value.name)
        wanted = exported[0].example_inputs()[stage]
        assert [v.name for v in model.graph.input] == list(wanted)


def test_graphs_do_not_tell_where_they_were_made(exported):
    for stage in Kestrel.outputs:
        assert b'.py' not in (exported[1] / f'{stage}.onnx').read_bytes()


def test_the_engine_fuses_what_belongs_together(exported, tmp_path):
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
    options.optimized_model_filepath = str(tmp_path / 'fused.onnx')
    options.log_severity_level = 3
    onnxruntime.InferenceSession(str(exported[1] / 'search.onnx'), options,
                                 providers=['CPUExecutionProvider'])
    kinds = [node.op_type for node in onnx.load(tmp_path / 'fused.onnx').graph.node]
    # Batch norms and ReLUs are part of their convolutions, GELU is one operator.
    assert not {'BatchNormalization', 'Relu', 'Erf', 'Cast', 'CastLike', 'Expand'} & set(kinds)
    assert kinds.count('Gelu') == SMALL.depth


def test_graphs_agree_with_the_network_and_exactly_on_the_weights_they_hold(exported):
    network, folder = exported
    half = export.parity(folder, network)      # weights in half precision
    assert 0 < half['search.score'] < 0.02 and 0 < half['search.boxes'] < 3e-3
    exact = export.parity(folder, build_network(read_bundle(folder)))
    assert exact.keys() == half.keys() and max(exact.values()) < 1e-5


def test_a_bundle_of_other_weights_is_noticed(exported):
    torch.manual_seed(2)
    other = Kestrel(SMALL)
    with torch.no_grad():
        for parameter in other.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.3)
    assert export.parity(exported[1], other)['search.score'] > 0.1


def test_weights_are_stored_in_half_and_read_back(exported):
    network, folder = exported
    restored = build_network(read_bundle(folder))
    for name, value in network.state_dict().items():
        if name.endswith('num_batches_tracked'):
            continue
        torch.testing.assert_close(restored.state_dict()[name], value, atol=2e-4, rtol=1e-3)
    half = sum(i.data_type == onnx.TensorProto.FLOAT16
               for i in onnx.load(folder / 'search.onnx').graph.initializer)
    assert half >= 10


def test_a_bundle_needs_a_name(exported, tmp_path):
    with pytest.raises(BundleError, match="'name' is None"):
        kestrel_bundle.write_bundle(exported[0], tmp_path / 'x', {**kestrel_bundle.DEFAULTS})
    assert list(tmp_path.iterdir()) == []      # a failed export leaves nothing behind


def test_halving_leaves_small_and_large_values_alone():
    import onnx.helper as helper
    from onnx import numpy_helper
    small = numpy_helper.from_array(np.ones(4, np.float32), 'small')
    large = numpy_helper.from_array(np.full(1000, 1e5, np.float32), 'large')
    plain = numpy_helper.from_array(np.ones(1000, np.float32), 'plain')
    node = helper.make_node('Add', ['large', 'plain'], ['y'])
    graph = helper.make_graph([node], 'g', [], [], [small, large, plain])
    model = helper.make_model(graph)
    export.halve_weights(model)
    kinds = {i.name: i.data_type for i in model.graph.initializer}
    assert kinds == {'small': 1, 'large': 1, 'plain': 10}
    assert list(model.graph.node[1].input) == ['large', 'plain.float32']
