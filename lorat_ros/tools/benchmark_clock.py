# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Which clock tells how long a calculation takes."""
from __future__ import annotations

import time
from collections.abc import Callable

Clock = Callable[[], float]      # seconds since some moment


def work_clock(threads: int) -> tuple[str, Clock]:
    """
    Name of the clock for so many threads, and the clock.

    For one thread it is this process's CPU time, which stands still while another process has
    the core. The system brings the CPU time of other threads up to date only now and then (every
    few milliseconds), so for several threads it is the wall clock.
    """
    return ('CPU', time.process_time) if threads == 1 else ('wall', time.perf_counter)
