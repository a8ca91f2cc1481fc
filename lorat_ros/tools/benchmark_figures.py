# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The arithmetic of ``lorat benchmark``: turns, percentiles, ratios, GFLOP/s and the table."""
from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np

from lorat_ros.tools.benchmark_roofline import Bound

Name = TypeVar('Name')

STAGES = ('crop', 'network', 'decode', 'total')
FEWEST = 5              # rounds below which an interval would be pretended
RESAMPLES = 5000
CONFIDENCE = 95         # percent
HEADINGS = ('engine', *STAGES, 'work', 'GFLOP/s', 'of peak', 'of roofline')


@dataclass(frozen=True)
class Ratio:
    """How many times as fast one contender is as another; ``low`` and ``high`` None: unknown."""

    name: str
    reference: str
    times: float              # median over rounds
    low: float | None         # 95 % confidence interval of that median
    high: float | None


def take_turns(names: Sequence[Name], number: int) -> list[Name]:
    """
    Order of the names in a round: over 2 n rounds each has each place twice.

    The next cycle goes the other way round, so that a machine that slowly becomes hotter or
    busier does so for all alike: a b, b a, b a, a b.
    """
    start = number % len(names)
    order = [*names[start:], *names[:start]]
    return order[::-1] if (number // len(names)) % 2 else order


def percentiles(values: np.ndarray) -> dict[str, float]:
    """Median and 95th percentile."""
    p50, p95 = np.percentile(values, (50, 95))
    return {'p50': float(p50), 'p95': float(p95)}


def gflops(macs: float, ms: float) -> float:
    """10^9 floating-point operations a second, two for each of ``macs`` done in ``ms``."""
    return 2 * macs / (ms * 1e6)


def interval_of_median(measured: Sequence[float] | np.ndarray, seed: int = 0
                       ) -> tuple[float, float] | None:
    """
    Confidence interval of the median, by resampling the values (percentile bootstrap).

    :returns: low and high at ``CONFIDENCE`` percent; None below ``FEWEST`` values.
    """
    values = np.asarray(measured, np.float64)
    if len(values) < FEWEST:
        return None
    drawn = np.random.default_rng(seed).integers(0, len(values), (RESAMPLES, len(values)))
    outside = (100 - CONFIDENCE) / 2
    low, high = np.percentile(np.median(values[drawn], 1), (outside, 100 - outside))
    return float(low), float(high)


def compare(rounds: Mapping[str, Sequence[float]], reference: str) -> list[Ratio]:
    """
    Compare every contender with one of them, round by round.

    What slows a whole round (another process, a lower clock) slows both sides of its ratio.

    :param rounds: name to what it took, one value a round.
    """
    ratios = []
    for name, took in rounds.items():
        if name != reference:
            times = np.asarray(rounds[reference], np.float64) / np.asarray(took, np.float64)
            low, high = interval_of_median(times) or (None, None)
            ratios.append(Ratio(name, reference, float(np.median(times)), low, high))
    return ratios


def summarise(samples: Mapping[str, np.ndarray], macs: int | None, peak: float | None,
              bound: Bound | None = None
              ) -> dict[str, Any]:
    """
    Figures of one model under one engine.

    :param samples: each of ``STAGES`` (wall clock), and 'work' (the network by the clock of
        ``benchmark_clock.work_clock``), to milliseconds of shape (rounds, frames).
    :param macs: multiply-adds of the network a frame; None: not known.
    :param peak: GFLOP/s of the fastest matrix product on its device; None: not measured.
    :param bound: the least that a frame can take by the roofline; None: not known.
    """
    work = percentiles(samples['work'])
    rate = gflops(macs, work['p50']) if macs else None
    return {'stages_ms': {stage: percentiles(samples[stage]) for stage in STAGES},
            'work_ms': work, 'gflops': rate,
            'share_of_peak': rate / peak if rate and peak else None,
            'fps': 1e3 / float(np.median(samples['total'])),
            'share_of_roofline': bound.ms / work['p50'] if bound else None,
            'bound_ms': bound.ms if bound else None, 'bound_by': bound.by if bound else None,
            'rounds_ms': {column: np.median(took, 1).tolist()
                          for column, took in samples.items()}}


def say_ratio(ratio: Ratio) -> str:
    """One line of prose."""
    sure = ('no interval from so few rounds' if ratio.low is None
            else f'{CONFIDENCE} % sure: {ratio.low:.2f} to {ratio.high:.2f}')
    return f'{ratio.name} is {ratio.times:.2f} times as fast as {ratio.reference} ({sure})'


def row_of(engine: str, figures: Mapping[str, Any]) -> list[str]:
    """Cells of one engine, in the order of ``HEADINGS``."""
    rate, share = figures['gflops'], figures['share_of_peak']
    roofline = figures['share_of_roofline']
    return [engine, *(f'{at["p50"]:.2f} / {at["p95"]:.2f}'
                      for at in (figures['stages_ms'][stage] for stage in STAGES)),
            f'{figures["work_ms"]["p50"]:.2f}',
            f'{rate:.1f}' if rate else '-', f'{100 * share:.0f} %' if share else '-',
            f'{100 * roofline:.0f} % ({figures["bound_by"]})' if roofline else '-']


def table(lines: Sequence[Sequence[str]]) -> str:
    """Lines of cells as text: the first column flush left, the others right."""
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    return '\n'.join('  '.join([line[0].ljust(widths[0]),
                                *(cell.rjust(width) for cell, width in zip(line[1:], widths[1:]))])
                     for line in lines)
