# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What builds for all engines share: how they tell what they do, and what they calibrate with."""
from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

import numpy as np
from tqdm import tqdm

from lorat_ros.engines.tensorrt_build import Progress
from lorat_ros.tracking.parity import Clip

Item = TypeVar('Item')
ALMOST = 0.99      # most that an estimate alone may say


class News(Protocol):
    """Where a build tells what it does."""

    def say(self, text: str) -> None:
        """Tell something once."""

    def stage(self, clips: Sequence[ShownClip], what: str) -> None:
        """Begin to go through clips."""

    def build(self, what: str, progress: Progress, expected: float | None) -> None:
        """Tell how far the plan being built is; ``expected``: seconds it may take in all."""


def share_of(progress: Progress, expected: float | None) -> float | None:
    """Return the share that is done, told or estimated; None: nobody knows."""
    if progress.share is not None:
        return progress.share
    return min(progress.elapsed / expected, ALMOST) if expected else None


class Shown(Protocol):
    """Frames that show how far one is with them."""

    what: str      # what is being done with them

    def __iter__(self) -> Iterator[np.ndarray]: ...


@dataclass(frozen=True)
class ShownClip(Clip):
    """A clip that shows how far one is with it."""

    frames: Shown


class Console:
    """For people: lines and bars on stderr."""

    def __init__(self) -> None:
        self._bar: Any = None
        self._what = ''

    def say(self, text: str) -> None:
        """Tell something once."""
        self._end()
        print(text, file=sys.stderr)

    def stage(self, clips: Sequence[ShownClip], what: str) -> None:
        """Begin to go through clips, which have bars of their own."""
        self._end()
        for clip in clips:
            clip.frames.what = what

    def build(self, what: str, progress: Progress, expected: float | None) -> None:
        """Move the bar of a plan."""
        if self._what != what:
            self._end()
            self._bar = tqdm(total=1.0, desc=what, mininterval=0.5,
                             bar_format='{desc}: {percentage:3.0f} %|{bar}| {postfix}')
            self._what = what
        told = f'{progress.elapsed:.0f} s' + (f' of about {expected:.0f}' if expected else '')
        self._bar.set_postfix_str(f'{told} {progress.phase}', refresh=False)
        self._bar.n = progress.share or 0.0
        self._bar.refresh()

    def _end(self) -> None:
        if self._bar is not None:
            self._bar.close()
        self._bar, self._what = None, ''


class JsonLines:
    """For programs (``--progress json``): one object a line on stdout."""

    def say(self, text: str) -> None:
        """Tell something once."""
        self._write({'said': text})

    def stage(self, clips: Sequence[ShownClip], what: str) -> None:
        """Begin to go through clips."""
        for clip in clips:
            clip.frames.what = what
        self._write({'what': what})

    def build(self, what: str, progress: Progress, expected: float | None) -> None:
        """Tell how far a plan is."""
        share = progress.share
        self._write({'what': what, 'share': None if share is None else round(share, 4),
                     'elapsed': round(progress.elapsed, 1),
                     'expected': None if expected is None else round(expected, 1)})

    def _write(self, words: dict[str, Any]) -> None:
        print(json.dumps(words), flush=True)


def thinned(items: Iterable[Item], least: int) -> list[Item]:
    """
    Keep items at even distances, whatever their number, and never many at once.

    :returns: all if there are fewer than twice ``least``, else from ``least`` to twice as many.
    """
    kept: list[Item] = []
    step = 1
    for number, item in enumerate(items):
        if number % step == 0:
            kept.append(item)
        if len(kept) == 2 * least:
            kept, step = kept[::2], 2 * step
    return kept
