# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
A device whose memory is the host's, to test what runs on a GPU where there is none.

What is asked for is done when the stream is synchronised and not before, as late as a GPU may do
it; addresses are real, and one that is not reserved (any more) is an error. Every copy is counted.
"""
from __future__ import annotations

import ctypes
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from lorat_ros.engines.device_memory import CaptureRefused, DeviceError
from lorat_ros.engines.session import EngineError

UNWRITTEN = 0xA5      # what fresh memory holds


class HostBuffer:
    """Reserved bytes; given back when nobody holds the object."""

    def __init__(self, device: HostDevice, size: int) -> None:
        self._device = device
        self._bytes = np.full(max(size, 1), UNWRITTEN, np.uint8)
        self.pointer, self.size = self._bytes.ctypes.data, size
        device.reserved[self.pointer] = size

    def __del__(self) -> None:
        self._device.reserved.pop(self.pointer, None)
        self._device.events.append('buffer')


class HostStream:
    """Work in its order: waiting, or being recorded."""

    def __init__(self) -> None:
        self.waiting: list[Callable[[], None]] = []
        self.recorded: list[Callable[[], None]] | None = None

    def ask(self, work: Callable[[], None]) -> None:
        """Take on a piece of work."""
        (self.waiting if self.recorded is None else self.recorded).append(work)


class HostDevice:
    """What all that use the device see of each other: addresses, streams, counts, faults."""

    def __init__(self) -> None:
        self.reserved: dict[int, int] = {}           # address to bytes
        self.streams: dict[int, HostStream] = {}     # handle to stream
        self.copies: Counter[str] = Counter()        # 'upload', 'download', 'device'; as done
        self.launches = 0                            # of recorded work
        self.events: list[str] = []                  # what was given back, in its order
        self.refuses_capture = False
        self.fault: str | None = None                # what the next synchronise fails with

    def open_stream(self) -> int:
        """Make a stream; returns its handle, which is never that of the default one."""
        handle = 0x5000 + len(self.streams) + len(self.events)
        self.streams[handle] = HostStream()
        return handle

    def view(self, pointer: int, size: int) -> np.ndarray:
        """Bytes at an address, all of them reserved."""
        if self.reserved.get(pointer, -1) < size:
            raise DeviceError(f'illegal address {pointer:#x} or more than is there: {size} bytes')
        return np.ctypeslib.as_array((ctypes.c_uint8 * size).from_address(pointer))


class HostTensor(NamedTuple):
    """What a library of arrays would put on the device."""

    buffer: HostBuffer
    shape: tuple[int, ...]
    dtype: str


class HostGraph:
    """Recorded work."""

    def __init__(self, device: HostDevice, stream: HostStream,
                 work: list[Callable[[], None]]) -> None:
        self._device, self._stream, self._work = device, stream, work

    def launch(self) -> None:
        """Ask for all of it at once."""
        self._device.launches += 1
        for piece in self._work:
            self._stream.ask(piece)


class HostMemory:
    """The memory contract (``DeviceMemory``) on a host device."""

    def __init__(self, device: HostDevice) -> None:
        self._device = device
        self.stream = device.open_stream()
        self._stream = device.streams[self.stream]
        self._pinned: dict[int, np.ndarray] = {}

    def allocate(self, size: int) -> HostBuffer:
        """Reserve bytes on the device."""
        return HostBuffer(self._device, size)

    def adopt(self, value: Any) -> tuple[HostBuffer, tuple[int, ...], str]:
        """Take what somebody else put on this device."""
        if not isinstance(value, HostTensor):
            raise EngineError(f'{type(value).__name__} is not on this device')
        return value.buffer, value.shape, value.dtype

    def pinned(self, shape: Sequence[int], dtype: np.dtype) -> np.ndarray:
        """Reserve an array of the host; only such ones can be copied."""
        array = np.zeros(tuple(shape), dtype)
        self._pinned[array.ctypes.data] = array
        return array

    def upload(self, target: HostBuffer, source: np.ndarray) -> None:
        """Ask for a copy from a pinned array."""
        self._ask('upload', target.pointer, self._raw(source))

    def download(self, target: np.ndarray, source: HostBuffer) -> None:
        """Ask for a copy to a pinned array."""
        self._ask('download', source.pointer, self._raw(target))

    def copy(self, target: HostBuffer, source: HostBuffer) -> None:
        """Ask for a copy on the device."""
        assert target.size == source.size
        there, here, size = target.pointer, source.pointer, source.size

        def work() -> None:
            self._device.copies['device'] += 1
            self._device.view(there, size)[:] = self._device.view(here, size)
        self._stream.ask(work)

    def _raw(self, array: np.ndarray) -> np.ndarray:
        assert array.ctypes.data in self._pinned, 'this array is not pinned'
        return array.reshape(-1).view(np.uint8)

    def _ask(self, kind: str, pointer: int, raw: np.ndarray) -> None:
        def work() -> None:
            self._device.copies[kind] += 1
            there = self._device.view(pointer, raw.size)
            target, source = (there, raw) if kind == 'upload' else (raw, there)
            target[:] = source
        self._stream.ask(work)

    def synchronise(self) -> None:
        """Do what waits."""
        waiting, self._stream.waiting = self._stream.waiting, []
        if self._device.fault:
            fault, self._device.fault = self._device.fault, None
            raise DeviceError(fault)
        for work in waiting:
            work()

    def capture(self, work: Callable[[], None]) -> HostGraph:
        """Record what a function asks for."""
        assert not self._stream.waiting, 'work is waiting while a capture begins'
        if self._device.refuses_capture:
            raise CaptureRefused('operation not permitted when stream is capturing')
        self._stream.recorded = []
        try:
            work()
            return HostGraph(self._device, self._stream, self._stream.recorded)
        except EngineError as error:
            raise CaptureRefused(str(error)) from None
        finally:
            self._stream.recorded = None

    def close(self) -> None:
        """Give the stream back."""
        self._device.events.append('stream')
        del self._device.streams[self.stream]
