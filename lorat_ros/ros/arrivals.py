# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""How many messages were published and never came: DDS drops them without a word."""
from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Optional

UNKNOWN = 2**64 - 1  # what middlewares write that do not number messages
LONGEST_GAP = 100_000  # more is no gap: the publisher began anew


class Arrivals:
    """Finds gaps in the numbers that publishers give to their messages."""

    def __init__(self) -> None:
        self._last: dict[bytes, int] = {}

    def missed(self, info: Mapping[str, Any]) -> Optional[int]:
        """
        Return how many messages of this publisher were lost since its last one that came.

        :param info: what rclpy says of a message.
        :returns: None where nobody knows: Humble and Cyclone DDS do not number messages.
        """
        number = info.get('publication_sequence_number')
        publisher = (info.get('publisher_gid') or {}).get('data')
        if number is None or number == UNKNOWN or publisher is None:
            return None
        before = self._last.get(publisher)
        self._last[publisher] = number
        gap = 0 if before is None else number - before - 1
        return gap if 0 < gap <= LONGEST_GAP else 0

    def forget(self) -> None:
        """Begin anew: what is published while nobody subscribes is not lost."""
        self._last.clear()
