# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The report of ``lorat evaluate``: as data for JSON, and as text for people."""
from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from lorat_ros.tools.evaluate_figures import (Curves, curves_of, Figures, figures_of, judge,
                                              Judged, mean_curves, mean_figures, OVERLAPS, PIXELS,
                                              pooled, SHARES)
from lorat_ros.tools.evaluate_run import Entry
from lorat_ros.tools.sequences import Clip

#: Columns of the tables: field of Figures, and how it is written.
COLUMNS = (('frames', 'd'), ('AUC', '.1f'), ('P20', '.1f'), ('NP', '.1f'), ('NPauc', '.1f'),
           ('AO', '.1f'), ('SR50', '.1f'), ('SR75', '.1f'), ('ROC', '.1f'), ('lost', '.1f'),
           ('fail', 'd'), ('ms', '.2f'), ('ms_p95', '.2f'), ('cpu_ms', '.2f'))
WORDS = {
    'skip': 'frames without target count for nothing',
    'miss': 'frames without target count as missed in success and precision',
}


@dataclass(frozen=True)
class Verdict:
    """What one entry came to."""

    entry: Entry
    judged: Mapping[str, Judged]        # by sequence
    figures: Mapping[str, Figures]      # by sequence
    curves: Mapping[str, Curves]        # by sequence
    mean: Figures
    mean_curve: Curves
    pooled: Mapping[str, Mapping[str, float]]


def assess(entry: Entry, clips: Sequence[Clip], absent: str) -> Verdict:
    """
    Judge an entry on sequences that it has run, at least one.

    :param absent: what frames without target do, see ``evaluate_figures.ABSENT``.
    """
    runs = [entry.runs[clip.name] for clip in clips]
    judged = [judge(run.rows, clip.truth, absent) for run, clip in zip(runs, clips)]
    bounded = [judge(_bounded(run.rows, clip), _bounded(clip.truth, clip), absent)
               for run, clip in zip(runs, clips)]
    figures = [figures_of(j, run.times) for j, run in zip(judged, runs)]
    curves = [curves_of(j) for j in judged]
    names = [clip.name for clip in clips]
    return Verdict(entry, dict(zip(names, judged)), dict(zip(names, figures)),
                   dict(zip(names, curves)),
                   mean_figures(figures, judged, [run.times for run in runs]),
                   mean_curves(curves),
                   {'all_frames': pooled(judged), 'got10k_toolkit': pooled(bounded)})


def _bounded(rows: np.ndarray, clip: Clip) -> np.ndarray:
    """
    Rows with their boxes brought into the image exactly as GOT-10k's toolkit does it; nan stays.

    A corner left of the image or above it moves to the edge, and the box keeps its size; then
    what is too much on the right and below is cut off.
    """
    bounded = rows.copy()
    bounded[:, :2] = np.clip(rows[:, :2], 0, clip.size_wh)
    bounded[:, 2:4] = np.clip(rows[:, 2:4], 0, clip.size_wh - bounded[:, :2])
    return bounded


def report_of(folder: str, layout: str, absent: str, verdicts: Sequence[Verdict],
              complaints: Sequence[str]) -> dict[str, Any]:
    """Everything as plain data for JSON; a figure that does not exist is None."""
    return _plain({
        'folder': folder, 'layout': layout, 'absent': WORDS[absent],
        'complaints': list(complaints),
        'thresholds': {'success': OVERLAPS.tolist(), 'precision': PIXELS.tolist(),
                       'normalised': SHARES.tolist()},
        'trackers': {v.entry.label: {
            **v.entry.about, 'mean': asdict(v.mean), 'pooled': v.pooled,
            'curves': v.mean_curve._asdict(),
            'sequences': {name: {**asdict(figures), 'curves': v.curves[name]._asdict()}
                          for name, figures in v.figures.items()}} for v in verdicts},
    })


def _plain(value: Any) -> Any:
    """Only what JSON knows: it has neither nan nor arrays."""
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, np.ndarray)):
        return [_plain(item) for item in value]
    if isinstance(value, (float, np.floating)):
        return float(value) if math.isfinite(value) else None
    return value


def text_of(verdicts: Sequence[Verdict], layout: str, absent: str) -> str:
    """Write the tables for a terminal: the sequences of each entry, and the means side by side."""
    lines = [f'layout {layout}; {WORDS[absent]}; shares in percent; docs/evaluation.md defines '
             'the columns']
    for verdict in verdicts:
        lines += ['', verdict.entry.label + _words(verdict.entry.about),
                  *_table('sequence', {**verdict.figures, 'MEAN': verdict.mean})]
    if len(verdicts) > 1:
        lines += ['', *_table('mean of', {v.entry.label: v.mean for v in verdicts})]
    return '\n'.join(lines)


def _words(about: Mapping[str, Any]) -> str:
    if 'boxes' in about:
        return f' (boxes from {about["boxes"]})'
    reused = f', {about["reused"]} sequences reused' if about['reused'] else ''
    return f' ({about["engine"]}, {about["precision"]}{reused})'


def _table(first: str, rows: Mapping[str, Figures]) -> list[str]:
    cells = [[first, *(name for name, _ in COLUMNS)]]
    cells += [[name, *(_cell(getattr(figures, column), form) for column, form in COLUMNS)]
              for name, figures in rows.items()]
    widths = [max(map(len, column)) for column in zip(*cells)]
    return ['  '.join([row[0].ljust(widths[0]),
                       *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:]))])
            for row in cells]


def _cell(value: float, form: str) -> str:
    return format(value, form) if math.isfinite(value) else '-'
