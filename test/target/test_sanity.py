# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What a box of a target may look like."""
from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lorat_ros.target.sanity import is_in_image, Sanity

IMAGE_WH = (640, 480)


def known(*boxes: tuple) -> Sanity:
    """A target of 40 x 40 that has been seen for a while, then in these boxes."""
    sanity = Sanity()
    sanity.start((100.0, 100.0, 40.0, 40.0))
    for box in ((100.0, 100.0, 40.0, 40.0), *boxes):
        sanity.believe(box, IMAGE_WH)
    return sanity


@pytest.mark.parametrize(('box', 'unseen', 'allowed'), [
    ((100, 100, 40, 40), 0.0, True),
    ((500, 300, 40, 40), 0.0, True),       # where it is, is not judged
    ((100, 100, 78, 78), 0.0, True),
    ((100, 100, 82, 82), 0.0, False),
    ((100, 100, 82, 82), 0.2, True),       # the longer it was not seen, the more it may change
    ((100, 100, 19, 19), 0.0, False),
    ((100, 100, 21, 21), 0.0, True),
    ((100, 100, 80, 20), 0.0, True),       # turned round
    ((0, 100, 10, 40), 0.0, True),         # a quarter of it is still in the image
    ((0, 100, 7, 40), 0.0, False),         # a sliver at the border is of a target that has gone
    ((300, 100, 7, 40), 0.5, True),        # in the midst of the image it is just thin
    ((-36, 100, 40, 40), 0.0, False),      # the same for trackers that do not clip
    ((100, 476, 40, 40), 9.0, False),
])
def test_which_boxes_are_allowed(box: tuple, unseen: float, allowed: bool) -> None:
    assert known().allows(box, IMAGE_WH, unseen) is allowed


def test_people_draw_loosely_but_only_once() -> None:
    sanity = Sanity()
    sanity.start((100.0, 100.0, 120.0, 120.0))
    tight = (140.0, 140.0, 35.0, 35.0)
    assert sanity.allows(tight, IMAGE_WH, 0.0)
    sanity.believe(tight, IMAGE_WH)
    assert not sanity.allows((100.0, 100.0, 120.0, 120.0), IMAGE_WH, 0.0)
    assert sanity.allows((0.0, 140.0, 10.0, 35.0), IMAGE_WH, 0.0)  # of the tight one


def test_what_leaves_the_image_slowly_is_believed_until_a_sliver_is_left() -> None:
    sanity, width = known(), 40.0
    while sanity.allows((0.0, 100.0, width, 40.0), IMAGE_WH, 0.0):
        sanity.believe((0.0, 100.0, width, 40.0), IMAGE_WH)
        width -= 1.0
    assert width == 7.0


NUMBERS = st.floats(allow_nan=True, allow_infinity=True, width=32)


@given(st.tuples(NUMBERS, NUMBERS, NUMBERS, NUMBERS), st.floats(0.0, 1e6))
def test_what_is_allowed_can_be_seen(box: tuple, unseen: float) -> None:
    if known().allows(box, IMAGE_WH, unseen):
        assert is_in_image(box, IMAGE_WH)
