# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
The training loop: one or several processes, resumable, with curves.

Several processes through torch's own launcher::

    torchrun --nproc-per-node 2 -m lorat_ros.tools.train kestrel --data POOL --output RUN
"""
from __future__ import annotations

import json
import math
import os
import time
import warnings
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import distributed, nn

from lorat_ros.networks.kestrel import Kestrel, KestrelConfig
from lorat_ros.tracking.kestrel import IMAGE_MEAN, IMAGE_SCALE
from lorat_ros.training.curves import Curves
from lorat_ros.training.loader import batches, Pace
from lorat_ros.training.losses import centre_losses, Losses
from lorat_ros.training.pairs import PairConfig, PairSampler
from lorat_ros.training.pool import Pool


@dataclass(frozen=True)
class TrainConfig:
    """What one run does. ``batch`` is over all processes; steps are optimiser steps."""

    steps: int = 12000
    decay_steps: int = 3000
    warmup_steps: int = 150
    batch: int = 48
    learning_rate: float = 1e-3
    weight_decay: float = 0.05
    clip_norm: float = 1.0
    ema: float = 0.9985
    seed: int = 0
    bf16: bool = True
    save_every: int = 250
    pairs: PairConfig = field(default_factory=PairConfig)


def learning_rate_at(step: int, config: TrainConfig) -> float:
    """
    Learning rate of a step: warm-up, plateau, cosine to 2 % over the last ``decay_steps``.

    The plateau lets a run be prolonged: resume with more steps, and only the decay is done anew.
    """
    if step < config.warmup_steps:
        return config.learning_rate * (step + 1) / config.warmup_steps
    into = step - (config.steps - config.decay_steps)
    if into <= 0:
        return config.learning_rate
    share = 0.5 * (1 + math.cos(math.pi * min(into / max(config.decay_steps, 1), 1)))
    return config.learning_rate * (0.02 + 0.98 * share)


def optimiser_of(network: nn.Module, config: TrainConfig) -> torch.optim.Optimizer:
    """AdamW; vectors and embeddings are not decayed."""
    plain = [p for n, p in network.named_parameters()
             if p.ndim < 2 or 'position' in n or 'embedding' in n]
    known = {id(p) for p in plain}
    decayed = [p for p in network.parameters() if id(p) not in known]
    groups = [{'params': decayed, 'weight_decay': config.weight_decay},
              {'params': plain, 'weight_decay': 0.0}]
    return torch.optim.AdamW(groups, lr=config.learning_rate, betas=(0.9, 0.98))


def normalised(image: np.ndarray) -> torch.Tensor:
    """Crops (N, S, S, 3) uint8 BGR to (N, 3, S, S) float32 as the tracker's family makes them."""
    scaled = (torch.from_numpy(image).float() - torch.from_numpy(IMAGE_MEAN)) * float(IMAGE_SCALE)
    # Permuting channels-last data gives channels-last memory: what the convolutions want.
    return scaled.flip(3).permute(0, 3, 1, 2)


def loss_of(network: nn.Module, batch: dict[str, np.ndarray], bf16: bool) -> Losses:
    """Run the network on a batch of pairs and weigh its answer."""
    device = next(network.parameters()).device
    with torch.autocast(device.type, torch.bfloat16, enabled=bf16):
        logits, boxes = network(normalised(batch['template']).to(device),
                                torch.from_numpy(batch['mask']).to(device),
                                normalised(batch['search']).to(device))
    return centre_losses(logits, boxes, torch.from_numpy(batch['box']).to(device),
                         torch.from_numpy(batch['present']).to(device))


