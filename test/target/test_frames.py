# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Which frames are kept, and which of them a new target is led through."""
from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lorat_ros.target.frames import (CATCH_UP_FRAMES, CATCH_UP_ROUNDS, CatchUp, FrameBuffer,
                                     thinned)

SECOND = 10**9


def filled(stamps: list[int], seconds: float = 2.0, most_bytes: int = 10**6,
           size: int = 1) -> FrameBuffer[int]:
    buffer: FrameBuffer[int] = FrameBuffer(seconds, most_bytes)
    for stamp in stamps:
        buffer.add(stamp, size, stamp)
    return buffer


def kept(buffer: FrameBuffer[int]) -> list[int]:
    return [item for _, item in buffer.between(0, 10**19)]


@pytest.mark.parametrize(('stamps', 'left'), [
    ([1, 2, 3], [1, 2, 3]),
    ([1, 1, 2], [1, 1, 2]),  # a camera with a coarse clock
    ([0, 5, 0, 6], [5, 6]),  # without a stamp there is nothing to find it by
    ([SECOND, 2 * SECOND, 3 * SECOND, 3 * SECOND + 1], [2 * SECOND, 3 * SECOND, 3 * SECOND + 1]),
    ([SECOND, 10**18], [10**18]),  # a clock that jumps ahead
    ([SECOND, 2 * SECOND, SECOND // 2, SECOND], [SECOND // 2, SECOND]),  # a bag begins again
], ids=['all', 'same stamp', 'no stamp', 'too old', 'ahead', 'back'])
def test_what_is_kept(stamps: list[int], left: list[int]) -> None:
    buffer = filled(stamps)
    assert kept(buffer) == left
    assert (buffer.oldest, len(buffer)) == (left[0], len(left))


@pytest.mark.parametrize(('stamps', 'had_older'), [
    ([1, 2], False), ([SECOND, 4 * SECOND], True), ([SECOND, 4 * SECOND, SECOND], False)],
    ids=['all kept', 'one too old', 'begun anew'])
def test_it_knows_whether_older_frames_are_gone(stamps: list[int], had_older: bool) -> None:
    assert filled(stamps).had_older is had_older
    assert filled(stamps, seconds=0.0).had_older     # it keeps none at all


def test_bytes_bound_it_too() -> None:
    buffer = filled([1, 2, 3, 4], most_bytes=25, size=10)
    assert (kept(buffer), buffer.bytes) == ([1, 4], 20)
    buffer.add(5, 26, 5)  # more than there is room for at all
    assert (kept(buffer), buffer.bytes, buffer.oldest) == ([], 0, None)
    buffer.add(6, 25, 6)
    assert kept(buffer) == [6]


@pytest.mark.parametrize('room', [8, 10, 23, 60])
def test_where_there_is_no_room_for_all_they_are_thinned_evenly(room: int) -> None:
    stamps = [1 + number * SECOND // 30 for number in range(300)]
    buffer = filled(stamps, seconds=2.0, most_bytes=room * 6 + 5, size=6)
    left = kept(buffer)
    assert left[-1] == stamps[-1] and len(left) == room
    gaps = [later - earlier for earlier, later in zip(left, left[1:])]
    # Of the two seconds all is covered, and nowhere more thinly than twice what would be even.
    assert left[-1] - left[0] >= 2 * SECOND - max(gaps)
    assert max(gaps) <= 2 * 2 * SECOND / (room - 1)


def test_no_seconds_keep_nothing_and_clearing_forgets() -> None:
    assert kept(filled([1, 2], seconds=0.0)) == []
    buffer = filled([1, 2])
    buffer.clear()
    assert (kept(buffer), buffer.bytes, buffer.oldest) == ([], 0, None)


def test_between_takes_the_start_and_leaves_the_end() -> None:
    assert filled([1, 2, 3, 4]).between(2, 4) == [(2, 2), (3, 3)]


@given(st.lists(st.tuples(st.integers(0, 10 * SECOND), st.integers(0, 100))),
       st.floats(0.0, 5.0), st.integers(0, 500))
def test_whatever_comes_the_bounds_hold(frames: list[tuple[int, int]], seconds: float,
                                        most: int) -> None:
    buffer: FrameBuffer[int] = FrameBuffer(seconds, most)
    for stamp, size in frames:
        buffer.add(stamp, size, size)
        held = buffer.between(0, 10**19)
        stamps = [at for at, _ in held]
        assert stamps == sorted(stamps)
        assert buffer.bytes == sum(size for _, size in held) <= most
        assert not stamps or stamps[-1] - stamps[0] <= round(seconds * 1e9)


class Watch:
    """A clock that moves only when it is told to."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.mark.parametrize(('count', 'cost', 'looked'), [
    (0, 0.0, []), (3, 0.0, [0, 1, 2]), (8, 0.0, list(range(8))),
    (30, 0.0, [3, 7, 11, 15, 18, 21, 24, 27]),
    (30, 0.1, [3, 17]),  # after the first it is known that there is time for one more
    (30, 9.0, [3]),
])
def test_frames_are_thinned_evenly_to_their_number_and_to_the_time(count: int, cost: float,
                                                                  looked: list[int]) -> None:
    watch, seen = Watch(), []
    for frame in thinned(range(count), most=8, seconds=0.25, clock=watch):
        seen.append(frame)
        watch.now += cost
    assert seen == looked


@given(st.integers(0, 200), st.integers(1, 20), st.lists(st.floats(0.0, 0.2), min_size=20,
                                                         max_size=20))
def test_the_work_is_bounded_whatever_a_frame_costs(count: int, most: int, costs: list) -> None:
    watch, seen = Watch(), []
    for frame in thinned(range(count), most, 0.25, watch):
        assert watch.now <= 0.25
        watch.now += costs[len(seen)]
        seen.append(frame)
    assert len(seen) <= most and seen == sorted(set(seen))
    if count <= most and sum(costs) == 0:
        assert seen == list(range(count))


def test_a_target_catches_up_in_rounds_until_nothing_lies_between() -> None:
    buffer = filled([10, 20, 30, 40])
    way = CatchUp(buffer)
    assert list(way.frames_before(40)) == []
    way.begin(10)
    assert list(way.frames_before(40)) == [20, 30]
    for stamp in (50, 60, 70):  # came meanwhile
        buffer.add(stamp, 1, stamp)
    assert list(way.frames_before(70)) == [50, 60]
    buffer.add(80, 1, 80)
    assert list(way.frames_before(80)) == []
    buffer.add(90, 1, 90)
    buffer.add(100, 1, 100)
    assert list(way.frames_before(100)) == []  # it is there: what is dropped now is dropped


def test_a_model_slower_than_the_camera_does_not_catch_up_for_ever() -> None:
    buffer = filled([])
    way = CatchUp(buffer)
    way.begin(1)
    looked = []
    for live in range(30, 3000, 30):
        for stamp in range(live - 29, live + 1):
            buffer.add(stamp, 1, stamp)
        looked.append(len(list(way.frames_before(live))))
    assert looked[:CATCH_UP_ROUNDS] == [CATCH_UP_FRAMES] * CATCH_UP_ROUNDS
    assert not any(looked[CATCH_UP_ROUNDS:])


@pytest.mark.parametrize('end', ['forgotten', 'clock'])
def test_a_forgotten_target_or_a_clock_that_jumps_back_has_nothing_to_catch_up(end: str) -> None:
    buffer = filled([10, 20, 30])
    way = CatchUp(buffer)
    way.begin(10)
    if end == 'forgotten':
        way.end()
    else:
        buffer.add(5, 1, 5)
    assert list(way.frames_before(30 if end == 'forgotten' else 5)) == []
