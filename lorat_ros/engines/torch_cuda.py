# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
torch on a GPU, one CUDA graph for each stage of a network: for where there is no TensorRT.

A small network's kernels take less time than starting them one by one does; a graph starts them
all at once. It reads and writes fixed addresses, so inputs are copied to where they must be.
"""
from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, NamedTuple, Protocol

import torch

from lorat_ros.engines.device_memory import CaptureRefused, DeviceError, Graph
from lorat_ros.engines.session import EngineError, Handle, Value

_logger = logging.getLogger(__name__)


class Lane(Protocol):
    """What a stage needs of a device: its stream; ``TorchMemory`` is one."""

    crop_device: torch.device

    def on_stream(self) -> AbstractContextManager[Any]:
        """Context in which torch asks this stream."""

    def host(self, like: torch.Tensor) -> torch.Tensor:
        """Reserve a tensor of the host that the device can copy from and to by itself."""

    def capture(self, work: Callable[[], None]) -> Graph:
        """Record work; see ``DeviceMemory.capture``."""

    def synchronise(self) -> None:
        """Wait until all is done."""


class Kept(NamedTuple):
    """What a handle holds: a tensor on the device that no later run writes to."""

    tensor: torch.Tensor


class GraphedStage:
    """One stage of a network with fixed addresses, recorded once it is warm."""

    def __init__(self, role: str, call: Callable[..., Sequence[torch.Tensor]],
                 outputs: Sequence[str], kept: Sequence[str], lane: Lane) -> None:
        """
        Reserve nothing yet: the first inputs say how large all is.

        :param call: takes tensors on the device by name, returns the outputs in order.
        :param kept: outputs that stay on the device.
        """
        self._role, self._call, self._lane = role, call, lane
        self._names, self._kept = outputs, frozenset(kept)
        self._inputs: dict[str, torch.Tensor] = {}
        self._staging: dict[str, torch.Tensor] = {}
        self._there: dict[str, torch.Tensor] = {}      # input to the handle's tensor in it
        self._outputs: list[torch.Tensor] = []
        self._answers: dict[str, torch.Tensor] = {}
        self._graph: Graph | None = None
        self._records = True

    def run(self, inputs: Mapping[str, Value]) -> dict[str, Value]:
        """
        Run it once and wait for the answer.

        :raises EngineError: inputs of other names, shapes or types than before.
        :raises lorat_ros.engines.device_memory.DeviceError: CUDA failed.
        """
        tensors = {name: self._tensor(value) for name, value in inputs.items()}
        with torch.inference_mode(), self._lane.on_stream():
            if not self._inputs:
                self._inputs = {name: torch.empty_like(tensor, device=self._lane.crop_device)
                                for name, tensor in tensors.items()}
            self._check(tensors)
            try:
                if self._graph is None and self._outputs and self._records:
                    self._record()
                for name, value in inputs.items():
                    self._put(name, value, tensors[name])
                if self._graph is not None:
                    self._graph.launch()
                else:
                    self._compute()
                result = {name: Handle(Kept(output.clone()))
                          for name, output in zip(self._names, self._outputs)
                          if name in self._kept}
                self._answer()
            except EngineError:
                raise
            except (RuntimeError, TypeError) as error:
                if not self._outputs:      # the next inputs may be good ones
                    for held in (self._inputs, self._staging, self._there):
                        held.clear()
                raise self._refused(tensors, str(error)) from None
            finally:
                self._lane.synchronise()
            return {name: result[name] if name in result else
                    self._answers[name].numpy().copy() for name in self._names}

    @staticmethod
    def _tensor(value: Value) -> torch.Tensor:
        if not isinstance(value, Handle):
            return torch.from_numpy(value)
        return value.value.tensor if isinstance(value.value, Kept) else value.value

    def _refused(self, tensors: Mapping[str, torch.Tensor], why: str) -> EngineError:
        shapes = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
        return EngineError(f'graph {self._role!r} refused its inputs {shapes}: {why}')

    def _check(self, tensors: Mapping[str, torch.Tensor]) -> None:
        given, wanted = ({name: (tuple(t.shape), str(t.dtype)) for name, t in found.items()}
                         for found in (tensors, self._inputs))
        if given != wanted:
            raise self._refused(tensors, f'it has {given}, expected {wanted}')

    def _put(self, name: str, value: Value, tensor: torch.Tensor) -> None:
        target = self._inputs[name]
        ours = isinstance(value, Handle) and isinstance(value.value, Kept)
        if ours and self._there.get(name) is tensor:
            return
        self._there.pop(name, None)
        if ours:
            self._there[name] = tensor
        if not isinstance(value, Handle):
            if name not in self._staging:
                self._staging[name] = self._lane.host(tensor)
            tensor = self._staging[name].copy_(tensor)
        target.copy_(tensor, non_blocking=True)

    def _compute(self) -> None:
        found = self._call(**self._inputs)
        if not self._outputs:
            self._outputs = [torch.empty_like(output, memory_format=torch.contiguous_format)
                             for output in found]
        for output, value in zip(self._outputs, found):
            output.copy_(value)

    def _record(self) -> None:
        try:
            self._graph = self._lane.capture(self._compute)
        except CaptureRefused as error:
            self._records = False
            _logger.info('graph %r cannot be a CUDA graph and is run call by call: %s',
                         self._role, error)

    def _answer(self) -> None:
        for name, output in zip(self._names, self._outputs):
            if name not in self._kept:
                if name not in self._answers:
                    self._answers[name] = self._lane.host(output)
                self._answers[name].copy_(output, non_blocking=True)

    def close(self) -> None:
        """Give back memory: what was recorded first."""
        self._graph = None
        self._outputs = []
        for held in (self._inputs, self._staging, self._there, self._answers):
            held.clear()


class GraphedSession:
    """Runs a network on a GPU; see ``lorat_ros.engines.session.Session``."""

    engine = 'torch'

    def __init__(self, stages: Mapping[str, GraphedStage], precision: str, lane: Any) -> None:
        """
        Take over stages by role.

        :param lane: of the stages; closed with the session.
        """
        self.precision, self.device = precision, lane.crop_device.type
        #: Where crops may be cut so that they never touch the host, and in which stream.
        self.crop_device, self.crop_stream = lane.crop_device, lane.crop_stream
        self._stages, self._lane = dict(stages), lane
        self._closed, self._fault = False, ''

    def run(self, role: str, inputs: Mapping[str, Value]) -> dict[str, Value]:
        """Run the stage of a role; see ``Session.run``."""
        if self._closed:
            raise EngineError(f'this session is closed{self._fault}')
        if role not in self._stages:
            raise EngineError(f'this model has no graph {role!r}, only {sorted(self._stages)}')
        try:
            return self._stages[role].run(inputs)
        except DeviceError as error:
            # What CUDA failed with once it fails with again: nothing here can be used any more.
            self._fault = f' since CUDA failed: {error}'
            self.close()
            raise EngineError(f'graph {role!r}: {error}. The session is closed: load the model '
                              'anew, and if that fails too, start the process anew') from None

    def close(self) -> None:
        """Give back memory."""
        if self._closed:
            return
        self._closed = True
        for stage in self._stages.values():
            stage.close()
        self._stages.clear()
        self._lane.close()
