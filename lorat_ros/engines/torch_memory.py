# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Memory of a GPU through torch: where torch with CUDA is installed anyhow."""
from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import numpy as np
import torch

from lorat_ros.engines.device_memory import CaptureRefused, DeviceError
from lorat_ros.engines.session import EngineError


class TorchBuffer:
    """Bytes of a tensor, which lives as long as this."""

    def __init__(self, tensor: torch.Tensor) -> None:
        self.tensor = tensor.view(-1).view(torch.uint8)
        self.pointer, self.size = tensor.data_ptr(), tensor.numel() * tensor.element_size()


@contextmanager
def asked_of(stream: torch.cuda.Stream) -> Iterator[None]:
    """Ask a stream; what CUDA failed with earlier may be said by any later call."""
    try:
        with torch.cuda.stream(stream):
            yield
    except EngineError:
        raise
    except RuntimeError as error:
        raise DeviceError(f'CUDA failed: {error}') from None


class TorchGraph:
    """Recorded work."""

    def __init__(self, graph: torch.cuda.CUDAGraph, stream: torch.cuda.Stream) -> None:
        self._graph, self._stream = graph, stream

    def launch(self) -> None:
        """Ask for all of it at once."""
        with asked_of(self._stream):
            self._graph.replay()


class TorchMemory:
    """The memory contract on a device of torch; see ``DeviceMemory``."""

    def __init__(self, device: torch.device) -> None:
        self.crop_device = device
        #: Crops that are cut on the device are cut in this stream, and so come in time.
        self.crop_stream = torch.cuda.Stream(device)
        self.stream = self.crop_stream.cuda_stream
        self._pinned: dict[int, torch.Tensor] = {}

    def allocate(self, size: int) -> TorchBuffer:
        """Reserve bytes on the device."""
        try:
            with self.on_stream():
                return TorchBuffer(torch.empty(size, dtype=torch.uint8, device=self.crop_device))
        except RuntimeError as error:
            raise DeviceError(f'the GPU has no {size} bytes left ({error}): use a smaller '
                              'variant, or end other programs on it') from None

    def adopt(self, value: Any) -> tuple[TorchBuffer, tuple[int, ...], str]:
        """Take a tensor on the device: its buffer, shape, and type in NumPy's words."""
        if not (isinstance(value, torch.Tensor) and value.is_contiguous()
                and value.device == self.crop_device):
            raise EngineError(f'{type(value).__name__} is no contiguous tensor on '
                              f'{self.crop_device}')
        return TorchBuffer(value), tuple(value.shape), str(value.dtype).removeprefix('torch.')

    def pinned(self, shape: Sequence[int], dtype: np.dtype) -> np.ndarray:
        """Reserve an array of the host."""
        size = int(np.prod(shape)) * np.dtype(dtype).itemsize
        tensor = torch.empty(size, dtype=torch.uint8, pin_memory=True)
        self._pinned[tensor.data_ptr()] = tensor
        return tensor.numpy().view(dtype).reshape(tuple(shape))

    def _of(self, array: np.ndarray) -> torch.Tensor:
        return self._pinned[array.ctypes.data]

    def on_stream(self) -> AbstractContextManager[Any]:
        """Context in which torch asks this stream."""
        return torch.cuda.stream(self.crop_stream)

    def host(self, like: torch.Tensor) -> torch.Tensor:
        """Reserve a pinned tensor of the host, of the shape and type of another."""
        return torch.empty(like.shape, dtype=like.dtype, pin_memory=True)

    def upload(self, target: TorchBuffer, source: np.ndarray) -> None:
        """Ask for a copy from a pinned array."""
        with asked_of(self.crop_stream):
            target.tensor.copy_(self._of(source), non_blocking=True)

    def download(self, target: np.ndarray, source: TorchBuffer) -> None:
        """Ask for a copy to a pinned array."""
        with asked_of(self.crop_stream):
            self._of(target).copy_(source.tensor, non_blocking=True)

    def copy(self, target: TorchBuffer, source: TorchBuffer) -> None:
        """Ask for a copy on the device."""
        with asked_of(self.crop_stream):
            target.tensor.copy_(source.tensor, non_blocking=True)

    def synchronise(self) -> None:
        """Wait until all is done."""
        try:
            self.crop_stream.synchronize()
        except RuntimeError as error:
            raise DeviceError(f'CUDA failed: {error}') from None

    def capture(self, work: Callable[[], None]) -> TorchGraph:
        """Record what a function asks for."""
        graph = torch.cuda.CUDAGraph()
        try:
            with self.on_stream():
                # Other threads of the process go on using the GPU meanwhile.
                graph.capture_begin(capture_error_mode='thread_local')
                try:
                    work()
                finally:
                    graph.capture_end()
        except RuntimeError as error:
            raise CaptureRefused(str(error)) from None
        return TorchGraph(graph, self.crop_stream)

    def close(self) -> None:
        """Give everything back."""
        self._pinned.clear()


def open_memory() -> TorchMemory:
    """
    Open the memory of the first GPU.

    :raises EngineError: this torch was built without CUDA, or cannot use the GPU.
    """
    if not torch.cuda.is_available():
        built = torch.version.cuda or 'no CUDA'
        raise EngineError(f'torch {torch.__version__} (built for {built}) cannot use this GPU')
    return TorchMemory(torch.device('cuda', torch.cuda.current_device()))
