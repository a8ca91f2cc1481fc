# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Which clock tells how long a calculation takes."""
from __future__ import annotations

import time
from collections.abc import Callable, Iterable

Clock = Callable[[], float]      # seconds since some moment


def work_clock(threads: int) -> tuple[str, Clock]:
    """
    Name of the clock for so many threads, and the clock.

    For one thread it is this process's CPU time, which stands still while another process has
    the core. The system brings the CPU time of other threads up to date only now and then (every
    few milliseconds), so for several threads it is the wall clock.
    """
    return ('CPU', time.process_time) if threads == 1 else ('wall', time.perf_counter)


def clock_of(threads: int, devices: Iterable[str]) -> tuple[str, Clock]:
    """
    Name of the clock for all of these devices, and the clock.

    What a GPU does no CPU time tells: where one takes part it is the wall clock for all. A
    session answers when its outputs are on the host, so nothing is still under way then.
    """
    return work_clock(threads if all(device == 'cpu' for device in devices) else 0)
