# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
The building side of the fake TensorRT: its plans hold the very graph that was parsed.

Processes that are started with ``support.fake_gpu.environment`` import it as ``tensorrt``; what it
is to do wrong there stands in the environment (``Wishes``).
"""
from __future__ import annotations

import json
import os
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import onnx
from onnx import numpy_helper, TensorProto
from support.bfloat16 import runnable
from support.fake_tensorrt import FakeTensorRt, make_plan, Recorded, STAND_INS, VERSIONS
from support.host_device import HostMemory

_KINDS = {'fp16': TensorProto.FLOAT16, 'bf16': TensorProto.BFLOAT16, 'int8': TensorProto.INT8}


@dataclass
class Wishes:
    """How the fake of another process behaves."""

    version: str = '10.3'
    seconds: float = 0.0      # that each plan takes
    refuses: str = ''         # operator that the parser does not know
    spoils: str = ''          # precisions, by spaces, whose plans answer nonsense
    dies: bool = False        # ends the process in the midst of a build, as for want of memory
    log: str = ''             # file that gets a line of JSON for each plan built

    @classmethod
    def of_environment(cls) -> Wishes:
        """Read them."""
        return cls(**json.loads(os.environ.get('FAKE_TENSORRT', '{}')))

    def as_environment(self) -> dict[str, str]:
        """Variables for a process to start."""
        return {'FAKE_TENSORRT': json.dumps(asdict(self))}


class HostBytes(Recorded):
    """IHostMemory: only its bytes are of interest."""

    def __init__(self, content: bytes) -> None:
        self._content = content

    def __bytes__(self) -> bytes:
        return self._content


class TimingCache(Recorded):
    """What was measured: how many plans were built with it."""

    def __init__(self, content: bytes) -> None:
        self._plans = int(content or b'0')

    def serialize(self) -> Any:
        """Return its bytes."""
        return self._api.IHostMemory(str(self._plans).encode())


class ProgressMonitor(Recorded):
    """To be derived from."""

    def __setattr__(self, name: str, value: Any) -> None:
        object.__setattr__(self, name, value)

    def __init__(self) -> None:
        """Do nothing."""


class Config(Recorded):
    """IBuilderConfig."""

    DLA_core = -1
    default_device_type: Any = None
    progress_monitor: Any = None

    def __init__(self) -> None:
        self._flags = {'TF32'}      # as the real one is born
        self._pools: dict[str, int] = {}
        self._timing: Any = None

    def set_flag(self, flag: Any) -> None:
        """Set one."""
        assert isinstance(flag, self._api.BuilderFlag)
        self._flags.add(flag.name)

    def clear_flag(self, flag: Any) -> None:
        """Clear one."""
        assert isinstance(flag, self._api.BuilderFlag)
        self._flags.discard(flag.name)

    def set_memory_pool_limit(self, pool: Any, pool_size: int) -> None:
        """Limit a pool, bytes."""
        assert isinstance(pool, self._api.MemoryPoolType)
        self._pools[pool.name] = pool_size

    def create_timing_cache(self, serialized_timing_cache: bytes) -> Any:
        """Return a cache; None: these bytes are none."""
        try:
            return self._api.ITimingCache(serialized_timing_cache)
        except ValueError:
            return None

    def set_timing_cache(self, cache: Any, ignore_mismatch: bool) -> bool:
        """Use a cache."""
        self._timing = cache
        return True


class Network(Recorded):
    """INetworkDefinition."""

    def __init__(self, flags: int) -> None:
        known = {flag.name for flag in self._api.NetworkDefinitionCreationFlag
                 if flags >> int(flag) & 1}
        bits = sum(1 << int(flag) for flag in self._api.NetworkDefinitionCreationFlag)
        assert not flags & ~bits, f'bits {flags:b} are no flags of this version'
        old = int(self._api.__version__.split('.')[0]) < 11
        assert not old or 'EXPLICIT_BATCH' in known, 'implicit batch'
        self._typed = 'STRONGLY_TYPED' in known or not old
        self._model: Any = None


class Error(Recorded):
    """ParserError."""

    def __init__(self, index: int, node: Any) -> None:
        self._index, self._node = index, node

    def desc(self) -> str:
        """Return what is wrong."""
        return f'No importer registered for op: {self._node.op_type}'

    def node(self) -> int:
        """Return the node's number."""
        return self._index

    def node_operator(self) -> str:
        """Return the node's operator."""
        return self._node.op_type

    def node_name(self) -> str:
        """Return the node's name."""
        return self._node.name


