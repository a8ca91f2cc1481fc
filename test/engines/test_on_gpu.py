# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
What runs on a GPU, on a real one: parity with ONNX Runtime on real crops, CUDA graphs, memory.

Skipped with the driver's reason where there is none. TensorRT's plans are built here in float32,
without TF32.
"""
from __future__ import annotations

import gc
import logging
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from support.litetrack_golden import bgr_frame, INIT_BOX
from support.tiny_bundles import FAMILIES

from lorat_ros.engines import cuda_memory, torch_memory
from lorat_ros.engines.gate import ParitySession
from lorat_ros.engines.gpu import find_gpu, Gpu
from lorat_ros.engines.plain_graph import plain
from lorat_ros.engines.session import EngineError, open_session
from lorat_ros.engines.tensorrt import TensorRtSession, version
from lorat_ros.engines.tensorrt_api import explicit_batch, load_tensorrt, logger_for
from lorat_ros.engines.torch import build_network, graphed_session
from lorat_ros.models.bundle import Bundle
from lorat_ros.models.catalog import find_bundle
from lorat_ros.tracking.tracker import Tracker

GPU = find_gpu()
pytestmark = [pytest.mark.gpu,
              pytest.mark.skipif(not isinstance(GPU, Gpu), reason=f'no GPU: {GPU}')]
FRAMES = 8
#: Largest difference from float32 on the CPU, as a share of the largest output.
NEAR = {'fp32': 1e-3, 'fp16': 0.02, 'bf16': 0.1}


class WithoutGraphs(torch_memory.TorchMemory):
    """Memory that records nothing."""

    def capture(self, work):
        raise torch_memory.CaptureRefused('by the test')


def memories() -> dict[str, Callable]:
    return {'torch': torch_memory.open_memory, 'cuda-python': cuda_memory.open_memory}


def memory_of(name: str):
    """Open memory through a library, or skip."""
    try:
        return memories()[name]()
    except (ImportError, EngineError) as error:
        pytest.skip(f'no memory through {name}: {error}')


@pytest.fixture(scope='module')
def trt():
    """The real TensorRT."""
    try:
        return load_tensorrt()
    except EngineError as error:
        pytest.skip(str(error))


def write_plans(trt, bundle: Bundle, folder: Path) -> None:
    """Build each graph in float32."""
    logger = logger_for(trt, logging.getLogger('tensorrt'))
    for role, path in bundle.graphs.items():
        builder = trt.Builder(logger)
        network = builder.create_network(explicit_batch(trt))
        parser = trt.OnnxParser(network, logger)
        graph = plain(path, folder).SerializeToString()
        assert parser.parse(graph), parser.get_error(0).desc()
        config = builder.create_builder_config()
        config.clear_flag(trt.BuilderFlag.TF32)
        (folder / f'{role}.plan').write_bytes(builder.build_serialized_network(network, config))


@pytest.fixture(scope='module')
def plans(trt, tiny_bundle, tmp_path_factory) -> Callable[[str], Path]:
    """Folder of a family's plans, built once."""
    made: dict[str, Path] = {}

    def folder_of(family: str) -> Path:
        if family not in made:
            made[family] = tmp_path_factory.mktemp(family)
            write_plans(trt, tiny_bundle(family), made[family])
        return made[family]
    return folder_of


def track(session, bundle: Bundle) -> np.ndarray:
    """Boxes and scores of two targets in turn, on the same frames."""
    tracker, rows = Tracker(bundle, session), []
    for start in (INIT_BOX, (150.0, 120.0, 44.0, 52.0)):
        tracker.init(bgr_frame(0), start)
        for index in range(1, FRAMES):
            result = tracker.update(bgr_frame(index))
            rows.append([*result.box, result.score])
    return np.array(rows)


def check_near(session, bundle: Bundle, precision: str) -> None:
    """Both see the same crops; what they answer is near."""
    both = ParitySession(open_session(bundle, 'onnx'), session)
    largest: dict[str, float] = {}
    run = both.run

    def noting(role, inputs):
        answer = run(role, inputs)
        for name, value in answer.items():
            if isinstance(value, np.ndarray):
                place = f'{role}.{name}'
                largest[place] = max(largest.get(place, 0.0), float(np.abs(value).max()))
        return answer
    both.run = noting
    track(both, bundle)
    assert both.differences
    for place, difference in both.differences.items():
        assert difference <= NEAR[precision] * largest[place], place


