# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Cells in plain numbers against NumPy over all of them."""
from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, strategies as st

from lorat_ros.tracking.cells import Cells, overlap_around, peaks_of, Ranking, shape_change, span

SIDE, SIZE = 7, 112
seeds = st.integers(0, 2 ** 32 - 1)


def answers(seed: int, sureness: float = 3.0) -> tuple[np.ndarray, np.ndarray]:
    """Logits (G, G) and boxes (4, G, G) as no network would make them."""
    rng = np.random.default_rng(seed)
    corner, sides = rng.uniform(-0.3, 1, (2, SIDE, SIDE)), rng.uniform(-0.1, 0.7, (2, SIDE, SIDE))
    boxes = np.concatenate([corner, corner + sides]).astype(np.float32)
    return rng.normal(-3, sureness, (SIDE, SIDE)).astype(np.float32), boxes


def test_shape_change_is_one_only_for_the_same_shape():
    assert shape_change((30, 20), (30, 20)) == pytest.approx(1)
    assert shape_change((60, 40), (30, 20)) == pytest.approx(2)
    assert shape_change((20, 30), (30, 20)) == pytest.approx(2.25)


@given(seeds)
def test_scores_and_boxes_are_those_of_the_cells(seed):
    logits, boxes = answers(seed)
    cells = Cells(logits, boxes, SIZE)
    assert cells.are_finite
    assert cells.scores == pytest.approx((1 / (1 + np.exp(-logits))).ravel(), rel=1e-6)
    assert cells.best == int(logits.argmax())
    for cell in (0, 17, SIDE * SIDE - 1):
        x1, y1, x2, y2 = SIZE * boxes[:, cell // SIDE, cell % SIDE].astype(np.float64)
        assert cells.corners(cell) == pytest.approx((x1, y1, x2, y2))
        assert cells.box(cell) == pytest.approx((x1, y1, max(x2 - x1, 1e-3), max(y2 - y1, 1e-3)))


@pytest.mark.parametrize('bad', [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize('what', [0, 1])
def test_what_is_no_number_is_noticed(bad, what):
    both = answers(0)
    both[what][..., 3, 2] = bad
    assert not Cells(*both, SIZE).are_finite


def test_a_logit_beyond_all_bounds_is_a_score():
    logits, boxes = answers(0)
    logits[0] = (-3e38, -1e4, -61, 61, 1e4, 3e38, 0)
    scores = Cells(logits, boxes, SIZE).scores
    assert scores[:7] == pytest.approx([0, 0, 0, 1, 1, 1, 0.5])


@given(seeds, st.sampled_from((0.1, 3.0)), st.sampled_from((0.0, 0.1, 1.0)),
       st.sampled_from((0.0, 0.1, 0.45, 0.9)))
def test_the_best_of_a_ranking_is_the_best_of_all_cells(seed, sureness, penalty, weight):
    logits, boxes = answers(seed, sureness)
    hann = np.hanning(SIDE + 2)[1:-1]
    window = np.outer(hann, hann).ravel()
    cells, last = Cells(logits, boxes, SIZE), (30.0, 20.0)
    ranking = Ranking(cells, last, penalty, window.tolist(), weight)
    change = np.array([shape_change(cells.box(cell)[2:], last) for cell in range(SIDE ** 2)])
    fit = np.array(cells.scores) * np.exp(-penalty * (change - 1))
    rank = (1 - weight) * fit + weight * window * fit.max()
    assert [ranking.of(cell) for cell in range(SIDE ** 2)] == pytest.approx(rank, rel=1e-9)
    assert rank[ranking.best] == pytest.approx(rank.max(), rel=1e-9)


@given(seeds)
def test_peaks_are_the_highest_around_and_come_in_order(seed):
    score = np.random.default_rng(seed).random((SIDE, SIDE))
    peaks = peaks_of(score.ravel().tolist(), SIDE, 0.3)
    padded = np.pad(score, 1)
    highest = np.lib.stride_tricks.sliding_window_view(padded, (3, 3)).max((2, 3))
    assert sorted(peaks) == np.flatnonzero((score == highest) & (score >= 0.3)).tolist()
    found = score.ravel()[peaks].tolist()
    assert found == sorted(found, reverse=True)


def test_nothing_high_enough_is_no_peak():
    assert peaks_of([0.1] * 25, 5, 0.3) == []


@given(st.floats(-15, 15), st.floats(0.01, 15))
def test_a_span_is_what_lies_in_the_grid(start, length):
    covered = span(start, length, SIDE)
    assert all(0 <= cell < SIDE and 0 <= share <= 1 for cell, share in covered)
    inside = max(min(start + length, SIDE) - max(start, 0), 0)
    assert sum(share for _, share in covered) == pytest.approx(inside, abs=1e-9)


@given(seeds, st.floats(-0.2, 1.2), st.floats(-0.2, 1.2))
def test_overlap_is_the_mean_over_the_cells_around(seed, x, y):
    boxes, (w, h) = answers(seed)[1], (0.3, 0.2)
    found = overlap_around(boxes, (x, y, w, h), 2.0)
    ious = []
    for row, column in np.ndindex(SIDE, SIDE):
        centre = (x + w / 2) * SIDE, (y + h / 2) * SIDE
        if np.hypot(column + 0.5 - centre[0], row + 0.5 - centre[1]) < 2:
            x1, y1, x2, y2 = boxes[:, row, column].astype(np.float64)
            shared = max(min(x2, x + w) - max(x1, x), 0) * max(min(y2, y + h) - max(y1, y), 0)
            ious.append(shared / max((x2 - x1) * (y2 - y1) + w * h - shared, 1e-9))
    assert found == pytest.approx(np.mean(ious) if ious else 0.0, rel=1e-9)
