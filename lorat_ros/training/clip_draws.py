# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Runs of frames for networks that are trained by following a target through them.

What is cropped out of a frame depends on where the network believes the target to be, which only
training knows: so whole frames are handed over, shrunk and laid into squares of one size.
"""
from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from lorat_ros.training.items import Item
from lorat_ros.training.pictures import PRESENT
from lorat_ros.training.pool import Pool
from lorat_ros.training.store import shrink

SHOWN, SHOWN_SIDE = 4, 160           # frames of a run in a picture, and their side in pixels
LARGEST = 2048                       # pixels of a side; 32 frames of it are 400 MB


@dataclass(frozen=True)
class ClipConfig:
    """What runs are made of."""

    length: int = 32          # frames, the first of which tells the target
    longest: int = 400        # pixels of a frame's longer side; larger ones are shrunk
    clip: float = 0.75        # shares of labelled clips and of self-labelled tracks; of what the
    tracked: float = 0.25     # pool lacks, the other takes over

    def __post_init__(self) -> None:
        if self.length < 2:
            raise ValueError(f'length is {self.length}: give 2 frames or more')
        if not 32 <= self.longest <= LARGEST:
            raise ValueError(f'longest is {self.longest}: give 32 to {LARGEST} pixels')
        for name in ('clip', 'tracked'):
            if not getattr(self, name) >= 0:
                raise ValueError(f'{name} is {getattr(self, name)}: give 0 or more')


@dataclass
class Run:
    """Consecutive labelled frames of one target."""

    frames: np.ndarray      # (T, L, L, 3) uint8 BGR, each in the upper left of its square
    size: np.ndarray        # (T, 2) int64 width and height of the frames in there
    box: np.ndarray         # (T, 4) float32 xywh in their pixels


def run_of(items: Sequence[Item], longest: int) -> Run:
    """Lay frames into squares of ``longest`` pixels, with their boxes."""
    frames = np.zeros((len(items), longest, longest, 3), np.uint8)
    size, box = np.empty((len(items), 2), np.int64), np.empty((len(items), 4), np.float32)
    for place, item in enumerate(items):
        image, scale = shrink(item.image, longest)
        height, width = image.shape[:2]
        frames[place, :height, :width] = image
        size[place], box[place] = (width, height), np.multiply(item.box, (*scale, *scale))
    return Run(frames, size, box)


class ClipDraws:
    """Draws runs from a pool by key; see ``lorat_ros.training.method.Draws``."""

    def __init__(self, pool: Pool, config: ClipConfig | None = None) -> None:
        """
        Read nothing yet.

        :raises ValueError: no clip of the pool is long enough.
        """
        self.pool, self.config = pool, config or ClipConfig()
        kinds = {'clip': [(clip, name) for name, clip in pool.clips.items()],
                 'tracked': [(track, name) for name, known in pool.tracks.items()
                             for track in known]}
        self._groups: dict[str, tuple[list[Sequence[Item]], np.ndarray]] = {}
        for kind, found in kinds.items():
            long = [(clip, pool.weights.get(name, 1.0)) for clip, name in found
                    if len(clip) >= self.config.length]
            if long and getattr(self.config, kind) > 0:
                # As often as there are places to begin; the root keeps one from drowning others.
                chances = [np.sqrt(len(clip)) * weight for clip, weight in long]
                self._groups[kind] = [clip for clip, _ in long], np.cumsum(chances)
        if not self._groups:
            most = max((len(clip) for found in kinds.values() for clip, _ in found),
                       default=0)
            raise ValueError(f'no clip has {self.config.length} labelled frames, the longest has '
                             f'{most}: ' + (f'give draws.length={most} or less' if most > 1 else
                                            'give data with labelled clips'))
        shares = np.array([getattr(self.config, kind) for kind in self._groups])
        self._shares = shares / shares.sum()

    def draw(self, *key: int) -> Run:
        """Draw the run of a key, for example (seed, step, number in the batch)."""
        rng = np.random.default_rng(key)
        kind = list(self._groups)[int(rng.choice(len(self._groups), p=self._shares))]
        members, heap = self._groups[kind]
        clip = members[int(np.searchsorted(heap / heap[-1], rng.random(), side='right'))]
        start = int(rng.integers(len(clip) - self.config.length + 1))
        return run_of([clip[place] for place in range(start, start + self.config.length)],
                      self.config.longest)

    def batch(self, keys: Iterable[tuple[int, ...]]) -> dict[str, np.ndarray]:
        """
        Draw the runs of these keys as arrays.

        :returns: 'frames' (N, T, L, L, 3) uint8 BGR, 'size' (N, T, 2) int64 width and height of
            what is in them, 'box' (N, T, 4) float32 xywh in pixels.
        """
        runs = [self.draw(*key) for key in keys]
        return {name: np.stack([getattr(run, name) for run in runs])
                for name in ('frames', 'size', 'box')}

    def picture(self, key: tuple[int, ...]) -> np.ndarray:
        """Draw the run of a key as people look at it: some of its frames, from left to right."""
        run = self.draw(*key)
        scale, shown = SHOWN_SIDE / self.config.longest, []
        for place in np.linspace(0, len(run.frames) - 1, SHOWN).round().astype(int):
            frame = cv2.resize(run.frames[place], (SHOWN_SIDE, SHOWN_SIDE))
            x, y, w, h = run.box[place] * scale
            corners = np.round([x, y, x + w, y + h]).astype(int).tolist()
            cv2.rectangle(frame, corners[:2], corners[2:], PRESENT, 1)
            shown.append(frame)
        return np.hstack(shown)
