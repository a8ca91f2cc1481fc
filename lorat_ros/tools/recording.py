# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
What the recorder heard of a tracker: kept as JSON, and as a box file for other tools.

Times are stamps in nanoseconds. Nothing of ROS is needed to read a recording.
"""
from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Optional

RECORDING_NAME, BOXES_NAME, VIDEO_NAME = 'recording.json', 'boxes.txt', 'annotated.mp4'
#: What the recorder says once frames may come: the tracker waits for one, with the init box.
READY = 'ready: the tracker waits for its first frame'
#: Of a frame without a box while the last word was still 'tracking': nobody said why.
UNEXPLAINED = 'no box'


@dataclass(frozen=True)
class FrameRecord:
    """One processed frame: its stamp, and the measured box (x, y, w, h) and score, if any."""

    stamp: int
    box: Optional[tuple[float, float, float, float]]
    score: Optional[float]
    status: str = ''


@dataclass(frozen=True)
class StatusRecord:
    """One word of ``~/status``: when it was said, the state, and everything else as text."""

    stamp: int
    state: str
    values: Mapping[str, str] = field(default_factory=dict)


@dataclass
class Recording:
    """Everything heard of one tracker."""

    frames: list[FrameRecord] = field(default_factory=list)
    statuses: list[StatusRecord] = field(default_factory=list)
    diagnostics: dict[str, dict[str, Any]] = field(default_factory=dict)
    pictures: list[int] = field(default_factory=list)  # stamps of the video's frames, in order

    def with_status(self) -> list[FrameRecord]:
        """
        Return the frames in the order of their stamps, each with the status that it led to.

        A frame with a box was tracking. For the others it is the last word that was said before
        the next frame, since a status is said right after the frame that changed it. Nothing is
        guessed: an empty answer alone is no report of a loss.
        """
        frames = sorted(self.frames, key=lambda frame: frame.stamp)
        said = sorted(self.statuses, key=lambda status: status.stamp)
        joined, index, state = [], 0, 'idle'
        for frame, after in zip(frames, [*(f.stamp for f in frames[1:]), math.inf]):
            while index < len(said) and said[index].stamp < after:
                state = said[index].state
                index += 1
            status = 'tracking' if frame.box else UNEXPLAINED if state == 'tracking' else state
            joined.append(FrameRecord(frame.stamp, frame.box, frame.score, status))
        return joined

    def states_between(self, start: float, end: float) -> set[str]:
        """
        Return every state that ``~/status`` reported for the time in [start, end).

        These are the words said in that time, and the last one before it, which still held.
        """
        said = sorted(self.statuses, key=lambda status: status.stamp)
        before = [status.state for status in said if status.stamp < start]
        return {*before[-1:], *(s.state for s in said if start <= s.stamp < end)}

    def history(self) -> list[StatusRecord]:
        """Return the words of status at which the state changed."""
        said = sorted(self.statuses, key=lambda status: status.stamp)
        return [now for before, now in zip([None, *said], said)
                if before is None or before.state != now.state]

    def save(self, folder: Path) -> None:
        """Write recording.json and boxes.txt."""
        frames = self.with_status()
        content = {'frames': [asdict(frame) for frame in frames],
                   'statuses': [asdict(status) for status in self.statuses],
                   'diagnostics': self.diagnostics, 'pictures': self.pictures}
        (folder / RECORDING_NAME).write_text(json.dumps(content, indent=1) + '\n')
        lines = ['# stamp [ns], x, y, w, h [pixels], score, status; nan: no measured box']
        for frame in frames:
            box = ','.join(f'{v:.3f}' for v in frame.box or [math.nan] * 4)
            score = math.nan if frame.score is None else frame.score
            lines.append(f'{frame.stamp},{box},{score:.4f},{frame.status}')
        (folder / BOXES_NAME).write_text('\n'.join(lines) + '\n')


def load_recording(folder: Path) -> Recording:
    """Read what ``save`` wrote into a folder."""
    content = json.loads((folder / RECORDING_NAME).read_text())
    frames = [FrameRecord(f['stamp'], tuple(f['box']) if f['box'] else None, f['score'],
                          f['status']) for f in content['frames']]
    statuses = [StatusRecord(s['stamp'], s['state'], s['values']) for s in content['statuses']]
    return Recording(frames, statuses, content['diagnostics'], content['pictures'])