class Trainer:
    """Trains one Kestrel; everything it needs to go on is in ``RUN/last.pt``."""

    def __init__(self, pool: Pool, output: Path, config: TrainConfig,
                 network: KestrelConfig | None = None, held_out: Pool | None = None,
                 loaders: int = 0) -> None:
        """``loaders``: processes that draw pairs ahead; 0: none, pairs are drawn in between."""
        self.config, self.output = config, output
        self.rank = distributed.get_rank() if distributed.is_initialized() else 0
        self.world = distributed.get_world_size() if distributed.is_initialized() else 1
        if config.batch % self.world:
            raise ValueError(f'batch {config.batch} is not a multiple of the {self.world} '
                             'processes: choose one that is')
        torch.manual_seed(config.seed)
        self.device = torch.device('cuda' if torch.cuda.is_available() else 'cpu')
        self.network = Kestrel(network).to(self.device, memory_format=torch.channels_last)
        self.average = Kestrel(network).to(self.device)
        self.average.load_state_dict(self.network.state_dict())
        self.trained = self.network if self.world == 1 else \
            nn.parallel.DistributedDataParallel(self.network)
        self.optimiser = optimiser_of(self.network, config)
        self.step, self.seconds = 0, 0.0
        self.curves = Curves(output)
        self.pool, self.loaders = pool, loaders
        self.probe = None
        if held_out is not None:
            # The same pairs every time, without luck.
            sampler = PairSampler(held_out, replace(config.pairs, texture=0.0, absent=0.0))
            self.probe = [sampler.batch((part, number) for number in range(48))
                          for part in range(6)]

    def resume(self, path: Path) -> None:
        """
        Go on from a checkpoint of ``save``.

        :raises ValueError: it cannot be read, or is of a network of other sizes.
        """
        try:
            state = torch.load(path, map_location=self.device, weights_only=True)
        except Exception as error:      # torch raises many kinds for a file that is cut off
            raise ValueError(f'{path} cannot be read ({error}): remove it to start anew') from None
        if state['config'] != self.network.config.as_dict():
            raise ValueError(f'{path} is of a network with {state["config"]}, asked for is '
                             f'{self.network.config.as_dict()}: give the same sizes, or another '
                             'folder for the run')
        self.network.load_state_dict(state['network'])
        self.average.load_state_dict(state['average'])
        self.optimiser.load_state_dict(state['optimiser'])
        self.step, self.seconds = state['step'], state['seconds']
        self.curves.cut(self.step)

    def save(self) -> None:
        """Write ``last.pt`` (to go on) and ``kestrel.pt`` (averaged weights, to export)."""
        if self.rank:
            return
        state = {'network': self.network.state_dict(), 'average': self.average.state_dict(),
                 'optimiser': self.optimiser.state_dict(), 'step': self.step,
                 'seconds': self.seconds, 'config': self.network.config.as_dict()}
        product = {'network': self.average.state_dict(), 'config': state['config'],
                   'step': self.step, 'train': asdict(self.config), 'seconds': self.seconds}
        for name, content in (('last.pt', state), ('kestrel.pt', product)):
            part = self.output / (name + '.part')
            torch.save(content, part)
            os.replace(part, self.output / name)
        self.curves.write()

    def _average(self) -> None:
        # The average follows quickly at first, else it would keep the random start for long.
        keep = min(self.config.ema, (1 + self.step) / (10 + self.step))
        with torch.no_grad():
            for mine, theirs in zip(self.average.state_dict().values(),
                                    self.network.state_dict().values()):
                if mine.is_floating_point():
                    mine.lerp_(theirs, 1 - keep)
                else:
                    mine.copy_(theirs)

    def validate(self) -> float:
        """Mean overlap of the averaged network on the held-out pairs, in [0, 1]."""
        self.average.eval()
        with torch.no_grad():
            return float(np.mean([float(loss_of(self.average, b, self.config.bf16).overlap)
                                  for b in self.probe]))

    def run(self, progress: Callable[[int, dict[str, float]], None]) -> None:
        """Train to ``config.steps``; ``progress(step, figures)`` after every step."""
        config = self.config
        cv2.setNumThreads(1)
        share = config.batch // self.world
        mine = range(self.rank * share, (self.rank + 1) * share)
        pace = Pace(share, config.batch, self.loaders)
        self.network.train()
        start = time.perf_counter()
        # Keyed by step and place: resumed and divided runs see the very same pairs.
        for drawn in batches(self.pool, config.pairs,
                             lambda step: [(config.seed, step, number) for number in mine],
                             range(self.step, config.steps), self.loaders):
            batch = drawn.pairs
            for group in self.optimiser.param_groups:
                group['lr'] = learning_rate_at(self.step, config)
            losses = loss_of(self.trained, batch, config.bf16)
            losses.total.backward()
            nn.utils.clip_grad_norm_(self.network.parameters(), config.clip_norm)
            self.optimiser.step()
            self.optimiser.zero_grad(set_to_none=True)
            self._average()
            self.step += 1
            figures = {name: float(getattr(losses, name).detach())
                       for name in ('total', 'score', 'giou', 'l1', 'overlap')}
            seconds = time.perf_counter() - start     # after the losses: a GPU is done by then
            self.seconds += seconds
            figures.update(pace.figures(drawn, seconds))
            if not self.rank and (complaint := pace.complaint(figures)):
                warnings.warn(complaint, stacklevel=2)
            self.curves.add(self.step, figures)
            if self.step % config.save_every == 0 or self.step == config.steps:
                if self.probe and not self.rank:
                    figures['held_out'] = self.validate()
                    self.curves.add(self.step, {'held_out': figures['held_out']})
                self.save()
            progress(self.step, figures)
            start = time.perf_counter()

    def describe(self) -> str:
        """Everything that defines the run, as JSON."""
        return json.dumps({'network': self.network.config.as_dict(), 'train': asdict(self.config),
                           'processes': self.world}, indent=1)
