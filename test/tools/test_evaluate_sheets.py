# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Which moments the sheets of `lorat evaluate` show, and what is on them."""
from __future__ import annotations

import cv2
import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from support.sequences import write_sequence

from lorat_ros.overlay import SHEET_BACKGROUND, STATUS_STYLES, TRUTH_COLOUR
from lorat_ros.tools.evaluate_figures import judge, Judged
from lorat_ros.tools.evaluate_run import Entry, Run
from lorat_ros.tools.evaluate_sheets import believed, moments, window, worst, write_sheet
from lorat_ros.tools.sequences import load_clip, Source

NAN = float('nan')


def judged(overlap, absent=()) -> Judged:
    """A sequence of these overlaps."""
    overlap = np.array(overlap, np.float64)
    after = np.ones(len(overlap), bool)
    after[[0, *absent]] = False
    return Judged(overlap, overlap, overlap, after, after, overlap)


def test_worst_first():
    assert worst([('a', 70.0), ('b', 10.0), ('c', 40.0)], 2) == ['b', 'c']


def test_the_way_into_a_loss():
    overlap = [0.9] * 10 + [0.6, 0.4] + [0.0] * 29 + [0.7] * 5
    found = moments(judged(overlap))
    assert found[:2] == [10, 12]               # last good one, then the first without overlap
    assert found[-1] == 40 and len(found) == 8


def test_two_losses_share_the_sheet_unless_one_is_a_trifle():
    two = [0.9] * 5 + [0.0] * 10 + [0.9] * 5 + [0.1] * 8 + [0.9]
    found = moments(judged(two))
    assert found[:2] == [4, 5] and {14, 19, 20, 27} <= set(found) and len(found) == 8
    trifle = [0.9] * 5 + [0.0] + [0.9] * 8 + [0.1] * 8 + [0.9]
    assert 5 not in moments(judged(trifle))


def test_after_a_short_loss_it_shows_how_it_went_on():
    assert moments(judged([0.9] * 5 + [0.0] * 2 + [0.9] * 9)) == [4, 5, 6, 7, 8, 9, 10, 11]
    assert moments(judged([0.9] * 5 + [0.0] * 2)) == [4, 5, 6]


def test_never_bad_shows_the_lowest_of_each_part():
    overlap = np.full(81, 0.9)
    overlap[[7, 33, 78]] = 0.5, 0.4, 0.6
    found = moments(judged(overlap))
    assert {7, 33, 78} <= set(found) and len(found) == 8


def test_never_seen_again_shows_the_given_frame():
    assert moments(judged([0.9, 0.0, 0.0], absent=(1, 2))) == [0]


@given(st.lists(st.sampled_from([0.0, 0.1, 0.3, 0.8]), min_size=2, max_size=40), st.data())
def test_moments_are_some_frames_in_order(overlap, data):
    absent = data.draw(st.sets(st.integers(1, len(overlap) - 1), max_size=len(overlap) - 2))
    found = moments(judged(overlap, tuple(absent)))
    assert found == sorted(set(found)) and 1 <= len(found) <= 8
    assert not absent & set(found) and found[0] >= 0 and found[-1] < len(overlap)


boxes = st.tuples(*[st.floats(-300, 900)] * 2, *[st.floats(1, 500)] * 2)


@given(boxes, boxes, st.tuples(st.integers(8, 800), st.integers(8, 600)))
def test_the_window_is_within_the_image_and_holds_what_is_there(one, two, size_wh):
    x, y, w, h = window((one, two), size_wh)
    assert 0 <= x < x + w <= size_wh[0] and 0 <= y < y + h <= size_wh[1]
    for bx, by, bw, bh in (one, two):
        for at, side, low, high, most in ((bx, bw, x, x + w, size_wh[0]),
                                          (by, bh, y, y + h, size_wh[1])):
            if at + side > 0 and at < most:    # what is seen of it lies in the window
                assert low <= max(at, 0) + 1.5 and min(at + side, most) - 1.5 <= high


def test_without_a_box_the_window_is_the_image():
    assert window(((NAN,) * 4,), (64, 48)) == (0, 0, 64, 48)


def test_status_is_that_of_the_node():
    rows = np.full((6, 5), 10.0)
    rows[:, 4] = NAN, 0.9, 0.1, 0.3, 0.5, NAN
    assert believed(rows, 0.2, 0.4) == ['tracking', 'tracking', 'lost', 'lost', 'lost',
                                        'tracking']
    rows[5, :4] = NAN
    assert believed(rows, 0.2, 0.4)[5] == 'lost'


def near(image, colour) -> int:
    """How many pixels have about this colour."""
    return int((np.abs(image.astype(int) - colour).max(2) < 40).sum())


def test_a_sheet_shows_truth_and_what_was_found(tmp_path):
    folder = write_sequence(tmp_path / 'disc')
    clip = load_clip(Source('disc', folder / 'img', folder / 'groundtruth.txt'))
    rows = np.c_[clip.truth, np.full(6, 0.9)]
    rows[3:, 0] += 60
    rows[4:, 4] = 0.0
    entry = Entry('owl', {}, {'disc': Run(rows)}, (), 0.2, 0.4)
    write_sheet(tmp_path / 'sheet.jpg', clip, entry, judge(rows, clip.truth))
    sheet = cv2.imread(str(tmp_path / 'sheet.jpg'))
    assert sheet.shape[1] == 1760 and near(sheet[:4, :4], SHEET_BACKGROUND) == 16
    assert near(sheet, TRUTH_COLOUR) > 500
    assert near(sheet, STATUS_STYLES['tracking'].colour) > 500
    assert near(sheet, STATUS_STYLES['lost'].colour) > 500
