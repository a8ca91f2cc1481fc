# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
TensorRT as far as it is used here, without a GPU: ONNX Runtime behind the real names.

``FakeTensorRt('10.3', device)`` stands for the module. It has the names of that version
(test/data/tensorrt) and raises AttributeError for all others, as the real one does; a recorded
name that nothing here stands for raises ``NotFaked``. Memory is that of a ``HostDevice``.
"""
from __future__ import annotations

import enum
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from support.host_device import HostDevice

from lorat_ros.engines.gpu import Gpu

VERSIONS = ('8.6', '10.3', '10.16', '11.4')
GPU = Gpu('Fake GPU', (8, 7), 8 << 30)
DATA = Path(__file__).resolve().parents[1] / 'data' / 'tensorrt'
MAGIC = b'plan of the fake\n'
_TYPES = {'tensor(float)': 'FLOAT', 'tensor(float16)': 'HALF', 'tensor(bfloat16)': 'BF16',
          'tensor(int64)': 'INT64', 'tensor(int32)': 'INT32', 'tensor(bool)': 'BOOL'}
_NUMPY = {'FLOAT': np.float32, 'HALF': np.float16, 'INT64': np.int64, 'INT32': np.int32,
          'BOOL': np.bool_}
_SIZES = {'FLOAT': 4, 'HALF': 2, 'BF16': 2, 'INT64': 8, 'INT32': 4, 'BOOL': 1, 'INT8': 1,
          'UINT8': 1, 'FP8': 1}


class NotFaked(AssertionError):
    """The real TensorRT has this, the fake has not: build it there before using it."""


def names_of(version: str) -> dict[str, Any]:
    """All names of a version: see test/data/tensorrt/README.md."""
    return json.loads((DATA / f'names-{version}.json').read_text())


def make_plan(version: str, graph: Path | bytes, gpu: Gpu = GPU, **said: Any) -> bytes:
    """Bytes of a plan that the fake of a version runs: the graph, and what it was built for."""
    body = graph.read_bytes() if isinstance(graph, Path) else graph
    head = {'version': names_of(version)['version'], 'gpu': str(gpu), 'bytes': len(body), **said}
    return MAGIC + json.dumps(head).encode() + b'\n' + body


def read_plan(plan: bytes) -> tuple[dict[str, Any], bytes]:
    """
    Head and graph of a plan.

    :raises ValueError: these bytes are no plan, or not all of one.
    """
    if not plan.startswith(MAGIC):
        raise ValueError('this is no plan')
    head, _, body = plan[len(MAGIC):].partition(b'\n')
    said = json.loads(head)
    if said['bytes'] != len(body):
        raise ValueError('this plan is truncated')
    return said, body


class RecordedEnum(enum.Enum):
    """Base of TensorRT's enums: no integers, though each can be made one."""

    def __int__(self) -> int:
        return self.value

    __index__ = __int__


class DataTypes(RecordedEnum):
    """Base of DataType, which knows sizes too."""

    @property
    def itemsize(self) -> int:
        """Bytes an element."""
        return _SIZES[self.name]


class Absent:
    """A name that another version has: not even there to be asked for."""

    def __init__(self, told: str) -> None:
        self._told = told

    def __get__(self, holder: Any, kind: type) -> Any:
        raise AttributeError(f'there is no {self._told}')

    def __set__(self, holder: Any, value: Any) -> None:
        raise AttributeError(f'there is no {self._told}')


class Unfaked:
    """A name that the version has and the fake has not."""

    def __init__(self, told: str) -> None:
        self._told = told

    def __get__(self, holder: Any, kind: type) -> Any:
        if holder is None:
            return self
        raise NotFaked(self._told)

    def __set__(self, holder: Any, value: Any) -> None:
        raise NotFaked(self._told)


class Recorded:
    """
    Base of what stands for classes of TensorRT.

    Whatever is public in it is a name of TensorRT's; ``stand_in`` hides what a version has not.
    """

    _api: FakeTensorRt
    _names: frozenset[str] = frozenset()

    def __setattr__(self, name: str, value: Any) -> None:
        if not name.startswith('_') and name not in self._names:
            raise AttributeError(f'{type(self).__name__!r} object has no attribute {name!r} in '
                                 f'TensorRT {self._api.__version__}')
        super().__setattr__(name, value)


def stand_in(api: FakeTensorRt, name: str, kind: type) -> type:
    """Make a class as a version of TensorRT has it: its names and no others."""
    names = api.recorded['classes'][name]
    body: dict[str, Any] = {'_api': api, '_names': frozenset(names)}
    for inner in names:
        if f'{name}.{inner}' in api.enums:
            body[inner] = api.enums[f'{name}.{inner}']
            body.update({member.name: member for member in body[inner]})
    for inner in names:
        if inner not in body and not hasattr(kind, inner):
            body[inner] = Unfaked(f'{name}.{inner}')
    for inner in dir(kind):
        if not inner.startswith('_') and inner not in names:
            body[inner] = Absent(f'{name}.{inner} in TensorRT {api.__version__}')
    return type(name, (kind,), body)


class Logger(Recorded):
    """ILogger, to be derived from, and Logger."""

    def __init__(self, min_severity: Any = None) -> None:
        self._said: list[str] = []

    def log(self, severity: Any, msg: str) -> None:
        """Take a message."""
        self._said.append(msg)


