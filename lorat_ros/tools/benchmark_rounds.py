# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Contenders side by side: each in turn tracks the same few frames, round after round.

A turn is the work of every day: ``init`` on the first frame, then ``update`` on the others. The
first update does not count: it comes after another contender's turn and the template's graph, and
was seen to take up to 16 % longer. All engines of a model see the same crops, round after round.
"""
from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TypeVar

import numpy as np
from tqdm import tqdm

from lorat_ros.boxes import Box
from lorat_ros.engines.session import EngineError, Session, Value
from lorat_ros.models.bundle import Bundle
from lorat_ros.tools.benchmark_clock import Clock, clock_of
from lorat_ros.tools.benchmark_crops import contenders_for
from lorat_ros.tools.benchmark_figures import STAGES, take_turns
from lorat_ros.tracking.crop_choice import open_sampler
from lorat_ros.tracking.tracker import Tracker

Name = TypeVar('Name', bound=Hashable)      # of a contender

COLUMNS = (*STAGES, 'work')
SETTLING = 1                    # updates at the start of a turn that do not count
LEAST_FRAMES = 2 + SETTLING     # of a turn: of init, to settle, to measure
MOST_FRAMES = 30 + SETTLING + 1
MOST_BYTES = 256 * 2 ** 20      # of frames held in memory
WARM_UP = 3                     # updates before anything counts


class TimedSession:
    """A session that notes what its last run took, by a clock of its own."""

    def __init__(self, session: Session, clock: Clock) -> None:
        self._session, self._clock = session, clock
        self.engine, self.device = session.engine, session.device
        self.precision = session.precision
        self.work_ms = 0.0

    def run(self, role: str, inputs: Mapping[str, Value]) -> dict[str, Value]:
        """Run the graph of a role; see ``Session.run``."""
        start = self._clock()
        answer = self._session.run(role, inputs)
        self.work_ms = 1e3 * (self._clock() - start)
        return answer

    def close(self) -> None:
        """Give back memory."""
        self._session.close()


class Contender:
    """One model in one engine."""

    def __init__(self, bundle: Bundle, session: Session, clock: Clock, crops: str = 'auto'
                 ) -> None:
        """Make a tracker whose crops are cut by who is named; see ``open_sampler``."""
        self.session = session
        self._timed = TimedSession(session, clock)
        self._tracker = Tracker(bundle, self._timed, open_sampler(crops, bundle, session))

    def turn(self, clip: Sequence[np.ndarray], box: Box) -> tuple[np.ndarray, np.ndarray]:
        """
        Track through a clip.

        :param clip: frames; the target is at ``box`` in the first.
        :returns: milliseconds (frames measured, ``COLUMNS``), and the boxes found there, xywh.
        """
        self._tracker.init(clip[0], box)
        took, boxes = [], []
        for image in clip[1:]:
            result = self._tracker.update(image)
            took.append([*(result.timings[stage] for stage in STAGES), self._timed.work_ms])
            boxes.append(result.box)
        return np.array(took[SETTLING:]), np.array(boxes[SETTLING:])

    def close(self) -> None:
        """Give back memory."""
        self._tracker.close()


@dataclass(frozen=True)
class Taken:
    """What all turns of one contender took, and the boxes that it found in each of them."""

    samples: dict[str, np.ndarray]      # each of ``COLUMNS`` to (rounds, frames) milliseconds
    boxes: np.ndarray                   # (frames, 4) xywh
    device: str = 'cpu'                 # of the session
    precision: str = 'fp32'


def open_contenders(bundle: Bundle, engines: Iterable[str], threads: int, crops: str = 'auto'
                    ) -> tuple[dict[str, Contender], dict[str, str]]:
    """
    Open a bundle in several engines.

    :param engines: such as 'onnx' or 'openvino:bf16'.
    :returns: those that could, and why the others could not.
    """
    sessions: dict[str, tuple[Session, str]] = {}
    left_out = {}
    for engine in engines:
        try:
            sessions.update(contenders_for(bundle, engine, threads, crops))
        except EngineError as error:
            left_out[engine] = str(error)
    clock = clock_of(threads, [session.device for session, _ in sessions.values()])[1]
    opened = {}
    for name, (session, who) in sessions.items():
        try:
            opened[name] = Contender(bundle, session, clock, who)
        except EngineError as error:
            session.close()
            left_out[name] = str(error)
    return opened, left_out


def first_frames(frames: Iterable[np.ndarray]) -> list[np.ndarray]:
    """Take as many frames as a turn may have and memory is set aside for."""
    taken: list[np.ndarray] = []
    for image in islice(frames, MOST_FRAMES):
        if len(taken) >= LEAST_FRAMES and image.nbytes * (len(taken) + 1) > MOST_BYTES:
            break
        taken.append(image)
    return taken


def frames_for(seconds: float, rounds: int, frame_seconds: float, most: int) -> int:
    """
    Frames measured in each turn, which has to settle first.

    :param seconds: for all rounds together.
    :param frame_seconds: of one frame in all contenders.
    :param most: frames that there are.
    :returns: 1 to ``most``.
    """
    return int(min(max(seconds / (rounds * frame_seconds) - SETTLING, 1), most))


def warm_up(contenders: Mapping[Name, Contender], clip: Sequence[np.ndarray], box: Box) -> float:
    """Let each track a few frames unmeasured; returns the seconds of one frame in all together."""
    few, total = clip[:1 + SETTLING + WARM_UP], STAGES.index('total')
    return sum(float(contender.turn(few, box)[0][:, total].min())
               for contender in contenders.values()) / 1e3


def measure(contenders: Mapping[Name, Contender], clip: Sequence[np.ndarray], box: Box,
            rounds: int, seconds: float, title: str) -> dict[Name, Taken]:
    """
    Let contenders take turns.

    :param clip: at least ``LEAST_FRAMES`` frames; the target is at ``box`` in the first.
    :param rounds: how often each gets its turn.
    :param seconds: about how long that may take; one frame a turn is the least.
    :param title: of the progress bar.
    """
    frames = frames_for(seconds, rounds, warm_up(contenders, clip, box), len(clip) - 1 - SETTLING)
    took: dict[Name, list[np.ndarray]] = {name: [] for name in contenders}
    boxes: dict[Name, np.ndarray] = {}
    for number in tqdm(range(rounds), title, unit='round', mininterval=0.3):
        for name in take_turns(list(contenders), number):
            times, boxes[name] = contenders[name].turn(clip[:1 + SETTLING + frames], box)
            took[name].append(times)
    return {name: Taken(dict(zip(COLUMNS, np.moveaxis(np.array(turns), 2, 0))), boxes[name],
                        contenders[name].session.device, contenders[name].session.precision)
            for name, turns in took.items()}
