# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
TensorRT on a GPU of NVIDIA: plans built by ``lorat build``, one for each graph of a bundle.

Only names that TensorRT 8.6 to 11 have are used (``tensorrt_api``). What a template's plan makes
for a search's stays on the device.
"""
from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from lorat_ros.engines.device_memory import DeviceError, DeviceMemory, open_memory
from lorat_ros.engines.plan_record import read_record
from lorat_ros.engines.session import EngineError, Value
from lorat_ros.engines.tensorrt_api import load_tensorrt, logger_for, usable_gpu
from lorat_ros.engines.tensorrt_stage import Stage
from lorat_ros.models.bundle import Bundle

PLAN = '{role}.plan'      # in the folder of what was built
_logger = logging.getLogger(__name__)


class PlanError(EngineError):
    """A plan that is missing, damaged, or of another TensorRT or GPU: build it anew."""


def version() -> str:
    """
    All that a plan and its answers hang on besides the graphs.

    :raises EngineError: no GPU, or no TensorRT that can be used.
    """
    gpu = usable_gpu()
    return f'tensorrt {load_tensorrt().__version__} {gpu}'


def load_engine(runtime: Any, path: Path) -> Any:
    """
    Load a plan.

    :param runtime: of TensorRT.
    :raises PlanError: it cannot be read, or TensorRT takes it for none of its own.
    """
    try:
        plan = path.read_bytes()
    except OSError as error:
        raise PlanError(f'{path} cannot be read ({error}): run `lorat build`') from None
    engine = runtime.deserialize_cuda_engine(plan)
    if engine is None:
        raise PlanError(f'{path} is no plan for this TensorRT and this GPU, or is damaged (the '
                        'message of TensorRT is in the log): run `lorat build`')
    return engine


class TensorRtSession:
    """Runs a bundle's plans; see ``lorat_ros.engines.session.Session``."""

    engine = 'tensorrt'
    device = 'cuda'

    def __init__(self, bundle: Bundle, built: Path, precision: str, trt: Any,
                 memory: DeviceMemory) -> None:
        """
        Load the plans.

        :param built: folder with ``<role>.plan`` for each graph.
        :param trt: the module; see ``load_tensorrt``.
        :param memory: becomes this session's, which closes it.
        :raises PlanError: see ``load_engine``.
        :raises EngineError: plans that cannot be run here or do not fit together.
        """
        self.precision = precision
        #: Where crops may be cut so that they never touch the host; None: not with this memory.
        self.crop_device = getattr(memory, 'crop_device', None)
        self.crop_stream = getattr(memory, 'crop_stream', None)
        self._memory: DeviceMemory | None = memory
        self._stages: dict[str, Stage] = {}
        self._fault = ''
        self._runtime: Any = None
        try:
            runtime = self._runtime = trt.Runtime(logger_for(trt, _logger))
            record = read_record(built)
            if record is not None and record.options.get('version_compatible'):
                # Such a plan brings a small runtime, which TensorRT starts only where it may.
                runtime.engine_host_code_allowed = True
            for role in bundle.graphs:
                path = built / PLAN.format(role=role)
                self._stages[role] = Stage(trt, load_engine(runtime, path), memory,
                                           bundle.handed_over(role), f'graph {role!r} ({path})')
            self._fit()
        except BaseException as error:
            self.close()
            if isinstance(error, TypeError):      # how pybind11 says that it got no object
                raise EngineError(f'TensorRT cannot start on this GPU: {error}; look at '
                                  'nvidia-smi, and whether TensorRT fits the driver') from None
            raise

    def _fit(self) -> None:
        """What one plan hands to another must be of the shape and type that it takes."""
        stages = self._stages.values()
        for giver, name in ((stage, name) for stage in stages for name in sorted(stage.kept)):
            made = giver.outputs.get(name)
            for taker in stages:
                taken = taker.inputs.get(name, made)
                if made is None or taken != made:
                    raise EngineError(f'{giver.label} makes {name} as {made}, {taker.label} '
                                      f'takes {taken}: build the plans anew with `lorat build`')

    def run(self, role: str, inputs: Mapping[str, Value]) -> dict[str, Value]:
        """Run the plan of a role; see ``Session.run``."""
        if self._memory is None:
            raise EngineError(f'this session is closed{self._fault}')
        if role not in self._stages:
            raise EngineError(f'this model has no graph {role!r}, only {sorted(self._stages)}')
        try:
            return self._stages[role].run(inputs)
        except DeviceError as error:
            # What CUDA failed with once it fails with again: nothing here can be used any more.
            label = self._stages[role].label
            self._fault = f' since CUDA failed: {error}'
            self.close()
            raise EngineError(f'{label}: {error}. The session is closed: load the model anew, and '
                              'if that fails too, start the process anew') from None

    def close(self) -> None:
        """Give back memory: what was recorded, contexts, engines, runtime, buffers, stream."""
        if self._memory is None:
            return
        memory, self._memory = self._memory, None
        for stage in self._stages.values():
            stage.close()
        self._stages.clear()
        self._runtime = None
        memory.close()


def open_session(bundle: Bundle, threads: int, precision: str, built: Path | None,
                 load: Callable[[], Any] = load_tensorrt,
                 memory: Callable[[], DeviceMemory] = open_memory) -> TensorRtSession:
    """
    Open a bundle; see ``lorat_ros.engines.session.open_session``.

    :param built: folder with the plans; None: nothing was built.
    :param load: returns the module of TensorRT.
    :param memory: opens memory of the GPU.
    """
    trt = load()
    if built is None:
        raise PlanError(f'there are no plans of {bundle.name} in {precision}: run '
                        f'`lorat build {bundle.name} --engine tensorrt`')
    return TensorRtSession(bundle, built, precision, trt, memory())
