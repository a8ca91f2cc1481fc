# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Training curves: every figure of every step as CSV, smoothed as PNG."""
from __future__ import annotations

import csv
import io
from pathlib import Path

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from lorat_ros.training.saving import replace_with

TABLE, PICTURE = 'curves.csv', 'curves.png'
FIRST, LAST = ('total', 'held_out', 'overlap'), ('learning_rate',)     # in the picture
SPEEDS = frozenset({'rate', 'loader', 'trainer', 'loading'})           # in the table only
COLUMNS = 4
POINTS = 1000         # of a curve that are drawn; a picture shows no more
SMOOTH = 50           # parts of a curve over which it is averaged at most


class Curves:
    """Collects figures by step and writes ``curves.csv`` and ``curves.png``."""

    def __init__(self, folder: Path) -> None:
        """Go on with the table in the folder, if there is one; lines that are none are left."""
        self.folder = folder
        self.rows: dict[int, dict[str, float]] = {}
        table = folder / TABLE
        if table.is_file():
            with table.open(newline='', encoding='utf-8', errors='replace') as lines:
                for row in csv.DictReader(lines):
                    try:
                        step = int(row.pop('step'))
                        self.rows[step] = {k: float(v) for k, v in row.items() if v}
                    except (KeyError, TypeError, ValueError):
                        continue

    def cut(self, step: int) -> None:
        """Forget what came after ``step`` (a run resumed from there writes it anew)."""
        self.rows = {s: row for s, row in self.rows.items() if s <= step}

    def add(self, step: int, figures: dict[str, float]) -> None:
        """Add figures to a step."""
        self.rows.setdefault(step, {}).update(figures)

    def names(self) -> list[str]:
        """Names of all figures there are."""
        return sorted({name for row in self.rows.values() for name in row})

    def of(self, name: str) -> tuple[np.ndarray, np.ndarray]:
        """Steps that have a figure, (n,) int, and its values, (n,)."""
        steps = [step for step in sorted(self.rows) if name in self.rows[step]]
        return np.array(steps, np.int64), np.array([self.rows[s][name] for s in steps])

    def write(self) -> None:
        """
        Write both files into the folder.

        :raises SaveError: they could not be written; those before are untouched.
        """
        replace_with(self.folder / TABLE, lambda part: part.write_text(self._table(),
                                                                       encoding='utf-8'))
        if self.rows:
            replace_with(self.folder / PICTURE, lambda part: self._draw().savefig(
                part, format='png', dpi=80))

    def _table(self) -> str:
        names, lines = self.names(), io.StringIO()
        lines.write(','.join(['step', *names]) + '\n')
        for step in sorted(self.rows):
            row = self.rows[step]
            lines.write(f'{step},' + ','.join(f'{row[name]:.6g}' if name in row else ''
                                              for name in names) + '\n')
        return lines.getvalue()

    def _draw(self) -> Figure:
        names = set(self.names()) - SPEEDS
        shown = [*(n for n in FIRST if n in names), *sorted(names - {*FIRST, *LAST}),
                 *(n for n in LAST if n in names)]
        columns = min(COLUMNS, max(1, len(shown)))
        rows = max(1, -(-len(shown) // columns))
        figure = Figure((3.2 * columns, 2.6 * rows))
        FigureCanvasAgg(figure)         # without pyplot: its figures are the whole process's
        for place, name in enumerate(shown, 1):
            axis = figure.add_subplot(rows, columns, place)
            steps, values = smoothed(*self.of(name))
            axis.plot(steps, values, linewidth=1, marker='.' if len(steps) < 30 else None)
            axis.set_title(name.replace('_', ' '), fontsize=10)
            axis.set_xlabel('step', fontsize=8)
            axis.tick_params(labelsize=7)
        # Not tight_layout, which draws everything twice.
        figure.subplots_adjust(0.16 / columns, 0.2 / rows, 1 - 0.04 / columns, 1 - 0.12 / rows,
                               wspace=0.28, hspace=0.5)
        return figure


def smoothed(steps: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """
    Average a curve over as much of it as a picture can do without.

    :param steps: (n,); each average stands at the middle of its steps.
    :param values: (n,).
    :returns: steps and averages, (m,) each, m at most ``POINTS``.
    """
    window = max(1, min(100, len(values) // SMOOTH))
    kernel = np.ones(window) / window
    steps, values = np.convolve(steps, kernel, 'valid'), np.convolve(values, kernel, 'valid')
    chosen = np.linspace(0, len(values) - 1, min(POINTS, len(values))).round().astype(int)
    return steps[chosen], values[chosen]
