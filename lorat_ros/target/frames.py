# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
The frames of the last moments, so that a target can be taken on the frame the operator saw.

Whoever points at something points at what was there when the picture was made. The buffer keeps
frames by their stamps alone, so simulated time and recordings are as good as a camera; a stamp
that steps back (a recording begins again) begins a new buffer.
"""
from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from operator import sub
from typing import Any, Generic, Optional, TypeVar

Item = TypeVar('Item')

CATCH_UP_FRAMES = 8  # buffered frames that are looked at before one live frame, at most
CATCH_UP_SECONDS = 0.25  # that this may take, but for the last of them
CATCH_UP_ROUNDS = 4  # live frames before which a new target may still be behind


class FrameBuffer(Generic[Item]):
    """
    The newest frames, in the order of their stamps; safe between threads.

    Where there is no room for all, they are thinned to even distances: a frame a little newer
    than the one that was seen is worth more than none.

    :param seconds: how far back frames are kept, by their stamps; 0.0 keeps none.
    :param most_bytes: what all frames together may take.
    """

    def __init__(self, seconds: float, most_bytes: int) -> None:
        self._span, self._most_bytes = round(seconds * 1e9), most_bytes
        # In parallel: stamps are compared with each frame that comes.
        self._stamps: list[int] = []
        self._kept: list[tuple[int, Item]] = []     # bytes and frame
        self._bytes = 0
        #: Whether frames have come, since the stamps began, that are older than all it keeps; or
        #: it keeps none.
        self.had_older = False
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._stamps)

    @property
    def bytes(self) -> int:
        """What all frames together take."""
        return self._bytes

    @property
    def oldest(self) -> Optional[int]:
        """Stamp of the oldest frame, nanoseconds; None if there is none."""
        with self._lock:
            return self._stamps[0] if self._stamps else None

    def add(self, stamp: int, size: int, item: Item) -> None:
        """
        Keep a frame, and forget what is now too old, or too close to others to be kept.

        :param stamp: nanoseconds of the camera's clock; 0 = none, and is not kept.
        :param size: bytes.
        """
        if stamp <= 0 or not self._span:
            self.had_older |= not self._span
            return
        with self._lock:
            if self._stamps and stamp < self._stamps[-1]:
                self._clear()
            self._stamps.append(stamp)
            self._kept.append((size, item))
            self._bytes += size
            while stamp - self._stamps[0] > self._span:
                self._forget(0)
            while self._stamps and self._bytes > self._most_bytes:
                self._forget(self._least_missed())

    def _least_missed(self) -> int:
        """Place of the frame whose neighbours are closest together; of several, the oldest."""
        if len(self._stamps) < 3:
            return 0
        gaps = list(map(sub, self._stamps[2:], self._stamps))
        return 1 + gaps.index(min(gaps))

    def _forget(self, place: int) -> None:
        self.had_older |= place == 0
        size, _ = self._kept.pop(place)
        del self._stamps[place]
        self._bytes -= size

    def between(self, start: int, end: int) -> list[tuple[int, Item]]:
        """Return stamp and frame of all from ``start`` on and before ``end``, oldest first."""
        with self._lock:
            return [(stamp, item) for stamp, (_, item) in zip(self._stamps, self._kept)
                    if start <= stamp < end]

    def clear(self) -> None:
        """Forget all frames."""
        with self._lock:
            self._clear()

    def _clear(self) -> None:
        self._stamps.clear()
        self._kept.clear()
        self._bytes, self.had_older = 0, False


class Elapsed:
    """Seconds between frames: by their stamps where these advance, else by a steady clock."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._stamp, self._moment = 0, clock()

    def until(self, stamp: int) -> float:
        """Return the seconds from the frame before to the one with this stamp (nanoseconds)."""
        before, since, now = self._stamp, self._moment, self._clock()
        self._stamp, self._moment = stamp, now
        return (stamp - before) / 1e9 if stamp > before > 0 else now - since


def thinned(frames: Sequence[Item], most: int = CATCH_UP_FRAMES,
            seconds: float = CATCH_UP_SECONDS,
            clock: Callable[[], float] = time.perf_counter) -> Iterator[Item]:
    """
    Yield frames that lie before a live one, at even distances, and no more than there is time for.

    What is done with a frame while the iterator waits is what takes the time: the next distance
    is chosen so that frames that take as long as those before fit into what is left of it.

    :param frames: oldest first; the live frame, which follows them, is not among them.
    :param most: how many are yielded at most.
    :param seconds: after this time none is yielded any more.
    :param clock: seconds.
    """
    begun, place = clock(), -1
    for looked in range(most):
        left = len(frames) - 1 - place
        allowed = most - looked
        if looked:
            used = clock() - begun
            allowed = min(allowed, _fits(seconds - used, used / looked))
        if left <= 0 or allowed <= 0:
            return
        # The way to the live frame in equal steps, of which the last one leads to it.
        place += math.ceil((left + 1) / (allowed + 1))
        yield frames[place]


def _fits(seconds: float, each: float) -> int:
    return int(min(max(seconds, 0.0) / max(each, 1e-6), CATCH_UP_FRAMES * 1000))


class CatchUp:
    """
    The way of a target from the frame it was shown on to the present.

    While the tracker looks at older frames, newer ones come. So each of the next live frames is
    preceded by what lies between it and the last frame that was looked at, until nothing does, or
    after ``CATCH_UP_ROUNDS``: a model slower than the camera always has frames between.
    """

    def __init__(self, buffer: FrameBuffer[Any]) -> None:
        self._buffer = buffer
        self._seen: Optional[int] = None
        self._rounds = 0

    def begin(self, stamp: int) -> None:
        """A target was taken on the frame with this stamp, which is not the live one."""
        self._seen, self._rounds = stamp, CATCH_UP_ROUNDS

    def end(self) -> None:
        """There is nothing to catch up with."""
        self._seen = None

    def frames_before(self, live: int) -> Iterator[Any]:
        """
        Yield what to look at before the live frame; the live one counts as seen after that.

        :param live: stamp of the live frame, nanoseconds.
        """
        if self._seen is None:
            return
        # A clock that jumped back has emptied the buffer: there is nothing between.
        waiting = [item for _, item in self._buffer.between(self._seen + 1, live)]
        self._rounds -= 1
        self._seen = live if waiting and self._rounds else None
        yield from thinned(waiting)
