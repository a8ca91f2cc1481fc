# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
A plan of TensorRT from an ONNX graph, built in a process of its own.

So a build can be cancelled whatever TensorRT does just then, its memory is given back, and what
ends the builder does not end who asked for it. ``python -m lorat_ros.engines.tensorrt_build JOB``
is that process: it writes the plan, and JSON lines about its progress to stdout.
"""
from __future__ import annotations

import json
import os
import selectors
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, IO, NamedTuple

from lorat_ros.engines.plan_cache import CacheError
from lorat_ros.engines.session import EngineError
from lorat_ros.engines.tensorrt_job import Job

TOLD_EVERY = 0.5           # seconds between words on progress


class Progress(NamedTuple):
    """How far a build is."""

    share: float | None      # [0, 1]; None: this version of TensorRT does not tell
    elapsed: float           # seconds
    phase: str = ''


def build_plan(job: Job, tell: Callable[[Progress], None]) -> float:
    """
    Build a plan in a process of its own; returns the seconds it took.

    Whatever is raised here meanwhile (KeyboardInterrupt) ends that process; no half plan stays.

    :raises EngineError: TensorRT refuses the graph, or the process was ended.
    :raises CacheError: the plan cannot be written.
    """
    begun = time.monotonic()
    with tempfile.TemporaryDirectory(prefix='lorat-build-') as scratch:
        order, log = Path(scratch) / 'job.json', Path(scratch) / 'log'
        order.write_text(json.dumps(asdict(job)), encoding='utf-8')
        with log.open('wb') as errors:
            process = subprocess.Popen(
                [sys.executable, '-m', 'lorat_ros.engines.tensorrt_build', str(order),
                 str(os.getpid())], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                stderr=errors, start_new_session=True)      # Ctrl-C is for us alone
        assert process.stdout, 'a pipe was asked for'
        try:
            last = _listen(process.stdout, begun, tell)
            code = process.wait()
        finally:
            _end(process)
            process.stdout.close()
            Path(f'{job.plan}.{process.pid}').unlink(missing_ok=True)
        if 'unwritable' in last:
            raise CacheError(last['unwritable'])
        if code or 'done' not in last:
            raise EngineError(last.get('error') or _how_it_ended(code, log))
    return time.monotonic() - begun


def _listen(said: IO[bytes], begun: float, tell: Callable[[Progress], None]
            ) -> dict[str, Any]:
    """Pass on what the process says until it is silent for ever; returns its last words."""
    last: dict[str, Any] = {}
    progress = Progress(None, 0.0)
    with selectors.DefaultSelector() as ready:
        ready.register(said, selectors.EVENT_READ)
        while True:
            if ready.select(TOLD_EVERY):
                line = said.readline()
                if not line:
                    return last
                last = json.loads(line) if line.startswith(b'{') else last
                if 'share' in last:
                    progress = Progress(last['share'], 0.0, last['phase'])
            tell(progress._replace(elapsed=time.monotonic() - begun))


def _how_it_ended(code: int, log: Path) -> str:
    said = log.read_text(encoding='utf-8', errors='replace').strip().splitlines()[-3:]
    if code == -signal.SIGKILL:
        return ('the builder was killed, probably for want of memory: close other programs, add '
                'swap, or give it less with --workspace')
    return f'the builder ended with status {code}: {" | ".join(said) or "it said nothing"}'


def _end(process: subprocess.Popen[bytes]) -> None:
    for stop in (process.terminate, process.kill):
        if process.poll() is None:
            stop()
            try:
                process.wait(3)
            except subprocess.TimeoutExpired:
                continue


# -- in the process of its own ----------------------------------------------------------------

def _say(stream: IO[str], **words: object) -> None:
    stream.write(json.dumps(words) + '\n')
    stream.flush()


def main(arguments: list[str]) -> int:
    """Build what a job says. Returns 0, or 1 after a line with the reason."""
    from lorat_ros.engines.tensorrt_builder import build, stay_with      # what only this needs
    stay_with(int(arguments[1]))
    out = os.fdopen(os.dup(1), 'w', encoding='utf-8')
    os.dup2(2, 1)      # what libraries print is no progress
    job = json.loads(Path(arguments[0]).read_text(encoding='utf-8'))
    try:
        build(replace(Job(**job), flags=tuple(job['flags'])),
              lambda share, phase: _say(out, share=share, phase=phase))
    except CacheError as error:
        _say(out, unwritable=str(error))
        return 1
    except EngineError as error:
        _say(out, error=str(error))
        return 1
    _say(out, done=True)
    return 0


if __name__ == '__main__':
    sys.exit(main(sys.argv[1:]))
