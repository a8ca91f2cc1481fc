# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""ONNX Runtime on the CPU: the default engine, in float32 or with graphs quantised to int8."""
from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnxruntime

from lorat_ros.engines.plan_cache import processor
from lorat_ros.engines.session import ArraySession, EngineError, EXACT
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


class OnnxSession(ArraySession):
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
        super().__init__(bundle, {role: [output.name for output in graph.get_outputs()]
                                  for role, graph in self._graphs.items()})

    def _infer(self, role: str, feed: dict[str, np.ndarray]) -> Sequence[np.ndarray]:
        return self._graphs[role].run(self._outputs[role], feed)

    def close(self) -> None:
        """Give back memory."""
        self._graphs.clear()


def open_session(bundle: Bundle, threads: int, precision: str = 'fp32',
                 built: Path | None = None) -> OnnxSession:
    """Open a bundle; see ``lorat_ros.engines.session.open_session``."""
    return OnnxSession(bundle, threads, precision, built)
