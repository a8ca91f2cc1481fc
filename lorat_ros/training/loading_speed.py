# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Measure how fast pairs can be drawn from data, by one core.

::

    python -m lorat_ros.training.loading_speed PATH [--memory GB]
"""
from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

import cv2

from lorat_ros.training.footage import DataError, Notes, Reading
from lorat_ros.training.pairs import PairSampler
from lorat_ros.training.pool import Pool
from lorat_ros.training.sources import read_data, Share
from lorat_ros.training.store import Store

PAIRS, ROUNDS = 150, 5


def speed(pool: Pool) -> float:
    """Pairs a second of CPU time, the best of some rounds."""
    sampler = PairSampler(pool)
    sampler.batch((1, number) for number in range(PAIRS // 3))
    best = 0.0
    for turn in range(ROUNDS):
        start = time.process_time()
        sampler.batch((0, turn, number) for number in range(PAIRS))
        best = max(best, PAIRS / (time.process_time() - start))
    return best


def main(arguments: list[str] | None = None) -> int:
    """Command line; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.split('\n\n')[0].strip())
    parser.add_argument('data', type=Path, help='anything that `lorat train --data` takes')
    parser.add_argument('--memory', type=float, default=3.0, help='GB of pictures to keep')
    args = parser.parse_args(arguments)
    cv2.setNumThreads(1)
    with tempfile.TemporaryDirectory() as unpacked:
        try:
            pool = read_data([Share(args.data)], Reading(Store(1000 * args.memory)),
                             Path(unpacked), Notes())
        except DataError as error:
            print(f'loading_speed: {error}', file=sys.stderr)
            return 2
        pool.fill()
        pace = speed(pool)
    print(f'{args.data}: {pace:.0f} pairs a second and core, {len(pool.images)} pictures, '
          f'{pool.store.bytes / 1e6:.0f} MB of them kept')
    return 0


if __name__ == '__main__':
    sys.exit(main())
