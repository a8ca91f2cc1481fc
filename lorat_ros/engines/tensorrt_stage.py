# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""One plan at work: fixed addresses, one stream, and a CUDA graph once it is warm."""
from __future__ import annotations

import logging
import math
from collections.abc import Collection, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np

from lorat_ros.engines.device_memory import Buffer, CaptureRefused, DeviceMemory, Graph
from lorat_ros.engines.session import EngineError, Handle, Value

#: TensorRT's types that NumPy has too. The others (BF16, FP8, …) stay on the device.
NUMPY_TYPES = MappingProxyType({'FLOAT': 'float32', 'HALF': 'float16', 'INT64': 'int64',
                                'INT32': 'int32', 'INT8': 'int8', 'UINT8': 'uint8',
                                'BOOL': 'bool'})
_logger = logging.getLogger(__name__)
_BYTES = MappingProxyType({'BF16': 2, 'FP8': 1})


class Tensor(NamedTuple):
    """An input or output of a plan."""

    shape: tuple[int, ...]
    kind: str      # name of TensorRT's DataType

    @property
    def dtype(self) -> np.dtype | None:
        """Type in NumPy; None: it has none."""
        return np.dtype(NUMPY_TYPES[self.kind]) if self.kind in NUMPY_TYPES else None

    @property
    def array_type(self) -> np.dtype:
        """Type of an array of the host; raises EngineError if there is none."""
        if self.dtype is None:
            raise EngineError(f'{self} cannot be an array of the host')
        return self.dtype

    @property
    def size(self) -> int:
        """Bytes."""
        return math.prod(self.shape) * (self.dtype.itemsize if self.dtype else _BYTES[self.kind])

    def __str__(self) -> str:
        return f'{NUMPY_TYPES.get(self.kind, self.kind)} {self.shape}'


class DeviceValue(NamedTuple):
    """What a handle holds: memory that no later run writes to."""

    buffer: Buffer
    tensor: Tensor


