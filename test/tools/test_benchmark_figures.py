# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The arithmetic of `lorat benchmark`: turns, ratios and their intervals, GFLOP/s, the table."""
from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lorat_ros.tools import benchmark_figures as figures

TIMES = st.lists(st.floats(0.1, 1e4), min_size=figures.FEWEST, max_size=40)


def test_turns_of_two_cancel_a_steady_drift() -> None:
    assert [figures.take_turns('ab', n) for n in range(4)] == [
        ['a', 'b'], ['b', 'a'], ['b', 'a'], ['a', 'b']]


@given(st.integers(1, 6), st.integers(0, 5))
def test_everybody_has_every_place_equally_often(engines: int, cycle: int) -> None:
    names = [f'engine {k}' for k in range(engines)]
    first = 2 * engines * cycle
    orders = [figures.take_turns(names, n) for n in range(first, first + 2 * engines)]
    assert all(sorted(order) == names for order in orders)
    for place in zip(*orders):
        assert set(Counter(place).values()) == {2}


def test_gflops_of_a_known_product() -> None:
    assert figures.gflops(1024 ** 3, 10) == pytest.approx(214.7483648)


def test_interval_of_equal_values_has_no_width() -> None:
    assert figures.interval_of_median([2.0] * 9) == (2.0, 2.0)


def test_too_few_values_have_no_interval() -> None:
    assert figures.interval_of_median([1.0] * (figures.FEWEST - 1)) is None
    assert figures.interval_of_median([1.0] * figures.FEWEST) is not None


@given(TIMES)
def test_interval_holds_the_median_and_stays_within_the_values(values: list[float]) -> None:
    low, high = figures.interval_of_median(values)
    assert min(values) <= low <= high <= max(values)
    slack = 1e-9 * max(values)      # medians of an even number are means of two
    assert low - slack <= np.median(values) <= high + slack


def test_interval_covers_the_true_median_about_as_often_as_it_says() -> None:
    rng = np.random.default_rng(3)
    drawn = rng.normal(2.0, 0.1, (200, 30))
    intervals = [figures.interval_of_median(values) for values in drawn]
    covered = np.mean([low <= 2.0 <= high for low, high in intervals])
    assert 0.9 <= covered <= 0.99      # seeded: the same every time


def test_a_ratio_is_taken_round_by_round() -> None:
    # A disturbance that slows whole rounds, however much, leaves the ratio alone.
    slow = np.array([1, 5, 1, 30, 1, 2, 1.0])
    ratio, = figures.compare({'torch': 20 * slow, 'onnx': 8 * slow}, 'torch')
    assert (ratio.name, ratio.reference) == ('onnx', 'torch')
    assert (ratio.times, ratio.low, ratio.high) == pytest.approx((2.5, 2.5, 2.5))


@given(st.lists(st.tuples(st.floats(0.1, 1e4), st.floats(0.1, 1e4)), min_size=1, max_size=15)
       .filter(lambda pairs: len(pairs) % 2))
def test_the_other_way_round_is_the_reciprocal(pairs: list[tuple[float, float]]) -> None:
    rounds = dict(zip('ab', zip(*pairs)))
    (there,), (back,) = figures.compare(rounds, 'a'), figures.compare(rounds, 'b')
    assert there.times * back.times == pytest.approx(1)


def test_summary_of_known_samples() -> None:
    samples = {column: np.array([[1.0, 2.0, 3.0], [3.0, 4.0, 5.0]]) for column in figures.STAGES}
    samples['work'] = np.full((2, 3), 4.0)
    found = figures.summarise(samples, macs=400_000_000, peak=250)
    assert found['gflops'] == pytest.approx(200) and found['share_of_peak'] == pytest.approx(0.8)
    assert found['stages_ms']['crop'] == {'p50': 3.0, 'p95': pytest.approx(4.75)}
    assert found['rounds_ms']['crop'] == [2.0, 4.0]
    row = dict(zip(figures.HEADINGS, figures.row_of('onnx', found)))
    assert row == {'engine': 'onnx', **dict.fromkeys(figures.STAGES, '3.00 / 4.75'),
                   'work': '4.00', 'GFLOP/s': '200.0', 'of peak': '80 %', 'of roofline': '-'}


def test_unknown_macs_are_not_made_up() -> None:
    samples = {column: np.ones((1, 1)) for column in (*figures.STAGES, 'work')}
    found = figures.summarise(samples, macs=None, peak=250)
    assert found['gflops'] is None and found['share_of_peak'] is None
    assert figures.row_of('onnx', found)[-2:] == ['-', '-']


def test_prose_of_a_ratio() -> None:
    sure = figures.Ratio('onnx', 'torch', 2.071, 2.052, 2.094)
    assert figures.say_ratio(sure) == ('onnx is 2.07 times as fast as torch '
                                       '(95 % sure: 2.05 to 2.09)')
    unsure = figures.say_ratio(figures.Ratio('onnx', 'torch', 2.0, None, None))
    assert 'no interval' in unsure


def test_columns_stand_under_their_headings() -> None:
    lines = figures.table([('engine', 'ms'), ('onnx', '1.00'), ('torch', '10.00')]).splitlines()
    assert lines == ['engine     ms', 'onnx     1.00', 'torch   10.00']
