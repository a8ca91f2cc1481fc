# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Bundles that are there, judged on a study's clips and on sequences: do both rise together?

The order of the bundles is the order of the table, such as that of the work on a model. What was
measured is kept, and every look at the sequences is written into ``looks.csv``: what one looks at
often one has chosen by.
"""
from __future__ import annotations

import csv
import hashlib
import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Optional

import numpy as np
from tqdm import tqdm

from lorat_ros.models.bundle import BundleError
from lorat_ros.models.catalog import find_bundle
from lorat_ros.training.study_cells import Bench, write_json
from lorat_ros.training.study_file import Study, StudyError
from lorat_ros.training.study_judge import judge, judged_clips
from lorat_ros.training.study_table import figure, markdown, write_csv

#: Of ``lorat evaluate``: name in its JSON, name here, what it is called.
MEASURED = (('AUC', 'test', 'test: success'), ('P20', 'test_precision', 'precision'),
            ('ROC', 'test_roc', 'ROC'), ('cpu_ms', 'cpu_ms', 'CPU ms'))


def named_bundles(texts: Sequence[str]) -> dict[str, str]:
    """
    Read NAME=PATH, or the name of a bundle alone.

    :raises StudyError: a name stands twice, or there is no such bundle.
    """
    found: dict[str, str] = {}
    for text in texts:
        name, equals, path = text.partition('=')
        if name in found:
            raise StudyError(f'{text}: {name} stands twice in --bundles: give each its own name')
        if '/' in name or not name:
            raise StudyError(f'{text!r} in --bundles: expected NAME=PATH, such as early=RUN/early')
        found[name] = path if equals else name
        try:
            find_bundle(found[name])
        except BundleError as error:
            raise StudyError(str(error)) from None
    return found


def checksum(model: str) -> str:
    """Of the manifest, which has those of all files."""
    manifest = json.dumps(dict(find_bundle(model).manifest), sort_keys=True)
    return hashlib.sha256(manifest.encode()).hexdigest()


def kept(path: Path, key: Mapping[str, Any]) -> dict[str, Any] | None:
    """What was measured with the same key, if it was."""
    try:
        found = json.loads(path.read_text())
    except (OSError, ValueError):
        return None
    return found['found'] if found['key'] == key else None


def measure_sequences(model: str, name: str, sequences: Path, folder: Path) -> dict[str, Any]:
    """
    Run ``lorat evaluate`` and note that it was.

    :raises StudyError: it failed; its last line says why.
    """
    report = folder / f'{name}.evaluation.json'
    report.unlink(missing_ok=True)
    done = subprocess.run([sys.executable, '-m', 'lorat_ros.tools.cli', 'evaluate', sequences,
                           '--model', model, '--json', report], capture_output=True, text=True)
    if not report.is_file():
        said = done.stderr.replace('\r', '\n').strip().splitlines()
        raise StudyError(f'lorat evaluate of {name}: {(said or ["it said nothing"])[-1]}')
    (tracker,) = json.loads(report.read_text())['trackers'].values()
    result = {mine: tracker['mean'][theirs] for theirs, mine, _ in MEASURED}
    looks = folder.parent / 'looks.csv'
    new = not looks.is_file()
    with looks.open('a', newline='') as lines:
        table = csv.writer(lines)
        table.writerows([['when', 'bundle', 'sequences', 'success']] * new)
        table.writerow([datetime.now(timezone.utc).isoformat(timespec='seconds'), name,
                        sequences, round(result['test'], 3)])
    return result


def rank_correlation(a: Sequence[float], b: Sequence[float]) -> float:
    """Spearman's, in [-1, 1]; nan where one of them is always the same."""
    first, second = (
        np.searchsorted(np.sort(v), v, 'left') + np.searchsorted(np.sort(v), v, 'right')
        for v in (a, b))
    with np.errstate(invalid='ignore', divide='ignore'):
        return float(np.corrcoef(first, second)[0, 1])


def by_fold(study: Study, clips: Mapping[str, Mapping[str, float]]) -> dict[str, float]:
    """Success (plain) of each fold, of success by fault and clip."""
    means = {}
    for name, fold in study.folds.items():
        mine = [v for clip, v in clips['plain'].items()
                if clip.partition('#')[0] in (*fold.labelled, *fold.tracked)]
        means[f'fold {name}'] = float(np.mean(mine))
    return means


