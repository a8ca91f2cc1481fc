# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Static quantisation of a graph to 8 bits for ONNX Runtime, calibrated on real crops.

Matrix products and convolutions get 8-bit inputs (ranges seen in the calibration) and 8-bit
weights (a scale per output channel); all else stays in float32. Needs the package ``onnx``; what
it writes needs ONNX Runtime alone.
"""
from __future__ import annotations

import logging
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from onnxruntime.quantization import (CalibrationDataReader, CalibrationMethod, QuantFormat,
                                      quantize_static, QuantType)

from lorat_ros.engines.session import EngineError

#: What is quantised: from most to least; the gate decides how much a model bears.
LEVELS = {'all products and convolutions': ('MatMul', 'Gemm', 'Conv'),
          'products': ('MatMul', 'Gemm'),
          'products with weights': ('Gemm',)}
LARGEST = 1_800_000_000      # bytes: the tool goes through one protobuf


class _Feeds(CalibrationDataReader):
    """Inputs for calibration, one after the other."""

    def __init__(self, feeds: Iterable[Mapping[str, np.ndarray]]) -> None:
        self._feeds = iter(feeds)

    def get_next(self) -> dict[str, np.ndarray] | None:
        feed = next(self._feeds, None)
        return None if feed is None else dict(feed)


def quantise(graph: Path, target: Path, feeds: Iterable[Mapping[str, np.ndarray]],
             level: str) -> None:
    """
    Write an 8-bit version of a graph.

    :param feeds: inputs of the graph by name, as it gets them at work; about 100 do.
    :param level: one of LEVELS.
    :raises EngineError: the graph is too large, or there is nothing to calibrate with.
    """
    feeds = list(feeds)
    if not feeds:
        raise EngineError('there is nothing to calibrate with: give --frames with more than the '
                          'init frame')
    if graph.stat().st_size > LARGEST or graph.with_suffix('.data').exists():
        raise EngineError(f'{graph}: graphs with weights of over {LARGEST / 1e9:.1f} GB cannot be '
                          'quantised here: use a smaller variant, or another precision')
    with tempfile.TemporaryDirectory() as scratch:
        # Weights in half precision or transposed become plain constants, which can be quantised.
        plain = Path(scratch) / 'plain.onnx'
        options = onnxruntime.SessionOptions()
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
        options.optimized_model_filepath = str(plain)
        options.log_severity_level = 3
        onnxruntime.InferenceSession(str(graph), options, providers=['CPUExecutionProvider'])
        nodes = _nodes_of(plain, LEVELS[level])
        logging.disable(logging.WARNING)      # advice to do what was done just above
        try:
            quantize_static(plain, target, _Feeds(feeds), quant_format=QuantFormat.QDQ,
                            nodes_to_quantize=nodes, per_channel=True,
                            activation_type=QuantType.QUInt8, weight_type=QuantType.QInt8,
                            calibrate_method=CalibrationMethod.MinMax)
        finally:
            logging.disable(logging.NOTSET)


def _nodes_of(graph: Path, kinds: tuple[str, ...]) -> list[str]:
    """Names of the nodes to quantise; a product with weights counts as 'Gemm', whatever it is."""
    found = onnx.load(graph).graph
    weights = {initialiser.name for initialiser in found.initializer}
    return [node.name for node in found.node if node.op_type in kinds or
            node.op_type == 'MatMul' and 'Gemm' in kinds and weights & set(node.input)]
