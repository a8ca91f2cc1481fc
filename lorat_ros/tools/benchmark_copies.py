# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""How fast this machine moves memory: the other limit of the roofline."""
from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np

from lorat_ros.tools.benchmark_clock import work_clock
from lorat_ros.tools.benchmark_gemm import shortest_ms

COPIED = 64 * 2 ** 20       # bytes of an array that is copied: more than most caches hold
SECONDS = 0.3


def measure_copies(threads: int, seconds: float = SECONDS, size: int = COPIED) -> float:
    """GB/s that so many threads read and write when they copy; by the clock of work_clock."""
    pairs = [(np.ones(size // threads, np.uint8), np.ones(size // threads, np.uint8))
             for _ in range(threads)]
    with ThreadPoolExecutor(threads) as pool:
        took = shortest_ms(lambda: list(pool.map(lambda pair: np.copyto(*pair), pairs)),
                           work_clock(threads)[1], seconds)
    return 2 * sum(pair[0].nbytes for pair in pairs) / (took * 1e6)
