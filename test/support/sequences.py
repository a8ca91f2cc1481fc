# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Drawn sequences with truth, laid out as benchmarks lay out theirs."""
from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from support.pools import disc, scene

STEP, RADIUS = 4, 16


def truth_of(count: int, first: int = 0) -> list[str]:
    """Lines of truth: a disc that moves to the right."""
    return [f'{60 + STEP * (first + n) - RADIUS},44,{2 * RADIUS + 1},{2 * RADIUS + 1}'
            for n in range(count)]


def write_frames(folder: Path, count: int, first: int = 0, name: str = '{:04d}.png') -> Path:
    """Draw frames numbered from 1; the disc begins where it would be in frame `first`."""
    folder.mkdir(parents=True, exist_ok=True)
    ground = scene(np.random.default_rng(1))
    for number in range(count):
        image = ground.copy()
        disc(image, 60 + STEP * (first + number), 60, RADIUS, (40, 200, 240))
        cv2.imwrite(str(folder / name.format(number + 1)), image)
    return folder


def write_sequence(folder: Path, count: int = 6, frames: str = 'img',
                   truth: str = 'groundtruth.txt', lines: Sequence[str] | None = None) -> Path:
    """A folder with frames, in a folder in it, and truth."""
    write_frames(folder / frames, count)
    (folder / truth).write_text('\n'.join(truth_of(count) if lines is None else lines) + '\n')
    return folder
