# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Which templates are looked at when, and a memory of them that is bounded and says how far."""
from __future__ import annotations

import numpy as np
import pytest

from lorat_ros.tracking.template_memory import (exponential, exponential_from_front, linear,
                                                SCHEDULES, SLOTS, TemplateMemory)

HOUR = 216_000      # frames at 60 a second
CAPACITY = 1024
#: Frames for which 1024 templates are enough: 0.7 of them can still be asked for.
EXACT = 1458


@pytest.mark.parametrize('schedule', SCHEDULES.values())
def test_slots_hold_the_first_and_known_ones(schedule):
    assert schedule(0) == (0,) * SLOTS
    for newest in range(1, 300):
        slots = schedule(newest)
        assert len(slots) == SLOTS and newest in slots and slots[0] == 0
        assert all(0 <= number <= newest for number in slots)


def test_indices_are_cut_off_in_double_precision():
    # 100 * (1 - 0.7) is 30.000000000000004, and 1000 * (1 - 0.7 ** 2) is 510.00000000000006.
    assert exponential(100) == (0, 30, 51, 65, 100)
    assert exponential(1000) == (0, 300, 510, 657, 1000)
    assert exponential(10) == (0, 3, 5, 6, 10)
    assert linear(10) == (0, 2, 5, 7, 10)
    assert exponential_from_front(2) == (0, 0, 1, 2, 0)


def follow(memory: TemplateMemory, frames: int):
    """Remember a template a frame; yields its number and (wanted, nearest) of the next one's."""
    for newest in range(frames):
        memory.add(newest, np.zeros(1), exponential(newest)[1])
        yield newest, [(number, memory.nearest(number)) for number in exponential(newest + 1)[:-1]]


def test_an_hour_is_remembered_in_bounds_and_as_exactly_as_stated():
    memory, furthest = TemplateMemory(CAPACITY), 0
    for newest, chosen in follow(memory, HOUR):
        apart = max(abs(wanted - nearest) for wanted, nearest in chosen)
        assert len(memory) <= CAPACITY
        assert apart <= memory.stride // 2, newest
        assert apart <= newest / EXACT, newest
        assert chosen[0] == (0, 0)
        if newest <= EXACT:
            assert apart == 0, newest
        furthest = max(furthest, apart)
    assert memory.stride == 256 and 64 < furthest <= 128


def test_what_is_thinned_is_still_spread_evenly():
    memory = TemplateMemory(32)
    for _ in follow(memory, 5000):
        pass
    kept = [number for number in range(5000) if memory.nearest(number) == number]
    assert kept[0] == 0 and len(kept) == len(memory) > 12
    assert set(np.diff(kept[1:])) == {memory.stride}
    assert kept[1] <= exponential(5000)[1] and kept[-1] > 5000 - memory.stride


def test_tokens_come_back_as_they_were_given():
    memory = TemplateMemory(16)
    for newest in range(200):
        memory.add(newest, np.full(3, newest), exponential(newest)[1])
        for number in exponential(newest + 1)[:-1]:
            nearest = memory.nearest(number)
            np.testing.assert_array_equal(memory[nearest], nearest)


def test_of_two_as_near_the_older_is_taken():
    memory = TemplateMemory(16)
    for number in range(0, 40, 4):
        memory.add(number, np.zeros(1), 0)
    assert [memory.nearest(number) for number in (0, 1, 2, 3, 4, 99)] == [0, 0, 0, 4, 4, 36]


def test_a_memory_too_small_is_refused():
    with pytest.raises(ValueError, match='capacity is 8, expected at least 16'):
        TemplateMemory(8)
