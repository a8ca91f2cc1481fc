# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""``lorat benchmark --crops both``: is the host or the GPU sooner done with a frame?"""
from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from lorat_ros.engines.session import EngineError, open_session, Session
from lorat_ros.models.bundle import Bundle
from lorat_ros.tools.benchmark_figures import compare
from lorat_ros.tracking.crop_choice import (CropTimes, CROPS_NAMES, device_of, times_path,
                                            write_times)

BOTH = 'both'
BENCHMARK_CROPS = (*CROPS_NAMES, BOTH)
ON_GPU = ' gpu crops'       # after the name of the engine


def contenders_for(bundle: Bundle, engine: str, threads: int, crops: str
                   ) -> dict[str, tuple[Session, str]]:
    """
    Open an engine, twice if both ways of cropping are to be measured and it takes both.

    :param engine: such as 'onnx' or 'openvino:bf16'.
    :param crops: one of ``BENCHMARK_CROPS``.
    :returns: name of each contender to its session and to who cuts its crops.
    :raises EngineError: it cannot be opened.
    """
    name, _, precision = engine.partition(':')
    session = open_session(bundle, name, threads, precision or 'auto')
    if crops != BOTH:
        return {engine: (session, crops)}
    if device_of(session) is None:
        return {engine: (session, 'cpu')}
    try:
        second = open_session(bundle, name, threads, precision or 'auto')
    except EngineError:
        session.close()
        raise
    return {engine: (session, 'cpu'), engine + ON_GPU: (second, 'gpu')}


def decide(bundle: Bundle, sessions: Mapping[str, Session], figures: Mapping[str, np.ndarray]
           ) -> dict[str, CropTimes]:
    """
    Keep who won where both were measured; 'auto' goes by it from now on.

    :param sessions: name of each contender to its session, still open.
    :param figures: the same names to 'total', (rounds, frames) milliseconds.
    """
    decided = {}
    for engine, session in sessions.items():
        device = device_of(session)
        if engine + ON_GPU not in figures or device is None:
            continue
        cpu, gpu = figures[engine], figures[engine + ON_GPU]
        ratio, = compare({'cpu': cpu.mean(1).tolist(), 'gpu': gpu.mean(1).tolist()}, 'cpu')
        times = CropTimes(float(np.median(cpu)), float(np.median(gpu)), ratio.low or 0.0)
        write_times(times_path(bundle, session, device), times)
        decided[engine] = times
    return decided
