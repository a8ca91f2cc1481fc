# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Reading checkpoint files without trusting them, and saying what is wrong with one."""
from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch

SHOWN = 8      # names in an error


class CheckpointError(ValueError):
    """A checkpoint that cannot be used; the message names the file's fault and the cure."""


@dataclass(frozen=True)
class Checkpoint:
    """The tensors of a checkpoint file."""

    path: Path
    tensors: Mapping[str, torch.Tensor]      # scalars of the file as tensors without axes
    entry: str                               # 'net' if they lay under that key; '' for the top


def listed(names: Iterable[str]) -> str:
    """Write names in one line, the first few and the number of all."""
    names = sorted(names)
    more = f' and {len(names) - SHOWN} more' if len(names) > SHOWN else ''
    return ', '.join(names[:SHOWN]) + more


def check_tensors(found: Mapping[str, torch.Tensor], expected: Mapping[str, tuple[int, ...]],
                  what: str) -> None:
    """
    Check that a file holds exactly the tensors expected.

    :param what: what the file should be, for the error: 'a LoRAT-B delta'.
    :raises CheckpointError: tensors are missing, unexpected, or of another shape; all are listed.
    """
    faults = []
    if missing := expected.keys() - found.keys():
        faults.append(f'missing: {listed(missing)}')
    if unexpected := found.keys() - expected.keys():
        faults.append(f'unexpected: {listed(unexpected)}')
    wrong = {f'{name} is {tuple(found[name].shape)}, expected {shape}'
             for name, shape in expected.items()
             if name in found and tuple(found[name].shape) != shape}
    if wrong:
        faults.append(f'of a wrong shape: {listed(wrong)}')
    if faults:
        raise CheckpointError(f'this is not {what}, or not a whole one; {"; ".join(faults)}')
