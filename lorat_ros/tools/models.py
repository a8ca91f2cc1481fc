# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
``lorat models``: which models are installed, how big and how good, under which licence; and which
published trackers can be imported, and as what they are installed.
"""
from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from lorat_ros.models.bundle import Bundle
from lorat_ros.models.catalog import DEFAULT_MODEL, list_bundles, PUBLISHED, search_path, SOURCES

HELP = 'list the models that are installed'
OTHERS = ('published tracker', 'parameters', 'GMACs', 'scores of its authors', 'installed as')
HEADINGS = ('name', 'family', 'parameters', 'size', 'measured', 'published', 'licence', 'folder')


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the subcommand: none."""


def run(args: argparse.Namespace) -> int:
    """Print the table; returns 1 if there is no model, or one that cannot be read."""
    bundles, problems = list_bundles()
    if bundles:
        print(table([HEADINGS, *(row_of(bundle) for bundle in bundles)]))
        print('\nmeasured: by this package, as its model card says; published: by the authors of '
              'the\nmodel, not measured here. * is the default.')
    print('\nPublished trackers; `lorat import` makes models of their checkpoints:')
    print(table([OTHERS, *published_rows(bundles)]))
    print('\nTheir licences, which hold for bundles made of them, too:')
    for source in SOURCES.values():
        print(source)
    for problem in problems:
        print(f'lorat models: {problem}', file=sys.stderr)
    if not bundles:
        folders = ', '.join(str(folder) for folder in search_path())
        print(f'lorat models: no model in {folders}', file=sys.stderr)
    return 0 if bundles and not problems else 1


def row_of(bundle: Bundle) -> tuple[str, ...]:
    """Return a bundle's cells, in the order of HEADINGS."""
    manifest = bundle.manifest
    parameters = manifest.get('parameters')
    size = sum(entry.get('bytes', 0) + sum(data.get('bytes', 0) for data in entry.get('data', ()))
               for entry in manifest['graphs'].values())
    return (bundle.name + (' *' if bundle.name == DEFAULT_MODEL else ''), bundle.family,
            f'{parameters / 1e6:.1f} M' if parameters else '-', f'{size / 1e6:.1f} MB',
            _scores(manifest.get('scores')), _scores(manifest.get('published')),
            manifest['licence'], str(bundle.path))


def published_rows(bundles: Sequence[Bundle]) -> list[tuple[str, ...]]:
    """Return the cells of every published tracker, in the order of OTHERS."""
    names: dict[tuple[str, str], list[str]] = {}
    for bundle in bundles:
        names.setdefault((bundle.family, bundle.variant), []).append(bundle.name)
    return [(p.name, f'{p.parameters_m:.1f} M', f'{p.gmacs:.1f}', _scores(p.scores),
             ', '.join(names.get((p.family, p.variant), '-'))) for p in PUBLISHED]


def _scores(scores: Mapping[str, Any] | None) -> str:
    """Write scores as `name value`; what is not a number is a remark, and `macs` no score."""
    numbers = {name: value for name, value in (scores or {}).items()
               if isinstance(value, (int, float)) and name != 'macs'}
    return ', '.join(f'{name} {value:g}' for name, value in numbers.items()) or '-'


def table(lines: Sequence[Sequence[str]]) -> str:
    """Return lines of cells with columns as wide as they need; the first line is the heading."""
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    return '\n'.join('  '.join(cell.ljust(width) for cell, width in zip(line, widths)).rstrip()
                     for line in lines)
