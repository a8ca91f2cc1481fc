# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The engine contract: ONNX Runtime and torch answer alike and fail clearly."""
from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from openvino import Core
from support.bundles import copy_of_default, PASSED

from lorat_ros.engines import onnx, openvino, plan_cache
from lorat_ros.engines.session import EngineError, Handle, open_session
from lorat_ros.models.bundle import describe_file, read_bundle
from lorat_ros.models.catalog import find_bundle


def inputs(seed: int) -> tuple[dict[str, np.ndarray], np.ndarray]:
    rng = np.random.default_rng(seed)
    template = {'image': rng.standard_normal((1, 3, 80, 80)).astype(np.float32),
                'mask': np.pad(np.ones((1, 3, 3), np.float32), ((0, 0), (1, 1), (1, 1)))}
    return template, rng.standard_normal((1, 3, 160, 160)).astype(np.float32)


def answer(engine: str, seed: int, threads: int = 1, model: str = '') -> dict[str, np.ndarray]:
    session = open_session(find_bundle(model), engine, threads)
    assert (session.engine, session.precision) == (engine, 'fp32')
    assert session.device == 'cpu' or engine == 'torch'
    template, image = inputs(seed)
    memory = session.run('template', template)
    assert all(isinstance(value, Handle) for value in memory.values())
    return session.run('search', {'image': image, **memory})


@pytest.mark.parametrize('engine', ['onnx', 'openvino'])
@pytest.mark.parametrize(('model', 'seed'), [('kestrel-e', 0), ('kestrel-e', 1), ('kestrel-s', 2)])
def test_engines_agree_with_torch(engine, model, seed):
    fast, exact = (answer(name, seed, model=model) for name in (engine, 'torch'))
    assert set(fast) == set(exact) == {'score', 'boxes', 'similarity', 'features'}
    assert fast['score'].shape == (1, 10, 10) and fast['boxes'].shape == (1, 4, 10, 10)
    for name in fast:
        np.testing.assert_allclose(fast[name], exact[name], atol=2e-3)


@pytest.mark.parametrize(('engine', 'precision', 'words'), [
    ('onnx', 'int4', "precision 'int4' is unknown: choose one of auto, fp32"),
    ('onnx', 'bf16', 'bf16 is not offered by engine onnx .* choose engine openvino'),
    ('auto', 'bf16', 'bf16 is not offered by engine auto .* choose engine openvino'),
    ('openvino', 'bf16', 'not been proven on this machine .* run `lorat build kestrel-e --engine'),
    ('onnx', 'int8', 'not been proven on this machine .* or use precision fp32')])
def test_precision_needs_an_engine_and_a_proof(engine, precision, words, tmp_path):
    with pytest.raises(EngineError, match=words):
        open_session(find_bundle(), engine, 1, precision, tmp_path)


def test_a_refused_precision_tells_what_was_seen(tmp_path):
    folder = plan_cache.folder_of(find_bundle(), 'openvino', 'bf16', openvino.version(), tmp_path)
    plan_cache.write_verdict(folder, replace(PASSED, crops=120, minimum=0.5))
    with pytest.raises(EngineError, match='refused by the parity gate: over 120 crops'):
        open_session(find_bundle(), 'openvino', 1, 'bf16', tmp_path)


def test_a_built_graph_that_is_gone_is_not_replaced_by_float32(tmp_path):
    folder = plan_cache.folder_of(find_bundle(), 'onnx', 'int8', onnx.version(), tmp_path)
    plan_cache.write_verdict(folder, PASSED)
    with pytest.raises(EngineError, match='holds no graph in int8, though it was proven: run'):
        open_session(find_bundle(), 'onnx', 1, 'int8', tmp_path)


def test_bfloat16_that_passed_runs_and_is_not_float32(tmp_path):
    capable = Core().get_property('CPU', 'OPTIMIZATION_CAPABILITIES')
    folder = plan_cache.folder_of(find_bundle(), 'openvino', 'bf16', openvino.version(), tmp_path)
    plan_cache.write_verdict(folder, PASSED)
    if 'BF16' not in capable:
        with pytest.raises(EngineError, match='this CPU has no bfloat16'):
            open_session(find_bundle(), 'openvino', 1, 'bf16', tmp_path)
        return
    session = open_session(find_bundle(), 'openvino', 1, 'bf16', tmp_path)
    assert session.precision == 'bf16'
    template, image = inputs(3)
    found = session.run('search', {'image': image, **session.run('template', template)})
    difference = np.abs(found['boxes'] - answer('torch', 3)['boxes']).max()
    assert 1e-5 < difference < 0.1


def test_two_threads_answer_as_one():
    one, two = answer('onnx', 7), answer('onnx', 7, threads=2)
    np.testing.assert_allclose(one['score'], two['score'], atol=1e-4)


def test_auto_takes_onnx_runtime_without_torch():
    code = ('import sys; from lorat_ros import load_tracker; t = load_tracker(); '
            'print(t.session.engine, "torch" in sys.modules)')
    done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ['onnx', 'False']


def test_an_unknown_engine_is_refused():
    with pytest.raises(EngineError, match="'gpu' is unknown: choose one of auto, onnx, openvino"):
        open_session(find_bundle(), 'gpu')


def test_a_thread_is_needed():
    with pytest.raises(EngineError, match='threads is 0, expected at least 1'):
        open_session(find_bundle(), 'onnx', 0)


def test_a_graph_that_onnx_runtime_cannot_load(tmp_path):
    def describe_anew(manifest):
        graph = tmp_path / 'copy' / 'search.onnx'
        graph.write_bytes(graph.read_bytes()[:2000])
        manifest['graphs']['search'].update(describe_file(graph))
    bundle = read_bundle(copy_of_default(tmp_path, describe_anew))
    with pytest.raises(EngineError, match=r'search\.onnx cannot be loaded by ONNX Runtime'):
        open_session(bundle, 'onnx')


@pytest.mark.parametrize('engine', ['onnx', 'openvino'])
def test_wrong_inputs_and_roles_are_named(engine):
    session = open_session(find_bundle(), engine)
    with pytest.raises(EngineError, match="no graph 'depth'"):
        session.run('depth', {})
    with pytest.raises(EngineError, match=r"'template' refused its inputs .*\(1, 2\)"):
        session.run('template', {'image': np.zeros((1, 2), np.float32),
                                 'mask': np.zeros((1, 5, 5), np.float32)})
