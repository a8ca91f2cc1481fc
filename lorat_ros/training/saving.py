# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Checkpoints that are whole or not there: one half written never replaces the last."""
from __future__ import annotations

import math
import os
import pickle
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch

from lorat_ros.training.method import TrainError


class SaveError(RuntimeError):
    """A checkpoint could not be written; what was there before is untouched."""


class Diverged(TrainError):
    """A step made what is no number; nothing of it was saved."""

    def __init__(self, step: int, what: str) -> None:
        super().__init__(
            f'step {step}: {what}. Nothing of this step is saved, the checkpoint before it is '
            'kept. From there the same command meets the same samples: look at them, then try '
            'train.learning_rate lower, train.precision=fp32, or another train.seed, which draws '
            'others')
        self.step = step


def check_step(step: int, losses: Mapping[str, float], norm: float) -> None:
    """
    Refuse a step whose loss or gradient is no number, before it reaches the weights.

    :param step: counted from 1.
    :param norm: of the gradient.
    :raises Diverged: names what is wrong.
    """
    if not math.isfinite(losses['total']):
        wrong = [f'{name} is {v}' for name, v in losses.items() if not math.isfinite(v)]
        raise Diverged(step, ', '.join(wrong))
    if not math.isfinite(norm):
        raise Diverged(step, f'the losses are finite, their gradient is {norm}')


def check_weights(step: int, tensors: Mapping[str, torch.Tensor]) -> None:
    """
    Refuse to save weights that are no numbers.

    :raises Diverged: names the tensors.
    """
    wrong = [name for name, value in tensors.items()
             if value.is_floating_point() and not bool(torch.isfinite(value).all())]
    if wrong:
        more = f' and {len(wrong) - 3} more' if len(wrong) > 3 else ''
        raise Diverged(step, f'{", ".join(wrong[:3])}{more} hold what is no number')


def replace_with(path: Path, write: Callable[[Path], object]) -> None:
    """
    Let ``write`` make a file, and only when it is whole and on the disk put it at ``path``.

    :raises SaveError: it could not be written; ``path`` is as it was.
    """
    part = path.with_name(path.name + '.part')
    try:
        write(part)
        with part.open('rb+') as written:
            os.fsync(written.fileno())
        os.replace(part, path)
    except (OSError, RuntimeError) as error:      # torch's writer turns ENOSPC into RuntimeError
        part.unlink(missing_ok=True)
        kept = 'the one before is kept' if path.is_file() else 'there is none yet'
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise SaveError(f'{path} could not be written ({reason}): {kept}. Is the disk full? Make '
                        'room; the next one is tried when it is due') from None


def save_state(path: Path, state: dict[str, Any]) -> None:
    """Write a checkpoint of tensors and plain values; see ``replace_with``."""
    replace_with(path, lambda part: torch.save(state, part))


def load_state(path: Path, device: torch.device, identity: dict[str, Any]) -> dict[str, Any]:
    """
    Read a checkpoint that ``Trainer.save`` wrote.

    :param identity: what it must be of, see ``Method.identity``.
    :raises TrainError: it cannot be read, or is of something else.
    """
    try:
        state = torch.load(path, map_location=device, weights_only=True)
        there = dict(state['identity'])
    except Exception as error:      # torch raises many kinds for a file that is cut off
        reason = str(error).partition('\n')[0] or type(error).__name__
        if isinstance(error, pickle.UnpicklingError):      # torch's advice is to read it unsafely
            reason = 'it is damaged, or no checkpoint'
        raise TrainError(f'{path} cannot be read ({reason}): remove it to start anew') from None
    if there != identity:
        other = sorted(k for k in {*there, *identity} if there.get(k) != identity.get(k))
        said = '; '.join(f'{k} {there.get(k)!r} there, {identity.get(k)!r} asked for'
                         for k in other)
        raise TrainError(f'{path} is of another model: {said}. Give the same, or another folder '
                         'for the run')
    return state
