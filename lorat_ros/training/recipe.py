# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Recipes: small YAML files that say what is trained and how.

A file names its method (``lorat_ros.training.methods``) and gives values to fields of two
dataclasses: ``train`` is the loop's (``TrainConfig``), everything else the method's own settings.
What a file leaves out has its default there.
"""
from __future__ import annotations

import dataclasses
import difflib
import math
import re
import typing
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from lorat_ros.training.methods import load_method, METHODS
from lorat_ros.training.schedule import SCHEDULES

FOLDER = Path(__file__).parent / 'recipes'
PRECISIONS = ('fp32', 'bf16', 'fp16')


class RecipeError(ValueError):
    """A recipe cannot be used; says which value, what was expected, and what to do."""


@dataclass(frozen=True)
class TrainConfig:
    """What the loop does. Steps are optimiser steps, samples are counted over all processes."""

    steps: int = 12000
    batch: int = 48                 # samples a step
    micro_batch: int = 0            # samples that pass the network at once; 0: all a process has
    schedule: str = 'plateau'       # of the learning rate, see SCHEDULES
    warmup_steps: int = 150
    decay_steps: int = 3000         # last steps, in which 'plateau' falls
    learning_rate: float = 1e-3
    final: float = 0.02             # of the learning rate, at the end
    weight_decay: float = 0.05
    beta2: float = 0.98             # of AdamW; beta1 is 0.9
    clip_norm: float = 1.0          # of the gradient
    ema: float = 0.9985             # of the weights that become the model; 0: no average
    seed: int = 0
    precision: str = 'bf16'         # of the forward pass, see PRECISIONS
    checkpointing: bool = False     # compute blocks again in the backward pass to save memory
    save_every: int = 250

    def __post_init__(self) -> None:
        for name, least in (('steps', 1), ('batch', 1), ('micro_batch', 0), ('warmup_steps', 0),
                            ('decay_steps', 0), ('save_every', 1)):
            if getattr(self, name) < least:
                raise RecipeError(f'{name} is {getattr(self, name)}: give {least} or more')
        for name, known in (('schedule', tuple(SCHEDULES)), ('precision', PRECISIONS)):
            if getattr(self, name) not in known:
                raise RecipeError(f'{name} is {getattr(self, name)!r}: give one of '
                                  f'{", ".join(known)}')
        for name in ('ema', 'beta2'):
            if not 0 <= getattr(self, name) < 1:
                raise RecipeError(f'{name} is {getattr(self, name)}: give 0 or more, below 1')
        for name in ('learning_rate', 'clip_norm'):
            if not 0 < getattr(self, name) < math.inf:
                raise RecipeError(f'{name} is {getattr(self, name)}: give a number above 0')
        for name in ('weight_decay', 'final'):
            if not 0 <= getattr(self, name) < math.inf:
                raise RecipeError(f'{name} is {getattr(self, name)}: give 0 or more')
        if not 0 <= self.seed < 2 ** 31:
            raise RecipeError(f'seed is {self.seed}: give 0 or more, below 2147483648')


@dataclass(frozen=True)
class Recipe:
    """A recipe as read: the method's name, the loop's settings, the method's own."""

    name: str
    method: str
    train: TrainConfig
    settings: Any                   # dataclass of the method, see METHODS

    def as_dict(self) -> dict[str, Any]:
        """Everything it says, defaults included, as plain values."""
        return {'method': self.method, 'train': dataclasses.asdict(self.train),
                **dataclasses.asdict(self.settings)}


def known_recipes() -> tuple[str, ...]:
    """Names of the recipes that come with the package."""
    return tuple(sorted(path.stem for path in FOLDER.glob('*.yaml')))


def summary_of(name: str) -> str:
    """What a recipe that comes with the package is: the first sentence of its first comment."""
    words = []
    for line in (FOLDER / f'{name}.yaml').read_text(encoding='utf-8').splitlines():
        if not line.startswith('#'):
            break
        words.append(line.lstrip('# '))
    return re.split(r'(?<=\.)\s|[:;]\s', ' '.join(words).strip())[0].rstrip('.')


