# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Studies: small YAML files that say what is compared, and on what it is judged.

::

    recipe: kestrel
    set: [train.steps=700]               # of every run
    leave_out: [urban100]                # sources or clips that no run sees
    variants:                            # name: what it changes in the recipe
      baseline: []
      no-look-alikes: [pairs.look_alike=0]
    baseline: baseline
    folds:                               # name: what its runs do not see besides, judged on what
      held-out: {judge: [eorvos_goat]}
      sam2: {leave_out: [sam2_*], judge: [sam2_0*]}
    seeds: [0, 1]
    tracks_a_clip: 4                     # of clips judged by self-labelled tracks

Names of clips and sources may have ``*``. What a run is judged on it never sees.
"""
from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, NamedTuple, Optional

import yaml

from lorat_ros.training.pool import pool_folders
from lorat_ros.training.recipe import read_recipe, RecipeError

FOLDER = Path(__file__).parent / 'studies'
KNOWN = ('recipe', 'set', 'leave_out', 'variants', 'baseline', 'folds', 'seeds', 'tracks_a_clip')


class StudyError(ValueError):
    """A study cannot be made; says which value, what was expected, and what to do."""


@dataclass(frozen=True)
class Fold:
    """One split of the pool: exact names of clips and sources."""

    leave_out: tuple[str, ...]         # not seen in training, besides the judged
    labelled: tuple[str, ...]          # judged clips with labels
    tracked: tuple[str, ...]           # judged clips whose self-labelled tracks are the truth


class Cell(NamedTuple):
    """One run of a study."""

    variant: str
    fold: str
    seed: int

    @property
    def name(self) -> str:
        """As its folder is called."""
        return f'{self.fold}_{self.variant}_{self.seed}'


@dataclass(frozen=True)
class Study:
    """A study, its names resolved against a pool."""

    name: str
    recipe: str
    variants: dict[str, tuple[str, ...]]     # changes of the recipe, the common ones first
    baseline: str
    folds: dict[str, Fold]
    seeds: tuple[int, ...]
    tracks_a_clip: int

    def cells(self) -> list[Cell]:
        """All runs; of an unfinished study the first allow the fairest comparison."""
        return [Cell(variant, fold, seed) for seed in self.seeds for fold in self.folds
                for variant in self.variants]

    def asked(self, cell: Cell) -> dict[str, Any]:
        """All that decides about a cell, as plain values; equal ones need not be made again."""
        fold = self.folds[cell.fold]
        return {'recipe': self.recipe, 'seed': cell.seed,
                'changes': list(self.variants[cell.variant]),
                'leave_out': list(fold.leave_out), 'labelled': list(fold.labelled),
                'tracked': list(fold.tracked),
                'tracks_a_clip': self.tracks_a_clip if fold.tracked else 0}


def known_studies() -> tuple[str, ...]:
    """Names of the studies that come with the package."""
    return tuple(sorted(path.stem for path in FOLDER.glob('*.yaml')))


def read_study(name: str, data: Path, tracks: Optional[Path] = None) -> Study:
    """
    Read a study and find what it names in a pool.

    :param name: one of ``known_studies()``, or the path of a YAML file.
    :param data: training pool.
    :param tracks: folder of self-labelled tracks.
    :raises StudyError: it cannot be read, or names what is not there.
    """
    path = FOLDER / f'{name}.yaml' if name in known_studies() else Path(name)
    try:
        content = yaml.safe_load(path.read_text(encoding='utf-8'))
    except (OSError, UnicodeDecodeError) as error:
        raise StudyError(f'study {name}: {error}: give one of {", ".join(known_studies())}, or '
                         'the path of a YAML file') from None
    except yaml.YAMLError as error:
        raise StudyError(f'{path} is no YAML: {" ".join(str(error).split())}') from None
    try:
        return _study(path.stem, content, _Names(data, tracks))
    except (StudyError, RecipeError) as error:
        raise StudyError(f'{path}: {error}') from None


class _Names:
    """What a pool holds, by name."""

    def __init__(self, data: Path, tracks: Optional[Path]) -> None:
        folders = pool_folders(data)
        if not folders:
            raise StudyError(f'{data} is no training pool: expected stills/ or clips/ in it')
        self.all = [p.name for p in folders]
        self.labelled = {p.name for p in folders if (p / 'boxes.csv').is_file()
                         and p.parent.name == 'clips'}
        # A table of one line has only its header: no track was found there.
        self.tracked = {p.stem for p in sorted(tracks.glob('*.csv')) if p.stem in self.all
                        and p.read_text().count('\n') > 1} if tracks else set()

    def matching(self, patterns: Iterable[str], place: str) -> list[str]:
        """All names that one of the patterns fits, each pattern at least one."""
        found = []
        for pattern in patterns:
            fits = [name for name in self.all if fnmatchcase(name, str(pattern))]
            if not fits:
                raise StudyError(f'{place} names {pattern!r}, which fits nothing in the pool: it '
                                 f'has {", ".join(self.all[:4])} and {len(self.all[4:])} more')
            found += [name for name in fits if name not in found]
        return found


def _words(value: Any, place: str) -> tuple[str, ...]:
    if not isinstance(value, (list, tuple)):
        raise StudyError(f'{place} is {value!r}, expected a list such as [a, b]')
    return tuple(str(v) for v in value)


def _table(value: Any, place: str, example: str) -> dict[str, Any]:
    if not isinstance(value, dict) or not value:
        raise StudyError(f'{place} is {value!r}, expected names with values, such as {example}')
    for name in value:
        if not str(name).replace('-', '').replace('.', '').isalnum():
            raise StudyError(f'{place}: {name!r} names folders: use letters, digits, - and .')
    return {str(name): inner for name, inner in value.items()}


def _fold(content: Any, place: str, common: Sequence[str], names: _Names) -> Fold:
    unknown = [k for k in content if k not in ('leave_out', 'judge')] \
        if isinstance(content, dict) else [content]
    if unknown or 'judge' not in content:
        raise StudyError(f'{place} is {content!r}, expected {{judge: [CLIP]}} or '
                         '{leave_out: [SOURCE], judge: [CLIP]}')
    judged = names.matching(_words(content['judge'], f'{place}.judge'), f'{place}.judge')
    for name in judged:
        if name not in names.labelled and name not in names.tracked:
            raise StudyError(f'{place}.judge: {name} has neither labels nor tracks that it could '
                             'be judged by: make some (python -m lorat_ros.training.selflabel) '
                             'and give --tracks, or leave it out')
    out = names.matching(_words(content.get('leave_out', []), f'{place}.leave_out'),
                         f'{place}.leave_out')
    labelled = tuple(n for n in judged if n in names.labelled)
    return Fold(tuple(sorted({*common, *out} - {*labelled} | {*judged} - {*labelled})), labelled,
                tuple(n for n in judged if n not in names.labelled))


def _study(name: str, content: Any, names: _Names) -> Study:
    unknown = [k for k in content if k not in KNOWN] if isinstance(content, dict) else [content]
    if unknown:
        raise StudyError(f'{unknown[0]!r} is unknown: a study has {", ".join(KNOWN)}')
    recipe = str(content.get('recipe', ''))
    common = _words(content.get('set', []), 'set')
    variants = {variant: (*common, *_words(changes, f'variants.{variant}')) for variant, changes in
                _table(content.get('variants'), 'variants', '{baseline: []}').items()}
    for variant, changes in variants.items():
        try:
            read_recipe(recipe, changes)
        except RecipeError as error:
            raise StudyError(f'variant {variant}: {error}') from None
    baseline = str(content.get('baseline', next(iter(variants))))
    if baseline not in variants:
        raise StudyError(f'baseline is {baseline!r}, expected one of {", ".join(variants)}')
    out = names.matching(_words(content.get('leave_out', []), 'leave_out'), 'leave_out')
    folds = {fold: _fold(inner, f'folds.{fold}', out, names) for fold, inner in
             _table(content.get('folds'), 'folds', '{one: {judge: [CLIP]}}').items()}
    seeds, tracks = content.get('seeds', [0]), content.get('tracks_a_clip', 4)
    if not isinstance(seeds, list) or not seeds or {type(s) for s in seeds} != {int}:
        raise StudyError(f'seeds is {seeds!r}, expected whole numbers such as [0, 1]')
    if type(tracks) is not int or tracks < 1:
        raise StudyError(f'tracks_a_clip is {tracks!r}, expected a whole number above 0')
    return Study(name, recipe, variants, baseline, folds, tuple(seeds), tracks)
