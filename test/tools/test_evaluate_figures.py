# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The figures, against known cases, a slow second implementation and GOT-10k's own toolkit."""
from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from lorat_ros.tools.evaluate_figures import (curves_of, Figures, figures_of, judge, mean_curves,
                                              mean_figures, pooled, roc_area, score_area, Times)

BOX = np.array([10.0, 10.0, 20.0, 20.0])
NAN = float('nan')


def rows(boxes, scores=None) -> np.ndarray:
    """Boxes (n, 4) and scores (n,) as a tracker's answer."""
    return np.c_[boxes, np.full(len(boxes), NAN) if scores is None else scores]


def figures(found, truth, times=None, absent='skip') -> Figures:
    return figures_of(judge(found, truth, absent), times or Times())


def test_a_perfect_run():
    truth = np.tile(BOX, (5, 1))
    found = figures(rows(truth), truth, Times((1.0, 2.0, 9.0), (1.0, 1.5, 8.0)))
    assert pytest.approx(100 * 20 / 21) == found.AUC
    assert (found.P20, found.NP, found.NPauc) == (100, 100, 100)
    assert (found.AO, found.SR50, found.SR75, found.lost, found.fail) == (100, 100, 100, 0, 0)
    assert (found.frames, found.ms, found.cpu_ms) == (5, 2.0, 1.5)
    assert found.ms_p95 == pytest.approx(8.3) and math.isnan(found.ROC)


def test_the_given_frame_counts_for_success_but_not_for_overlap():
    truth = np.tile(BOX, (4, 1))
    lost = truth + (500, 0, 0, 0)
    lost[0] = BOX
    found = figures(rows(lost), truth)
    assert pytest.approx(100 * 20 / 21 / 4) == found.AUC
    assert (found.P20, found.AO, found.lost, found.fail) == (25, 0, 100, 1)


def test_frames_without_target_are_skipped_or_missed():
    truth = np.tile(BOX, (4, 1))
    truth[2] = np.nan
    found = rows(np.tile(BOX, (4, 1)))
    found[2, :4] = (300, 300, 5, 5)
    skipped, missed = (figures(found, truth, absent=way) for way in ('skip', 'miss'))
    assert (skipped.AO, skipped.P20, skipped.NP) == (100, 100, 100)
    assert (missed.AO, missed.P20, missed.NP) == (100, 75, 75)
    assert pytest.approx(0.75 * skipped.AUC) == missed.AUC


def test_a_reported_loss_and_a_short_answer_are_misses():
    truth = np.tile(BOX, (8, 1))
    reported = rows(truth)
    reported[4:, :4] = NAN
    assert str(figures(reported, truth)) == str(figures(rows(truth)[:4], truth))
    assert pytest.approx(100 * 3 / 7) == figures(reported, truth).SR50


def test_precision_includes_its_threshold_and_success_does_not():
    truth = np.array([BOX, BOX, BOX])
    apart = rows(truth + [(0, 0, 0, 0), (20, 0, 0, 0), (4, 0, 0, 0)])
    assert figures(apart, truth).P20 == 100
    assert pytest.approx(200 / 3) == figures(apart, truth).NP       # 4 of 20 pixels: at most 0.2
    half = rows(np.array([BOX, BOX + (0, 0, 0, 20)]))               # overlap exactly a half
    assert figures(half, truth[:2]).SR50 == 0


def test_the_score_is_judged_where_overlap_is_clear():
    truth = np.tile(BOX, (5, 1))
    found = rows(truth, [NAN, 0.9, 0.2, 0.1, 0.95])
    found[2, 0] = found[3, 0] = 500       # lost, and known by the score
    found[4, 0] += 12                     # overlap 0.25: neither
    assert score_area([judge(found, truth)]) == 1
    found[3, 4] = 0.99
    assert score_area([judge(found, truth)]) == 0.5
    found[4] = (28, 10, 20, 20, 0.05)     # overlap 0.05: still neither
    assert score_area([judge(found, truth)]) == 0.5


