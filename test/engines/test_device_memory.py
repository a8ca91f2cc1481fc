# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Memory of a GPU: which library is taken, and what the one through cuda-python asks CUDA for."""
from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from support.fake_cuda import CudaError, FakeCuda, VERSIONS

from lorat_ros.engines import cuda_memory
from lorat_ros.engines.cuda_memory import CudaMemory
from lorat_ros.engines.device_memory import CaptureRefused, DeviceError, open_memory
from lorat_ros.engines.session import EngineError


def providers(**found):
    """What loads modules: those given, by the last part of their names; others are missing."""
    def load(name):
        short = name.rpartition('.')[2]
        if isinstance(found.get(short), Exception) or short not in found:
            raise found.get(short) or ImportError(f'No module named {short!r}')
        return SimpleNamespace(open_memory=lambda: found[short])
    return load


def test_torch_comes_first_then_cuda_python():
    assert open_memory(providers(torch_memory='t', cuda_memory='c')) == 't'
    assert open_memory(providers(cuda_memory='c')) == 'c'
    assert open_memory(providers(torch_memory=EngineError('no CUDA'), cuda_memory='c')) == 'c'


def test_neither_is_there():
    with pytest.raises(EngineError, match=r'torch: built without .* \(pip install torch\); '
                                          r'cuda-python: No module .*\(pip install cuda-python\)'):
        open_memory(providers(torch_memory=EngineError('built without CUDA')))


@pytest.mark.parametrize('version', VERSIONS)
def test_what_is_needed_of_cuda_python_is_in_every_version(version):
    cuda = FakeCuda(version)
    assert not [name for name in cuda_memory.NEEDED if name not in cuda.recorded['module']]
    for name in ('cudaMemcpyHostToDevice', 'cudaMemcpyDeviceToHost', 'cudaMemcpyDeviceToDevice'):
        assert hasattr(cuda.cudaMemcpyKind, name)
    with pytest.raises(AttributeError):
        _ = cuda.cudaMalloc4


@pytest.fixture(params=VERSIONS)
def cuda(request) -> FakeCuda:
    return FakeCuda(request.param)


def test_bytes_go_up_across_and_down(cuda):
    memory = CudaMemory(cuda)
    assert memory.stream == int(cuda.streams[0]) != 0
    one, two = memory.allocate(24), memory.allocate(24)
    source, target = (memory.pinned((2, 3), np.dtype('float32')) for _ in range(2))
    source[...] = np.arange(6).reshape(2, 3)
    target[...] = 0
    memory.upload(one, source)
    memory.copy(two, one)
    memory.download(target, two)
    assert not target.any()      # nothing is done before it is waited for
    memory.synchronise()
    np.testing.assert_array_equal(source, target)


def test_recorded_work_reads_what_is_there_when_it_is_launched(cuda):
    memory = CudaMemory(cuda)
    buffer = memory.allocate(4)
    source, target = (memory.pinned((1,), np.dtype('int32')) for _ in range(2))

    def work():
        memory.upload(buffer, source)
        memory.download(target, buffer)
    graph = memory.capture(work)
    for value in (5, 6):
        source[0] = value
        graph.launch()
        memory.synchronise()
        assert target[0] == value
    del graph
    assert cuda.calls['cudaGraphExecDestroy'] == 1 == cuda.calls['cudaGraphDestroy']


def test_a_refused_capture_leaves_the_stream_usable(cuda):
    memory = CudaMemory(cuda)

    def refuse():
        raise EngineError('TensorRT refused')
    with pytest.raises(CaptureRefused, match='TensorRT refused'):
        memory.capture(refuse)
    cuda.fail['cudaGraphInstantiate'] = CudaError.cudaErrorStreamCaptureUnsupported
    with pytest.raises(CaptureRefused, match='cudaGraphInstantiate failed: cudaErrorStreamCapt'):
        memory.capture(lambda: None)
    assert cuda.streams[0].recorded is None
    source, target = (memory.pinned((1,), np.dtype('int32')) for _ in range(2))
    source[0], buffer = 7, memory.allocate(4)
    memory.upload(buffer, source)
    memory.download(target, buffer)
    memory.synchronise()
    assert target[0] == 7


def test_buffers_are_used_again_and_all_is_given_back_once(cuda):
    memory = CudaMemory(cuda)
    memory.pinned((3,), np.dtype('float32'))
    for _ in range(10):
        buffer = memory.allocate(100)
        del buffer
    assert cuda.calls['cudaMalloc'] == 1
    held = memory.allocate(100)
    memory.close()
    memory.close()
    assert list(cuda.live) == [held.pointer] and not cuda.streams[0].open
    del held
    assert not cuda.live


@pytest.mark.parametrize(('function', 'ask', 'words'), [
    ('cudaMalloc', lambda memory: memory.allocate(1 << 40),
     'no 1099511627776 bytes left .cudaMalloc failed: cudaErrorIllegalAddress, in words.: use a'),
    ('cudaStreamSynchronize', lambda memory: memory.synchronise(),
     'cudaStreamSynchronize failed: cudaErrorIllegalAddress, in words')])
def test_errors_of_cuda_are_named(cuda, function, ask, words):
    memory = CudaMemory(cuda)
    cuda.fail[function] = CudaError.cudaErrorIllegalAddress
    with pytest.raises(DeviceError, match=words):
        ask(memory)


def test_what_another_library_made_is_refused(cuda):
    with pytest.raises(EngineError, match='ndarray cannot be taken from the device through cuda'):
        CudaMemory(cuda).adopt(np.zeros(3))


def test_torch_without_cuda_says_so(monkeypatch):
    torch = pytest.importorskip('torch')
    from lorat_ros.engines import torch_memory
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: False)
    with pytest.raises(EngineError, match=r'torch \S+ \(built for .*\) cannot use this GPU'):
        torch_memory.open_memory()