class Parser(Recorded):
    """OnnxParser."""

    def __init__(self, network: Network, logger: Any) -> None:
        self._network, self._errors = network, []

    def parse_from_file(self, model: str, *paths: str) -> bool:
        """Read a graph; False: there are errors."""
        found = onnx.load(model)
        self._errors = [self._api.ParserError(index, node)
                        for index, node in enumerate(found.graph.node)
                        if node.op_type == self._api.wishes.refuses]
        self._network._model = found
        return not self._errors

    @property
    def num_errors(self) -> int:
        """How many there are."""
        return len(self._errors)

    def get_error(self, index: int) -> Error:
        """Return one of them."""
        return self._errors[index]


class Builder(Recorded):
    """Builds plans."""

    num_DLA_cores = 0

    def __init__(self, logger: Any) -> None:
        self._logger = logger

    def create_network(self, flags: int = 0) -> Any:
        """Return an empty network."""
        return self._api.INetworkDefinition(flags)

    def create_builder_config(self) -> Any:
        """Return a configuration."""
        return self._api.IBuilderConfig()

    def build_serialized_network(self, network: Network, config: Config) -> Any:
        """Return a plan; None (and a message): it cannot be built."""
        wishes, typed = self._api.wishes, network._typed
        if typed and config._flags & {'FP16', 'BF16', 'INT8', 'FP8'}:
            self._logger.log(self._logger.Severity.ERROR, 'flags in a strongly typed network')
            return None
        self._take_time(config, wishes)
        kinds = {value.data_type for value in network._model.graph.initializer}
        found = {name for name, kind in _KINDS.items() if kind in kinds} | {
            name for name in ('fp16',) if name.upper() in config._flags} or {'fp32'}
        model = runnable(network._model)
        if found & set(wishes.spoils.split()):
            _spoil(model)
        config._timing._plans += 1
        if wishes.log:
            with Path(wishes.log).open('a', encoding='utf-8') as log:
                log.write(json.dumps({'typed': typed, 'flags': sorted(config._flags),
                                      'kinds': sorted(found), 'pools': config._pools,
                                      'timed': config._timing._plans}) + '\n')
        key = next(v for v in VERSIONS if self._api.__version__.startswith(v))
        return self._api.IHostMemory(make_plan(key, model.SerializeToString(), self._api.gpu))

    def _take_time(self, config: Config, wishes: Wishes) -> None:
        monitor = config.progress_monitor if hasattr(self._api, 'IProgressMonitor') else None
        if monitor:
            monitor.phase_start('building', None, 2)
            monitor.phase_start('timing', 'building', 10)
        for step in range(10):
            time.sleep(wishes.seconds / 10)
            if wishes.dies and step == 4:
                os.kill(os.getpid(), 9)
            if monitor:
                monitor.step_complete('timing', step)
        if monitor:
            monitor.phase_finish('timing')
            monitor.step_complete('building', 1)
            monitor.phase_finish('building')


def _spoil(model: onnx.ModelProto) -> None:
    """Turn weights round, so that the graph answers nonsense."""
    for value in model.graph.initializer:
        if len(value.dims) > 1 and value.data_type in (TensorProto.FLOAT, TensorProto.FLOAT16):
            array = numpy_helper.to_array(value)
            value.CopyFrom(numpy_helper.from_array(np.ascontiguousarray(-array), value.name))


BUILDER = {'Builder': Builder, 'IBuilderConfig': Config, 'INetworkDefinition': Network,
           'OnnxParser': Parser, 'ParserError': Error, 'ITimingCache': TimingCache,
           'IProgressMonitor': ProgressMonitor, 'IHostMemory': HostBytes}


class BuildingTensorRt(FakeTensorRt):
    """The module, with its building side."""

    def __init__(self, wishes: Wishes) -> None:
        super().__init__(wishes.version, stand_ins={**STAND_INS, **BUILDER})
        self.wishes = wishes


def become_tensorrt() -> None:
    """Be the module ``tensorrt`` of this process, and its device's memory the engines' too."""
    module = BuildingTensorRt(Wishes.of_environment())
    sys.modules['tensorrt'] = module      # type: ignore[assignment]
    memory = SimpleNamespace(open_memory=lambda: HostMemory(module.device))
    sys.modules['lorat_ros.engines.torch_memory'] = memory      # type: ignore[assignment]
