# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Arithmetic of boxes."""
from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, strategies as st

from lorat_ros.boxes import (BoxError, centre_distance_xywh, centre_xywh, check_init_box,
                             clip_xywh, iou_xywh, success_auc, wh_of)

WIDE = (640, 480)
coordinate = st.floats(-1000, 1000)
side = st.floats(1, 2000)
boxes = st.tuples(coordinate, coordinate, side, side)


@given(boxes)
def test_a_box_overlaps_itself_wholly(box):
    assert iou_xywh(box, box) == pytest.approx(1.0)


@given(boxes, boxes)
def test_overlap_is_symmetric_and_within_bounds(a, b):
    assert 0 <= iou_xywh(a, b) <= 1
    assert iou_xywh(a, b) == pytest.approx(float(iou_xywh(b, a)))


def test_overlap_of_known_boxes():
    assert iou_xywh((0, 0, 10, 10), (5, 0, 10, 10)) == pytest.approx(50 / 150)
    assert iou_xywh((0, 0, 10, 10), (10, 0, 10, 10)) == 0.0


def test_overlap_broadcasts_and_is_zero_where_nothing_can_be_said():
    many = np.array([[0, 0, 4, 4], [np.nan] * 4, [0, 0, 0, 0], [np.inf, 0, 1, 1]])
    np.testing.assert_allclose(iou_xywh(many, (0, 0, 4, 4)), [1, 0, 0, 0])
    assert iou_xywh(np.zeros((0, 4)), np.zeros((0, 4))).shape == (0,)


@given(boxes)
def test_clipping_stays_inside_and_never_grows(box):
    x, y, w, h = clip_xywh(box, WIDE)
    assert 0 <= x <= 640 and 0 <= y <= 480
    assert 0 <= w <= box[2] + 1e-6 and 0 <= h <= box[3] + 1e-6
    assert x + w <= 640 + 1e-9 and y + h <= 480 + 1e-9


def test_centre():
    assert centre_xywh((10, 20, 4, 6)) == (12, 23)


@given(boxes)
def test_a_box_is_taken_exactly_when_it_overlaps_the_image(box):
    _, _, w, h = clip_xywh(box, WIDE)
    x, y, bw, bh = box
    if x < 640 and y < 480 and x + bw > 0 and y + bh > 0:
        assert check_init_box(box, WIDE) == box
    else:
        assert w == 0 or h == 0
        with pytest.raises(BoxError, match='does not overlap the 640x480 image'):
            check_init_box(box, WIDE)


@pytest.mark.parametrize(('box', 'words'), [
    ((float('nan'), 0, 5, 5), 'not finite'),
    ((0, float('inf'), 5, 5), 'not finite'),
    ((10, 10, 0, 5), 'no size'),
    ((10, 10, 5, -1), 'no size'),
    ((0.1, 0.1, 0.3, 0.2), 'between 1 and 100000 pixels'),
    ((0, 0, 1e200, 5), 'between 1 and 100000 pixels'),
    ((10, 10, 50000, 0.001), 'between 1 and 100000 pixels'),
    ((10, 10, 5), '3 values, expected 4'),
    (('a', 1, 2, 3), 'not made of numbers'),
    (7, 'not made of numbers'),
])
def test_a_bad_box_is_refused_with_its_value_and_the_cure(box, words):
    with pytest.raises(BoxError, match=words) as caught:
        check_init_box(box, WIDE)
    assert 'x, y, w, h' in str(caught.value)


def test_success_of_known_overlaps():
    assert success_auc(np.ones(5)) == pytest.approx(20 / 21)
    assert success_auc(np.zeros(5)) == 0
    assert success_auc(np.array([0.5, 0.5])) == pytest.approx(10 / 21)


def test_distance_of_centres():
    found = centre_distance_xywh([[0, 0, 2, 2], [np.nan] * 4], (3, 4, 2, 2))
    assert found[0] == pytest.approx(5) and np.isnan(found[1])


def test_size_of_an_image() -> None:
    assert wh_of(np.zeros((240, 320, 3), np.uint8)) == (320, 240)
