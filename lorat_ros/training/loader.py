# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Batches of pairs drawn ahead of the training step, by processes of their own.

Which pairs a batch holds depends on its keys alone, so the number of processes changes nothing
but the speed. They begin as copies of this process and share what its pool has read by then.
"""
from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import cv2
import numpy as np
from torch.utils.data import DataLoader, Dataset

from lorat_ros.training.method import Arrays, Draws

Keys = Callable[[int], list[tuple[int, ...]]]        # of a step, the keys of its pairs
AHEAD = 3                                            # batches that each process has ready
MOST = 12                                            # processes that are chosen by themselves
STARVING = 0.1                                       # share of a step spent waiting for pairs


@dataclass(frozen=True)
class Batch:
    """The pairs of one step, and how long that took."""

    pairs: dict[str, np.ndarray]
    seconds: float            # of drawing, in the process that drew them
    waited: float             # seconds until they were there


class _Steps(Dataset):
    """A step's pairs, drawn by its number."""

    def __init__(self, draws: Draws, keys: Keys) -> None:
        self.draws, self.keys = draws, keys

    def __getitem__(self, step: int) -> tuple[dict[str, np.ndarray], float]:
        start = time.perf_counter()
        pairs = self.draws.batch(self.keys(step))
        return pairs, time.perf_counter() - start


def usual_loaders(processes: int = 1) -> int:
    """Loading processes for each of ``processes`` training ones: the cores that are left over."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, 'sched_getaffinity') \
        else os.cpu_count() or 1
    return max(0, min(cores // processes - 1, MOST))


def batches(draws: Draws, keys: Keys, steps: range, loaders: int) -> Iterator[Batch]:
    """
    Draw the pairs of these steps, in order.

    :param keys: gives the keys of a step's pairs.
    :param loaders: processes that draw ahead; 0: they are drawn here, when they are asked for.
    """
    data = _Steps(draws, keys)
    # Here, not in the processes: there OpenCV would wait for threads that a copy does not have.
    cv2.setNumThreads(1)
    if loaders:
        draws.pool.store.pin(loaders)
    loader = DataLoader(data, batch_size=None, sampler=steps, num_workers=loaders,
                        collate_fn=_as_it_is, worker_init_fn=_apart,
                        multiprocessing_context='fork' if loaders else None,
                        prefetch_factor=AHEAD if loaders else None)
    asked = time.perf_counter()
    for pairs, seconds in loader:
        yield Batch(pairs, seconds, time.perf_counter() - asked)
        asked = time.perf_counter()


def _as_it_is(sample: tuple[Arrays, float]) -> tuple[Arrays, float]:
    return sample


def _apart(worker: int) -> None:
    """
    Leave the group of processes that a terminal or torch's launcher interrupts as a whole.

    The training process decides when loading ends; it could not end its step without samples.
    """
    os.setpgid(0, 0)


class Pace:
    """
    How many pairs a second the loader could give and the trainer could take.

    :param share: pairs of a batch here, ``whole`` of it over all training processes.
    """

    def __init__(self, share: int, whole: int, loaders: int) -> None:
        self.share, self.whole, self.loaders = share, whole, loaders
        self.waiting: list[float] = []
        self._noted = False

    def figures(self, batch: Batch, step_seconds: float) -> dict[str, float]:
        """
        Figures of one step: samples/s of the run, the loader and the trainer, share of waiting.

        :param step_seconds: of the whole step, waiting included.
        """
        each = self.whole / self.share
        working = max(step_seconds - batch.waited, 1e-9)
        self.waiting = [*self.waiting[-99:], batch.waited / max(step_seconds, 1e-9)]
        return {'rate': self.whole / max(step_seconds, 1e-9),
                'loader': each * max(self.loaders, 1) * self.share / max(batch.seconds, 1e-9),
                'trainer': each * self.share / working,
                'loading': self.waiting[-1]}

    def complaint(self, figures: dict[str, float]) -> str | None:
        """Say, once, that loading holds the training up, with the cure; None if it does not."""
        share = float(np.mean(self.waiting))
        if self._noted or len(self.waiting) < 100 or share < STARVING:
            return None
        self._noted = True
        return (f'{share:.0%} of the time the training waits for pairs: the loader gives '
                f'{figures["loader"]:.0f} a second, the trainer could take '
                f'{figures["trainer"]:.0f}. --loaders {self.loaders + 1} or more draws them in '
                'more processes, if there are cores to spare; pictures that are large or do not '
                'fit into --memory are read faster from a pool that `lorat data` wrote')
