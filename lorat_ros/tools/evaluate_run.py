# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Running a tracker over sequences, and keeping what it said in files."""
from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from tqdm import tqdm

import lorat_ros
from lorat_ros.engines.session import EngineError
from lorat_ros.tools.evaluate_figures import Times
from lorat_ros.tools.frames import FramesError, read_rows
from lorat_ros.tools.sequences import Clip
from lorat_ros.tracking.tracker import ImageError, Tracker, TrackResult


@dataclass(frozen=True)
class Run:
    """What a tracker said in one sequence of n frames."""

    rows: np.ndarray                     # (n, 5) x, y, w, h, score; row 0: the given box, nan
    times: Times = field(default_factory=Times)


@dataclass(frozen=True)
class Entry:
    """One column of the comparison: a model, or somebody's boxes."""

    label: str
    about: Mapping[str, Any]             # what it is, for the report
    runs: Mapping[str, Run]              # by name of the sequence
    complaints: tuple[str, ...]          # what went wrong, a line each
    score_lost: float = 0.0              # thresholds of its status, see TargetStatus
    score_recover: float = 0.0
    return_frames: int = 2


class Follower(Protocol):
    """What can be run over a sequence: our trackers, and others behind the same two calls."""

    def init(self, image: np.ndarray, box: Sequence[float]) -> object:
        """Take a target."""

    def update(self, image: np.ndarray) -> TrackResult:
        """Find it in the next image."""


def run_clip(tracker: Follower, clip: Clip, progress: Callable[[], object]) -> Run:
    """
    Track through a sequence once, from its first box.

    A box that is not finite or has no size is a loss that the tracker reports: a row of nan.

    :param progress: called after every frame.
    :raises FramesError: a frame cannot be read.
    :raises lorat_ros.tracking.tracker.ImageError: a frame is no image that can be tracked in.
    """
    rows, wall, cpu = [(*clip.init_box, np.nan)], [], []
    for number, image in enumerate(clip.frames()):
        if number == 0:
            tracker.init(image, clip.init_box)
        else:
            began, worked = time.perf_counter(), time.process_time()
            result = tracker.update(image)
            wall.append(1e3 * (time.perf_counter() - began))
            cpu.append(1e3 * (time.process_time() - worked))
            good = np.isfinite(result.box).all() and min(result.box[2:]) > 0
            rows.append((*(result.box if good else (np.nan,) * 4), result.score))
        progress()
    return Run(np.array(rows, np.float64), Times(tuple(wall), tuple(cpu)))


