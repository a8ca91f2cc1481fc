# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Memory of a GPU, behind one small contract: through torch, or through cuda-python.

All work goes to one stream, which is not the default one, and is done in the order in which it was
asked for; ``synchronise`` waits for it.
"""
from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from types import MappingProxyType
from typing import Any, Protocol

import numpy as np

from lorat_ros.engines.session import EngineError


class DeviceError(EngineError):
    """CUDA failed; whatever was asked of this memory is lost."""


class CaptureRefused(EngineError):
    """Work that cannot be recorded as a CUDA graph; it can still be done step by step."""


class Buffer(Protocol):
    """Memory on the device; given back when nobody holds it any more."""

    pointer: int     # device address
    size: int        # bytes


class Graph(Protocol):
    """Recorded work."""

    def launch(self) -> None:
        """Ask for all of it at once."""


class DeviceMemory(Protocol):
    """Buffers, copies and one stream; used by one thread at a time."""

    stream: int      # handle of the stream (cudaStream_t)

    def allocate(self, size: int) -> Buffer:
        """Reserve bytes on the device."""

    def adopt(self, value: Any) -> tuple[Buffer, tuple[int, ...], str]:
        """
        Take what somebody else made on this device, in this stream.

        :returns: its buffer, its shape, and its type in NumPy's words ('float32').
        :raises EngineError: it cannot be reached through this library.
        """

    def pinned(self, shape: Sequence[int], dtype: np.dtype) -> np.ndarray:
        """Reserve an array of the host that the device can copy from and to by itself."""

    def upload(self, target: Buffer, source: np.ndarray) -> None:
        """Ask for a copy from a pinned array; it must not be written to before it is done."""

    def download(self, target: np.ndarray, source: Buffer) -> None:
        """Ask for a copy to a pinned array; it must not be read before it is done."""

    def copy(self, target: Buffer, source: Buffer) -> None:
        """Ask for a copy from one buffer to another of the same size, on the device."""

    def synchronise(self) -> None:
        """
        Wait until all that was asked for is done.

        :raises DeviceError: something of it failed.
        """

    def capture(self, work: Callable[[], None]) -> Graph:
        """
        Record what a function asks for, which is not done meanwhile.

        The addresses are part of it. What was asked for before must be done.

        :raises CaptureRefused: it cannot be recorded; the stream is as before.
        """

    def close(self) -> None:
        """Give everything back; the buffers must not be used any more."""


#: In the order of preference: what is tried, and what installs it.
PROVIDERS = MappingProxyType({
    'torch': ('lorat_ros.engines.torch_memory', 'pip install torch'),
    'cuda-python': ('lorat_ros.engines.cuda_memory', 'pip install cuda-python'),
})


def open_memory(load: Callable[[str], Any] = importlib.import_module) -> DeviceMemory:
    """
    Open the memory of the first GPU; to be called only where ``find_gpu`` found one.

    :param load: imports a module by name.
    :raises EngineError: neither torch with CUDA nor cuda-python is there.
    """
    reasons = []
    for name, (module, cure) in PROVIDERS.items():
        try:
            return load(module).open_memory()
        except (ImportError, RuntimeError) as error:      # EngineError is one of them
            reasons.append(f'{name}: {error} ({cure})')
    raise EngineError('memory of the GPU can be reached neither through torch nor through '
                      f'cuda-python ({"; ".join(reasons)}): install one of them')
