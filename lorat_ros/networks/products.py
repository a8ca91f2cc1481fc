# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A plain matrix product in torch, for measuring what a machine can do at most."""
from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch


def product(left: np.ndarray, right: np.ndarray, threads: int) -> Callable[[], object]:
    """Return what computes ``left @ right`` (float32) each time it is called."""
    torch.set_num_threads(threads)
    a, b = torch.from_numpy(left), torch.from_numpy(right)
    out = torch.empty(len(left), right.shape[1])
    return lambda: torch.mm(a, b, out=out)
