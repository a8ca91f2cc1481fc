# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What each ground station has commanded of late: links repeat packets and mix up their order."""
from __future__ import annotations

from collections import OrderedDict, deque
from dataclasses import dataclass
from typing import Any, NamedTuple, Optional

from lorat_ros.mavlink.dialect import Result
from lorat_ros.mavlink.peers import Source

REPEAT = 1.0    # seconds within which the same packet may come a second time
RETRY = 5.0     # seconds within which a ground station that got no answer sends it again
LATE = 1.0      # seconds within which a packet may have been overtaken
OVERTAKEN = 16  # packets by which it may have been overtaken
SOURCES, COMMANDS = 64, 16  # how many are remembered


class Order(NamedTuple):
    """One command as it came; ``key`` is what it says, ``retry`` its confirmation count."""

    source: Source
    sequence: int
    key: tuple[Any, ...]
    retry: int


@dataclass
class _Entry:
    order: Order
    result: Result
    at: float


class Memory:
    """Tells a new command from one that was carried out already, and from a belated one."""

    def __init__(self) -> None:
        self._entries: OrderedDict[Source, deque[_Entry]] = OrderedDict()

    def answered(self, order: Order, now: float) -> Optional[Result]:
        """Return what was answered if this is a command of before; None if it is new."""
        for entry in reversed(self._entries.get(order.source, ())):
            if entry.order.key != order.key:
                continue
            repeated = entry.order.sequence == order.sequence and now - entry.at <= REPEAT
            # What had to wait is worth another try.
            retried = (order.retry > 0 and now - entry.at <= RETRY
                       and entry.result is not Result.TEMPORARILY_REJECTED
                       and entry is self._entries[order.source][-1])
            if repeated or retried:
                return entry.result
        return None

    def is_late(self, order: Order, now: float) -> bool:
        """Whether commands that were sent after this one have been carried out already."""
        return any(0 < (entry.order.sequence - order.sequence) % 256 <= OVERTAKEN
                   and now - entry.at <= LATE for entry in self._entries.get(order.source, ()))

    def keep(self, order: Order, result: Result, now: float) -> None:
        """Remember what was answered."""
        entries = self._entries.setdefault(order.source, deque(maxlen=COMMANDS))
        entries.append(_Entry(order, result, now))
        self._entries.move_to_end(order.source)
        while len(self._entries) > SOURCES:
            self._entries.popitem(last=False)
