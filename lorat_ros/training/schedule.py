# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Learning rates over the steps of a run, as factors of the highest one."""
from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple


class Course(NamedTuple):
    """How long a run is, in optimiser steps, and where its learning rate ends."""

    steps: int
    warmup_steps: int
    decay_steps: int      # the last ones; only 'plateau' asks
    final: float          # factor at the end


def _half_wave(share: float, final: float) -> float:
    return final + (1 - final) * 0.5 * (1 + math.cos(math.pi * min(max(share, 0.0), 1.0)))


def plateau(step: int, course: Course) -> float:
    """
    Stay, then fall along half a cosine over the last ``decay_steps``.

    The plateau lets a run be prolonged: resume with more steps, and only the decay is done anew.
    """
    into = step - (course.steps - course.decay_steps)
    return _half_wave(into / max(course.decay_steps, 1), course.final)


def cosine(step: int, course: Course) -> float:
    """Fall along half a cosine from the end of the warm-up to the last step, as LoRAT does."""
    whole = max(course.steps - course.warmup_steps, 1)
    return _half_wave((step - course.warmup_steps) / whole, course.final)


def stair(step: int, course: Course) -> float:
    """Fall to a tenth after four fifths of the steps, as OSTrack's descendants do."""
    return 1.0 if step < 0.8 * course.steps else 0.1


SCHEDULES: dict[str, Callable[[int, Course], float]] = {
    'plateau': plateau, 'cosine': cosine, 'stair': stair}


def factor_at(step: int, name: str, course: Course) -> float:
    """
    Factor of the learning rate in a step.

    :param step: from 0.
    :param name: of the schedule, see SCHEDULES; all rise linearly over the warm-up first.
    """
    if step < course.warmup_steps:
        return (step + 1) / course.warmup_steps
    return SCHEDULES[name](step, course)
