# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""``lorat build --engine tensorrt``: plans of a bundle in the best precision that passes."""
from __future__ import annotations

import logging
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict
from itertools import islice
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np

from lorat_ros.engines import plan_cache, plan_record
from lorat_ros.engines.gpu import Gpu
from lorat_ros.engines.plan_record import plan_of, Record
from lorat_ros.engines.session import EngineError, open_session
from lorat_ros.engines.tensorrt_build import build_plan, Progress
from lorat_ros.engines.tensorrt_job import job_for, Options
from lorat_ros.engines.tensorrt_ladder import ladder, Step
from lorat_ros.models.bundle import Bundle
from lorat_ros.tools.build_steps import News, share_of, ShownClip, thinned
from lorat_ros.tracking.parity import crops_of, gate

CALIBRATION = 100      # crops at least, where there are so many


class Here(NamedTuple):
    """Where is built: module, GPU, and the engine that opens what was built."""

    trt: Any
    gpu: Gpu
    engine: ModuleType      # lorat_ros.engines.tensorrt, or what stands for it
    make: Callable[..., float] = build_plan


class Wanted(NamedTuple):
    """What is to be built."""

    bundle: Bundle
    precision: str
    clips: list[ShownClip]
    options: Options
    threads: int
    cache: str | None
    again: bool      # also what is there and proven

    @property
    def clip_names(self) -> str:
        """What the gate is shown."""
        return ', '.join(clip.name for clip in self.clips)


def build(wanted: Wanted, here: Here, news: News) -> tuple[plan_cache.Verdict, Path]:
    """
    Build the best precision that passes, step by step down the ladder.

    :returns: its verdict, and the folder of the plans.
    :raises EngineError: none passes; names all that were tried, and why not. A single precision
        that the gate refuses is returned as such.
    :raises lorat_ros.engines.plan_cache.CacheError: the cache cannot be written.
    """
    tried: list[str] = []
    verdict: plan_cache.Verdict | None = None
    for step in ladder(here.trt, here.gpu, wanted.precision, wanted.options.dla >= 0):
        folder = plan_cache.folder_of(wanted.bundle, 'tensorrt', step.precision,
                                      here.engine.version(), wanted.cache)
        begun = time.time()
        with plan_cache.alone(folder, news.say):
            verdict = _kept(wanted, here, folder, begun)
            try:
                verdict = verdict or _climb(wanted, here, step, folder, tried, news)
            except BaseException as error:      # also Ctrl-C: nothing half built stays
                _clear(folder)
                if not isinstance(error, EngineError):
                    raise
                tried.append(f'{step.precision} ({step.how}): {error}')
                news.say(f'{tried[-1]}')
                continue
        if verdict.passed:
            news.say(f'chosen: {step.precision}, {step.how}'
                     + (f'; not used: {"; ".join(tried)}' if tried else ''))
            return verdict, folder
        if verdict.crops < plan_cache.LEAST_CROPS and wanted.precision == 'auto':
            raise EngineError(f'the target is seen in {verdict.crops} crops of {verdict.clips}, '
                              f'the gate needs {plan_cache.LEAST_CROPS}: give more --frames, and '
                              '--init with the target that is in the first of them')
        tried.append(f'{step.precision} ({step.how}): refused by the parity gate: {verdict}')
        news.say(tried[-1])
    if wanted.precision != 'auto' and verdict is not None:
        return verdict, folder
    raise EngineError(f'no plan of {wanted.bundle.name} can be used: {"; ".join(tried)}. Use '
                      'engine onnx, or build with other frames (--frames)')


def _kept(wanted: Wanted, here: Here, folder: Path, begun: float) -> plan_cache.Verdict | None:
    """Return the verdict on what another process has just built, or what is good for this too."""
    verdict, record = plan_cache.read_verdict(folder), plan_record.read_record(folder)
    if verdict is None:
        return None
    fresh = (folder / plan_cache.GATE).stat().st_mtime >= begun
    if not verdict.passed:
        return verdict if fresh else None
    same = record is not None and record.options == asdict(wanted.options) and (
        verdict.clips == wanted.clip_names)
    if not same or plan_record.complaint(folder, wanted.bundle.graphs, here.engine.version()):
        return None
    return None if wanted.again and not fresh else verdict


