# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
``cuda.bindings.runtime`` as far as it is used here, without a GPU.

It has the recorded names (test/data/cuda) and raises AttributeError for all others. Every function
returns a tuple, the error first, as the real ones do. Work waits in its stream until that is
synchronised.
"""
from __future__ import annotations

import ctypes
import enum
import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

VERSIONS = ('12.8', '12.9', '13.5')
DATA = Path(__file__).resolve().parents[1] / 'data' / 'cuda'


class CudaError(enum.IntEnum):
    """Some of the real errors."""

    cudaSuccess = 0
    cudaErrorInvalidValue = 1
    cudaErrorMemoryAllocation = 2
    cudaErrorIllegalAddress = 700
    cudaErrorStreamCaptureUnsupported = 900


class Stream:
    """A handle that becomes an integer, as cudaStream_t does."""

    def __init__(self, handle: int) -> None:
        self.handle, self.open = handle, True
        self.waiting: list[Callable[[], None]] = []
        self.recorded: list[Callable[[], None]] | None = None

    def __int__(self) -> int:
        return self.handle


class FakeCuda:
    """
    The module; attributes in lower case without 'cuda' in front are the test's own.

    ``fail`` names functions to the error that they give from now on.
    """

    def __init__(self, version: str) -> None:
        self.recorded = json.loads((DATA / f'names-{version}.json').read_text())
        self.fail: dict[str, CudaError] = {}
        self.live: dict[int, Any] = {}      # address to memory, of the device and pinned
        self.calls: Counter[str] = Counter()
        self.streams: list[Stream] = []

    def __getattr__(self, name: str) -> Any:
        if name not in self.recorded['module']:
            raise AttributeError(f'module cuda.bindings.runtime has no attribute {name!r}')
        if name == 'cudaError_t':
            return CudaError
        if name == 'cudaStreamNonBlocking':
            return 1
        if name in self.recorded['enums']:
            return enum.IntEnum(name, self.recorded['enums'][name])
        work = getattr(self, f'_{name}')

        def call(*arguments: Any) -> tuple:
            self.calls[name] += 1
            if name in self.fail:
                return (self.fail[name], None)
            result = work(*arguments)
            return (CudaError.cudaSuccess,) if result is None else (CudaError.cudaSuccess, result)
        call.__name__ = name
        return call

    def _cudaSetDevice(self, device: int) -> None:
        assert device == 0

    def _cudaGetLastError(self) -> None:
        pass

    def _cudaGetErrorName(self, error: CudaError) -> bytes:
        return error.name.encode()

    def _cudaGetErrorString(self, error: CudaError) -> bytes:
        return b'in words'

    def _cudaStreamCreateWithFlags(self, flags: int) -> Stream:
        assert flags == 1
        self.streams.append(Stream(0x900 + len(self.streams)))
        return self.streams[-1]

    def _cudaStreamDestroy(self, stream: Stream) -> None:
        assert stream.open
        stream.open = False

    def _cudaStreamSynchronize(self, stream: Stream) -> None:
        waiting, stream.waiting = stream.waiting, []
        for work in waiting:
            work()

    def _reserve(self, size: int) -> int:
        memory = (ctypes.c_uint8 * size)()
        self.live[ctypes.addressof(memory)] = memory
        return ctypes.addressof(memory)

    _cudaMalloc = _cudaMallocHost = _reserve

    def _give_back(self, pointer: int) -> None:
        del self.live[pointer]      # KeyError: given back twice

    _cudaFree = _cudaFreeHost = _give_back

    def _ask(self, stream: Stream, work: Callable[[], None]) -> None:
        (stream.waiting if stream.recorded is None else stream.recorded).append(work)

    def _cudaMemcpyAsync(self, target: int, source: int, size: int, kind: Any,
                         stream: Stream) -> None:
        assert target in self.live and source in self.live and stream.open
        self._ask(stream, lambda: ctypes.memmove(target, source, size))

    def _cudaStreamBeginCapture(self, stream: Stream, mode: Any) -> None:
        assert mode.name == 'cudaStreamCaptureModeThreadLocal'
        stream.recorded = []

    def _cudaStreamEndCapture(self, stream: Stream) -> list:
        recorded, stream.recorded = stream.recorded, None
        return recorded

    def _cudaGraphInstantiate(self, graph: list, flags: int) -> list:
        assert flags == 0
        return list(graph)

    def _cudaGraphDestroy(self, graph: list) -> None:
        pass

    _cudaGraphExecDestroy = _cudaGraphDestroy

    def _cudaGraphLaunch(self, graph: list, stream: Stream) -> None:
        for work in graph:
            self._ask(stream, work)
