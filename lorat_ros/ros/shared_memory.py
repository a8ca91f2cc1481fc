# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A full /dev/shm ends whoever imports rclpy by SIGBUS, without a word: here is the word."""
from __future__ import annotations

import os
import sys
from pathlib import Path

PLACE = Path('/dev/shm')
LEAST_BYTES = 64 * 1024  # free; Fast DDS needs a little even where it talks over UDP


def complaint(place: Path = PLACE) -> str:
    """Say that there is no room for DDS in shared memory, and the cure; empty if there is."""
    try:
        about = os.statvfs(place)
    except OSError:  # there is none at all: Fast DDS sees that itself
        return ''
    free = about.f_bavail * about.f_frsize
    if free >= LEAST_BYTES:
        return ''
    return (f'{place} has {free} bytes free, expected at least {LEAST_BYTES}: DDS may end this '
            'process (SIGBUS). Remove what dead processes left there (rm '
            f'{place}/*fastdds_* {place}/*fastrtps_*, while no node runs), or give the container '
            'more (docker run --shm-size=256m)')


def complain_if_full() -> None:
    """Say so on stderr."""
    if said := complaint():
        print(f'lorat_ros: {said}', file=sys.stderr, flush=True)
