# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The demo's figures and verdict, from recordings made by hand."""

from __future__ import annotations

import json

import numpy as np
import pytest

from lorat_ros.tools import demo_report
from lorat_ros.tools.demo_report import Limits, make_report, Span
from lorat_ros.tools.recording import FrameRecord, Recording, StatusRecord

STAMPS = [100 * index for index in range(20)]
TRUTH = np.tile((10.0, 10.0, 20.0, 20.0), (20, 1))
TRUTH[8:12] = np.nan
HIDDEN = np.arange(8, 12)
LIMITS = Limits(overlap=0.6, hidden=HIDDEN)


def run_of(skipped: tuple[int, ...] = (), lost: tuple[int, ...] = (8, 9, 10, 11),
           box: tuple[float, ...] = (10.0, 10.0, 20.0, 20.0)) -> Recording:
    """A recording of the 20 frames: some not processed, some without a box, in random order."""
    frames = [FrameRecord(stamp, None if index in lost else box, None if index in lost else 0.9)
              for index, stamp in enumerate(STAMPS) if index not in skipped]
    said = [StatusRecord(stamp + 50, 'lost' if index in lost else 'tracking')
            for index, stamp in enumerate(STAMPS)]
    np.random.default_rng(0).shuffle(frames)
    return Recording(frames, said)


def test_a_perfect_run() -> None:
    report = make_report(run_of(), STAMPS, TRUTH, LIMITS)
    assert report.failures == []
    assert (report.frames_in, report.processed, report.dropped) == (20, 20, 0)
    assert report.spans == [Span('tracking', 0, 7), Span('lost', 8, 11), Span('tracking', 12, 19)]
    assert report.losses == 1
    assert report.overlap == pytest.approx(1.0)
    assert report.overlap_frames == 15  # not the first, not the four hidden ones
    assert json.loads(json.dumps(report.to_json()))['passed'] is True


def test_frames_are_matched_by_stamp_not_by_order() -> None:
    """A tracker that missed the first half must not be judged by the boxes of other frames."""
    truth = np.array([(5.0 * index, 0.0, 20.0, 20.0) for index in range(20)])
    frames = [FrameRecord(stamp, tuple(truth[index]), 0.9)
              for index, stamp in enumerate(STAMPS) if index >= 10]
    report = make_report(Recording(frames), STAMPS, truth, Limits(share=0.5))
    assert report.overlap == pytest.approx(1.0)
    assert (report.processed, report.dropped) == (10, 10)


def test_too_few_frames() -> None:
    report = make_report(run_of(skipped=(1, 5, 17)), STAMPS, TRUTH, LIMITS)
    assert report.processed == 17
    assert len(report.failures) == 1
    assert '17 of 20 frames' in report.failures[0] and '--lock-step' in report.failures[0]
    assert make_report(run_of(skipped=(1, 5)), STAMPS, TRUTH, LIMITS).failures == []


def test_a_bad_overlap() -> None:
    aside = run_of(box=(20.0, 10.0, 20.0, 20.0))
    report = make_report(aside, STAMPS, TRUTH, LIMITS)
    assert report.overlap == pytest.approx(1 / 3)
    assert len(report.failures) == 1 and '0.333' in report.failures[0]
    assert make_report(aside, STAMPS, TRUTH, Limits()).failures == []


def test_a_visible_target_without_a_box_counts_as_a_miss() -> None:
    report = make_report(run_of(lost=(4, 5, 6, *HIDDEN)), STAMPS, TRUTH, LIMITS)
    assert report.overlap == pytest.approx(12 / 15)


@pytest.mark.parametrize(('lost', 'fails'), [((), True), ((13, 14), True), ((11,), False),
                                             ((7, 8), False)])
def test_the_occlusion_has_to_be_reported_while_it_lasts(lost: tuple[int, ...],
                                                         fails: bool) -> None:
    failures = make_report(run_of(lost=lost), STAMPS, TRUTH, LIMITS).failures
    assert len(failures) == fails
    assert not fails or 'frame 8 to 11' in failures[0]


def test_an_empty_answer_is_no_report_of_a_loss() -> None:
    """The boxes are gone while the target is hidden, but the status says tracking all along."""
    silent = run_of()
    silent.statuses = [StatusRecord(stamp + 50, 'tracking') for stamp in STAMPS]
    report = make_report(silent, STAMPS, TRUTH, LIMITS)
    assert report.losses == 0
    assert len(report.failures) == 1 and "no status 'lost'" in report.failures[0]
    assert [span.status for span in report.spans] == ['tracking', 'no box', 'tracking']


@pytest.mark.parametrize(('said', 'fails'), [
    ([(50, 'tracking'), (780, 'lost'), (1250, 'tracking')], False),  # said just before, and held
    ([(50, 'tracking'), (1199, 'lost'), (1250, 'tracking')], False),
    ([(50, 'tracking'), (1200, 'lost'), (1250, 'tracking')], True),  # of the frame after it
    ([(50, 'tracking'), (650, 'lost'), (750, 'tracking')], True),
    ([(50, 'tracking'), (850, 'coasting'), (1250, 'tracking')], True), ([], True)])
def test_when_the_loss_has_to_be_said(said: list[tuple[int, str]], fails: bool) -> None:
    run = run_of()
    run.statuses = [StatusRecord(*word) for word in said]
    assert len(make_report(run, STAMPS, TRUTH, LIMITS).failures) == fails


def test_a_clip_that_ends_hidden_or_before() -> None:
    until = make_report(run_of(), STAMPS[:10], TRUTH, LIMITS)
    assert until.failures == []
    before = make_report(run_of(), STAMPS[:6], TRUTH, LIMITS)
    assert len(before.failures) == 1 and "no status 'lost'" in before.failures[0]


def test_nothing_was_heard() -> None:
    report = make_report(Recording(), STAMPS, TRUTH, LIMITS)
    assert len(report.failures) == 3
    assert report.overlap is None
    assert 'nothing was heard' in demo_report.table(report)
    assert make_report(Recording(), [], None, Limits()).failures


@pytest.mark.parametrize('length', [0, 1, 7, 30])
def test_truth_of_another_length(length: int) -> None:
    truth = np.tile((10.0, 10.0, 20.0, 20.0), (length, 1))
    report = make_report(run_of(lost=()), STAMPS, truth, Limits())
    assert report.overlap_frames == max(0, min(length, 20) - 1)
    assert (report.overlap is None) == (length < 2)


def test_stage_times_are_read_from_diagnostics() -> None:
    diagnostics = {'tracker: engine': {'values': {
        'crop p50/p95 [ms]': '0.38 / 0.57', 'network p50/p95 [ms]': 'none yet', 'model': 'm'}},
        'tracker: image input': {'values': {'age p50/p95 [ms]': '2 / 3.5', 'dropped': '4'}}}
    assert demo_report.stage_times(diagnostics) == {
        'crop': {'p50': 0.38, 'p95': 0.57}, 'age': {'p50': 2.0, 'p95': 3.5}}
    report = make_report(Recording(diagnostics=diagnostics), STAMPS, None, Limits())
    assert report.engine == {'model': 'm'}


def test_the_table_says_it_all() -> None:
    text = demo_report.table(make_report(run_of(), STAMPS, TRUTH, LIMITS))
    for words in ('frames in        20', 'processed        20 (100%)', 'lost 8-11',
                  'mean overlap     1.000 over 15'):
        assert words in text