def read_recipe(name: str, changes: Sequence[str] = ()) -> Recipe:
    """
    Read a recipe and change it.

    :param name: one of ``known_recipes()``, or the path of a YAML file.
    :param changes: such as 'train.steps=500'; what stands behind = is read as YAML.
    :raises RecipeError: there is none, or it says what cannot be.
    """
    path = FOLDER / f'{name}.yaml' if name in known_recipes() else Path(name)
    try:
        content = yaml.safe_load(path.read_text(encoding='utf-8'))
    except FileNotFoundError:
        near = difflib.get_close_matches(name, known_recipes(), 1)
        raise RecipeError(f'recipe {name} is unknown and no file'
                          + (f' (is {near[0]} meant?)' if near else '') + ': give one of '
                          f'{", ".join(known_recipes())}, or the path of a YAML file') from None
    except (OSError, ValueError) as error:      # a folder; what is no text
        raise RecipeError(f'recipe {name} cannot be read ({error}): give one of '
                          f'{", ".join(known_recipes())}, or the path of a YAML file') from None
    except yaml.YAMLError as error:
        raise RecipeError(f'{path} is no YAML: {error}') from None
    if not isinstance(content, dict):
        raise RecipeError(f'{path} holds {str(content)[:40]!r}, expected names and values such as '
                          '"method: lorat"')
    for change in changes:
        _change(content, change)
    method, train = content.pop('method', None), content.pop('train', None)
    if not isinstance(method, str) or method not in METHODS:
        raise RecipeError(f'{path}: its method is {method!r}, expected a line such as '
                          f'"method: lorat", with one of {", ".join(METHODS)}')
    train = {} if train is None else train
    return Recipe(path.stem, method, build(TrainConfig, train, 'train'),
                  build(load_method(method).Settings, content, ''))


def _change(content: dict[str, Any], change: str) -> None:
    place, equals, text = change.partition('=')
    if not equals or not all(place.split('.')):
        raise RecipeError(f'{change!r} changes nothing: write NAME=VALUE, such as '
                          'train.steps=500')
    *path, last = place.split('.')
    inner = content
    for key in path:
        if not isinstance(inner.setdefault(key, {}), dict):
            raise RecipeError(f'{change!r}: {key} is a value of its own, it has no {last}')
        inner = inner[key]
    try:
        inner[last] = yaml.safe_load(text)
    except yaml.YAMLError:
        raise RecipeError(f'{change!r}: {text!r} is no YAML: write a number, a word, or a list '
                          'such as [1, 2]') from None


def build(kind: type, values: Any, where: str) -> Any:
    """
    Make a dataclass of plain values, nested ones included.

    :param where: the place in the recipe, for messages.
    :raises RecipeError: a name that the class has not, a value of another type, or one that it
        refuses.
    """
    if not isinstance(values, Mapping):
        raise RecipeError(f'{where or "the recipe"} is {values!r}, expected names and values')
    types, made = typing.get_type_hints(kind), {}
    known = [field.name for field in dataclasses.fields(kind)]
    for name, value in values.items():
        place = f'{where}.{name}' if where else str(name)
        if name not in known:
            near = difflib.get_close_matches(str(name), known, 1)
            raise RecipeError(f'{place} is unknown' + (f' (is {near[0]} meant?)' if near else '')
                              + f': known are {", ".join(known)}')
        made[name] = _value(types[name], value, place)
    try:
        return kind(**made)
    except ValueError as error:
        raise RecipeError(f'{where}: {error}' if where else str(error)) from None


def _value(kind: Any, value: Any, place: str) -> Any:
    if isinstance(kind, type) and dataclasses.is_dataclass(kind):
        return build(kind, value, place)
    if isinstance(value, str) and kind is float:      # YAML takes 1e-4 for a word
        try:
            return float(value)
        except ValueError:
            pass
    if kind is float and isinstance(value, int) and not isinstance(value, bool) \
            and abs(value) < 1e300:
        return float(value)
    if typing.get_origin(kind) is dict and isinstance(value, Mapping):
        return dict(value)
    if not isinstance(kind, type) or not isinstance(value, kind) or \
            (isinstance(value, bool) and kind is not bool):
        expected = getattr(kind, '__name__', str(kind))
        raise RecipeError(f'{place} is {value!r}, expected {expected}')
    return value
