# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Is there a GPU? Asked of the driver itself.

Neither torch (slow to import) nor TensorRT (which ends the process where there is no GPU) is
needed to learn that there is none.
"""
from __future__ import annotations

import ctypes
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

LIBRARY = 'libcuda.so.1'
_MAJOR, _MINOR = 75, 76      # CUdevice_attribute: compute capability
# CUresult of cuInit that have a cure of their own.
_CURES = {
    34: 'a container found the stub library in place of the driver: start it with --gpus all (or '
        '--runtime nvidia on a Jetson)',
    100: 'no device is visible: look at nvidia-smi and at CUDA_VISIBLE_DEVICES',
    803: 'driver and CUDA library do not fit: restart after the update of the driver',
    804: 'driver and CUDA library do not fit: update the driver',
    999: 'the driver does not answer: restart, or load the module nvidia_uvm',
}


@dataclass(frozen=True)
class Gpu:
    """The first GPU that CUDA shows."""

    name: str                       # as the driver gives it
    capability: tuple[int, int]     # compute capability
    memory: int                     # bytes, all of it

    def __str__(self) -> str:
        return f'{self.name} {self.capability[0]}.{self.capability[1]}'


class _Refused(Exception):
    """A call of the driver that failed."""


def find_gpu(load: Callable[[str], Any] = ctypes.CDLL) -> Gpu | str:
    """
    Find the first GPU.

    :param load: opens the driver's library by its name; raises OSError where there is none.
    :returns: the GPU, or in words why none can be used.
    """
    try:
        driver = load(LIBRARY)
    except OSError as error:
        return f'there is no driver of NVIDIA here ({error})'
    try:
        return _first(driver)
    except _Refused as refused:
        return f'CUDA shows no GPU: {refused}'


def _first(driver: Any) -> Gpu:
    _call(driver, 'cuInit', 0)
    count = ctypes.c_int()
    _call(driver, 'cuDeviceGetCount', ctypes.byref(count))
    if not count.value:
        raise _Refused(_CURES[100])
    device = ctypes.c_int()
    _call(driver, 'cuDeviceGet', ctypes.byref(device), 0)
    name = ctypes.create_string_buffer(256)
    _call(driver, 'cuDeviceGetName', name, len(name), device)
    memory = ctypes.c_size_t()
    _call(driver, 'cuDeviceTotalMem_v2', ctypes.byref(memory), device)
    major, minor = (_attribute(driver, which, device) for which in (_MAJOR, _MINOR))
    return Gpu(name.value.decode(errors='replace'), (major, minor), memory.value)


def _attribute(driver: Any, which: int, device: ctypes.c_int) -> int:
    value = ctypes.c_int()
    _call(driver, 'cuDeviceGetAttribute', ctypes.byref(value), which, device)
    return value.value


def _call(driver: Any, function: str, *arguments: Any) -> None:
    code = getattr(driver, function)(*arguments)
    if code:
        raise _Refused(f'{function} failed with error {code}'
                       + (f', {_CURES[code]}' if code in _CURES else ''))
