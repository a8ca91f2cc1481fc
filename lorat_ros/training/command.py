# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What ``lorat train`` does once its arguments are read (lorat_ros.tools.train)."""
from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import warnings
from functools import partial

import torch
from tqdm import tqdm

from lorat_ros.training.card import finish
from lorat_ros.training.footage import Notes
from lorat_ros.training.loader import usual_loaders
from lorat_ros.training.loop import Ended, Trainer
from lorat_ros.training.method import Given
from lorat_ros.training.methods import load_method
from lorat_ros.training.pictures import draw_samples
from lorat_ros.training.pool import Pool
from lorat_ros.training.recipe import read_recipe, Recipe
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


def recipe_of(args: argparse.Namespace) -> Recipe:
    """
    The recipe with what the command line changes.

    :raises RecipeError: it says what cannot be.
    """
    short = [f'train.{name}={getattr(args, name)}' for name in ('steps', 'batch')
             if getattr(args, name) is not None]
    return read_recipe(args.recipe, [*args.set, *short])


class Interruption:
    """Ctrl-C and SIGTERM let the step end and save; a second one ends at once."""

    def __init__(self) -> None:
        self.wanted = False
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._note)

    def _note(self, number: int, frame: object) -> None:
        self.wanted = True
        signal.signal(number, signal.SIG_DFL)

    def __call__(self) -> bool:
        return self.wanted


def prepare(args: argparse.Namespace, chief: bool) -> tuple[Recipe, Pool, Pool | None, Trainer]:
    """
    Read everything and build what is trained.

    :raises ValueError: something of it cannot be used; says what, and what to do.
    """
    recipe = recipe_of(args)
    torch.manual_seed(recipe.train.seed)
    method = load_method(recipe.method)(recipe.settings,
                                        Given(args.variant, args.base, args.start))
    pool, held_out = data_of(args, chief)
    args.output.mkdir(parents=True, exist_ok=True)
    trainer = Trainer(method, pool, args.output, recipe.train, held_out, args.loaders,
                      Interruption())
    last = args.output / 'last.pt'
    if last.is_file():
        trainer.resume(last)
        if chief:
            print(f'going on from step {trainer.step} of {last}', flush=True)
    return recipe, pool, held_out, trainer


def run_with_bar(trainer: Trainer, steps: int, chief: bool) -> Ended:
    """Train under a progress bar, with warnings above it instead of through it."""
    with tqdm(total=steps, initial=trainer.step, desc='training', unit='step',
              disable=not chief, mininterval=2) as bar:
        def show(step: int, figures: dict[str, float]) -> None:
            bar.update(step - bar.n)
            if step % 10 == 0:
                bar.set_postfix(in_words(figures), refresh=False)
        with warnings.catch_warnings():
            warnings.showwarning = lambda message, *about: tqdm.write(f'lorat train: {message}',
                                                                      file=sys.stderr)
            return trainer.run(show)


def train(args: argparse.Namespace) -> int:
    """Train to the last step, make a bundle with its card, and say what to do with it."""
    torch.set_num_threads(args.threads)
    if torch.cuda.is_available():      # of several processes on one machine, each its own
        torch.cuda.set_device(int(os.environ.get('LOCAL_RANK', '0')))
    if int(os.environ.get('WORLD_SIZE', '1')) > 1:
        torch.distributed.init_process_group('nccl' if torch.cuda.is_available() else 'gloo')
    chief = int(os.environ.get('RANK', '0')) == 0
    if args.loaders is None:
        args.loaders = usual_loaders(args.threads * int(os.environ.get('LOCAL_WORLD_SIZE', '1')))
    try:
        recipe, pool, held_out, trainer = prepare(args, chief)
    except ValueError as error:
        print(f'lorat train: {error}', file=sys.stderr)
        return 2
    if chief:
        (args.output / 'run.json').write_text(json.dumps(
            {'recipe': recipe.as_dict(), 'processes': trainer.world,
             'command': ['lorat', 'train', *sys.argv[1:]]}, indent=1))
        draw_samples(trainer.draws, args.output / 'samples.png')
    ended = run_with_bar(trainer, recipe.train.steps, chief)
    if torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()
    if not chief:
        return 0
    if not ended.saved:
        print(f'lorat train: the weights of step {trainer.step} could not be written to '
              f'{args.output}: make room and give the same command again, which goes on from '
              'the last checkpoint', file=sys.stderr)
        return 1
    if not ended.complete:
        print(f'lorat train: ended at step {trainer.step} of {recipe.train.steps} as asked; the '
              'same command goes on from there', file=sys.stderr)
        return 130
    bundle = args.output / (args.name or args.output.resolve().name)
    finish(trainer, recipe, bundle, args, pool, held_out)
    print(f'{bundle}: try it: lorat track VIDEO --init x,y,w,h --model {bundle}', flush=True)
    return 0