def test_the_first_frame_counts_even_without_truth():
    truth = np.tile(BOX, (4, 1))
    truth[0] = np.nan
    assert figures(rows(np.tile(BOX, (4, 1))), truth).P20 == 75


def test_roc_area_of_known_scores():
    good = np.array([True, True, False, False])
    assert roc_area(np.array([0.9, 0.8, 0.2, 0.1]), good) == 1
    assert roc_area(np.array([0.1, 0.2, 0.8, 0.9]), good) == 0
    assert roc_area(np.array([0.5, 0.5, 0.5, 0.5]), good) == 0.5
    assert np.isnan(roc_area(np.array([0.5]), np.array([True])))


def test_means_are_over_sequences_and_pools_over_frames():
    short, long = np.tile(BOX, (2, 1)), np.tile(BOX, (5, 1))
    away = long + (500, 0, 0, 0)
    judged = [judge(rows(short), short), judge(rows(away), long)]
    times = [Times((1.0,), (1.0,)), Times((5.0, 5.0), (4.0, 4.0))]
    mean = mean_figures([figures_of(j, t) for j, t in zip(judged, times)], judged, times)
    assert (mean.frames, mean.AO, mean.fail, mean.ms, mean.cpu_ms) == (7, 50, 1, 5, 4)
    assert pooled(judged)['AO'] == 20
    curve = mean_curves([curves_of(j) for j in judged])
    assert 100 * curve.success.mean() == pytest.approx(mean.AUC)
    assert 100 * curve.precision[20] == mean.P20


def test_figures_that_do_not_exist_are_left_out_of_the_mean():
    one = np.tile(BOX, (1, 1))
    more = np.tile(BOX, (3, 1))
    judged = [judge(rows(one), one), judge(rows(more), more)]
    found = [figures_of(j, Times()) for j in judged]
    assert math.isnan(found[0].AO)
    assert mean_figures(found, judged, [Times()] * 2).AO == 100


