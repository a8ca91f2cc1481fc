# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Gaps in the numbers of messages; test_faults.py counts them in a real graph."""
from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from lorat_ros.ros.arrivals import Arrivals, LONGEST_GAP, UNKNOWN


def info(number: int, publisher: bytes = b'a') -> dict:
    return {'publication_sequence_number': number, 'publisher_gid': {'data': publisher}}


@given(st.lists(st.booleans(), max_size=60), st.lists(st.booleans(), max_size=60))
def test_what_did_not_come_before_something_that_did_is_counted(first, second):
    arrivals, missed, expected = Arrivals(), 0, 0
    for came in (first, second):
        numbers = [number for number, did in enumerate(came) if did]
        if numbers:
            expected += numbers[-1] - numbers[0] + 1 - len(numbers)
    for number in range(60):      # both at a time
        for publisher, came in ((b'a', first), (b'b', second)):
            if number < len(came) and came[number]:
                missed += arrivals.missed(info(number, publisher)) or 0
    assert missed == expected


def test_what_is_no_gap():
    arrivals = Arrivals()
    assert [arrivals.missed(info(n)) for n in (7, 8, 3, 4 + LONGEST_GAP + 1)] == [0, 0, 0, 0]
    # Humble says nothing, Cyclone DDS that it does not number them: 0 would be a claim.
    assert arrivals.missed({}) is arrivals.missed(info(UNKNOWN)) is None
    arrivals.missed(info(10**6))
    arrivals.forget()
    assert arrivals.missed(info(10**6 + 50)) == 0