class Stage:
    """
    Runs one plan.

    Inputs and outputs have one address each for good. Arrays go through pinned memory; values of
    other stages are copied on the device, and only if another one was there last.
    """

    def __init__(self, trt: Any, engine: Any, memory: DeviceMemory, kept: Collection[str],
                 label: str) -> None:
        """
        Reserve all memory.

        :param kept: outputs that stay on the device.
        :param label: names the plan in messages.
        :raises EngineError: a plan that cannot be run here, or too little memory.
        """
        self.label = label
        self._memory, self.kept = memory, frozenset(kept)
        self.inputs, self.outputs = self._read(trt, engine)
        self._context = engine.create_execution_context()
        if self._context is None:
            raise EngineError(f'{label}: TensorRT cannot make room to run it (its own message is '
                              'in the log): end other programs, or use a smaller variant')
        self._engine = engine
        self._buffers = {name: memory.allocate(tensor.size)
                         for name, tensor in {**self.inputs, **self.outputs}.items()}
        for name, buffer in self._buffers.items():
            if not self._context.set_tensor_address(name, buffer.pointer):
                raise EngineError(f'{label}: TensorRT refuses the address of {name}')
        self._answers = {name: memory.pinned(tensor.shape, tensor.array_type)
                         for name, tensor in self.outputs.items() if name not in self.kept}
        self._staging: dict[str, np.ndarray] = {}
        self._there: dict[str, Buffer] = {}      # input to the handle's buffer it was copied from
        self._graph: Graph | None = None
        self._warm = False      # TensorRT prepares things in the first run, which no graph may do
        self._records = True

    def _read(self, trt: Any, engine: Any) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        inputs: dict[str, Tensor] = {}
        outputs: dict[str, Tensor] = {}
        for index in range(engine.num_io_tensors):
            name = engine.get_tensor_name(index)
            tensor = Tensor(tuple(engine.get_tensor_shape(name)),
                            engine.get_tensor_dtype(name).name)
            if any(length < 0 for length in tensor.shape):
                raise EngineError(f'{self.label}: {name} has an open shape {tensor.shape}, '
                                  'expected fixed ones: build the plan anew with `lorat build`')
            leaves = engine.get_tensor_mode(name) == trt.TensorIOMode.OUTPUT
            if tensor.dtype is None and (tensor.kind not in _BYTES
                                         or leaves and name not in self.kept):
                raise EngineError(f'{self.label}: {name} is of type {tensor.kind}, which cannot '
                                  'be read here: build the plan anew with `lorat build`')
            (outputs if leaves else inputs)[name] = tensor
        return inputs, outputs

    def run(self, inputs: Mapping[str, Value]) -> dict[str, Value]:
        """
        Run it once and wait for the answer.

        :raises EngineError: inputs of a wrong name, shape or type; TensorRT refuses to run.
        :raises lorat_ros.engines.device_memory.DeviceError: CUDA failed.
        """
        self._check(inputs)
        if self._warm and self._records and self._graph is None:
            self._record()
        for name, value in inputs.items():
            self._put(name, value)
        try:
            if self._graph is not None:
                self._graph.launch()
            else:
                self._enqueue()
            result = {name: Handle(self._keep(name)) for name in self.outputs
                      if name in self.kept}
        finally:
            self._memory.synchronise()      # also after a failure: copies still read the arrays
        self._warm = True
        return {name: result[name] if name in result else self._answers[name].copy()
                for name in self.outputs}

    def _record(self) -> None:
        try:
            self._graph = self._memory.capture(self._enqueue)
        except CaptureRefused as error:
            self._records = False
            _logger.info('%s cannot be a CUDA graph and is run call by call: %s', self.label,
                         error)

    def _check(self, inputs: Mapping[str, Value]) -> None:
        given = {name: self._told(value) for name, value in inputs.items()}
        expected = {name: str(tensor) for name, tensor in self.inputs.items()}
        if given != expected:
            raise EngineError(f'{self.label} refused its inputs {given}, expected {expected}: if '
                              'the model is the one it was built of, build it anew with '
                              '`lorat build`')

    def _told(self, value: Value) -> str:
        if not isinstance(value, Handle):
            return f'{value.dtype} {value.shape}'
        if isinstance(value.value, DeviceValue):
            return str(value.value.tensor)
        _, shape, dtype = self._memory.adopt(value.value)
        return f'{dtype} {shape}'

    def _put(self, name: str, value: Value) -> None:
        target = self._buffers[name]
        if not isinstance(value, Handle):
            self._there.pop(name, None)
            if name not in self._staging:
                tensor = self.inputs[name]
                self._staging[name] = self._memory.pinned(tensor.shape, tensor.array_type)
            self._staging[name][...] = value
            self._memory.upload(target, self._staging[name])
        elif not isinstance(value.value, DeviceValue):
            self._there.pop(name, None)      # not ours: who knows who writes to it
            self._memory.copy(target, self._memory.adopt(value.value)[0])
        elif self._there.get(name) is not value.value.buffer:
            self._memory.copy(target, value.value.buffer)
            self._there[name] = value.value.buffer

    def _enqueue(self) -> None:
        if not self._context.execute_async_v3(self._memory.stream):
            raise EngineError(f'TensorRT refused to run {self.label} (its own message is in the '
                              'log): build the plan anew with `lorat build`, or use engine onnx')
        for name, array in self._answers.items():
            self._memory.download(array, self._buffers[name])

    def _keep(self, name: str) -> DeviceValue:
        tensor = self.outputs[name]
        buffer = self._memory.allocate(tensor.size)
        self._memory.copy(buffer, self._buffers[name])
        return DeviceValue(buffer, tensor)

    def close(self) -> None:
        """Give back all memory: what was recorded first, then the context, then its engine."""
        self._graph = None
        self._context = None
        self._engine = None
        for held in (self._buffers, self._there, self._answers, self._staging):
            held.clear()
