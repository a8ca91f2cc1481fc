# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What the driver is asked, and what is said where there is none."""
from __future__ import annotations

import re
import subprocess
import sys

import pytest

from lorat_ros.engines.gpu import find_gpu, Gpu


class Driver:
    """libcuda as far as it is asked here, with what ctypes hands to it."""

    def __init__(self, init: int = 0, count: int = 1) -> None:
        self._init, self._count = init, count

    def cuInit(self, flags):
        assert flags == 0
        return self._init

    def cuDeviceGetCount(self, count):
        count._obj.value = self._count
        return 0

    def cuDeviceGet(self, device, number):
        device._obj.value = number
        return 0

    def cuDeviceGetName(self, name, length, device):
        name.value = b'Orin'
        return 0

    def cuDeviceTotalMem_v2(self, memory, device):
        memory._obj.value = 7_990_000_000
        return 0

    def cuDeviceGetAttribute(self, value, which, device):
        value._obj.value = {75: 8, 76: 7}[which]
        return 0


def loader(driver: Driver | None):
    def load(name):
        assert name == 'libcuda.so.1'
        if driver is None:
            raise OSError('libcuda.so.1: cannot open shared object file')
        return driver
    return load


def test_a_gpu_is_described():
    gpu = find_gpu(loader(Driver()))
    assert gpu == Gpu('Orin', (8, 7), 7_990_000_000)
    assert str(gpu) == 'Orin 8.7'


@pytest.mark.parametrize(('driver', 'words'), [
    (None, 'no driver of NVIDIA here .libcuda'),
    (Driver(init=100), 'cuInit failed with error 100, no device is visible'),
    (Driver(init=34), 'a container found the stub library .* --gpus all'),
    (Driver(init=1), 'CUDA shows no GPU: cuInit failed with error 1$'),
    (Driver(count=0), 'no device is visible: look at nvidia-smi')])
def test_why_there_is_none(driver, words):
    reason = find_gpu(loader(driver))
    assert isinstance(reason, str) and re.search(words, reason)


def test_the_real_driver_is_asked_without_torch_or_tensorrt():
    code = ('import sys; from lorat_ros.engines.gpu import find_gpu; found = find_gpu(); '
            'print(type(found).__name__, "torch" in sys.modules, "tensorrt" in sys.modules)')
    done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, check=True)
    assert done.stdout.split()[0] in ('Gpu', 'str') and done.stdout.split()[1:] == ['False'] * 2
