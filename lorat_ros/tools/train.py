# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""``lorat train``: train a model from images and clips by a recipe, and make a bundle of it."""
from __future__ import annotations

import argparse
import sys
from pathlib import Path

from lorat_ros.tools.data import add_reading_arguments

NEEDS = ('pip install torch pyyaml tqdm matplotlib onnx onnxscript (torch for a machine without '
         'an NVIDIA GPU: pip install torch --index-url https://download.pytorch.org/whl/cpu)')
HELP = 'train a model from images and clips'
EXAMPLES = """\
lorat train --list                                        the recipes there are
lorat train kestrel --data POOL --output RUN              from scratch
lorat train kestrel --data POOL --output RUN --set train.steps=500 train.learning_rate=5e-4
the same command again                                    goes on where it was interrupted
torchrun --nproc-per-node 2 -m lorat_ros.tools.train kestrel --data POOL --output RUN

docs/training.md says more.
"""


class ListRecipes(argparse.Action):
    """Print the recipes and end, whatever else was given or left out."""

    def __call__(self, parser: argparse.ArgumentParser, *about: object) -> None:
        """Print a line for each."""
        try:
            from lorat_ros.training.recipe import known_recipes, summary_of
        except ImportError as error:
            parser.exit(2, f'lorat train needs {error.name}: {NEEDS}\n')
        names = known_recipes()
        width = max(map(len, names))
        for name in names:
            print(f'{name:{width}}  {summary_of(name)}')
        parser.exit()


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the subcommand."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = EXAMPLES
    parser.add_argument('recipe', help='what to train and how: a name that --list shows, or the '
                                       'path of a YAML file')
    parser.add_argument('--list', action=ListRecipes, nargs=0,
                        help='print the recipes that come with the package, and end')
    parser.add_argument('--output', type=Path, required=True, metavar='RUN',
                        help='folder for checkpoints, curves, pictures and the bundle; '
                             'a run found there is resumed')
    parser.add_argument('--name', help='of the bundle (default: the name of RUN)')
    parser.add_argument('--licence', default='not stated', help='of the weights that are made; '
                        'stands in the model card')

    what = parser.add_argument_group('what is trained')
    what.add_argument('--variant', help='of a published family, such as lorat-b-224')
    what.add_argument('--base', type=Path, metavar='FILE',
                      help='foundation model that stays frozen, such as '
                           'dinov2_vitb14_pretrain.pth')
    what.add_argument('--from', dest='start', type=Path, metavar='CHECKPOINT',
                      help='weights to begin with')
    what.add_argument('--steps', type=int, help='optimiser steps in all (train.steps)')
    what.add_argument('--batch', type=int, help='samples a step, over all processes '
                                                '(train.batch)')
    what.add_argument('--set', nargs='+', default=[], action='extend', metavar='NAME=VALUE',
                      help='other values of the recipe, such as train.learning_rate=1e-4')

    data = parser.add_argument_group('data')
    data.add_argument('--data', action='append', required=True, metavar='PATH[=WEIGHT]',
                      help='training pool, data set or recording (docs/data.md); several times '
                           'for a mixture, in which WEIGHT 2 draws each clip twice as often')
    data.add_argument('--hold-out', nargs='*', default=[], metavar='CLIP',
                      help='clips kept to validate on; the model card says how the finished '
                           'model follows them')
    data.add_argument('--leave-out', nargs='*', default=[], metavar='NAME',
                      help='sources or clips that are not used at all; patterns such as '
                           'cat_* fit several')
    data.add_argument('--tracks', type=Path, metavar='FOLDER',
                      help='self-labelled tracks of the pool (see docs/training.md)')
    add_reading_arguments(data)

    speed = parser.add_argument_group('speed and memory')
    speed.add_argument('--memory', type=float, default=3.0, metavar='GB',
                       help='of pictures to keep, each process (default: 3)')
    speed.add_argument('--loaders', type=int, metavar='N',
                       help='processes that prepare samples (default: the cores that are free)')
    speed.add_argument('--threads', type=int, default=1, help='CPU threads of each process')


def run(args: argparse.Namespace) -> int:
    """Run the subcommand; returns the exit status."""
    try:
        from lorat_ros.training.command import train
    except ImportError as error:
        print(f'lorat train needs {error.name}: {NEEDS}', file=sys.stderr)
        return 2
    return train(args)


if __name__ == '__main__':
    from lorat_ros.tools.cli import main
    sys.exit(main(['train', *sys.argv[1:]]))      # as torch's launcher begins it