class Shelf:
    """
    Keeps the boxes of one model: ``SEQUENCE.txt`` and beside it ``SEQUENCE.json``.

    The text is one ``x,y,w,h,score`` a line, in the coordinates of the sequence's own truth. The
    JSON says what made it, so that nothing of another model is taken for it, and has the times.
    """

    def __init__(self, folder: Path, made_by: Mapping[str, Any]) -> None:
        self.folder = folder
        self.made_by = dict(made_by)

    def read(self, clip: Clip) -> Run | None:
        """Return what is kept of a sequence; None if nothing is, or it is of something else."""
        try:
            about = json.loads(self._path(clip, '.json').read_text(encoding='utf-8'))
            run = read_run(self._path(clip, '.txt'), clip)
            same = about['made_by'] == self.made_by
            times = Times(tuple(about['wall_ms']), tuple(about['cpu_ms']))
        except (OSError, ValueError, KeyError, TypeError):
            return None
        fits = len(run.rows) == len(clip) and np.allclose(run.rows[0, :4], clip.init_box)
        return Run(run.rows, times) if same and fits else None

    def write(self, clip: Clip, run: Run) -> None:
        """
        Keep a sequence. An interruption leaves the old file or the new one, never a half.

        :raises OSError: it cannot be written.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        self._path(clip, '.json').unlink(missing_ok=True)  # without it the boxes count for nothing
        rows = run.rows + [clip.origin, clip.origin, 0, 0, 0]
        text = ''.join(','.join(repr(float(v)) for v in row) + '\n' for row in rows)
        _replace(self._path(clip, '.txt'), text)
        _replace(self._path(clip, '.json'), json.dumps(
            {'made_by': self.made_by, 'wall_ms': run.times.wall, 'cpu_ms': run.times.cpu}))

    def _path(self, clip: Clip, suffix: str) -> Path:
        return self.folder / f'{clip.name}{suffix}'


def _replace(path: Path, text: str) -> None:
    half = path.with_name(f'{path.name}.half')
    half.write_text(text, encoding='utf-8')
    os.replace(half, path)


def read_run(path: Path, clip: Clip) -> Run:
    """
    Read saved boxes of a sequence, in the coordinates of its truth.

    :raises FramesError: no such file, not made of boxes, or more boxes than frames.
    """
    rows = read_rows(path)
    if len(rows) > len(clip):
        raise FramesError(f'{path} has {len(rows)} boxes for {len(clip)} frames: it is of '
                          'another version of the sequence')
    return Run(rows - [clip.origin, clip.origin, 0, 0, 0])


def identity(tracker: Tracker) -> dict[str, Any]:
    """What decides about a model's boxes: its manifest (with all checksums), engine, version."""
    manifest = json.dumps(dict(tracker.bundle.manifest), sort_keys=True)
    return {'model': tracker.bundle.name,
            'manifest': hashlib.sha256(manifest.encode()).hexdigest(),
            'engine': tracker.session.engine, 'precision': tracker.session.precision,
            'lorat_ros': lorat_ros.__version__}


def run_model(tracker: Tracker, label: str, clips: Sequence[Clip], shelf: Shelf | None,
              reuse: bool) -> Entry:
    """
    Run a model over all sequences; one that fails is left out and complained about.

    :param shelf: where the boxes are kept, if they are.
    :param reuse: take from there what the same model has left there.
    """
    runs, complaints, taken = {}, [], 0
    with tqdm(total=sum(map(len, clips)), desc=label, unit='frame', disable=None) as bar:
        for clip in clips:
            kept = shelf.read(clip) if shelf and reuse else None
            if kept:
                runs[clip.name], taken = kept, taken + 1
                bar.update(len(clip))
                continue
            try:
                runs[clip.name] = run_clip(tracker, clip, bar.update)
            except (FramesError, ImageError, EngineError) as error:
                complaints.append(f'{clip.name}: {error}')
                continue
            if shelf:
                shelf.write(clip, runs[clip.name])
    about = {**identity(tracker), 'reused': taken}
    return Entry(label, about, runs, tuple(complaints), tracker.bundle.score_lost,
                 tracker.bundle.score_recover, tracker.bundle.return_frames)


def read_entry(folder: Path, label: str, clips: Sequence[Clip]) -> Entry:
    """
    Read somebody's boxes: ``SEQUENCE.txt``, or as GOT-10k's toolkit keeps them.

    :raises FramesError: there is no such folder.
    """
    if not folder.is_dir():
        raise FramesError(f'{folder} is not a folder: expected one with SEQUENCE.txt for every '
                          'sequence, x,y,w,h or x,y,w,h,score a line')
    runs, complaints = {}, []
    for clip in clips:
        places = (folder / f'{clip.name}.txt', folder / clip.name / f'{clip.name}_001.txt')
        try:
            run = read_run(next((p for p in places if p.is_file()), places[0]), clip)
        except FramesError as error:
            complaints.append(f'{clip.name}: {error}')
            continue
        runs[clip.name] = run
        if len(run.rows) < len(clip):
            complaints.append(f'{clip.name}: {label} has {len(run.rows)} boxes for {len(clip)} '
                              'frames: the others count as lost')
    return Entry(label, {'boxes': str(folder)}, runs, tuple(complaints))
