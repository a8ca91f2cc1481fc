# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What a device of torch does at most: matrix products and copies, for ``lorat benchmark``."""
from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial

import torch

PRECISIONS = {'fp32': torch.float32, 'fp16': torch.float16, 'bf16': torch.bfloat16}
SIDES = (1024, 2048, 4096, 8192)      # of the square matrices; 8192: 256 MB in float32
COPIED = 256 * 2 ** 20                # bytes
CALLS = 10                            # timed together
REPEATS = 5


def gpu() -> torch.device | None:
    """Return the GPU that torch would use, if there is one."""
    return torch.device('cuda') if torch.cuda.is_available() else None


def measure_device(device: torch.device, sides: tuple[int, ...] = SIDES, copied: int = COPIED
                   ) -> dict[str, object]:
    """
    Measure a device.

    :returns: ``name``; ``gflops``: precision to the fastest product of matrices of these sides
        (float32 by torch's own setting, that is without TF32); ``gbytes``: GB/s read and written
        when copying.
    """
    rates = {}
    for precision, kind in PRECISIONS.items():
        rates[precision] = 0.0
        for side in sides:
            left, right = (torch.randn(side, side, device=device).to(kind) for _ in range(2))
            out = torch.empty_like(left)
            took = shortest(partial(torch.mm, left, right, out=out), device)
            rates[precision] = max(rates[precision], 2 * side ** 3 / took / 1e9)
    source = torch.ones(copied, dtype=torch.uint8, device=device)
    there = torch.empty_like(source)
    took = shortest(partial(there.copy_, source), device)
    name = torch.cuda.get_device_name(device) if device.type == 'cuda' else device.type
    return {'name': name, 'gflops': rates, 'gbytes': 2 * copied / took / 1e9}


def shortest(work: Callable[[], object], device: torch.device) -> float:
    """Seconds of one call, from the fastest of several rows of calls that the device ended."""
    wait = torch.cuda.synchronize if device.type == 'cuda' else lambda: None
    work()
    took = []
    for _ in range(REPEATS):
        wait()
        start = time.perf_counter()
        for _ in range(CALLS):
            work()
        wait()
        took.append((time.perf_counter() - start) / CALLS)
    return min(took)
