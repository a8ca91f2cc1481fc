# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""``lorat train``: train a model from a folder of images and clips, and make a bundle of it."""
from __future__ import annotations

import argparse
import sys
from pathlib import Path

from lorat_ros.tools.data import add_reading_arguments

HELP = 'train a model from images and clips'


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the subcommand."""
    parser.add_argument('recipe', choices=['kestrel'], help='what to train')
    parser.add_argument('--data', action='append', required=True, metavar='PATH[=WEIGHT]',
                        help='training pool, data set or recording (docs/data.md); several times '
                             'for a mixture, in which WEIGHT 2 draws each clip twice as often')
    parser.add_argument('--output', type=Path, required=True, metavar='RUN',
                        help='folder for checkpoints, curves, pictures and the bundle; '
                             'a run found there is resumed')
    parser.add_argument('--name', help='of the bundle (default: the name of RUN)')
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
    add_reading_arguments(parser)
    parser.add_argument('--memory', type=float, default=3.0, metavar='GB',
                        help='of pictures to keep, each process (default: 3)')
    parser.add_argument('--loaders', type=int, metavar='N',
                        help='processes that prepare pairs (default: the cores that are free)')
    parser.add_argument('--seed', type=int, default=0)
    parser.add_argument('--threads', type=int, default=1, help='CPU threads of each process')


def run(args: argparse.Namespace) -> int:
    """Run the subcommand; returns the exit status."""
    try:
        from lorat_ros.training.command import train
    except ImportError as error:
        print(f'lorat train needs {error.name}: pip install torch tqdm matplotlib onnx onnxscript '
              '(torch for a machine without an NVIDIA GPU: pip install torch --index-url '
              'https://download.pytorch.org/whl/cpu)', file=sys.stderr)
        return 2
    return train(args)


if __name__ == '__main__':
    _parser = argparse.ArgumentParser(description=__doc__)
    add_arguments(_parser)
    sys.exit(run(_parser.parse_args()))
