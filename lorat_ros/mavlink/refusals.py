# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What was not obeyed, and why: counted, said once in the log, and told in diagnostics."""
from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import Enum

RECENT = 60.0  # seconds for which a refusal is worth a warning
NAMED = 8      # of those refused that are named at a time: ids can be invented


class Why(str, Enum):
    """Why a command is not obeyed; the texts are for the operator and name the cure."""

    NOT_LISTED = ('system {0} has tried to command this camera: add {0} to the parameter '
                  'allowed_system_ids if it shall')
    UNSIGNED = ('commands of system {0} are not signed: give that ground station the key of '
                'signing_key_file')
    FORGED = ('commands of system {0} are signed with another key: give that ground station the '
              'key of signing_key_file')
    OLD = ('commands of system {0} are signed, but old: somebody sends them again, or the clock '
           'there or here is wrong')


_LABELS = {Why.NOT_LISTED: 'not allowed', Why.UNSIGNED: 'not signed',
           Why.FORGED: 'signed with another key', Why.OLD: 'old'}


@dataclass
class _Seen:
    count: int = 0
    at: float = -float('inf')


class Refusals:
    """Counts what was refused, per reason and system (a number from 0 to 255: it cannot grow).

    Written by the camera's thread, read by others.

    :param tell: gets a sentence at the first refusal, and again after a silence.
    :param clock: seconds that only go on.
    """

    def __init__(self, tell: Callable[[str], None] = lambda text: None,
                 clock: Callable[[], float] = time.monotonic) -> None:
        self._tell, self._clock, self._lock = tell, clock, threading.Lock()
        self._commands: dict[tuple[Why, int], _Seen] = {}
        self._told: deque[float] = deque(maxlen=NAMED)
        self._packets: dict[Why, int] = {}

    def ignored(self, why: Why) -> None:
        """Count a packet that was not believed, be it a command or not."""
        with self._lock:
            self._packets[why] = self._packets.get(why, 0) + 1

    def refused(self, why: Why, system: int) -> None:
        """Count a command to us that was not obeyed."""
        now = self._clock()
        with self._lock:
            seen = self._commands.setdefault((why, system), _Seen())
            is_news = now - seen.at > RECENT
            seen.count, seen.at = seen.count + 1, now
            is_flood = len(self._told) == NAMED and now - self._told[0] <= RECENT
            if is_news and not is_flood:
                self._told.append(now)
        if is_news and not is_flood:
            self._tell(why.value.format(system))

    def complaint(self) -> str:
        """Return what was refused in the last minute, with the cures; empty if nothing was."""
        now = self._clock()
        return '; '.join(_first(f'{why.value.format(system)} ({_times(seen.count)})'
                                for (why, system), seen in self._sorted()
                                if now - seen.at <= RECENT))

    def commands(self) -> str:
        """Return the commands that were refused since the start, for people."""
        return ', '.join(_first(f'system {system} {_LABELS[why]} {_times(seen.count)}'
                                for (why, system), seen in self._sorted())) or 'none'

    def _sorted(self) -> list[tuple[tuple[Why, int], _Seen]]:
        """All refusals, the latest first."""
        with self._lock:
            found = [(key, _Seen(seen.count, seen.at)) for key, seen in self._commands.items()]
        return sorted(found, key=lambda item: -item[1].at)

    def packets(self) -> str:
        """Return all packets that were ignored for their signature since the start."""
        with self._lock:
            return ', '.join(f'{count} {_LABELS[why]}'
                             for why, count in sorted(self._packets.items())) or 'none'


def _first(texts: Iterable[str]) -> list[str]:
    """As many as are named at a time, and how many others there are."""
    found = list(texts)
    others = len(found) - NAMED
    return [*found[:NAMED], *([f'and {others} more'] if others > 0 else [])]


def _times(count: int) -> str:
    return 'once' if count == 1 else f'{count} times'