def rows_of(study: Study, bench: Bench, bundles: Mapping[str, str], sequences: Optional[Path]
            ) -> list[dict[str, Any]]:
    """Judge all bundles, or take what is kept of them; a row each."""
    folder, clips, rows = bench.output / 'bundles', None, []
    folder.mkdir(parents=True, exist_ok=True)
    labelled, tracked = (sorted({n for fold in study.folds.values() for n in getattr(fold, kind)})
                         for kind in ('labelled', 'tracked'))
    for name, model in tqdm(bundles.items(), 'judging', unit='bundle'):
        key = {'model': checksum(model), 'clips': [*labelled, *tracked],
               'tracks_a_clip': study.tracks_a_clip}
        found = kept(folder / f'{name}.json', key)
        if found is None:
            clips = clips or judged_clips(bench.data, labelled, tracked, bench.tracks,
                                          study.tracks_a_clip)
            found = judge(model, clips)
            write_json(folder / f'{name}.json', {'key': key, 'found': found})
        row = {'bundle': name, **found, **by_fold(study, found['clips'])}
        if sequences:
            key = {'model': key['model'], 'sequences': str(sequences.resolve())}
            there = folder / f'{name}.sequences.json'
            measured = kept(there, key)
            if measured is None:
                measured = measure_sequences(model, name, sequences, folder)
                write_json(there, {'key': key, 'found': measured})
            row.update(measured)
        rows.append(row)
    return rows


def draw(rows: Sequence[Mapping[str, Any]], lines: Mapping[str, str], path: Path) -> None:
    """Draw figures in the order of the bundles."""
    import matplotlib
    matplotlib.use('Agg')
    from matplotlib import pyplot
    drawn, axis = pyplot.subplots(figsize=(max(4.0, 0.7 * len(rows) + 2), 3.5))
    for key, words in lines.items():
        axis.plot([row[key] for row in rows], 'o-', label=words)
    axis.set_xticks(range(len(rows)), [row['bundle'] for row in rows], rotation=40, ha='right')
    axis.set_ylabel('percent')
    axis.grid(alpha=0.3)
    axis.legend(fontsize=8)
    drawn.tight_layout()
    drawn.savefig(path, dpi=90)
    pyplot.close(drawn)


def compare(study: Study, bench: Bench, bundles: Mapping[str, str], sequences: Optional[Path]
            ) -> str:
    """
    Judge bundles; write ``bundles.csv``, ``bundles.md`` and ``bundles.png``.

    :param sequences: folder of sequences to judge on, too.
    :returns: the text of the second.
    """
    rows = rows_of(study, bench, bundles, sequences)
    folds = [f'fold {name}' for name in study.folds]
    shown = {'plain': 'success', 'faults': 'under faults', 'roc': 'ROC',
             'roc_faults': 'ROC under faults', 'roc_covered': 'ROC, covered',
             **{fold: fold for fold in folds}}
    shown |= {mine: words for _, mine, words in MEASURED} if sequences else {}
    parts = [f'# Bundles on the clips of study {study.name}',
             'In percent. Of what a bundle saw in training only its own card tells: it is '
             'judged fairly on what it did not see.',
             markdown(['bundle', *shown.values()],
                      [[row['bundle'], *(figure(row[key]) for key in shown)] for row in rows])]
    lines = {'plain': 'validation', 'faults': 'validation under faults'}
    if sequences:
        lines['test'] = f'test ({sequences.name})'
        parts += [f'Rank correlation with success on {sequences.name}: ' + ', '.join(
            f'{words} {rank_correlation([r[key] for r in rows], [r["test"] for r in rows]):.2f}'
            for key, words in list(lines.items())[:2]) + f' ({len(rows)} bundles).']
    text = '\n\n'.join(parts) + '\n'
    write_csv(bench.output / 'bundles.csv', ('bundle', *shown), rows)
    (bench.output / 'bundles.md').write_text(text, encoding='utf-8')
    draw(rows, lines, bench.output / 'bundles.png')
    return text