def test_the_driver_and_torch_see_the_same_gpu():
    torch = pytest.importorskip('torch')
    if not torch.cuda.is_available():
        pytest.skip('this torch was built without CUDA')
    seen = torch.cuda.get_device_properties(0)
    assert (GPU.name, GPU.capability) == (seen.name, (seen.major, seen.minor))
    assert GPU.memory >= seen.total_memory > 0


@pytest.mark.parametrize('precision', NEAR)
@pytest.mark.parametrize('family', FAMILIES)
def test_torch_is_near_onnx_runtime_on_real_crops(family, precision, tiny_bundle):
    bundle, memory = tiny_bundle(family), memory_of('torch')
    if precision == 'bf16' and GPU.capability < (8, 0):
        pytest.skip(f'{GPU} has no bfloat16')
    session = graphed_session(build_network(bundle), precision, memory)
    check_near(session, bundle, precision)
    session.close()


@pytest.mark.parametrize('family', FAMILIES)
def test_a_cuda_graph_of_torch_answers_as_call_by_call(family, tiny_bundle):
    bundle, memory = tiny_bundle(family), memory_of('torch')
    found = track(graphed_session(build_network(bundle), 'fp32', memory), bundle)
    plain = track(graphed_session(build_network(bundle), 'fp32',
                                  WithoutGraphs(memory.crop_device)), bundle)
    np.testing.assert_allclose(found, plain, atol=1e-4)


def test_torch_keeps_no_memory_of_targets_that_are_gone():
    torch = pytest.importorskip('torch')
    session = graphed_session(build_network(find_bundle()), 'fp32', memory_of('torch'))
    track(session, find_bundle())
    gc.collect()
    before = torch.cuda.memory_allocated()
    for _ in range(20):
        track(session, find_bundle())
    gc.collect()
    assert torch.cuda.memory_allocated() <= before
    session.close()


@pytest.mark.parametrize('library', ['torch', 'cuda-python'])
@pytest.mark.parametrize('family', FAMILIES)
def test_tensorrt_is_near_onnx_runtime_on_real_crops(family, library, trt, plans, tiny_bundle):
    bundle = tiny_bundle(family)
    session = TensorRtSession(bundle, plans(family), 'fp32', trt, memory_of(library))
    check_near(session, bundle, 'fp32')
    session.close()


@pytest.mark.parametrize('family', FAMILIES)
def test_a_cuda_graph_of_tensorrt_answers_as_call_by_call(family, trt, plans, tiny_bundle):
    bundle, memory = tiny_bundle(family), memory_of('torch')
    session = TensorRtSession(bundle, plans(family), 'fp32', trt, memory)
    found = track(session, bundle)
    assert session._stages['search']._graph is not None, 'no CUDA graph was made'
    session.close()
    plain = TensorRtSession(bundle, plans(family), 'fp32', trt, WithoutGraphs(memory.crop_device))
    np.testing.assert_array_equal(found, track(plain, bundle))
    plain.close()


@pytest.mark.parametrize('library', ['torch', 'cuda-python'])
def test_tensorrt_keeps_no_memory_of_targets_that_are_gone(library, trt, plans):
    torch = pytest.importorskip('torch')
    if not torch.cuda.is_available():
        pytest.skip('free memory is asked of torch, which was built without CUDA')
    session = TensorRtSession(find_bundle(), plans('kestrel'), 'fp32', trt, memory_of(library))
    track(session, find_bundle())
    gc.collect()
    before, _ = torch.cuda.mem_get_info()
    for _ in range(20):
        track(session, find_bundle())
    gc.collect()
    after, _ = torch.cuda.mem_get_info()
    assert after >= before - (8 << 20)      # less than twenty targets' tokens would take
    session.close()


def test_the_version_names_library_and_gpu(trt):
    assert version() == f'tensorrt {trt.__version__} {GPU}'
