# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""How a run is asked to end early."""
from __future__ import annotations

import signal
import time
from types import FrameType, TracebackType
from typing import Optional

SAME_WISH = 2.0         # seconds


class Interruption:
    """
    Ctrl-C and SIGTERM let the step end and save; a later one ends at once.

    Within it, as a context; calling it tells whether the end is wanted. Ctrl-C reaches processes
    under torch's launcher twice, from the terminal and from the launcher: what follows within
    ``SAME_WISH`` is the same wish.
    """

    def __init__(self) -> None:
        self.wanted = False
        self._since = 0.0
        self._before: dict[int, object] = {}

    def __enter__(self) -> Interruption:
        for number in (signal.SIGINT, signal.SIGTERM):
            self._before[number] = signal.signal(number, self._note)
        return self

    def __exit__(self, kind: Optional[type[BaseException]], error: Optional[BaseException],
                 trace: Optional[TracebackType]) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)      # type: ignore[arg-type]  # what it gave

    def _note(self, number: int, frame: Optional[FrameType]) -> None:
        now = time.monotonic()
        if self.wanted and now - self._since > SAME_WISH:
            raise KeyboardInterrupt
        if not self.wanted:
            self.wanted, self._since = True, now

    def __call__(self) -> bool:
        return self.wanted
