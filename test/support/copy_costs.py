# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
How fast the C library copies images, by where the copy lies in its page beside the original.

    cd test && ../.venv/bin/python -m support.copy_costs
    cd test && GLIBC_TUNABLES=glibc.cpu.x86_non_temporal_threshold=524288 \
        ../.venv/bin/python -m support.copy_costs

The second one copies past the caches.
"""
from __future__ import annotations

import ctypes
import statistics
import time

import numpy as np

SIZES = ((640, 480), (1280, 720), (1920, 1080), (3840, 2160))
AHEAD = (0, 16, 64, 256, 1024, 2048, 3072, 4032)     # bytes, of a page of 4096
PAGE, COPIES, PLACES = 4096, 24, 4


def gigabytes_a_second(size: int, ahead: int) -> float:
    """Copy so many bytes to places that are so far ahead in their page; the median."""
    rooms = [np.ones(size + 3 * PAGE, np.uint8) for _ in range(1 + PLACES)]
    starts = [-(-room.ctypes.data // PAGE) * PAGE for room in rooms]
    took = []
    for number in range(COPIES):
        begun = time.perf_counter()
        ctypes.memmove(starts[1 + number % PLACES] + ahead, starts[0], size)
        took.append(time.perf_counter() - begun)
    return size / statistics.median(took) / 1e9


def main() -> None:
    """Print a table."""
    print('| GB/s; bytes ahead | ' + ' | '.join(map(str, AHEAD)) + ' |')
    print('|---|' + '---|' * len(AHEAD))
    for width, height in SIZES:
        speeds = (gigabytes_a_second(3 * width * height, ahead) for ahead in AHEAD)
        print(f'| {width}x{height} | ' + ' | '.join(f'{speed:.1f}' for speed in speeds) + ' |')


if __name__ == '__main__':
    main()
