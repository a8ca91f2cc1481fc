# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""From the tracker's words to a ground station's status, moment by moment."""
from __future__ import annotations

import pytest
from lorat_ros.mavlink.dialect import Result, Tracking
from lorat_ros.mavlink.reporting import ANSWER, Answers, Report, TrackerView
from lorat_ros.mavlink.targets import (CommandError, pixel_box, Point, point_of, Rectangle,
                                       rectangle_of, shares_of)

WH = (200, 100)
BOX = (20.0, 10.0, 40.0, 20.0)
SHARES = Rectangle(0.1, 0.1, 0.3, 0.3)


def view(state: str, fault: str = '', at: float = 0.0) -> TrackerView:
    view = TrackerView(stale=0.5)
    view.status(state, fault, at)
    return view


def test_a_tracker_that_was_never_heard_is_an_error() -> None:
    assert TrackerView().report(0.0) == Report(Tracking.ERROR)


@pytest.mark.parametrize(('state', 'kind'), [
    ('idle', Tracking.IDLE), ('lost', Tracking.ERROR), ('building_engine', Tracking.ERROR),
    ('', Tracking.ERROR), ('something new', Tracking.ERROR)])
def test_states_without_a_box(state: str, kind: Tracking) -> None:
    tracker = view(state)
    tracker.measured(BOX, WH, 1.0)  # belated: the target has been forgotten meanwhile
    assert tracker.report(1.0) == Report(kind)


def test_a_measured_box_is_active_until_it_is_stale() -> None:
    tracker = view('tracking')
    tracker.measured(BOX, WH, 1.0)
    assert tracker.report(1.5) == Report(Tracking.ACTIVE, SHARES)
    assert tracker.report(1.6) == Report(Tracking.ERROR)
    tracker.measured(BOX, WH, 1.7)
    assert tracker.report(1.7).kind is Tracking.ACTIVE
    tracker.measured(None, WH, 1.8)
    assert tracker.report(1.8) == Report(Tracking.ERROR)


def test_a_prediction_is_coasting_and_never_active() -> None:
    tracker = view('coasting')
    tracker.measured(BOX, WH, 1.0)
    assert tracker.report(1.0) == Report(Tracking.ERROR)
    tracker.predicted(BOX, WH, 1.0)
    assert tracker.report(1.0) == Report(Tracking.COASTING, SHARES)
    assert tracker.report(1.6) == Report(Tracking.ERROR)
    tracker.status('tracking', '', 2.0)
    tracker.predicted(BOX, WH, 2.5)
    assert tracker.report(2.5) == Report(Tracking.ERROR)


def test_status_and_boxes_may_come_in_either_order() -> None:
    tracker = view('idle')
    assert tracker.report(0.0) == Report(Tracking.IDLE)
    tracker.status('tracking', '', 1.0)
    assert tracker.report(1.1) == Report(Tracking.IDLE)  # the box is still on its way
    tracker.measured(BOX, WH, 1.15)
    assert tracker.report(1.15) == Report(Tracking.ACTIVE, SHARES)
    tracker.status('idle', '', 1.2)
    assert tracker.report(1.2) == Report(Tracking.IDLE)


def test_silence_and_faults_are_errors_whatever_was_said_before() -> None:
    assert view('idle', at=0.0).report(3.1) == Report(Tracking.ERROR)
    assert view('idle', 'cannot configure').report(0.0) == Report(Tracking.ERROR)


def test_without_the_size_of_the_image_there_is_no_box() -> None:
    tracker = view('tracking')
    tracker.measured(BOX, None, 1.0)
    assert tracker.report(1.0) == Report(Tracking.ERROR)


def test_what_juts_out_of_the_image_is_cut_off() -> None:
    assert shares_of((-20.0, 90.0, 40.0, 20.0), WH) == Rectangle(0.0, 0.9, 0.1, 1.0)


@pytest.mark.parametrize(('target', 'box'), [
    (Rectangle(0.1, 0.1, 0.3, 0.3), BOX),
    (Point(0.5, 0.5, 0.1), (80.0, 30.0, 40.0, 40.0)),
    (Point(0.5, 0.5, 0.0), (68.0, 18.0, 64.0, 64.0)),
])
def test_targets_in_pixels(target: Rectangle | Point, box: tuple) -> None:
    assert pixel_box(target, WH, 64.0) == pytest.approx(box)


def test_what_is_too_small_is_denied() -> None:
    with pytest.raises(CommandError, match='of 0.80 x 10.00 pixels is too') as caught:
        pixel_box(Rectangle(0.5, 0.5, 0.504, 0.6), WH, 64.0)
    assert caught.value.result is Result.DENIED


def test_rounding_on_the_way_is_forgiven() -> None:
    assert rectangle_of((0.5, 0.0, 1.0000001, 1.0)) == Rectangle(0.5, 0.0, 1.0, 1.0)
    assert point_of((0.0, 1.0, float('nan'))) == Point(0.0, 1.0, 0.0)


REFUSED, ACCEPTED, WAITING = 'refused: it hides', 'accepted: box', 'waiting for a frame: box'


def test_a_refusal_is_told_once_however_late_it_comes() -> None:
    answers = Answers()
    assert not answers.refuses('refused: before we asked for anything', 0.0)
    answers.asked(1.0)
    assert not answers.refuses(WAITING, 1.1)
    assert answers.refuses(REFUSED, 1.1 + 10 * ANSWER)
    assert not answers.refuses(REFUSED, 1.2 + 10 * ANSWER)
    assert not answers.refuses(WAITING, 2.0 + 10 * ANSWER)  # that of somebody else
    assert not answers.refuses(REFUSED, 2.1 + 10 * ANSWER)


def test_once_our_box_is_accepted_refusals_are_for_others() -> None:
    answers = Answers()
    answers.asked(1.0)
    assert not answers.refuses(ACCEPTED, 1.1)  # perhaps an earlier one of ours
    assert answers.refuses(REFUSED, 1.2)
    assert not answers.refuses(ACCEPTED, 1.3)
    assert not answers.refuses('refused: another', 1.3 + ANSWER)
