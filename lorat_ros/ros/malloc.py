# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Keep the C library from giving every image's memory back to the system.

glibc serves a buffer of an image's size by mmap and returns it by munmap, so that each frame
pays thousands of page faults: 7 ms instead of 0.4 ms to receive a 1920x1080 image. Kept on the
heap, the same pages serve frame after frame. What is to be given back is so by hand.

And one heap serves all threads: an image is taken in one and let go in another, and each of
several heaps would keep what it ever held. Threads that were there before keep theirs, and once
there are eight heaps glibc heeds the wish no more; ``tracker.launch.py`` wishes it for the whole
process.
"""
from __future__ import annotations

import ctypes
import math
import time
from collections.abc import Callable

# Names and numbers of glibc's malloc.h; thresholds in bytes.
_OPTIONS = (
    (-3, 256 << 20),  # M_MMAP_THRESHOLD: images come from the heap
    (-1, 512 << 20),  # M_TRIM_THRESHOLD: the heap's top is not returned between two frames
    (-2, 32 << 20),   # M_TOP_PAD: it grows in steps that hold a few images
    (-8, 1),          # M_ARENA_MAX: what one thread has freed serves another
)
SWEEP_AFTER = 5.0  # seconds after a change of images: kept frames of the kind before are gone


def keep_image_memory() -> bool:
    """Tune this process's malloc. Returns False, having done nothing, where it is not glibc's."""
    library = ctypes.CDLL(None)
    if not hasattr(library, 'gnu_get_libc_version'):
        return False
    return all([library.mallopt(option, value) == 1 for option, value in _OPTIONS])


def give_back_memory() -> bool:
    """Return what is free to the system, such as what loading a model took.

    :returns: False, having done nothing, where malloc is not glibc's.
    """
    library = ctypes.CDLL(None)
    if not hasattr(library, 'malloc_trim'):
        return False
    library.malloc_trim(ctypes.c_size_t(0))
    return True


class Sweeper:
    """Gives memory back when images have changed, for what held the others seldom fits these.

    The first image is a change as well: loading a model leaves much behind.

    :param sweep: what gives it back.
    :param clock: seconds that only go on.
    """

    def __init__(self, sweep: Callable[[], object] = give_back_memory,
                 clock: Callable[[], float] = time.monotonic) -> None:
        self._sweep, self._clock = sweep, clock
        self._kind, self._due = '', math.inf

    def saw(self, kind: str) -> None:
        """Take note of an image of this size and encoding, and sweep when it is time."""
        now = self._clock()
        if kind != self._kind:
            self._kind, self._due = kind, min(self._due, now + SWEEP_AFTER)
        if now >= self._due:
            self._due = math.inf
            self._sweep()
