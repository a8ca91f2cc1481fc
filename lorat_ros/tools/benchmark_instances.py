# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Several trackers at a time, and one with several threads: what ``--scaling`` measures."""
from __future__ import annotations

import multiprocessing
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, NamedTuple

import cv2
import numpy as np

from lorat_ros.boxes import Box
from lorat_ros.tools.benchmark_figures import percentiles, take_turns
from lorat_ros.tools.benchmark_run import clip_of
from lorat_ros.tracking.tracker import load_tracker, Tracker

WARM_UP = 3         # updates before anything counts
PATIENCE = 120.0    # seconds until all are loaded
TURNS = 6           # of each number of threads


@dataclass(frozen=True)
class Work:
    """What each tracker does. It can be sent to another process."""

    model: str | None
    engine: str
    frames: str | None      # video or folder; None: the demo's clip
    init: str | None        # x,y,w,h
    seconds: float          # of each measurement

    def clip(self) -> tuple[list[np.ndarray], Box]:
        """
        Frames, and where the target is in the first of them.

        :raises FramesError: too few frames, or no target is known.
        """
        return clip_of(self.frames, self.init)

    def tracker(self, threads: int) -> Tracker:
        """Load one; see ``load_tracker`` for what it raises."""
        return load_tracker(self.model, self.engine, threads)


class Done(NamedTuple):
    """What one tracker did."""

    took: list[float]       # milliseconds of each update, by the wall
    cpu: float              # milliseconds of processor time that all of them took
    seconds: float          # from the first to the last


def measure_threads(work: Work, counts: Sequence[int]) -> list[dict[str, Any]]:
    """Let trackers whose networks have so many threads take turns, each alone."""
    clip, box = work.clip()
    trackers = {count: work.tracker(count) for count in counts}
    done: dict[int, list[Done]] = {count: [] for count in counts}
    for number in range(TURNS):
        for count in take_turns(list(counts), number):
            done[count].append(_follow(trackers[count], clip, box, work.seconds / TURNS,
                                       time.process_time))
    for tracker in trackers.values():
        tracker.close()
    return [{'threads': count, **_summary(done[count])} for count in counts]


def measure_instances(work: Work, count: int, how: str) -> dict[str, Any]:
    """
    Let so many trackers, of one thread each, run at the same time, each as fast as it can.

    :param how: 'threads' of one process, or 'processes'.
    :raises concurrent.futures.process.BrokenProcessPool: a process ended before its time.
    """
    done = {'threads': _in_threads, 'processes': _in_processes}[how](work, count)
    return {'instances': count, 'how': how,
            'fps': sum(len(one.took) / one.seconds for one in done), **_summary(done)}


def _summary(done: Sequence[Done]) -> dict[str, float]:
    took = np.concatenate([one.took for one in done])
    return {**percentiles(took), 'cpu_ms': sum(one.cpu for one in done) / len(took)}


def _follow(tracker: Tracker, clip: Sequence[np.ndarray], box: Box, seconds: float,
            clock: Callable[[], float], start: Callable[[], Any] = lambda: None) -> Done:
    """
    Track through the clip again and again.

    :param clock: seconds of processor time.
    :param start: called when it has warmed up.
    """
    tracker.init(clip[0], box)
    for image in clip[1:1 + WARM_UP]:
        tracker.update(image)
    start()
    took, cpu = [], 0.0
    begin = now = time.perf_counter()
    while now - begin < seconds:
        tracker.init(clip[0], box)
        for image in clip[1:]:
            before, worked = time.perf_counter(), clock()
            tracker.update(image)
            now, cpu = time.perf_counter(), cpu + clock() - worked
            took.append(1e3 * (now - before))
            if now - begin >= seconds:
                break
    return Done(took, 1e3 * cpu, now - begin)


def _in_threads(work: Work, count: int) -> list[Done]:
    clip, box = work.clip()
    trackers = [work.tracker(1) for _ in range(count)]
    gate = threading.Barrier(count, timeout=PATIENCE)
    with ThreadPoolExecutor(count) as pool:
        done = list(pool.map(lambda tracker: _follow(tracker, clip, box, work.seconds,
                                                     time.thread_time, gate.wait), trackers))
    for tracker in trackers:
        tracker.close()
    return done


def _in_processes(work: Work, count: int) -> list[Done]:
    context = multiprocessing.get_context('spawn')
    with context.Manager() as manager, ProcessPoolExecutor(count, context) as pool:
        gate = manager.Barrier(count, timeout=PATIENCE)
        return list(pool.map(_alone, [work] * count, [gate] * count))


def _alone(work: Work, gate: Any) -> Done:
    """What each of several processes does; it waits for the others before it begins."""
    cv2.setNumThreads(1)
    clip, box = work.clip()
    return _follow(work.tracker(1), clip, box, work.seconds, time.thread_time, gate.wait)
