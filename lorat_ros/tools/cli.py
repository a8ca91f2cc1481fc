# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The program ``lorat``: a table of subcommands, each a module that is loaded when it is used."""
from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Sequence
from types import MappingProxyType
from typing import Optional

import lorat_ros

#: Name, module (with HELP, add_arguments(parser) and run(args) -> exit status), and its HELP:
#: repeated here so that `lorat --help` loads none of them; a test compares.
COMMANDS = MappingProxyType({
    'track': ('lorat_ros.tools.track', 'follow a target through a video or a folder of frames'),
    'evaluate': ('lorat_ros.tools.evaluate', 'measure a model on sequences with known truth'),
    'build': ('lorat_ros.tools.build',
              'make a model faster on this machine, if its boxes stay the same'),
    'benchmark': ('lorat_ros.tools.benchmark',
                  'measure how fast models run, engines side by side'),
    'models': ('lorat_ros.tools.models', 'list the models that are installed'),
    'import': ('lorat_ros.tools.import_checkpoint',
               "make a model of a published tracker's checkpoint"),
    'demo': ('lorat_ros.tools.demo', 'watch a real ROS 2 graph follow a target'),
    'simulate': ('lorat_ros.tools.simulate',
                 'fly a simulated drone after a target, in closed loop'),
    'data': ('lorat_ros.tools.data', 'make training data of recordings and data sets'),
    'train': ('lorat_ros.tools.train', 'train a model from images and clips'),
})


def main(arguments: Optional[Sequence[str]] = None) -> int:
    """Run the program; returns the exit status (2: bad arguments)."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    parser = argparse.ArgumentParser(
        prog='lorat', description="Keep a robot's eyes on one thing: single-object tracking.")
    parser.add_argument('--version', action='version', version=lorat_ros.__version__)
    commands = parser.add_subparsers(dest='command', metavar='COMMAND', required=True)
    # Only the subcommand that is asked for is loaded: `lorat --help` is quick everywhere.
    asked = next((word for word in arguments if not word.startswith('-')), None)
    for name, (module, text) in COMMANDS.items():
        command = commands.add_parser(name, help=text, description=text,
                                      allow_abbrev=False)
        if name == asked:
            loaded = importlib.import_module(module)
            loaded.add_arguments(command)
            command.set_defaults(run=loaded.run)
    args = parser.parse_args(arguments)
    try:
        return args.run(args)
    except KeyboardInterrupt:
        print(f'lorat {args.command}: interrupted', file=sys.stderr)
        return 130
    except BrokenPipeError:  # `lorat models | head`
        sys.stderr.close()
        return 0


if __name__ == '__main__':
    sys.exit(main())
