# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The tables of a study: every run as CSV, the comparison as Markdown and as a picture."""
from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Optional

import numpy as np

from lorat_ros.training.closed_loop import FAULTS
from lorat_ros.training.study_file import Study

#: What is compared: key of a result, and what it is called.
SHOWN = {'plain': 'success', 'faults': 'success under faults', 'roc': 'ROC',
         'roc_faults': 'ROC under faults', 'roc_covered': 'ROC, covered',
         'overlap': 'pair overlap'}
COLUMNS = ('variant', 'fold', 'seed', *FAULTS, 'faults', 'roc', 'roc_faults', 'roc_covered',
           'overlap')
LEGEND = """\
All in percent, on what the runs did not see. Success: area under the curve of closed-loop
tracking, mean over clips; under faults: mean over {faults}.
ROC: how well the score tells frames with an overlap over 0.5 from those with none, over all frames
of a fold (50 is useless; – where no target was lost); covered: from those whose target is covered
on purpose. Pair overlap: single held-out samples, where the clips have labels."""

Result = Mapping[str, Any]


def figure(value: Optional[float], sign: str = '') -> str:
    """A figure as the tables have it; None and nan: there is none."""
    return '–' if value is None or not np.isfinite(value) else f'{value:{sign}.1f}'


def markdown(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table."""
    return '\n'.join('| ' + ' | '.join(row) + ' |'
                     for row in (head, ['---'] * len(head), *rows))


def write_csv(path: Path, columns: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> None:
    """Write rows as CSV; what is None stays empty."""
    with path.open('w', newline='') as lines:
        table = csv.DictWriter(lines, columns, extrasaction='ignore', restval='')
        table.writeheader()
        table.writerows({k: round(v, 3) if isinstance(v, float) else v for k, v in row.items()}
                        for row in rows)


def by_seed(results: Sequence[Result], key: str) -> list[float]:
    """For every seed the mean over its folds; what has no such figure does not count."""
    found: dict[int, list[float]] = {}
    for result in results:
        if result[key] is not None:
            found.setdefault(result['seed'], []).append(result[key])
    return [float(np.mean(values)) for _, values in sorted(found.items())]


def spread(values: Sequence[float]) -> str:
    """Mean ± standard deviation, if there are several."""
    if not values:
        return figure(None)
    more = f' ± {figure(float(np.std(values, ddof=1)))}' if len(values) > 1 else ''
    return figure(float(np.mean(values))) + more


def differences(results: Sequence[Result], base: Sequence[Result], key: str) -> list[float]:
    """By how much results differ from those of the same fold and seed of the baseline."""
    known = {(r['fold'], r['seed']): r[key] for r in base}
    pairs = [(r[key], known.get((r['fold'], r['seed']))) for r in results]
    return [mine - theirs for mine, theirs in pairs if mine is not None and theirs is not None]


def gain(values: Sequence[float]) -> str:
    """Mean ± standard error of differences."""
    if not values:
        return figure(None)
    more = f' ± {figure(float(np.std(values, ddof=1) / len(values) ** 0.5))}' \
        if len(values) > 1 else ''
    return figure(float(np.mean(values)), '+') + more


def text_of(study: Study, results: Sequence[Result]) -> str:
    """The tables in Markdown."""
    of = {name: [r for r in results if r['variant'] == name] for name in study.variants}
    there = {name: found for name, found in of.items() if found}
    base = of[study.baseline]
    parts = [f'# Study {study.name}', f'Recipe {study.recipe}; {len(results)} of '
             f'{len(study.cells())} runs are finished.',
             LEGEND.format(faults=', '.join(f for f in FAULTS if f != 'plain'))]
    parts += ['## Variants', 'Mean over folds; ± standard deviation over seeds.', markdown(
        ['variant', 'runs', *SHOWN.values()],
        [[name, str(len(found)), *(spread(by_seed(found, key)) for key in SHOWN)]
         for name, found in there.items()])]
    if base and len(there) > 1:
        parts += [f'## Against {study.baseline}', 'Difference of runs of the same fold and seed; '
                  '± standard error. Below zero: the change does harm.', markdown(
                      ['variant', 'what is changed', *SHOWN.values()],
                      [[name, ' '.join(changed(study, name)) or '–',
                        *(gain(differences(found, base, key)) for key in SHOWN)]
                       for name, found in there.items() if name != study.baseline])]
    parts += ['## Folds', 'Success / success under faults, mean over seeds.', markdown(
        ['fold', 'judged on', *there],
        [[fold, judged_on(study, fold), *(in_fold(found, fold) for found in there.values())]
         for fold in study.folds])]
    return '\n\n'.join(parts) + '\n'


def changed(study: Study, variant: str) -> list[str]:
    """What a variant changes that the baseline does not."""
    return [c for c in study.variants[variant] if c not in study.variants[study.baseline]]


def judged_on(study: Study, fold: str) -> str:
    """What a fold is judged on, in words."""
    labelled, tracked = study.folds[fold].labelled, study.folds[fold].tracked
    return ' and '.join([f'{len(labelled)} labelled clips'] * bool(labelled)
                        + [f'self-labelled tracks of {len(tracked)} clips'] * bool(tracked))


def in_fold(results: Sequence[Result], fold: str) -> str:
    """Success / success under faults of the results of one fold, means over them."""
    mine = [r for r in results if r['fold'] == fold]
    return ' / '.join(figure(float(np.mean([r[key] for r in mine])) if mine else None)
                      for key in ('plain', 'faults'))


def draw(study: Study, results: Sequence[Result], path: Path) -> None:
    """Draw every run as a point, the mean of a variant as a line; colours are folds."""
    import matplotlib
    matplotlib.use('Agg')
    from matplotlib import pyplot
    shown = [key for key in SHOWN if any(r[key] is not None for r in results)]
    names = [n for n in study.variants if any(r['variant'] == n for r in results)]
    drawn, axes = pyplot.subplots(1, len(shown), squeeze=False, sharey=True,
                                  figsize=(3 * len(shown) + 1.5, 0.38 * len(names) + 1.6))
    for axis, key in zip(axes[0], shown):
        for place, name in enumerate(names):
            mine = [r for r in results if r['variant'] == name and r[key] is not None]
            for number, fold in enumerate(study.folds):
                axis.plot([r[key] for r in mine if r['fold'] == fold],
                          [place + 0.04 * (number - len(study.folds) / 2)]
                          * sum(r['fold'] == fold for r in mine), 'o', markersize=4,
                          color=f'C{number % 10}', label=fold if place == 0 else None)
            if seeds := by_seed(mine, key):
                axis.plot([np.mean(seeds)] * 2, [place - 0.35, place + 0.35], 'k-')
        axis.set_title(SHOWN[key], fontsize=9)
        axis.grid(axis='x', alpha=0.3)
    axes[0, 0].set_yticks(range(len(names)), names)
    axes[0, 0].invert_yaxis()
    foot = 0.1 if len(study.folds) > 1 else 0.0
    if foot:
        drawn.legend(*axes[0, 0].get_legend_handles_labels(), loc='lower center',
                     ncol=len(study.folds), fontsize=7, frameon=False)
    drawn.tight_layout(rect=(0, foot, 1, 1))
    drawn.savefig(path, dpi=90)
    pyplot.close(drawn)


def write_study(study: Study, results: Sequence[Result], folder: Path) -> str:
    """Write ``table.csv``, ``table.md`` and ``table.png``; returns the text of the second."""
    write_csv(folder / 'table.csv', COLUMNS, results)
    text = text_of(study, results)
    (folder / 'table.md').write_text(text, encoding='utf-8')
    draw(study, results, folder / 'table.png')
    return text
