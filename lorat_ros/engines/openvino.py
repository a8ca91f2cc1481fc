# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""OpenVINO on the CPU: an optional engine (``pip install openvino``), in float32 or bfloat16."""
from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import openvino

from lorat_ros.engines.plan_cache import processor
from lorat_ros.engines.session import EngineError, Handle, Value
from lorat_ros.models.bundle import Bundle

HINTS = {'fp32': 'f32', 'bf16': 'bf16'}


def version() -> str:
    """All that the answers in low precision hang on besides the graphs."""
    return f'openvino {openvino.__version__} {processor()}'


class OpenVinoSession:
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
        self._requests, self._outputs, self._kept = {}, {}, {}
        for role, path in bundle.graphs.items():
            try:
                compiled = core.compile_model(str(path), 'CPU', settings)
            except RuntimeError as error:
                raise EngineError(f'{path} cannot be loaded by OpenVINO {openvino.__version__}: '
                                  f'{error}; use engine onnx, or update openvino') from None
            self._requests[role] = compiled.create_infer_request()
            self._outputs[role] = [output.get_any_name() for output in compiled.outputs]
            self._kept[role] = bundle.handed_over(role)

    def run(self, role: str, inputs: Mapping[str, Value]) -> dict[str, Value]:
        """Run the graph of a role; see ``Session.run``."""
        if role not in self._requests:
            raise EngineError(f'this model has no graph {role!r}, only {sorted(self._requests)}')
        feed = {name: value.value if isinstance(value, Handle) else np.ascontiguousarray(value)
                for name, value in inputs.items()}
        try:
            # Inputs are read where they are; outputs are copied, as the next run overwrites them.
            values = self._requests[role].infer(feed, share_inputs=True, share_outputs=False)
        except (RuntimeError, ValueError) as error:
            shapes = {name: getattr(value, 'shape', None) for name, value in feed.items()}
            raise EngineError(f'graph {role!r} refused its inputs {shapes}: {error}') from None
        kept, names = self._kept[role], self._outputs[role]
        return {name: Handle(values[k]) if name in kept else values[k]
                for k, name in enumerate(names)}

    def close(self) -> None:
        """Give back memory."""
        self._requests.clear()


def open_session(bundle: Bundle, threads: int, precision: str, built: Path | None
                 ) -> OpenVinoSession:
    """Open a bundle; see ``lorat_ros.engines.session.open_session``."""
    return OpenVinoSession(bundle, threads, precision)
