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
    parser.add_argument('recipe', help='what to train and how: a name (docs/training.md lists '
                                       'them) or the path of a YAML file')
    parser.add_argument('--data', action='append', required=True, metavar='PATH[=WEIGHT]',
                        help='training pool, data set or recording (docs/data.md); several times '
                             'for a mixture, in which WEIGHT 2 draws each clip twice as often')
    parser.add_argument('--output', type=Path, required=True, metavar='RUN',
                        help='folder for checkpoints, curves, pictures and the bundle; '
                             'a run found there is resumed')
    parser.add_argument('--name', help='of the bundle (default: the name of RUN)')
    parser.add_argument('--variant', help='of a published family, such as lorat-b-224')
    parser.add_argument('--base', type=Path, metavar='FILE',
                        help='foundation model that stays frozen, such as '
                             'dinov2_vitb14_pretrain.pth')
    parser.add_argument('--from', dest='start', type=Path, metavar='CHECKPOINT',
                        help='weights to begin with')
    parser.add_argument('--steps', type=int, help='optimiser steps in all (train.steps)')
    parser.add_argument('--batch', type=int, help='samples a step, over all processes '
                                                  '(train.batch)')
    parser.add_argument('--set', nargs='+', default=[], action='extend', metavar='NAME=VALUE',
                        help='other values of the recipe, such as train.learning_rate=1e-4')
    parser.add_argument('--licence', default='not stated', help='of the weights that are made; '
                        'stands in the model card')
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
                        help='processes that prepare samples (default: the cores that are free)')
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
    from lorat_ros.tools.cli import main
    sys.exit(main(['train', *sys.argv[1:]]))      # as torch's launcher begins it
