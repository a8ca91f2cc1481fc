# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
The training loop: one or several processes, resumable, with curves.

Several processes through torch's own launcher::

    torchrun --nproc-per-node 2 -m lorat_ros.tools.train kestrel --data POOL --output RUN

A step is cut into parts of ``micro_batch`` samples. Wherever a part is computed, one after the
other here or in another process, it is drawn, dropped out and weighed alike, so that the cut into
processes changes nothing but the speed.
"""
from __future__ import annotations

import contextlib
import copy
import time
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
import torch
from torch import distributed, nn
from torch.utils.checkpoint import checkpoint

from lorat_ros.training.curves import Curves
from lorat_ros.training.loader import batches, Pace
from lorat_ros.training.method import Arrays, Method, TrainError
from lorat_ros.training.pool import Pool
from lorat_ros.training.recipe import TrainConfig
from lorat_ros.training.saving import (check_step, check_weights, load_state, replace_with,
                                       save_state, SaveError)
from lorat_ros.training.schedule import Course, factor_at
from lorat_ros.training.statistics import StepStatistics

PROBES, PROBE_SIZE = 6, 48
AMP = {'bf16': torch.bfloat16, 'fp16': torch.float16, 'fp32': torch.float32}


class Ended(NamedTuple):
    """How a run ended."""

    complete: bool            # False: it was asked to stop before its last step
    saved: bool               # False: the last checkpoint could not be written


def divided(config: TrainConfig, world: int) -> tuple[int, int]:
    """
    Samples of a step that each process has, and how many pass the network at once.

    :raises TrainError: the batch cannot be divided so.
    """
    if config.batch % world:
        raise TrainError(f'batch {config.batch} is not a multiple of the {world} processes: '
                         'choose one that is')
    share = config.batch // world
    micro = min(config.micro_batch or share, share)
    if share % micro:
        raise TrainError(f'micro_batch {micro} does not divide the {share} samples of a process '
                         f'(batch {config.batch}, {world} processes): choose one that does')
    return share, micro


def to_tensors(batch: Arrays, device: torch.device) -> dict[str, torch.Tensor]:
    """Arrays as tensors on a device."""
    return {name: torch.from_numpy(value).to(device) for name, value in batch.items()}


class Trainer:
    """Trains what a method builds; everything it needs to go on is in ``RUN/last.pt``."""

    def __init__(self, method: Method, pool: Pool, output: Path, config: TrainConfig,
                 held_out: Pool | None = None, loaders: int = 0,
                 stop: Callable[[], bool] = lambda: False) -> None:
        """
        :param loaders: processes that draw samples ahead; 0: they are drawn in between.
        :param stop: asked after every step whether to save and end early.
        """
        self.method, self.config, self.output, self.stop = method, config, output, stop
        self.rank = distributed.get_rank() if distributed.is_initialized() else 0
        self.world = distributed.get_world_size() if distributed.is_initialized() else 1
        self.share, self.micro = divided(config, self.world)
        self.device = torch.device('cuda' if torch.cuda.is_available() else 'cpu')
        if config.precision == 'fp16' and self.device.type != 'cuda':
            raise TrainError('precision fp16 is for GPUs: give bf16 or fp32 on a CPU')
        self.objective = method.objective.to(self.device)
        self.network = self.objective.network
        self.average = copy.deepcopy(self.objective) if config.ema else self.objective
        if config.checkpointing:
            for block in method.blocks():
                block.forward = partial(checkpoint, block.forward, use_reentrant=False)
        self.trained = self.objective if self.world == 1 else \
            nn.parallel.DistributedDataParallel(self.objective)
        self.statistics = StepStatistics(self.network, self.share // self.micro, self.world)
        self.optimiser = torch.optim.AdamW(method.groups(config.weight_decay),
                                           lr=config.learning_rate, betas=(0.9, config.beta2))
        self.scaler = torch.amp.GradScaler(self.device.type, enabled=config.precision == 'fp16')
        self.parameters = [p for p in self.network.parameters() if p.requires_grad]
        self.step, self.seconds = 0, 0.0
        self.curves = Curves(output)
        self.draws, self.loaders = method.draws(pool), loaders
        self.probe: list[Arrays] | None = None
        if held_out is not None:
            probes = method.probes(held_out)      # the same every time, without luck
            self.probe = [probes.batch((part, number) for number in range(PROBE_SIZE))
                          for part in range(PROBES)]

    def _kept(self, network: nn.Module) -> dict[str, torch.Tensor]:
        """What a checkpoint holds of a network: all that training changes."""
        frozen = {n for n, p in self.network.named_parameters() if not p.requires_grad}
        return {n: v for n, v in network.state_dict().items() if n not in frozen}

    def resume(self, path: Path) -> None:
        """
        Go on from a checkpoint of ``save``.

        :raises TrainError: it cannot be read, or is of another model.
        """
        state = load_state(path, self.device, self.method.identity())
        self.network.load_state_dict(state['network'], strict=False)
        if self.config.ema:      # a run that had none so far begins it with its weights
            self.average.network.load_state_dict(state['average'] or state['network'],
                                                 strict=False)
        asked = [{k: v for k, v in group.items() if k != 'params'}
                 for group in self.optimiser.param_groups]
        self.optimiser.load_state_dict(state['optimiser'])
        for group, settings in zip(self.optimiser.param_groups, asked):
            group.update(settings)      # the recipe's, not those of the run so far
        self.scaler.load_state_dict(state['scaler'])
        self.step, self.seconds = state['step'], state['seconds']
        self.curves.cut(self.step)

    def save(self) -> None:
        """
        Write ``last.pt`` (to go on) and the method's own file (to use).

        :raises SaveError: the disk is full or the like; the files before are untouched.
        :raises Diverged: there are weights that are no numbers; nothing is written.
        """
        if self.rank:
            return
        check_weights(self.step, self._kept(self.network))
        self.curves.write()      # first: what it has beyond the checkpoint is cut on resuming
        state = {'identity': self.method.identity(), 'network': self._kept(self.network),
                 'average': self._kept(self.average.network) if self.config.ema else {},
                 'optimiser': self.optimiser.state_dict(), 'scaler': self.scaler.state_dict(),
                 'step': self.step, 'seconds': self.seconds}
        save_state(self.output / 'last.pt', state)
        about = {'step': self.step, 'seconds': self.seconds}
        replace_with(self.output / self.method.product,
                     lambda part: self.method.write(self.average.network, part, about))

    def _saved(self) -> bool:
        """Save; whether that went well. If not, it is said, and the training goes on."""
        try:
            self.save()
        except SaveError as error:
            warnings.warn(str(error), stacklevel=2)
            return False
        return True

    def _average(self) -> None:
        if not self.config.ema:
            return
        # The average follows quickly at first, else it would keep the random start for long.
        keep = min(self.config.ema, (1 + self.step) / (10 + self.step))
        with torch.no_grad():
            for mine, theirs in zip(self.average.network.state_dict().values(),
                                    self.network.state_dict().values()):
                if mine.is_floating_point():
                    mine.lerp_(theirs, 1 - keep)
                else:
                    mine.copy_(theirs)

    def _summed(self, values: list[float]) -> list[float]:
        """Sum over all processes."""
        if self.world == 1:
            return values
        tensor = torch.tensor(values, dtype=torch.float64, device=self.device)
        distributed.all_reduce(tensor)
        return tensor.tolist()

    def _autocast(self) -> contextlib.AbstractContextManager[Any]:
        return torch.autocast(self.device.type, AMP[self.config.precision],
                              enabled=self.config.precision != 'fp32')

    def validate(self) -> float:
        """Mean overlap of what is to be used on the held-out samples, in [0, 1]."""
        if self.probe is None:
            raise TrainError('nothing was held out to validate on: give --hold-out CLIP')
        self.average.eval()
        found = []
        with torch.no_grad(), self._autocast():
            for batch in self.probe:
                parts = self.average(to_tensors(batch, self.device), self.method.counts(batch))
                found.append(float(parts['overlap']))
        self.objective.train()
        return float(np.mean(found))

    def _gradients(self, batch: Arrays, counts: dict[str, float]) -> dict[str, float]:
        """Add the gradients of this process's part of a step; returns its parts of the losses."""
        figures: dict[str, float] = {}
        starts = range(0, self.share, self.micro)
        for start in starts:
            part = {name: value[start:start + self.micro] for name, value in batch.items()}
            # Seeded by its place in the whole step: whoever computes it drops out the same.
            torch.manual_seed((self.config.seed * 1_000_003 + self.step) * 4096
                              + (self.rank * self.share + start) // self.micro)
            last = start == starts[-1]
            waits = self.trained.no_sync() if self.world > 1 and not last \
                else contextlib.nullcontext()
            self.statistics.begin()
            with waits:
                with self._autocast():
                    parts = self.trained(to_tensors(part, self.device), counts)
                # Processes average their gradients; the parts of a step add up.
                self.scaler.scale(parts['total'] * self.world).backward()
            self.statistics.end()
            for name, value in parts.items():
                figures[name] = figures.get(name, 0.0) + float(value.detach())
        self.statistics.combine()
        return figures

    def take_step(self, batch: Arrays) -> tuple[dict[str, float], bool]:
        """
        One optimiser step.

        :param batch: this process's share.
        :returns: the losses of the whole step by name, and whether any process was asked to stop.
        """
        config = self.config
        course = Course(config.steps, config.warmup_steps, config.decay_steps, config.final)
        factor = factor_at(self.step, config.schedule, course)
        for group in self.optimiser.param_groups:
            group['lr'] = config.learning_rate * group['scale'] * factor
        mine = self.method.counts(batch)
        *counted, stopping = self._summed([*mine.values(), float(self.stop())])
        figures = self._gradients(batch, dict(zip(mine, counted)))
        figures = dict(zip(figures, self._summed(list(figures.values()))))
        self.scaler.unscale_(self.optimiser)
        norm = float(nn.utils.clip_grad_norm_(self.parameters, config.clip_norm))
        # Gradients too large for fp16 are the scaler's own affair: it leaves such a step out.
        check_step(self.step + 1, figures, 0.0 if self.scaler.is_enabled() else norm)
        self.scaler.step(self.optimiser)
        self.scaler.update()
        self.optimiser.zero_grad(set_to_none=True)
        self._average()
        self.step += 1
        return {**figures, 'learning_rate': config.learning_rate * factor}, stopping > 0

    def run(self, progress: Callable[[int, dict[str, float]], None]) -> Ended:
        """
        Train to ``config.steps``; ``progress(step, figures)`` after every step.

        :raises Diverged: a step cannot be taken; what was saved before is untouched.
        """
        config = self.config
        if self.step >= config.steps:      # the run before may have ended between two files
            return Ended(True, self._saved())
        cv2.setNumThreads(1)
        mine = range(self.rank * self.share, (self.rank + 1) * self.share)
        pace = Pace(self.share, config.batch, self.loaders)
        self.objective.train()
        stopping, saved = False, True
        start = time.perf_counter()
        # Keyed by step and place: resumed and divided runs see the very same samples.
        for drawn in batches(self.draws,
                             lambda step: [(config.seed, step, number) for number in mine],
                             range(self.step, config.steps), self.loaders):
            figures, stopping = self.take_step(drawn.pairs)
            seconds = time.perf_counter() - start     # after the losses: a GPU is done by then
            self.seconds += seconds
            figures.update(pace.figures(drawn, seconds))
            if not self.rank and (complaint := pace.complaint(figures)):
                warnings.warn(complaint, stacklevel=2)
            self.curves.add(self.step, figures)
            if self.step % config.save_every == 0 or self.step == config.steps or stopping:
                if self.probe and not self.rank and not stopping:
                    figures['held_out'] = self.validate()
                    self.curves.add(self.step, {'held_out': figures['held_out']})
                saved = self._saved()
            progress(self.step, figures)
            if stopping:
                break
            start = time.perf_counter()
        return Ended(self.step >= config.steps, saved)
