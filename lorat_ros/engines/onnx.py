# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""ONNX Runtime on the CPU: the default engine, in float32 or with graphs quantised to int8."""
from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import onnxruntime

from lorat_ros.engines.plan_cache import processor
from lorat_ros.engines.session import EngineError, EXACT, Handle, Value
from lorat_ros.models.bundle import Bundle


def _options(threads: int) -> onnxruntime.SessionOptions:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    # Spinning workers burn the cores that the camera driver and DDS need, for nothing.
    options.add_session_config_entry('session.intra_op.allow_spinning', '0')
    options.log_severity_level = 3
    return options


def _load(path: Path, threads: int) -> onnxruntime.InferenceSession:
    try:
        return onnxruntime.InferenceSession(str(path), _options(threads),
                                            providers=['CPUExecutionProvider'])
    except Exception as error:      # ONNX Runtime's own exception types are not importable
        raise EngineError(f'{path} cannot be loaded by ONNX Runtime {onnxruntime.__version__}: '
                          f'{error}; copy or import the bundle anew, or update onnxruntime'
                          ) from None


def _of_precision(graph: Path, built: Path | None) -> Path:
    """What was built of a graph, where it was: what runs once per target stays in float32."""
    return built / graph.name if built and (built / graph.name).is_file() else graph


def version() -> str:
    """All that the answers in low precision hang on besides the graphs."""
    return f'onnxruntime {onnxruntime.__version__} {processor()}'


class OnnxSession:
    """Runs a bundle's graphs with ONNX Runtime on the CPU."""

    engine = 'onnx'
    device = 'cpu'

    def __init__(self, bundle: Bundle, threads: int, precision: str = 'fp32',
                 built: Path | None = None) -> None:
        self.precision = precision
        paths = {role: _of_precision(path, built) for role, path in bundle.graphs.items()}
        if precision != EXACT and paths == dict(bundle.graphs):
            raise EngineError(f'{built} holds no graph in {precision}, though it was proven: run '
                              '`lorat build` again, or use precision fp32')
        self._graphs = {role: _load(path, threads) for role, path in paths.items()}
        self._outputs = {role: [o.name for o in graph.get_outputs()]
                         for role, graph in self._graphs.items()}
        self._kept = {role: bundle.handed_over(role) for role in self._graphs}

    def run(self, role: str, inputs: Mapping[str, Value]) -> dict[str, Value]:
        """Run the graph of a role; see ``Session.run``."""
        if role not in self._graphs:
            raise EngineError(f'this model has no graph {role!r}, only {sorted(self._graphs)}')
        feed = {name: value.value if isinstance(value, Handle) else np.ascontiguousarray(value)
                for name, value in inputs.items()}
        try:
            values = self._graphs[role].run(self._outputs[role], feed)
        except Exception as error:
            shapes = {name: getattr(value, 'shape', None) for name, value in feed.items()}
            raise EngineError(f'graph {role!r} refused its inputs {shapes}: {error}') from None
        kept = self._kept[role]
        return {name: Handle(value) if name in kept else value
                for name, value in zip(self._outputs[role], values)}

    def close(self) -> None:
        """Give back memory."""
        self._graphs.clear()


def open_session(bundle: Bundle, threads: int, precision: str = 'fp32',
                 built: Path | None = None) -> OnnxSession:
    """Open a bundle; see ``lorat_ros.engines.session.open_session``."""
    return OnnxSession(bundle, threads, precision, built)
