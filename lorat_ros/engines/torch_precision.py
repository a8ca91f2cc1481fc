# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Less than float32 in torch: products and convolutions in half precision, all else in float32.

What must not lose digits (layer norm, softmax, sums of the residual stream) is kept by torch's own
autocast. The weights of products are stored in half precision for good: to make them anew in
every run would cost more memory traffic than it saves.
"""
from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from types import MappingProxyType
from typing import Any

import torch
from torch import nn

from lorat_ros.engines.session import EngineError

#: Precision to the type of products; None: as they are.
TYPES = MappingProxyType({'fp32': None, 'fp16': torch.float16, 'bf16': torch.bfloat16})
_PRODUCTS = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.ConvTranspose2d)
_BF16_FROM = (8, 0)      # compute capability


def check_precision(precision: str, device: torch.device) -> None:
    """
    Refuse what a device has no arithmetic for.

    :raises EngineError: bf16 on a GPU older than Ampere.
    """
    if precision == 'bf16' and device.type == 'cuda':
        found = torch.cuda.get_device_capability(device)
        if found < _BF16_FROM:
            raise EngineError(f'this GPU (compute capability {found[0]}.{found[1]}) has no '
                              'bfloat16 arithmetic: use precision fp16 or fp32')


def lower(network: nn.Module, precision: str) -> None:
    """Store the weights of a network's products in a precision, in place."""
    kind = TYPES[precision]
    if kind is None:
        return
    for module in network.modules():
        if isinstance(module, _PRODUCTS):
            module.to(kind)


def arithmetic(precision: str, device: torch.device) -> AbstractContextManager[Any]:
    """Context in which a network that was lowered computes."""
    kind = TYPES[precision]
    if kind is None:
        return nullcontext()
    # A cache of lowered weights must not be filled while a CUDA graph is recorded.
    return torch.autocast(device.type, dtype=kind, cache_enabled=False)


def widened(value: torch.Tensor) -> torch.Tensor:
    """Half precision as float32, which NumPy and all that follow take; others as they are."""
    return value.float() if value.dtype in TYPES.values() else value
