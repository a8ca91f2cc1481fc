# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""How the engine and the image input are doing, for /diagnostics (REP-107).

The state of the *target* is not health: a lost target is no fault of the node. It has its own
topic.
"""
from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Optional

from diagnostic_msgs.msg import DiagnosticStatus

from lorat_ros.ros.messages import diagnostic_status

WINDOW = 300  # frames that percentiles are taken over: ten seconds at 30 fps
FPS_SPAN = 2.0  # seconds that the frame rate is counted over
UNCOUNTED = 'unknown: this middleware does not number messages'
#: Stages: the age of an image when its detection is out; the same without the network's time,
#: while the target is seen; the network's time on a processor; and drawing a debug image.
AGE, BESIDE, NETWORK_CPU, DEBUG_IMAGE = 'age', 'age beside network', 'network_cpu', 'debug image'
DRAWN_MEMORY = 5.0  # seconds after the last debug image for which its times are told
ERROR_MEMORY = 5.0  # seconds after which a bad frame no longer colours the diagnostics


class Health:
    """Counters and windows.

    Who hears images counts arrivals, who draws them the time for it, the worker everything else.
    """

    def __init__(self) -> None:
        self.received = self.processed = self.dropped = self.failed = self.missed = 0
        self.is_numbered = True  # messages; else nobody knows how many never came
        self.unwanted = 0  # dropped as well, but counted by the worker's thread
        self.last_image: Optional[float] = None  # monotonic seconds
        self.last_result: Optional[float] = None  # monotonic seconds
        self.picture = 'none yet'
        self._last_error, self._error_time = '', -math.inf
        self._stages: dict[str, deque[float]] = {DEBUG_IMAGE: deque(maxlen=WINDOW)}
        self._drawn = -math.inf
        self._done: deque[float] = deque(maxlen=WINDOW)

    def count_received(self, dropped: bool, missed: Optional[int] = 0) -> None:
        """Take note of an arrival, whether a waiting frame was dropped for it, how many were lost.

        :param missed: published before it and never arrived; None: the middleware cannot tell.
        """
        self.received += 1
        self.missed += missed or 0
        self.is_numbered = self.is_numbered and missed is not None
        self.dropped += dropped
        self.last_image = time.monotonic()

    def count_processed(self, milliseconds: Mapping[str, float], picture: str) -> None:
        """Take note of a frame whose result is out, with milliseconds by stage."""
        self.processed += 1
        self.picture = picture
        self.last_result = time.monotonic()
        self._done.append(self.last_result)
        for stage, value in milliseconds.items():
            if stage not in self._stages:
                self._stages[stage] = deque(maxlen=WINDOW)
            self._stages[stage].append(value)

    def count_drawn(self, milliseconds: float) -> None:
        """Take note of a debug image, which took so long."""
        self._drawn = time.monotonic()
        self._stages[DEBUG_IMAGE].append(milliseconds)

    def count_unwanted(self) -> None:
        """Take note of a frame that came, and was not looked at for a pause or the end."""
        self.unwanted += 1

    def count_failed(self, error: Exception) -> None:
        """Take note of a frame that could not be used."""
        self.failed += 1
        self._last_error, self._error_time = str(error), time.monotonic()

    @property
    def fps(self) -> float:
        """Frames processed per second of late; 0.0 when there were none."""
        now = time.monotonic()
        recent = [moment for moment in tuple(self._done) if now - moment <= FPS_SPAN]
        if len(recent) < 2:
            return 0.0
        return (len(recent) - 1) / max(recent[-1] - recent[0], 1e-6)

    def silence(self, now: float, since: float) -> float:
        """Seconds without an image, counted from ``since`` (monotonic) if there was none."""
        return now - max(since, self.last_image or since)

    @property
    def frame_age(self) -> Optional[float]:
        """Seconds since the last result, None if there was none."""
        return None if self.last_result is None else time.monotonic() - self.last_result

    def unprocessed(self, now: float, since: float) -> float:
        """Seconds without a result, counted from ``since`` (monotonic) if there was none."""
        return now - max(since, self.last_result or since)

    def stages(self, names: Iterable[str] = ()) -> dict[str, str]:
        """Median and 95th percentile of each stage (or of these alone) as text, milliseconds."""
        if time.monotonic() - self._drawn > DRAWN_MEMORY:   # nobody looks any more
            self._stages[DEBUG_IMAGE].clear()
        wanted = tuple(names) or tuple(stage for stage, values in self._stages.items() if values)
        return {f'{name} p50/p95 [ms]': _percentiles(tuple(self._stages.get(name, ())))
                for name in wanted}

    def mean(self, stage: str) -> Optional[float]:
        """Mean of a stage, milliseconds; None before its first frame.

        Sums that a process is charged with are made of means: medians leave out slow frames.
        """
        values = tuple(self._stages.get(stage, ()))
        return sum(values) / len(values) if values else None

    def engine_report(self, name: str, facts: Mapping[str, Any], missing: str,
                      missing_level: bytes = DiagnosticStatus.ERROR) -> DiagnosticStatus:
        """Return the engine's status; ``missing`` is why there is none, or empty."""
        level, message = (missing_level, missing) if missing else (DiagnosticStatus.OK, 'ready')
        times = {} if missing else {stage: text for stage, text in self.stages().items()
                                  if not stage.startswith(AGE)}
        if times and (processor := self.mean(NETWORK_CPU)) is not None:
            times[f'{NETWORK_CPU} mean [ms]'] = f'{processor:.3f}'
        return diagnostic_status(name, level, message, {**facts, **times}, facts.get('model', ''))

    def image_report(self, name: str, facts: Mapping[str, Any], awaiting: str,
                     awaiting_level: bytes = DiagnosticStatus.ERROR) -> DiagnosticStatus:
        """Return the input's status; ``awaiting`` says what is missing and the cure, or empty."""
        bad_frame = time.monotonic() - self._error_time < ERROR_MEMORY
        if awaiting:
            level, message = awaiting_level, awaiting
        elif bad_frame:
            level = DiagnosticStatus.WARN
            message = f'a frame could not be used: {self._last_error}'
        else:
            level, message = DiagnosticStatus.OK, f'{self.fps:.1f} frames per second'
        return diagnostic_status(name, level, message, {
            **facts, 'picture': self.picture, 'fps': f'{self.fps:.1f}', 'received': self.received,
            'processed': self.processed, 'dropped': self.dropped + self.unwanted,
            'failed': self.failed, 'missed': self.missed if self.is_numbered else UNCOUNTED,
            **self.stages([AGE, BESIDE]), 'last error': self._last_error or 'none'})


class RepeatFilter:
    """Lets each kind of message through when it is new, and again every few seconds."""

    def __init__(self, period: float) -> None:
        self._period = period
        self._times: dict[str, float] = {}

    def allows(self, kind: str) -> bool:
        """Whether to say this now; ``kind`` is what repetitions have in common."""
        now = time.monotonic()
        self._times = {said: moment for said, moment in self._times.items()
                       if now - moment < self._period}
        if kind in self._times:
            return False
        self._times[kind] = now
        return True


def _percentiles(values: tuple[float, ...]) -> str:
    if not values:
        return 'none yet'
    ordered = sorted(values)    # a tenth of what NumPy's percentiles of a tuple cost
    return ' / '.join(f'{_quantile(ordered, share):.2f}' for share in (0.50, 0.95))


def _quantile(ordered: Sequence[float], share: float) -> float:
    """Return what this share of the values lies below, interpolated as NumPy does by default."""
    place = share * (len(ordered) - 1)
    low = int(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (place - low)
