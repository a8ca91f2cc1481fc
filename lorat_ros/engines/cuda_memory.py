# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Memory of a GPU through cuda-python (12.6 and later): small, for where there is no torch."""
from __future__ import annotations

import ctypes
import weakref
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from lorat_ros.engines.device_memory import CaptureRefused, DeviceError
from lorat_ros.engines.session import EngineError

#: What is used of ``cuda.bindings.runtime``.
NEEDED = ('cudaError_t', 'cudaMemcpyKind', 'cudaStreamCaptureMode', 'cudaStreamNonBlocking',
          'cudaStreamCreateWithFlags', 'cudaStreamDestroy', 'cudaStreamSynchronize',
          'cudaStreamBeginCapture', 'cudaStreamEndCapture', 'cudaGraphInstantiate',
          'cudaGraphLaunch', 'cudaGraphDestroy', 'cudaGraphExecDestroy', 'cudaMalloc', 'cudaFree',
          'cudaMallocHost', 'cudaFreeHost', 'cudaMemcpyAsync', 'cudaGetErrorName',
          'cudaGetErrorString', 'cudaGetLastError', 'cudaSetDevice')


class CudaBuffer:
    """Bytes on the device."""

    def __init__(self, pointer: int, size: int) -> None:
        self.pointer, self.size = pointer, size


class CudaGraph:
    """Recorded work."""

    def __init__(self, call: Callable[..., Any], cuda: Any, graph: Any, stream: Any) -> None:
        self._call, self._cuda, self._stream = call, cuda, stream
        self._graph = graph
        weakref.finalize(self, cuda.cudaGraphExecDestroy, graph).atexit = False

    def launch(self) -> None:
        """Ask for all of it at once."""
        self._call(self._cuda.cudaGraphLaunch, self._graph, self._stream)


class CudaMemory:
    """The memory contract on the first device of CUDA's runtime; see ``DeviceMemory``."""

    def __init__(self, cuda: Any) -> None:
        """
        Open a stream.

        :param cuda: the module ``cuda.bindings.runtime``.
        """
        self._cuda = cuda
        self._call(cuda.cudaSetDevice, 0)
        self._stream = self._call(cuda.cudaStreamCreateWithFlags, cuda.cudaStreamNonBlocking)
        self.stream = int(self._stream)
        # Of buffers that were given back, by size: reserving and freeing make the device wait.
        self._free: dict[int, list[int]] | None = {}
        self._pinned: list[int] = []

    def _call(self, function: Callable[..., tuple[Any, ...]], *arguments: Any) -> Any:
        code, *result = function(*arguments)
        if code != self._cuda.cudaError_t.cudaSuccess:
            name, text = (ask(code)[1].decode(errors='replace') for ask in (
                self._cuda.cudaGetErrorName, self._cuda.cudaGetErrorString))
            self._cuda.cudaGetLastError()      # else the next call fails with it
            raise DeviceError(f'{getattr(function, "__name__", "CUDA")} failed: {name}, {text}')
        return result[0] if result else None

    def allocate(self, size: int) -> CudaBuffer:
        """Reserve bytes on the device."""
        waiting = self._free.get(size) if self._free is not None else None
        if waiting:
            pointer = waiting.pop()
        else:
            try:
                pointer = int(self._call(self._cuda.cudaMalloc, max(size, 1)))
            except DeviceError as error:
                raise DeviceError(f'the GPU has no {size} bytes left ({error}): use a smaller '
                                  'variant, or end other programs on it') from None
        buffer = CudaBuffer(pointer, size)
        weakref.finalize(buffer, self._release, pointer, size).atexit = False
        return buffer

    def _release(self, pointer: int, size: int) -> None:
        # All work goes to one stream: what comes next is done after what still uses this.
        if self._free is None:
            self._cuda.cudaFree(pointer)
        else:
            self._free.setdefault(size, []).append(pointer)

    def adopt(self, value: Any) -> tuple[CudaBuffer, tuple[int, ...], str]:
        """Take what somebody else put on the device: not through cuda-python."""
        raise EngineError(f'{type(value).__name__} cannot be taken from the device through '
                          'cuda-python: install torch, or give an array')

    def pinned(self, shape: Sequence[int], dtype: np.dtype) -> np.ndarray:
        """Reserve an array of the host."""
        size = int(np.prod(shape)) * np.dtype(dtype).itemsize
        pointer = int(self._call(self._cuda.cudaMallocHost, max(size, 1)))
        self._pinned.append(pointer)
        raw = (ctypes.c_uint8 * size).from_address(pointer)
        return np.ctypeslib.as_array(raw).view(dtype).reshape(tuple(shape))

    def upload(self, target: CudaBuffer, source: np.ndarray) -> None:
        """Ask for a copy from a pinned array."""
        self._copy(target.pointer, source.ctypes.data, target.size, 'cudaMemcpyHostToDevice')

    def download(self, target: np.ndarray, source: CudaBuffer) -> None:
        """Ask for a copy to a pinned array."""
        self._copy(target.ctypes.data, source.pointer, source.size, 'cudaMemcpyDeviceToHost')

    def copy(self, target: CudaBuffer, source: CudaBuffer) -> None:
        """Ask for a copy on the device."""
        self._copy(target.pointer, source.pointer, source.size, 'cudaMemcpyDeviceToDevice')

    def _copy(self, target: int, source: int, size: int, kind: str) -> None:
        self._call(self._cuda.cudaMemcpyAsync, target, source, size,
                   getattr(self._cuda.cudaMemcpyKind, kind), self._stream)

    def synchronise(self) -> None:
        """Wait until all is done."""
        self._call(self._cuda.cudaStreamSynchronize, self._stream)

    def capture(self, work: Callable[[], None]) -> CudaGraph:
        """Record what a function asks for."""
        cuda = self._cuda
        try:
            # Other threads of the process go on using the GPU meanwhile.
            mode = cuda.cudaStreamCaptureMode.cudaStreamCaptureModeThreadLocal
            self._call(cuda.cudaStreamBeginCapture, self._stream, mode)
            try:
                work()
            except BaseException:
                cuda.cudaStreamEndCapture(self._stream)
                cuda.cudaGetLastError()
                raise
            graph = self._call(cuda.cudaStreamEndCapture, self._stream)
            try:
                ready = self._call(cuda.cudaGraphInstantiate, graph, 0)
            finally:
                cuda.cudaGraphDestroy(graph)
        except EngineError as error:
            raise CaptureRefused(str(error)) from None
        return CudaGraph(self._call, cuda, ready, self._stream)

    def close(self) -> None:
        """Give everything back; buffers that somebody holds go when he lets them go."""
        if self._free is None:
            return
        waiting, self._free = self._free, None
        for pointers in waiting.values():
            for pointer in pointers:
                self._cuda.cudaFree(pointer)
        for pointer in self._pinned:
            self._cuda.cudaFreeHost(pointer)
        self._cuda.cudaStreamDestroy(self._stream)


def open_memory() -> CudaMemory:
    """
    Open the memory of the first GPU.

    :raises ImportError: cuda-python is not installed, or older than 12.6.
    :raises EngineError: it lacks what is needed, or CUDA cannot be used.
    """
    from cuda.bindings import runtime
    missing = [name for name in NEEDED if not hasattr(runtime, name)]
    if missing:
        raise EngineError(f'cuda-python has no {", ".join(missing[:3])}: update it')
    return CudaMemory(runtime)
