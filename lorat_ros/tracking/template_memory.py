# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Which earlier templates FARTrack looks at, and a memory of them that does not grow without end.

Templates are numbered by the frame they were cut from: 0 is the target as it was given.
"""
from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable
from types import MappingProxyType

import numpy as np

SLOTS = 5
_DECAY = 0.7


def exponential(newest: int) -> tuple[int, ...]:
    """
    Numbers of the templates in the slots: the first, the newest, and three that follow it.

    :param newest: number of the newest template: the frames tracked so far.
    """
    if newest < SLOTS - 1:
        return tuple(max(0, newest + 1 + place - SLOTS) for place in range(SLOTS))
    # In double precision and cut off, as published.
    between = (int(newest * (1 - _DECAY ** power)) for power in range(1, SLOTS - 1))
    return 0, *between, newest


def exponential_from_front(newest: int) -> tuple[int, ...]:
    """As ``exponential``, but the first templates fill the slots from the second one on."""
    if newest < SLOTS - 1:
        return tuple(max(0, place - 1) if place <= newest + 1 else 0 for place in range(SLOTS))
    return exponential(newest)


def linear(newest: int) -> tuple[int, ...]:
    """Numbers of the templates in the slots: evenly from the first to the newest."""
    if newest < SLOTS - 1:
        return exponential(newest)
    return *(int(place * newest / (SLOTS - 1)) for place in range(SLOTS - 1)), newest


#: Name in model.json to the rule: number of the newest template to those in the slots.
SCHEDULES: MappingProxyType[str, Callable[[int], tuple[int, ...]]] = MappingProxyType({
    'exponential': exponential, 'distill': exponential_from_front, 'linear': linear})


class TemplateMemory:
    """
    Tokens of at most ``capacity`` templates, at even distances from each other.

    As long as all that can still be asked for fits in, all of it is kept. Then every second
    template is forgotten and only every second new one is kept, and so again each time the memory
    is full. What is asked for next to the kept ones is answered with the nearest, half a
    ``stride`` away at most. The first template is always kept.
    """

    def __init__(self, capacity: int) -> None:
        """
        Make an empty memory.

        :param capacity: templates, at least 16: the slots are then never further apart than the
            memory is coarse.
        """
        if capacity < 16:
            raise ValueError(f'capacity is {capacity}, expected at least 16 templates')
        self.capacity = capacity
        self.stride = 1
        self._numbers: list[int] = []
        self._tokens: dict[int, np.ndarray] = {}

    def __len__(self) -> int:
        return len(self._numbers)

    def copy(self) -> TemplateMemory:
        """Make another one of the same templates; what is added to one is not in the other."""
        other = TemplateMemory(self.capacity)
        other.stride, other._numbers = self.stride, list(self._numbers)
        other._tokens = dict(self._tokens)
        return other

    def add(self, number: int, tokens: np.ndarray, oldest: int) -> None:
        """
        Keep a template, if it is one of those to keep.

        :param number: of the template; greater than all before.
        :param tokens: whatever is to be had back.
        :param oldest: but for the first template, none before this will be asked for any more.
        """
        if number % self.stride == 0:
            self._numbers.append(number)
            self._tokens[number] = tokens
        # One stride is left below: after the next thinning the nearest may lie there.
        while len(self) > 1 and self._numbers[1] < oldest - self.stride:
            del self._tokens[self._numbers.pop(1)]
        if len(self) > self.capacity:
            self.stride *= 2
            self._numbers = [kept for kept in self._numbers if kept % self.stride == 0]
            self._tokens = {kept: self._tokens[kept] for kept in self._numbers}

    def nearest(self, number: int) -> int:
        """Return which kept template is the nearest to a number; the older one of two."""
        place = bisect_left(self._numbers, number)
        around = self._numbers[max(place - 1, 0):place + 1]
        return min(around, key=lambda kept: abs(kept - number))

    def __getitem__(self, number: int) -> np.ndarray:
        """Tokens of a kept template."""
        return self._tokens[number]
