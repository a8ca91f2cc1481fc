# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
LoRA against full fine-tuning of one LoRAT, measured on this machine.

::

    python -m lorat_ros.training.lora_table lorat-b-224 [--base FILE] [--json FILE]

Both are trained by the loop of ``lorat train`` on the same drawn pairs, turn by turn in one
process, so that whatever else the machine does meets both. Then the network is exported as it was
before any training, and after LoRA was trained and merged: graphs are compared and timed in turns.
Without a base its weights are random, which changes none of the figures.
"""
from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from lorat_ros.networks.checkpoints import CheckpointError
from lorat_ros.training.card import machine
from lorat_ros.training.lora_measuring import (measure, MODES, Question, train_config,
                                               write_random_base)
from lorat_ros.training.method import TrainError
from lorat_ros.training.methods.lorat import LoratSettings, wanted_of
from lorat_ros.training.recipe import PRECISIONS, read_recipe, RecipeError


def ratio(found: dict[str, Any], name: str) -> str:
    """What LoRA has of what full fine-tuning has, in percent."""
    lora, full = (found[mode][name] for mode in MODES)
    return f'{100 * lora / full:.1f} %' if lora and full else ''


def rows_of(found: dict[str, Any]) -> list[tuple[str, ...]]:
    """What the table says: figure, LoRA, full, LoRA of full."""
    def mega(name: str) -> tuple[str, ...]:
        return tuple(f'{found[mode][name] / 1e6:.1f} MB' if found[mode][name] else 'not measured'
                     for mode in MODES)
    lora, full = (found[mode] for mode in MODES)
    merged, base, apart = (found['inference'][k] for k in ('merged', 'base', 'unmerged'))
    return [
        ('', 'LoRA', 'full', 'LoRA / full'),
        ('trained parameters', *(f'{m["trained"] / 1e6:.2f} M' for m in (lora, full)),
         ratio(found, 'trained')),
        ('of all in training', *(f'{100 * m["trained"] / m["parameters"]:.1f} %'
                                 for m in (lora, full)), ''),
        ("optimiser's state", *mega('optimiser_bytes'), ratio(found, 'optimiser_bytes')),
        ('gradients', *mega('gradient_bytes'), ratio(found, 'gradient_bytes')),
        ('checkpoint', *mega('checkpoint_bytes'), ratio(found, 'checkpoint_bytes')),
        ('last.pt, to go on from', *mega('state_bytes'), ratio(found, 'state_bytes')),
        (f'peak memory ({found["memory_of"]})', *mega('peak_bytes'), ratio(found, 'peak_bytes')),
        (f'time a step, batch {found["batch"]}', *(f'{m["step_seconds"]:.2f} s'
                                                  for m in (lora, full)),
         f'{100 * found["step_ratio"]:.1f} %'),
        ('', '', '', ''),
        ('exported', 'after LoRA, merged', 'before training', 'after / before'),
        ('nodes of the search graph', str(merged['nodes']), str(base['nodes']),
         'the same' if merged['operators'] == base['operators'] else 'others'),
        ('MACs a frame', *(f'{m["macs"] / 1e9:.2f} G' for m in (merged, base)),
         f'{100 * merged["macs"] / base["macs"]:.1f} %'),
        ('bytes', *(f'{m["bytes"] / 1e6:.1f} MB' for m in (merged, base)),
         f'{100 * merged["bytes"] / base["bytes"]:.1f} %'),
        ('a frame, 1 thread', *(f'{1e3 * m["seconds"]:.1f} ms' for m in (merged, base)),
         f'{100 * found["inference"]["ratio"]:.1f} %'),
        ('MACs if not merged', f'{apart["macs"] / 1e9:.2f} G', '',
         f'{100 * apart["macs"] / base["macs"]:.1f} %')]


def table(rows: Sequence[tuple[str, ...]]) -> str:
    """Lay rows out in columns."""
    widths = [max(len(row[k]) for row in rows) for k in range(len(rows[0]))]
    return '\n'.join('  '.join(
        [row[0].ljust(widths[0]), *(cell.rjust(w) for cell, w in zip(row[1:], widths[1:]))]
    ).rstrip() for row in rows)


def figures_of(args: argparse.Namespace) -> dict[str, Any]:
    """Measure what the command line asks for."""
    settings: LoratSettings = read_recipe('lorat', args.set).settings
    wanted = wanted_of(settings, args.variant)
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        base = args.base or scratch / 'random.pth'
        if args.base is None:
            write_random_base(wanted.config, base)
        question = Question(args.variant, base, settings,
                            train_config(args.batch, args.precision), args.threads)
        found = measure(wanted.config, question, args.turns, args.frames, scratch,
                        lambda what: print(f'{what} …', file=sys.stderr))
    return {'what': args.variant or wanted.title, **found,
            'weights': args.base.name if args.base else 'a base of random weights',
            'memory_of': 'GPU' if torch.cuda.is_available() else 'process'}


def main(arguments: list[str] | None = None) -> int:
    """Command line; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.split('\n\n')[0].strip())
    parser.add_argument('variant', nargs='?', help='such as lorat-b-224')
    parser.add_argument('--set', nargs='+', default=[], metavar='NAME=VALUE', help='other values '
                        'of the recipe lorat: rank, or network.depth and so on without a variant')
    parser.add_argument('--base', type=Path, metavar='FILE',
                        help='DINOv2 base (default: random weights)')
    parser.add_argument('--batch', type=int, default=4, help='pairs a step (default: 4)')
    parser.add_argument('--turns', type=int, default=5, help='steps of each (default: 5)')
    parser.add_argument('--frames', type=int, default=20,
                        help='frames that each bundle is timed with (default: 20)')
    parser.add_argument('--precision', choices=PRECISIONS, default='bf16',
                        help='of the training (default: bf16, as the recipe)')
    parser.add_argument('--threads', type=int, default=1, help='of the training (default: 1)')
    parser.add_argument('--json', type=Path, metavar='FILE', help='write all figures there')
    args = parser.parse_args(arguments)
    for name in ('batch', 'turns', 'frames', 'threads'):
        if getattr(args, name) < 1:
            parser.error(f'--{name} is {getattr(args, name)}: give 1 or more')
    torch.set_num_threads(args.threads)
    try:
        found = figures_of(args)
    except (CheckpointError, TrainError, RecipeError, OSError) as error:
        print(f'lora_table: {error}', file=sys.stderr)
        return 2
    print(table(rows_of(found)))
    print(f'{found["what"]}, {found["weights"]}; {machine()}, {args.threads} thread(s), torch '
          f'{torch.__version__}, {args.precision}, {args.turns} steps of each in turns')
    if args.json:
        args.json.write_text(json.dumps(found, indent=1) + '\n', encoding='utf-8')
    return 0


if __name__ == '__main__':
    sys.exit(main())
