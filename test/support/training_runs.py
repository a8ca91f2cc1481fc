# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Small training runs, and real processes for them that need not load torch again.

A process of its own takes seconds to import torch; those that a server of forks gives, which has
imported it once, begin at once, and are killed and interrupted like any other.
"""
from __future__ import annotations

import multiprocessing
import os
import resource
import sys
import time
from collections.abc import Mapping, Sequence
from multiprocessing.process import BaseProcess
from pathlib import Path

SIZES = {'search_size': 96, 'template_size': 48}
#: `lorat train kestrel` in steps of some hundredths of a second.
TINY = ('--batch', '4', '--set', 'train.micro_batch=2', 'train.precision=fp32',
        'train.decay_steps=0', 'train.warmup_steps=2', 'network.width=48', 'network.depth=1',
        *(f'{part}.{name}={value}' for part in ('network', 'pairs')
          for name, value in SIZES.items()))
SERVER = multiprocessing.get_context('forkserver')
SERVER.set_forkserver_preload(['lorat_ros.training.command', 'lorat_ros.networks.export',
                               'lorat_ros.training.methods.kestrel'])


def lorat(arguments: Sequence[str], log: Path, environment: Mapping[str, str] | None = None,
          largest: int | None = None) -> BaseProcess:
    """
    Begin the program ``lorat`` in a process of its own.

    :param log: file for what it prints, both streams.
    :param largest: bytes that a file may have, as if the disk were full then.
    """
    process = SERVER.Process(target=_lorat, args=([str(a) for a in arguments], str(log),
                                                  dict(environment or {}), largest))
    process.start()
    return process


def _lorat(arguments: list[str], log: str, environment: dict[str, str], largest: int | None
           ) -> None:
    os.environ.update(environment)
    with open(log, 'a') as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    if largest is not None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (largest, resource.RLIM_INFINITY))
    from lorat_ros.tools.cli import main
    sys.argv = ['lorat', *arguments]
    status = main(arguments)
    sys.stdout.flush()
    sys.exit(status)


def tiny_trainer(pool: object, output: Path, **more: object) -> object:
    """A trainer of a tiny Kestrel; ``more`` are fields of TrainConfig, or of Trainer."""
    import torch

    from lorat_ros.networks.kestrel import KestrelConfig
    from lorat_ros.training.loop import Trainer
    from lorat_ros.training.method import Given
    from lorat_ros.training.methods.kestrel import KestrelMethod, KestrelSettings
    from lorat_ros.training.pairs import PairConfig
    from lorat_ros.training.recipe import TrainConfig
    torch.set_num_threads(1)
    torch.manual_seed(0)
    method = KestrelMethod(KestrelSettings(
        KestrelConfig(**SIZES, width=48, depth=1, heads=3, head_width=16),
        PairConfig(**SIZES, degraded=0.0, look_alike=0.0, occluder=0.0, dyed=0.0)), Given())
    aside = {name: more.pop(name) for name in ('held_out', 'stop', 'loaders') if name in more}
    config = TrainConfig(**{'steps': 6, 'decay_steps': 2, 'warmup_steps': 2, 'batch': 4,
                            'precision': 'fp32', 'save_every': 3, **more})
    output.mkdir(parents=True, exist_ok=True)
    return Trainer(method, pool, output, config, **aside)


def train_on(pool: Path, output: Path, steps: int, save_every: int) -> BaseProcess:
    """Begin, in a process of its own, to train a tiny network from where it was left."""
    process = SERVER.Process(target=_train_on, args=(pool, output, steps, save_every))
    process.start()
    return process


def _train_on(pool: Path, output: Path, steps: int, save_every: int) -> None:
    from lorat_ros.training.pool import read_pool
    trainer = tiny_trainer(read_pool(pool), output, steps=steps, save_every=save_every)
    if (output / 'last.pt').is_file():
        trainer.resume(output / 'last.pt')
    trainer.run(lambda step, figures: None)


def wait_for(path: Path, process: BaseProcess, seconds: float = 100.0) -> None:
    """
    Wait until a process has made a file.

    :raises AssertionError: it ended before, or takes too long.
    """
    end = time.monotonic() + seconds
    while not path.is_file():
        assert process.exitcode is None, f'ended with {process.exitcode} and without {path.name}'
        assert time.monotonic() < end, f'no {path.name} after {seconds} s'
        time.sleep(0.005)
