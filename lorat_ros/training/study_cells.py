# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
The runs of a study, one after the other, each by ``lorat train`` in a process of its own.

A cell's folder holds ``asked.json`` (what decides about it), the run, ``train.log`` and, once it
is finished, ``cell.json``. What is finished is never made again; what was begun goes on.
"""
from __future__ import annotations

import csv
import fcntl
import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Optional

from lorat_ros.training.saving import replace_with
from lorat_ros.training.study_file import Cell, Study, StudyError
from lorat_ros.training.study_judge import judge, judged_clips

PATIENCE = 120          # seconds that a run has to save when the study is ended


@dataclass(frozen=True)
class Bench:
    """Where and how cells are made."""

    data: Path
    output: Path
    tracks: Optional[Path] = None
    processes: int = 1
    threads: int = 1

    def folder(self, cell: Cell) -> Path:
        """Where a cell is kept."""
        return self.output / 'cells' / cell.name


class CellError(RuntimeError):
    """A cell's run failed; says how, and where its log is."""


@contextmanager
def alone(folder: Path) -> Iterator[int]:
    """
    Keep other studies out of a folder.

    :returns: the lock's file descriptor; a process that inherits it keeps the lock, too, so that
        a run that outlives its study is not joined by another one in the same folder.
    :raises StudyError: another study, or a run of one, is at work there.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / 'lock').open('w') as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise StudyError(f'another study is at work in {folder}: wait for it, or give '
                             'another --output') from None
        yield lock.fileno()


def write_json(path: Path, content: Any) -> None:
    """Write a file whole or not at all."""
    replace_with(path, lambda part: part.write_text(json.dumps(content, indent=1) + '\n'))


def finished(study: Study, bench: Bench, cell: Cell) -> dict[str, Any] | None:
    """
    What is known of a cell, None if it is not finished.

    :raises StudyError: what lies in its folder was asked for otherwise.
    """
    folder = bench.folder(cell)
    asked = folder / 'asked.json'
    if asked.is_file() and (before := json.loads(asked.read_text())) != study.asked(cell):
        now = study.asked(cell)
        other = [f'{k} {before.get(k)!r} there, {v!r} asked for' for k, v in now.items()
                 if before.get(k) != v]
        raise StudyError(f'{folder} was made otherwise ({"; ".join(other)}): give another '
                         '--output, or remove that folder')
    done = folder / 'cell.json'
    return json.loads(done.read_text()) if done.is_file() else None


def train_command(study: Study, bench: Bench, cell: Cell) -> list[str]:
    """The command that trains a cell."""
    asked, folder = study.asked(cell), bench.folder(cell)
    launcher = [] if bench.processes == 1 else \
        ['-m', 'torch.distributed.run', '--standalone', '--nproc-per-node', str(bench.processes)]
    options: dict[str, Sequence[Any]] = {
        '--data': [bench.data], '--output': [folder / 'run'], '--name': [cell.name],
        '--threads': [bench.threads], '--set': [*asked['changes'], f'train.seed={cell.seed}'],
        '--leave-out': asked['leave_out'], '--hold-out': asked['labelled'],
        '--tracks': [bench.tracks] if bench.tracks else []}
    return [sys.executable, *launcher, '-m', 'lorat_ros.tools.train', study.recipe,
            *(str(word) for name, words in options.items() if words for word in (name, *words))]


def run_logged(command: Sequence[str], log: Path, lock: int) -> int:
    """
    Run a command with its output in a file; ended, it is asked to end and waited for.

    :returns: its exit status.
    """
    with log.open('ab') as lines:
        # Of its own session: Ctrl-C reaches it once, through here, and it has time to save.
        process = subprocess.Popen(command, stdout=lines, stderr=subprocess.STDOUT,
                                   stdin=subprocess.DEVNULL, start_new_session=True,
                                   pass_fds=(lock,))
        try:
            return process.wait()
        except KeyboardInterrupt:
            process.terminate()
            try:
                process.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                process.kill()
            raise


def held_out_overlap(run: Path) -> float | None:
    """The last validation of a run, in percent: mean overlap of held-out samples; or None."""
    with (run / 'curves.csv').open(newline='') as lines:
        found = [float(row['held_out']) for row in csv.DictReader(lines) if row.get('held_out')]
    return 100 * found[-1] if found else None


def make(study: Study, bench: Bench, cell: Cell, lock: int) -> dict[str, Any]:
    """
    Train and judge a cell, from wherever it stands.

    :raises CellError: the training failed.
    """
    folder = bench.folder(cell)
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / 'asked.json', study.asked(cell))
    log = folder / 'train.log'
    if code := run_logged(train_command(study, bench, cell), log, lock):
        said = log.read_text(errors='replace').replace('\r', '\n').strip().splitlines()
        raise CellError(f'{cell.name}: lorat train ended with {code}: {(said or ["nothing"])[-1]} '
                        f'({log} has it all)')
    fold = study.folds[cell.fold]
    clips = judged_clips(bench.data, fold.labelled, fold.tracked, bench.tracks,
                         study.tracks_a_clip)
    result = {**cell._asdict(), 'overlap': held_out_overlap(folder / 'run'),
              **judge(folder / 'run' / cell.name, clips)}
    write_json(folder / 'cell.json', result)
    (folder / 'run' / 'last.pt').unlink(missing_ok=True)      # the largest file; done with
    return result
