# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""OpenVINO on the CPU: an optional engine (``pip install openvino``), in float32 or bfloat16."""
from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import openvino

from lorat_ros.engines.plan_cache import processor
from lorat_ros.engines.session import ArraySession, EngineError
from lorat_ros.models.bundle import Bundle

HINTS = {'fp32': 'f32', 'bf16': 'bf16'}


def version() -> str:
    """All that the answers in low precision hang on besides the graphs."""
    return f'openvino {openvino.__version__} {processor()}'


class OpenVinoSession(ArraySession):
    """Runs a bundle's graphs with OpenVINO on the CPU."""

    engine = 'openvino'
    device = 'cpu'

    def __init__(self, bundle: Bundle, threads: int, precision: str) -> None:
        self.precision = precision
        core = openvino.Core()
        if precision == 'bf16' and 'BF16' not in core.get_property('CPU',
                                                                   'OPTIMIZATION_CAPABILITIES'):
            raise EngineError('this CPU has no bfloat16 arithmetic: use precision fp32')
        settings = {'PERFORMANCE_HINT': 'LATENCY', 'NUM_STREAMS': 1,
                    'INFERENCE_NUM_THREADS': threads, 'INFERENCE_PRECISION_HINT': HINTS[precision]}
        self._requests, outputs = {}, {}
        for role, path in bundle.graphs.items():
            try:
                compiled = core.compile_model(str(path), 'CPU', settings)
            except RuntimeError as error:
                raise EngineError(f'{path} cannot be loaded by OpenVINO {openvino.__version__}: '
                                  f'{error}; use engine onnx, or update openvino') from None
            self._requests[role] = compiled.create_infer_request()
            outputs[role] = [output.get_any_name() for output in compiled.outputs]
        super().__init__(bundle, outputs)

    def _infer(self, role: str, feed: dict[str, np.ndarray]) -> Sequence[np.ndarray]:
        # Inputs are read where they are; outputs are copied, as the next run overwrites them.
        values = self._requests[role].infer(feed, share_inputs=True, share_outputs=False)
        return [values[k] for k in range(len(self._outputs[role]))]

    def close(self) -> None:
        """Give back memory."""
        self._requests.clear()


def open_session(bundle: Bundle, threads: int, precision: str, built: Path | None
                 ) -> OpenVinoSession:
    """Open a bundle; see ``lorat_ros.engines.session.open_session``."""
    return OpenVinoSession(bundle, threads, precision)
