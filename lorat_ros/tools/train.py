# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""``lorat train``: train a model from a folder of images and clips, and make a bundle of it."""
from __future__ import annotations

import argparse
import os
import sys
from functools import partial
from pathlib import Path

HELP = 'train a model from images and clips'


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the subcommand."""
    parser.add_argument('recipe', choices=['kestrel'], help='what to train')
    parser.add_argument('--data', type=Path, required=True, metavar='FOLDER',
                        help='training pool: stills/ and clips/ (see docs/training.md)')
    parser.add_argument('--output', type=Path, required=True, metavar='RUN',
                        help='folder for checkpoints, curves, pictures and the bundle; '
                             'a run found there is resumed')
    parser.add_argument('--steps', type=int, default=12000, help='optimiser steps in all')
    parser.add_argument('--decay-steps', type=int, default=3000,
                        help='last steps, in which the learning rate falls')
    parser.add_argument('--batch', type=int, default=48, help='pairs a step, over all processes')
    parser.add_argument('--learning-rate', type=float, default=1e-3)
    parser.add_argument('--search-size', type=int, default=160, help='pixels, multiple of 16')
    parser.add_argument('--template-size', type=int, default=80, help='pixels, multiple of 16')
    parser.add_argument('--tracks', type=Path, metavar='FOLDER',
                        help='self-labelled tracks of the pool (see docs/training.md)')
    parser.add_argument('--leave-out', nargs='*', default=[], metavar='NAME',
                        help='sources or clips of the pool that are not used at all')
    parser.add_argument('--hold-out', nargs='*', default=[], metavar='CLIP',
                        help='clips kept for validation')
    parser.add_argument('--seed', type=int, default=0)
    parser.add_argument('--threads', type=int, default=1, help='CPU threads of each process')


def run(args: argparse.Namespace) -> int:
    """Run the subcommand; returns the exit status."""
    try:
        import torch
        from tqdm import tqdm
    except ImportError as error:
        print(f'lorat train needs {error.name}: pip install torch tqdm (on a machine without an '
              'NVIDIA GPU: pip install torch --index-url https://download.pytorch.org/whl/cpu)',
              file=sys.stderr)
        return 2
    from lorat_ros.networks.kestrel import KestrelConfig
    from lorat_ros.training.loop import TrainConfig, Trainer
    from lorat_ros.training.pairs import PairConfig
    from lorat_ros.training.pictures import draw_pairs
    from lorat_ros.training.pool import PoolError, read_pool

    torch.set_num_threads(args.threads)
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
    except (PoolError, ValueError) as error:
        print(f'lorat train: {error}', file=sys.stderr)
        return 2
    last = args.output / 'last.pt'
    if last.is_file():
        trainer.resume(last)
        print(f'going on from step {trainer.step} of {last}', flush=True)
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
        print(f'{args.output}/kestrel.pt holds the averaged weights; make a bundle of them with '
              f'python -m lorat_ros.networks.export {args.output}/kestrel.pt BUNDLE', flush=True)
    if torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()
    return 0


if __name__ == '__main__':
    _parser = argparse.ArgumentParser(description=__doc__)
    add_arguments(_parser)
    sys.exit(run(_parser.parse_args()))
