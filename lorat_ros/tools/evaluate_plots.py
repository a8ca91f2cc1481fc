# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Success and precision curves as PNG files."""
from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np

from lorat_ros.tools.evaluate_figures import (Curves, Figures, NEAR_PIXELS, NEAR_SHARE, OVERLAPS,
                                              PIXELS, SHARES)

#: Okabe and Ito's palette: told apart with every kind of colour vision; dashes help in print.
COLOURS = ('#0072B2', '#D55E00', '#009E73', '#CC79A7', '#E69F00', '#56B4E9', '#000000')
DASHES = ('-', '--', '-.', ':')
MISSING = 'plots need matplotlib: pip install matplotlib, or leave --output out'


class Plot(NamedTuple):
    """One kind of curve."""

    file: str
    curve: str                 # field of Curves
    thresholds: np.ndarray
    figure: str                # field of Figures that the legend shows and sorts by
    title: str
    axis: str
    mark: float | None         # the threshold that the figure is read at; None: it is the mean


PLOTS = (
    Plot('success.png', 'success', OVERLAPS, 'AUC', 'Success (legend: area under the curve)',
         'overlap threshold', None),
    Plot('precision.png', 'precision', PIXELS, 'P20',
         f'Precision (legend: at {NEAR_PIXELS} pixels)', 'centre error threshold, pixels',
         NEAR_PIXELS),
    Plot('normalised_precision.png', 'normalised', SHARES, 'NP',
         f'Normalised precision (legend: at {NEAR_SHARE})',
         'centre error threshold, in sizes of the true box', NEAR_SHARE),
)


def can_plot() -> bool:
    """Whether matplotlib is installed."""
    return importlib.util.find_spec('matplotlib') is not None


def write_plots(folder: Path, curves: Mapping[str, Curves], means: Mapping[str, Figures],
                sequences: int) -> list[Path]:
    """
    Write the plots, a curve per label, best first; returns their paths.

    :param sequences: over how many the curves are means.
    :raises OSError: they cannot be written.
    """
    return [_write(folder / plot.file, plot, curves, means, sequences) for plot in PLOTS]


def _write(path: Path, plot: Plot, curves: Mapping[str, Curves], means: Mapping[str, Figures],
           sequences: int) -> Path:
    # Without pyplot: it would choose a window system and keep every figure.
    from matplotlib.figure import Figure
    figure = Figure(figsize=(7, 5), layout='constrained')
    axes = figure.subplots()
    if plot.mark is not None:
        axes.axvline(plot.mark, color='0.6', linewidth=1, linestyle=(0, (2, 2)), zorder=1)
    labels = list(curves)       # a model keeps its colour in all plots, whatever its place there
    for label in sorted(labels, key=lambda name: -getattr(means[name], plot.figure)):
        index = labels.index(label)
        axes.plot(plot.thresholds, 100 * getattr(curves[label], plot.curve), linewidth=2,
                  color=COLOURS[index % len(COLOURS)], linestyle=DASHES[index % len(DASHES)],
                  label=f'{getattr(means[label], plot.figure):.1f}  {label}')
    axes.set(title=plot.title, xlabel=plot.axis, xlim=(plot.thresholds[0], plot.thresholds[-1]),
             ylabel=f'share of frames, mean over {sequences} '
                    + ('sequence' if sequences == 1 else 'sequences') + ', %', ylim=(0, 101))
    axes.grid(True, color='0.9')
    axes.spines[['top', 'right']].set_visible(False)
    # Success falls and precision rises: this corner is empty in each.
    axes.legend(loc='lower left' if plot.mark is None else 'lower right', framealpha=0.9)
    figure.savefig(path, dpi=120)
    return path
