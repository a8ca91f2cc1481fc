# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The flights of `lorat simulate` as one picture: a column per flight."""
from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from lorat_ros.tools.simulate_figures import Flight

BLUE, RED, GREEN, GREY = '#0072B2', '#D55E00', '#009E73', '#888888'


def write_plot(path: Path, flights: Mapping[str, Flight], distance: float) -> None:
    """
    Plot direction, range, commands and overlap over time.

    :param distance: metres that the follower shall keep.
    :raises OSError: it cannot be written.
    """
    import matplotlib
    matplotlib.use('Agg')
    from matplotlib import pyplot
    figure, axes = pyplot.subplots(4, len(flights), sharex='col', squeeze=False,
                                   figsize=(4.2 * len(flights), 8.4), layout='constrained')
    for column, (name, flight) in zip(axes.T, flights.items()):
        _column(column, name, flight, distance)
    for axis, label in zip(axes[:, 0], ('direction, degrees', 'range, m',
                                        'commands, m/s and rad/s', 'overlap')):
        axis.set_ylabel(label)
    axes[2, -1].legend(fontsize=8)
    figure.savefig(path, dpi=90)
    pyplot.close(figure)


def _column(column: np.ndarray, name: str, flight: Flight, distance: float) -> None:
    direction, ranges, commands, overlap = column
    direction.set_title(name)
    direction.plot(flight.t, flight.azimuth, color=BLUE)
    ranges.plot(flight.t, flight.range, color=BLUE)
    ranges.axhline(distance, color=GREY, lw=0.8, ls='--')
    rows = np.array(flight.commands).reshape(-1, 4)
    commands.step(rows[:, 0], rows[:, 1], where='post', color=GREEN, label='forward')
    commands.step(rows[:, 0], rows[:, 3], where='post', color=RED, label='yaw rate')
    overlap.plot(flight.t, flight.overlap, color=BLUE)
    overlap.set_ylim(-0.02, 1.02)
    overlap.set_xlabel('seconds since it was enabled')
    gone = np.array(flight.t)[np.isnan(flight.overlap)]
    for axis in column:
        axis.grid(alpha=0.3)
        if len(gone):
            axis.axvspan(gone[0], gone[-1], color=GREY, alpha=0.15)
    for axis in (direction, commands):
        axis.axhline(0, color=GREY, lw=0.8)
