# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What ``lorat train`` does once its arguments are read (lorat_ros.tools.train)."""
from __future__ import annotations

import argparse
import os
import sys
import warnings
from functools import partial

import torch
from tqdm import tqdm

from lorat_ros.networks import kestrel_bundle
from lorat_ros.networks.kestrel import KestrelConfig
from lorat_ros.training.footage import Notes
from lorat_ros.training.loader import usual_loaders
from lorat_ros.training.loop import TrainConfig, Trainer
from lorat_ros.training.pairs import PairConfig
from lorat_ros.training.pictures import draw_pairs
from lorat_ros.training.pool import Pool
from lorat_ros.training.sources import read_data, reading_of, share_of


def data_of(args: argparse.Namespace, chief: bool) -> tuple[Pool, Pool | None]:
    """
    Read the data to train on and, if some is held out, that to validate on.

    :raises ValueError: it cannot be used.
    """
    notes, shares = Notes(), [share_of(text) for text in args.data]
    reading = reading_of(args, 1000 * args.memory)
    several = torch.distributed.is_initialized()
    if several and not chief:
        torch.distributed.barrier()        # the first process unpacks recordings for all
    try:
        pool = read_data(shares, reading, args.output / 'data', notes,
                         {*args.leave_out, *args.hold_out}, tracks=args.tracks)
    finally:
        if several and chief:
            torch.distributed.barrier()
    pool.fill(partial(tqdm, desc='reading images', unit='image', disable=not chief))
    held_out = read_data(shares, reading, args.output / 'data', Notes(), (), args.hold_out) \
        if args.hold_out else None
    for line in notes.lines[:12] if chief else ():
        print(f'  {line}', flush=True)
    if chief and len(notes.lines) > 12:
        print(f'  … and {len(notes.lines) - 12} more', flush=True)
    return pool, held_out


def in_words(figures: dict[str, float]) -> dict[str, str]:
    """What the progress bar says; rates are in samples (pairs) a second."""
    said = {k: f'{figures[k]:.3g}' for k in ('total', 'overlap', 'held_out') if k in figures}
    rates = {k: f'{figures[k]:.0f}/s' for k in ('loader', 'trainer')}
    return {**said, **rates, 'waiting': f'{figures["loading"]:.0%}'}


def train(args: argparse.Namespace) -> int:
    """Read the pool, train to the last step, and say what to do with the result."""
    torch.set_num_threads(args.threads)
    if torch.cuda.is_available():      # of several processes on one machine, each its own
        torch.cuda.set_device(int(os.environ.get('LOCAL_RANK', '0')))
    if int(os.environ.get('WORLD_SIZE', '1')) > 1:
        torch.distributed.init_process_group('nccl' if torch.cuda.is_available() else 'gloo')
    chief = int(os.environ.get('RANK', '0')) == 0
    if args.loaders is None:
        args.loaders = usual_loaders(args.threads * int(os.environ.get('LOCAL_WORLD_SIZE', '1')))
    try:
        network = KestrelConfig(search_size=args.search_size, template_size=args.template_size)
        pool, held_out = data_of(args, chief)
        pairs = PairConfig(search_size=args.search_size, template_size=args.template_size)
        config = TrainConfig(steps=args.steps, decay_steps=args.decay_steps, batch=args.batch,
                             learning_rate=args.learning_rate, seed=args.seed, pairs=pairs)
        args.output.mkdir(parents=True, exist_ok=True)
        trainer = Trainer(pool, args.output, config, network, held_out, args.loaders)
        last = args.output / 'last.pt'
        if last.is_file():
            trainer.resume(last)
            print(f'going on from step {trainer.step} of {last}', flush=True)
    except ValueError as error:
        print(f'lorat train: {error}', file=sys.stderr)
        return 2
    if chief:
        (args.output / 'run.json').write_text(trainer.describe())
        draw_pairs(pool, pairs, args.output / 'pairs.png')
    with tqdm(total=args.steps, initial=trainer.step, desc='training', unit='step',
              disable=not chief, mininterval=2) as steps:
        def show(step: int, figures: dict[str, float]) -> None:
            steps.update(step - steps.n)
            if step % 10 == 0:
                steps.set_postfix(in_words(figures), refresh=False)
        with warnings.catch_warnings():
            # Above the bar instead of through it; each only once.
            warnings.showwarning = lambda message, *about: tqdm.write(f'lorat train: {message}',
                                                                      file=sys.stderr)
            trainer.run(show)
    if chief:
        bundle = args.output / (args.name or args.output.resolve().name)
        kestrel_bundle.main([str(args.output / 'kestrel.pt'), str(bundle)])
        print(f'try it: lorat track VIDEO --init x,y,w,h --model {bundle}', flush=True)
    if torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()
    return 0
