# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What has to be built before the node can be configured, built in a process beside it.

A build takes minutes on a Jetson. Meanwhile `~/status` and `/diagnostics` say how far it is; it
ends when the node ends, and when it is cancelled.
"""
from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from typing import IO, Any, NamedTuple, Optional

from rclpy.executors import ExternalShutdownException
from rclpy.node import Node

from lorat_ros.engines.gpu import find_gpu, Gpu
from lorat_ros.engines.plan_failure import Attempt
from lorat_ros.engines.session import built_record, ENGINE_NAMES, EngineError, unbuilt
from lorat_ros.models.catalog import find_bundle
from lorat_ros.ros.parameters import Parameters
from lorat_ros.tracking.tracker import load_tracker, Tracker

PATIENCE = 5.0  # seconds that a build has to end by itself
POLL = 0.1  # seconds between looks at a build that is waited for
CANCELLED = 'the build was cancelled'
INTERRUPTS = (signal.SIGHUP, signal.SIGINT, signal.SIGTERM)  # of whoever ends everything


class Building(NamedTuple):
    """How far a build is; ``share`` and ``expected`` are None where nobody knows."""

    what: str = 'building_engine'
    share: Optional[float] = None
    elapsed: float = 0.0  # seconds, of the whole build
    expected: Optional[float] = None  # seconds, of the plan that is being built

    @property
    def text(self) -> str:
        """The same in words."""
        share = '' if self.share is None else f', {100 * self.share:.0f} %'
        return f'building_engine: {self.what}{share}, {self.elapsed:.0f} s so far'


class Build:
    """One `lorat build` in a process of its own, whose lines are read when somebody polls."""

    def __init__(self, arguments: list[str], say: Callable[[str], None]) -> None:
        self._say, self._begun = say, time.monotonic()
        self._errors: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115  as long as the process
        self._rest = b''
        self._words: dict[str, Any] = {}
        # A session of its own: Ctrl-C in the terminal is for the node, which then ends it.
        self._process = subprocess.Popen(
            [sys.executable, '-m', 'lorat_ros.tools.cli', 'build', *arguments, '--progress',
             'json'], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=self._errors,
            start_new_session=True)
        assert self._process.stdout, 'a pipe was asked for'
        self._output = self._process.stdout
        os.set_blocking(self._output.fileno(), False)

    def poll(self) -> Optional[int]:
        """Read what it said since; returns its exit status, None while it runs."""
        status = self._process.poll()
        *lines, self._rest = (self._rest + (self._output.read() or b'')).split(b'\n')
        for line in lines:
            words = json.loads(line) if line.startswith(b'{') else {}
            if 'said' in words:
                self._say(words['said'])
            elif words:
                self._words = words
        return status

    @property
    def progress(self) -> Building:
        """How far it is."""
        return Building(self._words.get('what', 'starting'), self._words.get('share'),
                        time.monotonic() - self._begun, self._words.get('expected'))

    def last_words(self) -> str:
        """Its last line on stderr: why it failed."""
        self._errors.seek(0)
        lines = self._errors.read().decode(errors='replace').strip().splitlines()
        return lines[-1].removeprefix('lorat build: ') if lines else 'it did not say why'

    def end(self) -> None:
        """Cancel it if it still runs, and give everything back."""
        for number in (signal.SIGINT, signal.SIGKILL):
            if self._process.poll() is None:
                self._process.send_signal(number)
                try:
                    self._process.wait(PATIENCE)
                except subprocess.TimeoutExpired:
                    continue
        self._output.close()
        self._errors.close()


class EngineBuilds:
    """Sees to it that what the parameters ask for is built, and loads it.

    :param report: called when there is something new to say.
    """

    def __init__(self, node: Node, settings: Parameters, report: Callable[[], None]) -> None:
        self._node, self._settings, self._report = node, settings, report
        self._build: Optional[Build] = None
        self._outcome = ''  # of the last one: empty if all is well, else why not
        self._facts: dict[str, Any] = {}
        self.holds_start = False  # whether the node is to be started once it is built

    @property
    def building(self) -> Optional[Building]:
        """How far the build is that runs now; None: none does. From any thread."""
        build = self._build
        return None if build is None else build.progress

    @property
    def facts(self) -> dict[str, Any]:
        """What /diagnostics says of the engine that was loaded last."""
        return {**self._facts, 'torch loaded': 'torch' in sys.modules}

    def begin(self) -> bool:
        """Start a build if one is needed and none runs; returns whether one runs now."""
        if self._build is None and self._needed() and not self._failed_before():
            self._outcome = ''
            chosen = {name: self._settings[name] for name in (
                'precision', 'threads', 'engine_cache_dir', 'build_frames', 'model')}
            arguments = ['--engine', 'tensorrt', '--precision', chosen['precision'],
                         '--threads', str(chosen['threads'])]
            for option, name in (('--engine-cache-dir', 'engine_cache_dir'),
                                 ('--frames', 'build_frames')):
                arguments += [option, chosen[name]] if chosen[name] else []
            arguments += ['--', chosen['model']] if chosen['model'] else []
            log = self._node.get_logger()
            log.info('building for TensorRT, once for this model and machine; ~/status tells how '
                     'far it is, ~/reset cancels it')
            self._build = Build(arguments, log.info)
            self._report()
        return self._build is not None

    def _needed(self) -> bool:
        try:
            return unbuilt(find_bundle(self._settings['model'] or None), self._settings['engine'],
                           self._settings['precision'], self._settings['engine_cache_dir'] or None)
        except (ValueError, OSError):
            return False  # configuring will say what is wrong with the model

    def _attempt(self) -> Optional[Attempt]:
        """What is to be built; None: nothing can be, here."""
        frames = [self._settings['build_frames']] if self._settings['build_frames'] else []
        try:
            return Attempt(find_bundle(self._settings['model'] or None), 'tensorrt',
                           self._settings['precision'], frames,
                           self._settings['engine_cache_dir'] or None)
        except (ValueError, OSError, EngineError):
            return None

    def _failed_before(self) -> bool:
        """Whether the same build has failed already; `auto` then goes on without, and says why."""
        attempt = self._attempt() if self._settings['engine'] == 'auto' else None
        failure = attempt and attempt.failure()
        if failure:
            self._outcome = (f'it was not tried again, for {failure}; `lorat build` tries anew, '
                             'so does engine tensorrt, and so does a node after an update')
            self._node.get_logger().warning(f'no engine was built: {self._outcome}')
        return bool(failure)

    def poll(self) -> bool:
        """Look at the build; returns whether it still runs."""
        if self._build is None:
            return False
        status = self._build.poll()
        if status is not None:
            words = '' if status == 0 else self._build.last_words()
            # What it could say it has kept itself; interrupted from outside it may work yet.
            if status < 0 and -status not in INTERRUPTS and (attempt := self._attempt()):
                attempt.remember(f'the build was ended by signal {-status}: {words}')
            self._finish(words)
        self._report()
        return self._build is not None

    def _ensure(self) -> None:
        """Wait until what is needed is built, or cannot be. Ends with the node's context."""
        if self._build is None and self._outcome:
            return  # it was tried just now
        self.begin()
        while self.poll():
            if not self._node.context.ok():
                self.cancel()
            elif self._node.executor is None:
                time.sleep(POLL)
            else:  # within a transition: others are served, such as ~/reset, which cancels
                with contextlib.suppress(ExternalShutdownException):
                    self._node.executor.spin_once(POLL)

    def cancel(self) -> bool:
        """End the build, if one runs; returns whether one did."""
        running = self._build is not None
        if running:
            self._finish(CANCELLED)
        return running

    def _finish(self, outcome: str) -> None:
        build, self._build, self._outcome = self._build, None, outcome
        if build is not None:
            build.end()
        if outcome and self._node.context.ok():
            self._node.get_logger().warning(f'no engine was built: {outcome}')

    def load(self) -> Tracker:
        """Load the tracker that the parameters ask for, built first if need be.

        Where TensorRT was to be built and could not be, `auto` is torch on the GPU, or the CPU.

        :raises EngineError: no engine can run it, or the one that was asked for was not built.
        """
        self._ensure()
        chosen = {name: self._settings[name] for name in ('engine', 'threads', 'precision')}
        cache = self._settings['engine_cache_dir'] or None
        outcome, self._outcome = self._outcome, ''
        if outcome and chosen['engine'] != 'auto':
            raise EngineError(f'{outcome}; configure again to try again, or choose engine auto')
        model = self._settings['model'] or None
        tracker = self._on_gpu(model, chosen['threads']) if outcome else None
        tracker = tracker or load_tracker(model, chosen['engine'], chosen['threads'],
                                          chosen['precision'], cache, self._settings['crops'])
        session = tracker.session
        self._node.get_logger().info(
            f'model {tracker.bundle.name}, engine {session.engine} on {session.device} in '
            f'{session.precision} (options: {", ".join(ENGINE_NAMES)}); set parameter engine to '
            'choose')
        self._facts = {'model': tracker.bundle.name, 'family': tracker.bundle.family,
                      'engine': session.engine, 'device': session.device,
                      'precision': session.precision, 'threads': chosen['threads']}
        record = built_record(tracker.bundle, session, cache)
        if record is not None:
            self._facts['built'] = record.how
            self._facts['better precisions'] = '; '.join(record.tried) or 'none was refused'
        self._facts['engine build'] = f'failed: {outcome}' if outcome else 'none needed' \
            if record is None else f'took {record.seconds:.0f} s'
        return tracker

    def _on_gpu(self, model: Optional[str], threads: int) -> Optional[Tracker]:
        """Load the model into torch, if that runs on a GPU here."""
        if not isinstance(find_gpu(), Gpu) or importlib.util.find_spec('torch') is None:
            return None
        try:
            tracker = load_tracker(model, 'torch', threads, crops=self._settings['crops'])
        except EngineError:
            return None
        if tracker.session.device == 'cpu':
            tracker.close()
            return None
        return tracker