def slowly(found, truth) -> dict[str, float]:
    """The definitions once more, frame by frame and with whole numbers of thresholds."""
    overlaps, errors, relatives, answers = [], [], [], []
    for index, (x, y, w, h) in enumerate(truth):
        if index and math.isnan(x):
            continue
        fx, fy, fw, fh, score = found[index] if index < len(found) else [NAN] * 5
        overlap, error, relative = 0.0, math.inf, math.inf
        if not math.isnan(fx):
            across = max(0.0, min(x + w, fx + fw) - max(x, fx))
            down = max(0.0, min(y + h, fy + fh) - max(y, fy))
            overlap = across * down / (w * h + fw * fh - across * down)
            dx, dy = fx + fw / 2 - x - w / 2, fy + fh / 2 - y - h / 2
            error = math.sqrt(dx ** 2 + dy ** 2)
            relative = math.sqrt((dx / w) ** 2 + (dy / h) ** 2)
        overlaps.append(overlap)
        errors.append(error)
        relatives.append(relative)
        if index and not math.isnan(score):
            answers.append((score, overlap))
    after = overlaps[1:]
    good = [s for s, o in answers if o > 0.5]
    bad = [s for s, o in answers if o == 0]
    wins = sum((g > b) + (g == b) / 2 for g in good for b in bad)
    tail = after[-max(5, len(after) // 10):]
    return {
        'AUC': 100 * sum(o > t / 20 for o in overlaps for t in range(21)) / 21 / len(overlaps),
        'P20': 100 * sum(e <= 20 for e in errors) / len(errors),
        'NP': 100 * sum(r <= 0.2 for r in relatives) / len(relatives),
        'NPauc': 100 * sum(r <= t / 100 for r in relatives for t in range(51))
        / 51 / len(relatives),
        'AO': 100 * sum(after) / len(after) if after else NAN,
        'SR50': 100 * sum(o > 0.5 for o in after) / len(after) if after else NAN,
        'SR75': 100 * sum(o > 0.75 for o in after) / len(after) if after else NAN,
        'lost': 100 * sum(o == 0 for o in after) / len(after) if after else NAN,
        'ROC': 100 * wins / len(good) / len(bad) if good and bad else NAN,
        'fail': int(bool(after) and not any(tail)),
    }


@st.composite
def sequences(draw, holes: bool = True):
    """Boxes near the truth, at odd fractions so that no threshold is met exactly."""
    length = draw(st.integers(1, 40))
    number = st.floats(0, 1, width=32)
    truth = draw(arrays(np.float64, (length, 4), elements=number)) * (200, 150, 90, 70)
    truth = np.round(truth) + (0.137, 0.411, 5.713, 7.239)
    noise = draw(arrays(np.float64, (length, 4), elements=st.floats(-1, 1, width=32)))
    spread = draw(st.sampled_from([0.05, 0.3, 2.0]))
    boxes = truth + noise * spread * truth[:, [2, 3, 2, 3]]
    boxes[:, 2:] = np.abs(boxes[:, 2:]) + 1.017
    scores = draw(arrays(np.float64, length, elements=st.sampled_from([0.1, 0.5, 0.7, 0.9])))
    found = rows(boxes, scores)
    if holes:
        truth[1:][draw(arrays(bool, length - 1))] = np.nan
        found[1:][draw(arrays(bool, length - 1, elements=st.sampled_from([True] + [False] * 5)))
                  ] = np.nan
        found = found[:draw(st.integers(1, length))]
    return found, truth


@settings(max_examples=150, deadline=None)
@given(sequences())
def test_agreement_with_the_slow_way(sequence):
    found, truth = sequence
    fast = figures(found, truth)
    for name, value in slowly(found, truth).items():
        assert getattr(fast, name) == pytest.approx(value, abs=1e-9, nan_ok=True), name


@settings(max_examples=100, deadline=None)
@given(sequences(holes=False))
def test_agreement_with_got10k_toolkit_on_otb(sequence):
    toolkit = pytest.importorskip('got10k.experiments',
                                  reason='the got10k toolkit is not installed: make env')
    found, truth = sequence
    experiment = object.__new__(toolkit.ExperimentOTB)      # its constructor wants the data set
    experiment.nbins_iou, experiment.nbins_ce = 21, 51
    success, precision = experiment._calc_curves(*experiment._calc_metrics(found[:, :4], truth))
    ours = curves_of(judge(found, truth))
    # Its thresholds are linspace(0, 1, 21): the same up to the last bit of a few.
    np.testing.assert_allclose(ours.success, success, rtol=0, atol=1e-12)
    np.testing.assert_allclose(ours.precision, precision, rtol=0, atol=1e-12)
    assert pytest.approx(100 * success.mean(), abs=1e-9) == figures(found, truth).AUC


@settings(max_examples=100, deadline=None)
@given(sequences(holes=False), st.integers(0, 2 ** 32 - 1))
def test_agreement_with_got10k_toolkit_on_got10k(sequence, seed):
    toolkit = pytest.importorskip('got10k.experiments',
                                  reason='the got10k toolkit is not installed: make env')
    from got10k.utils.metrics import rect_iou
    found, truth = sequence
    cover = np.random.default_rng(seed).integers(0, 3, len(truth))
    cover[0] = 8
    if not (cover[1:] > 0).any():
        return
    experiment = object.__new__(toolkit.ExperimentGOT10k)
    overlap = rect_iou(found[1:, :4].copy(), truth[1:].copy())[cover[1:] > 0]
    ao, sr, _, _ = experiment._evaluate(overlap, np.ones(3))
    truth[cover == 0] = np.nan
    ours = figures(found, truth)
    assert pytest.approx(100 * ao, abs=1e-9) == ours.AO
    assert pytest.approx(100 * sr, abs=1e-9) == ours.SR50
