# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Who was heard on the link, and how often each wants the tracking status."""
from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from typing import NamedTuple, Optional

NEVER = float('inf')  # seconds between two messages of a stream that was turned off


class Source(NamedTuple):
    """Who sent a message: from where, and under which ids."""

    address: Hashable
    system: int
    component: int


@dataclass
class _Peer:
    heard: float
    interval: Optional[float] = None  # None: the default


class Peers:
    """All that were heard of late, bounded in number.

    Several may share an address (a serial line, a router): it gets the status as often as the most
    demanding of them wants it, once for all.

    :param limit: most peers. Newcomers are not entered while all are alive: whoever invents ids
        drives nobody out.
    :param forget: seconds of silence after which a peer is forgotten.
    :param default: seconds between two statuses for those that have not asked; NEVER = none.
    """

    def __init__(self, limit: int = 32, forget: float = 30.0, default: float = NEVER) -> None:
        self._limit, self._forget, self.default = limit, forget, default
        self._peers: dict[Source, _Peer] = {}
        self._sent: dict[Hashable, float] = {}

    def __len__(self) -> int:
        return len(self._peers)

    def hear(self, source: Source, now: float) -> bool:
        """Take note of a message; returns whether there was room."""
        self._drop_silent(now)
        if source in self._peers:
            self._peers[source].heard = now
        elif len(self._peers) < self._limit:
            self._peers[source] = _Peer(now)
        return source in self._peers

    def addresses(self, now: float) -> list[Hashable]:
        """Return where somebody was heard, each once."""
        self._drop_silent(now)
        return list(dict.fromkeys(source.address for source in self._peers))

    def ask(self, source: Source, interval: Optional[float]) -> bool:
        """Set seconds between two statuses (None: the default); returns whether it is known."""
        if source in self._peers:
            self._peers[source].interval = interval
            self._sent.pop(source.address, None)  # the first one comes at once
        return source in self._peers

    def interval(self, source: Source) -> float:
        """Return seconds between two statuses for one peer."""
        peer = self._peers.get(source)
        return self.default if peer is None or peer.interval is None else peer.interval

    def due(self, now: float) -> list[Hashable]:
        """Return the addresses whose status is due, and count it as sent."""
        ready = [address for address in self.addresses(now) if self._due_at(address) <= now]
        for address in ready:
            # From when it should have been, so that the rate is right; but no burst after a pause.
            planned = self._due_at(address)
            late = now - planned < self._interval_of(address)
            self._sent[address] = planned if late else now
        return ready

    def next_due(self) -> float:
        """Return when the next status is due; NEVER if none is wanted."""
        return min((self._due_at(source.address) for source in self._peers), default=NEVER)

    def _due_at(self, address: Hashable) -> float:
        return self._sent.get(address, -NEVER) + self._interval_of(address) \
            if self._interval_of(address) != NEVER else NEVER

    def _interval_of(self, address: Hashable) -> float:
        return min((self.interval(source) for source in self._peers
                    if source.address == address), default=NEVER)

    def _drop_silent(self, now: float) -> None:
        silent = [source for source, peer in self._peers.items()
                  if now - peer.heard > self._forget]
        for source in silent:
            del self._peers[source]
        if silent:
            left = {source.address for source in self._peers}
            self._sent = {address: at for address, at in self._sent.items() if address in left}
