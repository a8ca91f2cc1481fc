# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Training curves: every figure of every step as CSV, smoothed as PNG."""
from __future__ import annotations

import csv
from pathlib import Path

import numpy as np


class Curves:
    """Collects figures by step and writes ``curves.csv`` and ``curves.png``."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.rows: dict[int, dict[str, float]] = {}
        table = folder / 'curves.csv'
        if table.is_file():
            with table.open(newline='') as lines:
                for row in csv.DictReader(lines):
                    self.rows[int(row['step'])] = {k: float(v) for k, v in row.items()
                                                   if k != 'step' and v != ''}

    def cut(self, step: int) -> None:
        """Forget what came after ``step`` (a run resumed from there writes it anew)."""
        self.rows = {s: row for s, row in self.rows.items() if s <= step}

    def add(self, step: int, figures: dict[str, float]) -> None:
        """Add figures to a step."""
        self.rows.setdefault(step, {}).update(figures)

    def write(self) -> None:
        """Write both files into the folder."""
        names = sorted({name for row in self.rows.values() for name in row})
        with (self.folder / 'curves.csv').open('w', newline='') as lines:
            table = csv.DictWriter(lines, ['step', *names], restval='')
            table.writeheader()
            for step in sorted(self.rows):
                figures = {k: f'{v:.6g}' for k, v in self.rows[step].items()}
                table.writerow({'step': step, **figures})
        self._draw(names)

    def _draw(self, names: list[str]) -> None:
        import matplotlib
        matplotlib.use('Agg')
        from matplotlib import pyplot
        shown = [n for n in ('total', 'score', 'giou', 'l1', 'overlap', 'held_out') if n in names]
        if not shown:
            return
        figure, axes = pyplot.subplots(1, len(shown), figsize=(3.2 * len(shown), 2.8))
        for axis, name in zip(np.atleast_1d(axes), shown):
            steps = [s for s in sorted(self.rows) if name in self.rows[s]]
            values = np.array([self.rows[s][name] for s in steps])
            window = max(1, min(100, len(values) // 20))
            smooth = np.convolve(values, np.ones(window) / window, 'valid')
            axis.plot(steps[window - 1:], smooth, linewidth=1)
            axis.set_title(name)
            axis.set_xlabel('step')
        figure.tight_layout()
        figure.savefig(self.folder / 'curves.png', dpi=80)
        pyplot.close(figure)