class Runtime(Recorded):
    """Makes engines of plans."""

    engine_host_code_allowed = False

    def __init__(self, logger: Logger) -> None:
        self._logger = logger

    def deserialize_cuda_engine(self, serialized_engine: Any) -> Any:
        """Return the engine of a plan; None (and a message): it is not for this machine."""
        try:
            said, graph = read_plan(bytes(serialized_engine))
            for what, here in (('version', self._api.__version__), ('gpu', str(self._api.gpu))):
                if said[what] != here:
                    raise ValueError(f'the plan is for {what} {said[what]}, this is {here}')
            if said.get('version_compatible') and not self.engine_host_code_allowed:
                raise ValueError('the plan holds host code, which is not allowed')
        except ValueError as error:
            self._logger.log(self._logger.Severity.ERROR, f'deserializeCudaEngine: {error}')
            return None
        return self._api.ICudaEngine(self, said, graph)

    def __del__(self) -> None:
        self._api.device.events.append('runtime')


class Engine(Recorded):
    """A plan that can be run."""

    def __init__(self, runtime: Runtime, said: dict[str, Any], graph: bytes) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads, options.log_severity_level = 1, 3
        self._runtime = runtime
        self._graph = onnxruntime.InferenceSession(graph, options,
                                                   providers=['CPUExecutionProvider'])
        modes = self._api.TensorIOMode
        self._tensors = {part.name: (mode, part)
                         for mode, parts in ((modes.INPUT, self._graph.get_inputs()),
                                             (modes.OUTPUT, self._graph.get_outputs()))
                         for part in parts}

    @property
    def num_io_tensors(self) -> int:
        """How many tensors go in and out."""
        return len(self._tensors)

    def get_tensor_name(self, index: int) -> str:
        """Name of one of them."""
        return list(self._tensors)[index]

    def get_tensor_mode(self, name: str) -> Any:
        """Whether it goes in or out; NONE: there is no such tensor."""
        return self._tensors.get(name, (self._api.TensorIOMode.NONE,))[0]

    def get_tensor_dtype(self, name: str) -> Any:
        """Type of its elements."""
        return getattr(self._api.DataType, _TYPES[self._tensors[name][1].type])

    def get_tensor_shape(self, name: str) -> tuple[int, ...]:
        """Its shape; -1: open."""
        return tuple(n if isinstance(n, int) else -1 for n in self._tensors[name][1].shape)

    def create_execution_context(self, *strategy: Any) -> Any:
        """Return what runs it; None (and a message): there is not enough memory."""
        return None if self._api.out_of_memory else self._api.IExecutionContext(self)

    def __del__(self) -> None:
        self._api.device.events.append('engine')


class Context(Recorded):
    """Runs an engine."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._addresses: dict[str, int] = {}

    def set_tensor_address(self, name: str, memory: int) -> bool:
        """Say where a tensor is; False: there is no such tensor."""
        known = name in self._engine._tensors
        if known:
            self._addresses[name] = int(memory)
        return known

    def get_tensor_address(self, name: str) -> int:
        """Where a tensor is; 0: not said."""
        return self._addresses.get(name, 0)

    def execute_async_v3(self, stream_handle: int) -> bool:
        """Ask a stream to run it; False: a tensor has no address, or by the test's wish."""
        if self._api.refusals:
            self._api.refusals -= 1
            return False
        if set(self._addresses) != set(self._engine._tensors):
            return False
        addresses = dict(self._addresses)
        self._api.device.streams[int(stream_handle)].ask(lambda: self._compute(addresses))
        return True

    def _compute(self, addresses: Mapping[str, int]) -> None:
        self._api.runs += 1
        views = {name: self._view(name, address) for name, address in addresses.items()}
        modes, tensors = self._api.TensorIOMode, self._engine._tensors
        feed = {name: view for name, view in views.items() if tensors[name][0] is modes.INPUT}
        outputs = [name for name in tensors if tensors[name][0] is modes.OUTPUT]
        for name, value in zip(outputs, self._engine._graph.run(outputs, feed)):
            views[name][...] = value

    def _view(self, name: str, address: int) -> np.ndarray:
        shape = self._engine.get_tensor_shape(name)
        kind = np.dtype(_NUMPY[self._engine.get_tensor_dtype(name).name])
        size = int(np.prod(shape)) * kind.itemsize
        return self._api.device.view(address, size).view(kind).reshape(shape)

    def __del__(self) -> None:
        self._api.device.events.append('context')


#: What stands for which class.
STAND_INS: Mapping[str, type] = {'ILogger': Logger, 'Logger': Logger, 'Runtime': Runtime,
                                 'ICudaEngine': Engine, 'IExecutionContext': Context}


class FakeTensorRt:
    """
    The module ``tensorrt`` of a version.

    The attributes below are the test's own and stand for nothing in TensorRT.
    """

    def __init__(self, version: str, device: HostDevice | None = None, gpu: Gpu = GPU,
                 stand_ins: Mapping[str, Callable[..., Any]] = STAND_INS) -> None:
        """
        Make the module.

        :param version: one of VERSIONS.
        :param stand_ins: name of a class of TensorRT to what stands for it.
        """
        self.recorded = names_of(version)
        self.__version__: str = self.recorded['version']
        self.device, self.gpu = device or HostDevice(), gpu
        self.refusals = 0                # how many executions are refused from now on
        self.out_of_memory = False       # no contexts are made any more
        self.runs = 0                    # of any graph
        self.enums: dict[str, Any] = {
            name: (DataTypes if name == 'DataType' else RecordedEnum)(
                name.split('.')[-1], members)
            for name, members in self.recorded['enums'].items()}
        self._classes = {name: stand_in(self, name, kind) for name, kind in stand_ins.items()
                         if name in self.recorded['classes']}

    def __getattr__(self, name: str) -> Any:
        for known in (self.__dict__.get('_classes', {}), self.__dict__.get('enums', {})):
            if name in known:
                return known[name]
        if name in self.__dict__.get('recorded', {'module': ()})['module']:
            raise NotFaked(name)
        raise AttributeError(f'module tensorrt {self.__dict__.get("__version__")} has no '
                             f'attribute {name!r}')
