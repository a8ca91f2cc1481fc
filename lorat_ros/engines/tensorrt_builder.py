# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""TensorRT's builder, as ``tensorrt_build`` runs it in a process of its own."""
from __future__ import annotations

import ctypes
import logging
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

from lorat_ros.engines.plan_cache import CacheError, write_file
from lorat_ros.engines.session import EngineError
from lorat_ros.engines.tensorrt_api import (explicit_batch, load_tensorrt, logger_for,
                                            precision_flag, strongly_typed)
from lorat_ros.engines.tensorrt_job import Job, MEGABYTE

Tell = Callable[[float, str], None]      # share of the work in [0, 1], what is done now
_PARENT_DIED = 1      # PR_SET_PDEATHSIG of prctl(2)


def stay_with(parent: int) -> None:
    """End when the parent ends, however that happens (Linux)."""
    try:
        ctypes.CDLL(None).prctl(_PARENT_DIED, signal.SIGKILL)
    except (OSError, AttributeError):
        return
    if os.getppid() != parent:
        os._exit(1)


def build(job: Job, tell: Tell) -> None:
    """
    Build a plan and write it.

    :raises EngineError: TensorRT cannot be used, or refuses the graph.
    :raises CacheError: the plan cannot be written.
    """
    trt = load_tensorrt()
    logger = logger_for(trt, logging.getLogger(__name__))
    builder = trt.Builder(logger)
    network = builder.create_network(_kind_of_network(trt, job))
    parser = trt.OnnxParser(network, logger)
    if not parser.parse_from_file(job.graph):
        raise EngineError(_refusal(trt, parser, job))
    config = builder.create_builder_config()
    _limit(trt, config, job)
    _set_flags(trt, config, job)
    if job.dla >= 0:
        _use_dla(trt, builder, config, job)
    _watch(trt, config, tell)
    timing = _timing_cache(config, Path(job.timing))
    plan = builder.build_serialized_network(network, config)
    if plan is None:
        raise EngineError(f'TensorRT {trt.__version__} cannot build {Path(job.graph).name} within '
                          f'{job.workspace} MB of workspace: give it more with --workspace, or '
                          'look at what it logged above')
    write_file(Path(job.plan), bytes(plan))
    try:
        write_file(Path(job.timing), bytes(timing.serialize()))
    except CacheError as error:      # the next build is slower, no more
        logging.getLogger(__name__).warning('the timing cache is not kept: %s', error)


def _kind_of_network(trt: Any, job: Job) -> int:
    if not job.typed:
        return explicit_batch(trt)
    bits = strongly_typed(trt)
    if bits is None:
        raise EngineError(f'TensorRT {trt.__version__} has no strongly typed networks: use '
                          'precision fp16 or fp32')
    return bits


def _refusal(trt: Any, parser: Any, job: Job) -> str:
    """Say what the parser will not take, with the operator where the version names it."""
    said = []
    for index in range(parser.num_errors):
        error = parser.get_error(index)
        operator = getattr(error, 'node_operator', None)
        where = f'operator {operator()} (node {error.node_name()}): ' if operator else \
            f'node {error.node()}: '
        said.append(where + error.desc())
    return (f'the parser of TensorRT {trt.__version__} refuses {Path(job.graph).name}: '
            f'{"; ".join(said) or "it does not say why"}; use another precision, another engine '
            '(onnx), or a newer TensorRT')


def _limit(trt: Any, config: Any, job: Job) -> None:
    pools = trt.MemoryPoolType
    config.set_memory_pool_limit(pools.WORKSPACE, job.workspace * MEGABYTE)
    if job.tactics:
        config.set_memory_pool_limit(pools.TACTIC_DRAM, job.tactics * MEGABYTE)


def _set_flags(trt: Any, config: Any, job: Job) -> None:
    for precision in job.flags:
        flag = precision_flag(trt, precision)
        if flag is None:
            raise EngineError(f'TensorRT {trt.__version__} has no builder flag for {precision}: '
                              'build without --dla, or use precision auto')
        config.set_flag(flag)
    if not job.tf32:
        config.clear_flag(trt.BuilderFlag.TF32)
    if job.version_compatible:
        config.set_flag(trt.BuilderFlag.VERSION_COMPATIBLE)


def _use_dla(trt: Any, builder: Any, config: Any, job: Job) -> None:
    cores = builder.num_DLA_cores
    if job.dla >= cores:
        raise EngineError(f'--dla {job.dla}: this machine has {cores} DLA cores, numbered from 0; '
                          'build without --dla')
    config.default_device_type = trt.DeviceType.DLA
    config.DLA_core = job.dla
    config.set_flag(trt.BuilderFlag.GPU_FALLBACK)      # no DLA runs a whole transformer


def _timing_cache(config: Any, path: Path) -> Any:
    """What earlier builds measured, if it can be used, else an empty one; the config has it."""
    for content in (path.read_bytes() if path.is_file() else b'', b''):
        timing = config.create_timing_cache(content)
        if timing is not None and config.set_timing_cache(timing, False):
            return timing
    raise EngineError(f'TensorRT takes no timing cache: remove {path}')


def _watch(trt: Any, settings: Any, tell: Tell) -> None:
    """Have TensorRT 10 and later report progress; earlier ones do not."""
    base: Any = getattr(trt, 'IProgressMonitor', None)
    if base is None:
        return

    class Monitor(base):
        """Phases lie within each other: a step of one is a share of a step of the next."""

        def __init__(self) -> None:
            base.__init__(self)      # pybind11 asks for this very call
            self._open: dict[str, list[int]] = {}      # phase to steps done, and all
            self._furthest = 0.0

        def phase_start(self, phase_name: str, parent_phase: str | None, num_steps: int) -> None:
            """Take note of a phase."""
            self._open[phase_name] = [0, max(num_steps, 1)]
            self._tell(phase_name)

        def step_complete(self, phase_name: str, step: int) -> bool:
            """Take note of a step; True: go on."""
            if phase_name in self._open:
                self._open[phase_name][0] = step + 1
                self._tell(phase_name)
            return True

        def phase_finish(self, phase_name: str) -> None:
            """Forget a phase."""
            self._open.pop(phase_name, None)

        def _tell(self, phase: str) -> None:
            share, width = 0.0, 1.0
            for done, steps in self._open.values():      # from the outermost one
                share += width * min(done / steps, 1.0)
                width /= steps
            self._furthest = max(self._furthest, min(share, 1.0))
            tell(self._furthest, phase)

    settings.progress_monitor = Monitor()