def _climb(wanted: Wanted, here: Here, step: Step, folder: Path, tried: list[str], news: News
           ) -> plan_cache.Verdict:
    """Build the plans of a step, let the gate judge them, and keep both."""
    _clear(folder)
    plan_cache.make_folder(folder)
    exact = open_session(wanted.bundle, 'onnx', wanted.threads)
    for name, graphs in _graphs(wanted, step, exact, folder, news):
        plans = {role: _plan(wanted, here, step, folder, role, graph, news)
                 for role, graph in graphs.items()}
        plan_record.write_record(folder, Record(
            here.engine.version(), step.precision, step.how + name,
            asdict(wanted.options), plans, list(tried)))
        news.stage(wanted.clips, f'comparing {step.precision}{name}')
        candidate = here.engine.open_session(wanted.bundle, wanted.threads, step.precision, folder)
        # What calibrated does not judge: every second crop each.
        every = 2 if step.eights else 1
        try:
            verdict = gate(wanted.bundle, exact, candidate, wanted.clips, every, every - 1)
        finally:
            candidate.close()
        if verdict.passed or verdict.crops < plan_cache.LEAST_CROPS:
            break      # fewer crops than the gate wants prove nothing, however mild the level
        news.say(f'{step.precision}{name}: refused: {verdict}')
    if not verdict.passed:
        _clear(folder)
    plan_cache.write_verdict(folder, verdict)
    return verdict


def _graphs(wanted: Wanted, step: Step, exact: Any, folder: Path, news: News
            ) -> Iterator[tuple[str, dict[str, Path]]]:
    """Graphs of all roles as the step wants them, one set after the other; with a name."""
    from lorat_ros.engines import plain_graph, qdq, typed_graph      # onnx, only needed here
    bundle = wanted.bundle
    levels: Iterable[str] = qdq.EIGHTS[step.eights].levels if step.eights else ('',)
    feeds: list[dict[str, np.ndarray]] = []
    if step.eights:
        news.stage(wanted.clips, 'calibrating')
        told = islice(crops_of(bundle, exact, wanted.clips), 0, None, 2)
        feeds = thinned((feed for role, feed in told if role == 'search'), CALIBRATION)
    for level in levels:
        news.say(f'writing the graphs of {bundle.name} in {step.precision}')
        graphs = {}
        with tempfile.TemporaryDirectory(dir=folder) as scratch, plan_cache.naming(folder):
            for role, path in bundle.graphs.items():
                model = plain_graph.plain(path, Path(scratch))
                # What runs once or a few times per target is neither worth it nor ever judged.
                if level and step.eights and role == 'search':
                    model = qdq.quantise(model, step.eights, level, feeds, Path(scratch))
                if step.graph:
                    model = typed_graph.mixed(model, step.graph, bundle.handed_over(role))
                graphs[role] = folder / f'{role}.onnx'
                plain_graph.save(model, graphs[role])
        yield f' in {level}' if level else '', graphs


def _plan(wanted: Wanted, here: Here, step: Step, folder: Path, role: str, graph: Path,
          news: News) -> dict[str, Any]:
    """Build one plan; its graph is not needed any more."""
    data = graph.with_suffix('.data')
    size = sum(path.stat().st_size for path in (graph, data) if path.exists())
    expected = plan_record.estimate(folder.parent, here.engine.version(), size)
    what = f'building {wanted.bundle.name} {role} in {step.precision}'
    guess = 'no earlier build tells how long it takes, minutes on a Jetson' if expected is None \
        else f'about {expected:.0f} s'
    logging.getLogger(__name__).info('%s: %s', what, guess)
    news.say(f'{what}: {guess}')
    timing = folder.parent / ('timing-' + '-'.join(here.engine.version().split()) + '.cache')
    job = job_for(graph, plan_of(folder, role), timing, here.gpu, wanted.options, step.typed,
                  step.flags, tf32=step.precision != 'fp32')

    furthest = 0.0

    def tell(progress: Progress) -> None:
        nonlocal furthest      # what TensorRT tells may begin below what was estimated before
        share = share_of(progress, expected)
        furthest = max(furthest, share or 0.0)
        news.build(what, progress._replace(share=None if share is None else furthest), expected)

    try:
        seconds = here.make(job, tell)
    finally:
        graph.unlink(missing_ok=True)
        data.unlink(missing_ok=True)
    return plan_record.describe_plan(plan_of(folder, role), seconds, size)


def _clear(folder: Path) -> None:
    """Remove what was built, its verdict first; the record stays, it tells how long it took."""
    with plan_cache.naming(folder):
        for pattern in (plan_cache.GATE, '*.plan', '*.plan.*', '*.onnx', '*.data'):
            for path in folder.glob(pattern):
                path.unlink(missing_ok=True)
