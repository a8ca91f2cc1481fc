# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What ``lorat train`` does once its arguments are read (lorat_ros.tools.train)."""
from __future__ import annotations

import argparse
import os
import sys
from functools import partial

import torch
from tqdm import tqdm

from lorat_ros.networks import kestrel_bundle
from lorat_ros.networks.kestrel import KestrelConfig
from lorat_ros.training.loop import TrainConfig, Trainer
from lorat_ros.training.pairs import PairConfig
from lorat_ros.training.pictures import draw_pairs
from lorat_ros.training.pool import PoolError, read_pool


def train(args: argparse.Namespace) -> int:
    """Read the pool, train to the last step, and say what to do with the result."""
    torch.set_num_threads(args.threads)
    if torch.cuda.is_available():      # of several processes on one machine, each its own
        torch.cuda.set_device(int(os.environ.get('LOCAL_RANK', '0')))
    if int(os.environ.get('WORLD_SIZE', '1')) > 1:
        torch.distributed.init_process_group('nccl' if torch.cuda.is_available() else 'gloo')
    chief = int(os.environ.get('RANK', '0')) == 0
    try:
        network = KestrelConfig(search_size=args.search_size, template_size=args.template_size)
        bar = partial(tqdm, desc='reading images', unit='folder', disable=not chief)
        pool = read_pool(args.data, leave_out={*args.leave_out, *args.hold_out},
                         tracks=args.tracks, progress=bar)
        held_out = read_pool(args.data, only_clips=args.hold_out) if args.hold_out else None
        pairs = PairConfig(search_size=args.search_size, template_size=args.template_size)
        config = TrainConfig(steps=args.steps, decay_steps=args.decay_steps, batch=args.batch,
                             learning_rate=args.learning_rate, seed=args.seed, pairs=pairs)
        args.output.mkdir(parents=True, exist_ok=True)
        trainer = Trainer(pool, args.output, config, network, held_out)
        last = args.output / 'last.pt'
        if last.is_file():
            trainer.resume(last)
            print(f'going on from step {trainer.step} of {last}', flush=True)
    except (PoolError, ValueError) as error:
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
                steps.set_postfix({k: f'{figures[k]:.3g}' for k in
                                   ('total', 'overlap', 'held_out', 'rate', 'loading')
                                   if k in figures}, refresh=False)
        trainer.run(show)
    if chief:
        bundle = args.output / (args.name or args.output.resolve().name)
        kestrel_bundle.main([str(args.output / 'kestrel.pt'), str(bundle)])
        print(f'try it: lorat track VIDEO --init x,y,w,h --model {bundle}', flush=True)
    if torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()
    return 0
