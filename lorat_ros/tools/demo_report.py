# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What a recording says, measured against what is known: the demo's figures and its verdict."""
from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from itertools import groupby
from typing import Any, NamedTuple, Optional

import numpy as np

from lorat_ros.boxes import iou_xywh
from lorat_ros.tools.recording import FrameRecord, Recording

MIN_SHARE = 0.9
MIN_OVERLAP = 0.6


class Span(NamedTuple):
    """A run of frames with one status; both ends belong to it."""

    status: str
    first: int
    last: int


class Limits(NamedTuple):
    """What a run has to reach; None = not asked."""

    share: float = MIN_SHARE
    overlap: Optional[float] = None
    hidden: Optional[np.ndarray] = None  # indices of the frames without a target


@dataclass
class Report:
    """The figures of one run."""

    frames_in: int
    processed: int
    dropped: int
    spans: list[Span]
    losses: int  # how often ~/status came to say 'lost'
    overlap: Optional[float]  # mean IoU over the processed frames with a known, visible target
    overlap_frames: int
    stages_ms: dict[str, dict[str, float]]
    engine: dict[str, str] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        """Return everything in types that JSON has."""
        return {**asdict(self), 'passed': not self.failures,
                'spans': [span._asdict() for span in self.spans]}


def by_frame(recording: Recording, stamps: Sequence[int]) -> list[Optional[FrameRecord]]:
    """Return what was said of each published frame, found by its stamp; None if nothing was."""
    said = {frame.stamp: frame for frame in recording.with_status()}
    return [said.get(stamp) for stamp in stamps]


def overlaps(frames: Sequence[Optional[FrameRecord]], truth: np.ndarray) -> np.ndarray:
    """
    IoU of every frame; a processed frame without a measured box has 0.

    :param truth: (n, 4) xywh, nan where the target is hidden; may be shorter than the clip.
    :returns: (len(frames),), nan where there is nothing to compare: not processed, no truth, and
        the first frame, whose box was given.
    """
    values = np.full(len(frames), np.nan)
    for index in range(1, min(len(frames), len(truth))):
        frame = frames[index]
        if frame is not None and np.isfinite(truth[index]).all():
            values[index] = 0.0 if frame.box is None else float(
                iou_xywh(np.array(frame.box), truth[index]))
    return values


def status_spans(frames: Sequence[Optional[FrameRecord]]) -> list[Span]:
    """Return the statuses of the processed frames, equal neighbours together."""
    said = [(index, frame.status) for index, frame in enumerate(frames) if frame is not None]
    spans = []
    for status, run in groupby(said, key=lambda item: item[1]):
        indices = [index for index, _ in run]
        spans.append(Span(status, indices[0], indices[-1]))
    return spans


def stage_times(diagnostics: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, float]]:
    """Return p50 and p95 of each stage in milliseconds, as the tracker reported them."""
    times = {}
    for status in diagnostics.values():
        for key, text in status['values'].items():
            stage = re.fullmatch(r'(.+) p50/p95 \[ms\]', key)
            numbers = re.fullmatch(r'\s*([\d.]+)\s*/\s*([\d.]+)\s*', text)
            if stage and numbers:
                times[stage[1]] = {'p50': float(numbers[1]), 'p95': float(numbers[2])}
    return times


def make_report(recording: Recording, stamps: Sequence[int], truth: Optional[np.ndarray],
                limits: Limits) -> Report:
    """Measure a recording against the published frames, the truth and the limits."""
    frames = by_frame(recording, stamps)
    processed = sum(frame is not None for frame in frames)
    iou = overlaps(frames, truth if truth is not None else np.empty((0, 4)))
    compared = np.isfinite(iou)
    spans = status_spans(frames)
    report = Report(
        frames_in=len(frames), processed=processed, dropped=len(frames) - processed, spans=spans,
        losses=sum(word.state == 'lost' for word in recording.history()),
        overlap=float(iou[compared].mean()) if compared.any() else None,
        overlap_frames=int(compared.sum()), stages_ms=stage_times(recording.diagnostics),
        engine=_engine_facts(recording.diagnostics))
    report.failures = _failures(report, limits)
    if limits.hidden is not None and not _loss_reported(recording, stamps, limits.hidden):
        report.failures.append(
            f'the target is hidden from frame {limits.hidden[0]} to {limits.hidden[-1]}, and no '
            "status 'lost' was reported there: the score stays high on what hides it; the "
            "thresholds are the model's (score.lost in its model.json)")
    return report


def _engine_facts(diagnostics: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    wanted = ('model', 'engine', 'device', 'threads')
    return {key: status['values'][key] for status in diagnostics.values()
            for key in wanted if key in status['values']}


def _loss_reported(recording: Recording, stamps: Sequence[int], hidden: np.ndarray) -> bool:
    """Whether ``~/status`` itself said 'lost' for some time while the target was hidden."""
    if hidden[0] >= len(stamps):
        return False  # it never came to that
    after = hidden[-1] + 1
    return 'lost' in recording.states_between(
        stamps[hidden[0]], stamps[after] if after < len(stamps) else math.inf)


def _failures(report: Report, limits: Limits) -> list[str]:
    """Return one line per figure that misses its limit: what, how far, what to do."""
    failures = []
    share = report.processed / max(report.frames_in, 1)
    if share < limits.share:
        failures.append(
            f'{report.processed} of {report.frames_in} frames were processed ({share:.0%}), '
            f'expected at least {limits.share:.0%}: see the logs; on a slow or busy machine use '
            '--lock-step or a lower --rate')
    if limits.overlap is not None and (report.overlap is None
                                       or report.overlap < limits.overlap):
        found = 'unknown' if report.overlap is None else f'{report.overlap:.3f}'
        failures.append(
            f'mean overlap with the truth is {found}, expected at least {limits.overlap}: look '
            'at the annotated video; is the init box right, and the model (--model) the one '
            'you want?')
    return failures


def table(report: Report) -> str:
    """Return the figures as text for a terminal."""
    share = report.processed / max(report.frames_in, 1)
    rows = [('frames in', str(report.frames_in)),
            ('processed', f'{report.processed} ({share:.0%})'),
            ('dropped', str(report.dropped)),
            ('status', '; '.join(f'{s.status} {s.first}-{s.last}' for s in report.spans) or
             'nothing was heard'),
            ('losses reported', str(report.losses))]
    rows.append(('mean overlap', 'no truth given' if report.overlap is None else
                 f'{report.overlap:.3f} over {report.overlap_frames} frames with a visible '
                 'target'))
    rows += [(key, value) for key, value in report.engine.items()]
    lines = [f'  {name:<16} {value}' for name, value in rows]
    if report.stages_ms:
        lines += ['', f'  {"milliseconds":<18} {"p50":>7} {"p95":>7}']
        lines += [f'  {stage:<18} {t["p50"]:>7.2f} {t["p95"]:>7.2f}'
                  for stage, t in report.stages_ms.items()]
    return '\n'.join(lines)
