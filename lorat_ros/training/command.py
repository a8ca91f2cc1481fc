# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What ``lorat train`` does once its arguments are read (lorat_ros.tools.train)."""
from __future__ import annotations

import argparse
import json
import os
import shlex
import sys
import warnings
from functools import partial
from pathlib import Path
from typing import NamedTuple

import torch
from tqdm import tqdm

from lorat_ros.training.card import finish
from lorat_ros.training.footage import Notes
from lorat_ros.training.loader import usual_loaders
from lorat_ros.training.loop import Ended, Trainer
from lorat_ros.training.method import Given
from lorat_ros.training.methods import load_method
from lorat_ros.training.pictures import draw_samples, draw_these
from lorat_ros.training.pool import Pool
from lorat_ros.training.recipe import read_recipe, Recipe
from lorat_ros.training.saving import Diverged, replace_with, SaveError
from lorat_ros.training.sources import read_data, reading_of, share_of
from lorat_ros.training.stopping import Interruption


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
    said: dict[str, str] = {k: f'{figures[k]:.3g}' for k in ('total', 'overlap', 'held_out')
                            if k in figures}
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


class Prepared(NamedTuple):
    """What a run needs."""

    recipe: Recipe
    pool: Pool
    held_out: Pool | None
    trainer: Trainer


def prepare(args: argparse.Namespace, chief: bool, stop: Interruption) -> Prepared:
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
    trainer = Trainer(method, pool, args.output, recipe.train, held_out, args.loaders, stop)
    last = args.output / 'last.pt'
    if last.is_file():
        trainer.resume(last)
        if chief:
            print(f'going on from step {trainer.step} of {last}', flush=True)
    return Prepared(recipe, pool, held_out, trainer)


def command_line() -> str:
    """The command that this run was begun with."""
    words = sys.argv[2:] if sys.argv[1:2] == ['train'] else sys.argv[1:]
    return shlex.join(['lorat', 'train', *words])


def note_start(path: Path, prepared: Prepared) -> None:
    """
    Write ``run.json``: the recipe in full, and every start of the run so far.

    :raises SaveError: it could not be written.
    """
    try:
        starts = json.loads(path.read_text(encoding='utf-8'))['starts']
    except (OSError, ValueError, KeyError, TypeError):
        starts = []
    trainer = prepared.trainer
    # What was done after the step that this start goes on from is done anew.
    starts = [one for one in starts if one['step'] < trainer.step] \
        + [{'step': trainer.step, 'processes': trainer.world, 'command': command_line()}]
    text = json.dumps({'recipe': prepared.recipe.as_dict(), 'starts': starts}, indent=1)
    replace_with(path, lambda part: part.write_text(text, encoding='utf-8'))


def run_with_bar(trainer: Trainer, steps: int, chief: bool) -> Ended:
    """Train under a progress bar, with warnings above it instead of through it."""
    def say(message: Warning | str, *about: object, **more: object) -> None:
        if chief:        # of several processes one speaks
            tqdm.write(f'lorat train: {message}', file=sys.stderr)

    with tqdm(total=steps, initial=trainer.step, desc='training', unit='step',
              disable=not chief, mininterval=2) as bar:
        def show(step: int, figures: dict[str, float]) -> None:
            bar.update(step - bar.n)
            if step % 10 == 0:
                bar.set_postfix(in_words(figures), refresh=False)
        with warnings.catch_warnings():
            warnings.showwarning = say
            return trainer.run(show)


def train_to_the_end(prepared: Prepared, output: Path, chief: bool) -> int:
    """Train; returns the exit status, 0 if the last step was taken and saved."""
    trainer, config = prepared.trainer, prepared.recipe.train

    def complain(text: str) -> None:
        if chief:
            print(f'lorat train: {text}', file=sys.stderr, flush=True)
    try:
        if chief:
            note_start(output / 'run.json', prepared)
            replace_with(output / 'samples.png',
                         lambda part: draw_samples(trainer.draws, part))
        ended = run_with_bar(trainer, config.steps, chief)
    except Diverged as error:
        complain(f'{error}. They are in {output / f"step-{error.step}.png"}')
        if chief:
            draw_these(trainer.draws, output / f'step-{error.step}.png',
                       [(config.seed, error.step - 1, n) for n in range(min(config.batch, 56))])
        return 1
    except (OSError, SaveError) as error:
        complain(str(error))
        return 1
    if not chief:
        return 0
    if not ended.saved:
        complain(f'the weights of step {trainer.step} could not be written to {output}: make '
                 'room and give the same command again, which goes on from the last checkpoint')
        return 1
    if not ended.complete:
        complain(f'ended at step {trainer.step} of {config.steps} as asked; the same command '
                 'goes on from there')
        return 130
    return 0


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
    stop = Interruption()
    try:
        prepared = prepare(args, chief, stop)
    except (OSError, ValueError) as error:
        if chief:      # the others meet the same
            print(f'lorat train: {error}', file=sys.stderr)
        return 2
    with stop:
        status = train_to_the_end(prepared, args.output, chief)
    if torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()
    if status or not chief:
        return status
    bundle = args.output / (args.name or args.output.resolve().name)
    try:
        finish(prepared.trainer, prepared.recipe, bundle, args, prepared.pool, prepared.held_out)
    except (OSError, RuntimeError, ValueError) as error:
        print(f'lorat train: {bundle}: {error}. The weights are whole, in '
              f'{args.output / prepared.trainer.method.product}: the same command tries the '
              'bundle and its card again', file=sys.stderr)
        return 1
    print(f'{bundle}: try it: lorat track VIDEO --init x,y,w,h --model {bundle}', flush=True)
    return 0
