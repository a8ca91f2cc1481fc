# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Doing steps in order: which are due, how far they are, what they said, how they failed."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from prerequisites import Problem

TAIL_LINES = 30
NOISE = ('is ignored: it is neither a file nor a directory',)  # pip, of folders it looked into


def fingerprint(parts: Sequence[str | bytes | Path]) -> str:
    """One hash of texts and of files' contents; a file that is not there counts as empty."""
    digest = hashlib.sha256()
    for part in parts:
        if isinstance(part, Path):
            part = part.read_bytes() if part.is_file() else b''
        content = part.encode() if isinstance(part, str) else part
        digest.update(len(content).to_bytes(8, 'little') + content)
    return digest.hexdigest()


@dataclass(frozen=True)
class Step:
    """One step of the build.

    `inputs`: when they change, the step is due again. `interruptible`: False if what it leaves
    when it is killed half-way cannot be trusted, so that the whole environment is made anew.
    """

    name: str
    title: str
    inputs: Sequence[str | bytes | Path]
    action: Callable[[Step], None]
    interruptible: bool = True


class Journal:
    """Remembers in a folder of the environment which steps are done, and keeps their logs."""

    def __init__(self, folder: Path, environment: Mapping[str, str]) -> None:
        """`environment`: the variables that the steps' commands run with."""
        self.folder, self.environment = folder, dict(environment)
        self._progress = Progress('')

    def _file(self, step: Step, kind: str) -> Path:
        return self.folder / f'{step.name}.{kind}'

    def log(self, step: Step) -> Path:
        """Where a step's commands write what they print."""
        return self._file(step, 'log')

    def is_done(self, step: Step) -> bool:
        """Whether a step was completed with the inputs it has now."""
        stamp = self._file(step, 'stamp')
        return stamp.is_file() and stamp.read_text() == fingerprint(step.inputs)

    def is_broken(self, steps: Sequence[Step]) -> bool:
        """Whether an earlier run was killed inside a step that cannot be repeated."""
        return any(self._file(step, 'running').exists() for step in steps
                   if not step.interruptible)

    def perform(self, steps: Sequence[Step]) -> int:
        """Do the steps that are due, in order; returns how many there were."""
        due = [step for step in steps if not self.is_done(step)]
        for step in due:
            self._perform(step, f'[{steps.index(step) + 1}/{len(steps)}] {step.title}')
        return len(due)

    def _perform(self, step: Step, line: str) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        running = self._file(step, 'running')
        running.touch()
        self._file(step, 'stamp').unlink(missing_ok=True)
        self.log(step).write_text('')
        stamp = fingerprint(step.inputs)  # before the step: what is edited meanwhile is due again
        self._progress = Progress(line)
        with self._progress:
            try:
                step.action(step)
            except Problem:
                running.unlink()  # it came to its own end: what it left is whole
                raise
        self._file(step, 'stamp').write_text(stamp)
        running.unlink()

    def run(self, step: Step, command: Sequence[object], cure: str = '') -> None:
        """Run a command, its output in the step's log; raises Problem with the log's tail.

        `cure`: what the person may do about a failure.
        """
        words = [str(word) for word in command]
        with self.log(step).open('a') as log:
            log.write(f'$ {" ".join(words)}\n')
            log.flush()
            try:
                process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=log,
                                           stderr=subprocess.STDOUT, env=self.environment)
            except OSError as error:
                raise Problem(f'{words[0]} could not be started: {error}') from None
            try:
                while process.poll() is None:
                    self._progress.show()
                    time.sleep(0.1)
            except BaseException:  # interrupted: nothing goes on behind the person's back
                process.terminate()
                process.wait()
                raise
        if process.returncode:
            raise Problem(f'"{step.title}" failed (exit status {process.returncode}); the end of '
                          f'{self.log(step)}:\n{self.tail(step)}\n{cure}'.rstrip())

    def tail(self, step: Step) -> str:
        """The last lines of a step's log, without the known noise."""
        lines = self.log(step).read_text(errors='replace').splitlines()
        lines = [line for line in lines if not any(noise in line for noise in NOISE)]
        return '\n'.join(f'    {line}' for line in lines[-TAIL_LINES:])


class Progress:
    """One line on the terminal that counts seconds; in a log file, a line when a step is over."""

    def __init__(self, line: str) -> None:
        """`line`: what is being done."""
        self.line, self.started, self.shown = line, 0.0, -1

    def __enter__(self) -> Progress:
        self.started = time.monotonic()
        self.show()
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        seconds = time.monotonic() - self.started
        start = '\r' if sys.stdout.isatty() else ''
        print(f'{start}{self.line}: {"failed after " if kind else ""}{seconds:.1f} s', flush=True)

    def show(self) -> None:
        """Bring the count up to date; called now and then while a command runs."""
        seconds = int(time.monotonic() - self.started)
        if sys.stdout.isatty() and seconds != self.shown:
            self.shown = seconds
            print(f'\r{self.line} … {seconds} s', end='', flush=True)
