# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The fake is as narrow as the real thing: names of a version, plans of a machine, addresses."""
from __future__ import annotations

import numpy as np
import pytest
from support.fake_tensorrt import FakeTensorRt, make_plan, NotFaked, VERSIONS
from support.host_device import HostMemory

from lorat_ros.engines.device_memory import DeviceError
from lorat_ros.engines.gpu import Gpu
from lorat_ros.models.catalog import find_bundle


@pytest.mark.parametrize('version', VERSIONS)
def test_names_of_no_version_are_refused(version):
    trt = FakeTensorRt(version)
    for broken in (lambda: trt.Runtimes, lambda: trt.BuilderFlag.FP17,
                   lambda: trt.Runtime(trt.Logger()).build, lambda: trt.ICudaEngine.outputs):
        with pytest.raises(AttributeError):
            broken()
    with pytest.raises(AttributeError, match='has no attribute'):
        trt.Runtime(trt.Logger()).anything = 1


def test_names_of_another_version_are_refused():
    assert FakeTensorRt('8.6').NetworkDefinitionCreationFlag.EXPLICIT_BATCH.value == 0
    with pytest.raises(AttributeError):
        _ = FakeTensorRt('11.4').NetworkDefinitionCreationFlag.EXPLICIT_BATCH
    with pytest.raises(AttributeError):
        _ = FakeTensorRt('8.6').BuilderFlag.BF16
    with pytest.raises(AttributeError):
        _ = FakeTensorRt('11.4').ICudaEngine.device_memory_size


def test_what_is_real_but_not_faked_says_so():
    trt = FakeTensorRt('10.3')
    with pytest.raises(NotFaked, match='DLA_core'):
        _ = trt.Runtime(trt.Logger()).DLA_core
    with pytest.raises(NotFaked, match='IPluginV3'):
        _ = trt.IPluginV3


@pytest.mark.parametrize(('damage', 'words'), [
    (lambda plan: plan[:-9], 'truncated'), (lambda plan: b'x' + plan, 'no plan')])
def test_a_damaged_plan_gives_none_and_a_message(damage, words):
    trt = FakeTensorRt('10.3')
    plan, logger = make_plan('10.3', find_bundle().graphs['search']), trt.Logger()
    assert trt.Runtime(logger).deserialize_cuda_engine(plan)
    assert trt.Runtime(logger).deserialize_cuda_engine(damage(plan)) is None
    assert words in logger._said[-1]


def test_a_plan_of_another_version_or_gpu_gives_none():
    graph = find_bundle().graphs['search']
    for plan in (make_plan('8.6', graph), make_plan('10.3', graph, Gpu('other', (8, 7), 1))):
        trt = FakeTensorRt('10.3')
        assert trt.Runtime(trt.Logger()).deserialize_cuda_engine(plan) is None


def test_memory_works_late_and_knows_its_addresses():
    trt = FakeTensorRt('10.3')
    memory = HostMemory(trt.device)
    buffer, array = memory.allocate(16), memory.pinned((4,), np.float32)
    array[:] = 7
    memory.upload(buffer, array)
    assert not trt.device.copies
    memory.synchronise()
    there = memory.pinned((4,), np.float32)
    memory.download(there, buffer)
    assert not there.any()
    memory.synchronise()
    assert (there == 7).all() and trt.device.copies == {'upload': 1, 'download': 1}
    memory.upload(buffer, array)
    del buffer
    with pytest.raises(DeviceError, match='illegal address'):
        memory.synchronise()
