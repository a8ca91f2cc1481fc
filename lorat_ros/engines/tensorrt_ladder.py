# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Which precisions TensorRT is built in here, the best one first, and how each is asked for."""
from __future__ import annotations

from typing import Any, NamedTuple

from lorat_ros.engines.gpu import Gpu
from lorat_ros.engines.session import EngineError, LADDER
from lorat_ros.engines.tensorrt_api import precision_flag, strongly_typed

BF16_FROM, FP8_FROM = (8, 0), (8, 9)      # compute capability


class Step(NamedTuple):
    """A way to build."""

    precision: str
    how: str                    # in words
    typed: bool
    graph: str | None           # precision that is written into the graph; None: float32
    eights: str | None          # 'int8' or 'fp8' where Q/DQ are written into the graph
    flags: tuple[str, ...]      # precisions that the builder may choose by itself


def ladder(trt: Any, gpu: Gpu, precision: str, dla: bool) -> list[Step]:
    """
    Ways to build, in the order in which they are tried.

    :param precision: 'auto' (LADDER, as far as version and GPU have them) or one of them.
    :param dla: for a deep learning accelerator, which runs no strongly typed networks.
    :raises EngineError: version or GPU do not have this precision.
    """
    typed = strongly_typed(trt) is not None and not dla
    if precision == 'auto':
        return [_step(trt, one, typed) for one in LADDER if not _obstacle(trt, gpu, one, typed)
                and not (dla and one != 'fp16')]
    obstacle = _obstacle(trt, gpu, precision, typed)
    if obstacle:
        raise EngineError(f'precision {precision}: {obstacle}: use precision auto')
    return [_step(trt, precision, typed)]


def _obstacle(trt: Any, gpu: Gpu, precision: str, typed: bool) -> str:
    if precision in ('bf16', 'fp8') and not typed:
        return f'it needs a strongly typed network, which TensorRT {trt.__version__} does not ' \
            'have (10 and later do), nor a DLA'
    least = {'bf16': BF16_FROM, 'fp8': FP8_FROM}.get(precision, (0, 0))
    if gpu.capability < least:
        return f'{gpu.name} has compute capability {gpu.capability[0]}.{gpu.capability[1]}, ' \
            f'expected {least[0]}.{least[1]} or more'
    if not typed and precision != 'fp32' and precision_flag(trt, precision) is None:
        return f'TensorRT {trt.__version__} has no builder flag for it, which a DLA needs'
    return ''


def _step(trt: Any, precision: str, typed: bool) -> Step:
    eights = precision if precision in ('int8', 'fp8') else None
    if precision == 'fp32':
        return Step(precision, 'float32, without TF32', typed, None, None, ())
    rest = 'fp16' if eights else precision
    if typed:
        how = f'strongly typed graph, {rest} with norms, softmax and residuals in float32'
        return Step(precision, f'explicit Q/DQ in a {how}' if eights else how, True, rest, eights,
                    ())
    how = f'builder flag {rest.upper()}'
    flags = (eights, rest) if eights else (rest,)
    return Step(precision, f'explicit Q/DQ, {how}' if eights else how, False, None, eights, flags)
