# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A box that waits for the frame it belongs to."""
from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Optional

from lorat_ros.boxes import Box, BoxError

PATIENCE = 2.0  # seconds that a box waits, while frames arrive, for one with its stamp
LATEST = 1.0  # seconds by which the frame a box is used on may be newer than the box's stamp
OLDEST_KEPT = 'the oldest frame that is kept'


@dataclass(frozen=True)
class InitRequest:
    """A wish to follow a new target.

    ``box`` is (x, y, w, h) in pixels, not checked yet. ``stamp`` is that of the frame the operator
    saw, in nanoseconds of the camera's clock; 0 = the next frame. ``target_id`` is empty where
    one shall be made.
    """

    box: Box
    stamp: int = 0
    target_id: str = ''
    received: float = field(default_factory=time.monotonic)

    def waits_for(self, frame_stamp: int) -> bool:
        """Whether this frame is older than the one the operator saw."""
        return frame_stamp < self.stamp

    @property
    def is_stale(self) -> bool:
        """Whether it has waited long enough for a frame that does not come."""
        return time.monotonic() - self.received > PATIENCE

    def why_stale(self, newest: int) -> str:
        """Say what it has waited for in vain; ``newest`` is the stamp of the newest frame."""
        return (f'no frame came within {PATIENCE} s that is as new as the stamp '
                f'{_seconds(self.stamp)} of the box, the newest has {_seconds(newest)}: give '
                'the stamp of an image, or 0 for the next one')

    def how_late(self, frame_stamp: int, oldest: Optional[int], had_older: bool) -> str:
        """
        Say by how much the frame it is used on is newer than the one the operator saw, if it is.

        :param frame_stamp: of that frame: the first one that is kept and not older than the box.
        :param oldest: stamp of the oldest frame that is kept; None if none is.
        :param had_older: whether there have been older ones, which are gone.
        :raises BoxError: it is so much newer that something else may be there now.
        """
        lag = (frame_stamp - self.stamp) / 1e9 if self.stamp else 0.0
        if lag <= 0:
            return ''
        if oldest is not None and oldest < frame_stamp:  # the frame itself is not gone: none was
            return f', on a frame {lag:.3f} s newer than its stamp'
        cure = 'raise frame_buffer_seconds or frame_buffer_megabytes to keep older ones' \
            if had_older else 'no older one has come since their stamps began'
        if lag > LATEST:
            raise BoxError(
                f'{OLDEST_KEPT} is {lag:.3f} s newer than the stamp {_seconds(self.stamp)} of the '
                f'box, expected at most {LATEST} s: {cure}{", or" if had_older else ";"} give the '
                'stamp of a newer image, or 0 for the next one')
        return f', on {OLDEST_KEPT}, {lag:.3f} s newer than its stamp: {cure}'

    def __str__(self) -> str:
        return 'box x {:.1f} y {:.1f} w {:.1f} h {:.1f}'.format(*self.box)


def _seconds(stamp: int) -> str:
    return f'{stamp / 1e9:.3f}'
