# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
What was built of bundles for the engines of this machine, and whether it was proven.

A precision below float32 runs only where a parity gate has shown, on real images, that the boxes
stay the same. What was built and what the gate saw lie in one folder, whose name hangs on all that
could change the answer: the graphs, engine, precision, the engine's version, the processor or GPU.
Files are written whole or not at all, and of several processes that would build the same, one does
and the others wait.
"""
from __future__ import annotations

import errno
import fcntl
import hashlib
import json
import os
import platform
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from lorat_ros.models.bundle import Bundle

GATE = 'gate.json'
LEAST_CROPS, LEAST_MEDIAN, LEAST_MINIMUM = 100, 0.98, 0.9
LEAST_MAP, LEAST_TRACKED = 0.98, 0.9
WAITING = 0.2      # seconds between looks at a lock that another process holds
_ARITHMETIC = ('avx', 'amx', 'vnni', 'bf16', 'asimd', 'i8mm', 'sve')      # in names of features


class CacheError(RuntimeError):
    """The cache cannot be used; the message names the folder, what is wrong and the cure."""


@dataclass(frozen=True)
class Verdict:
    """What the parity gate saw: overlap (IoU) of the boxes with those in float32, and more."""

    crops: int
    median: float
    minimum: float
    score: float      # largest difference of the score, [0, 1]; not judged
    map: float        # correlation of the score maps with those in float32, median over the crops
    frames: int       # of the sequences through which it tracked by itself
    tracked: float    # median overlap of its boxes there with those in float32
    clips: str        # what it was shown

    @property
    def passed(self) -> bool:
        """Whether this may be used in place of float32."""
        return (self.crops >= LEAST_CROPS and self.median >= LEAST_MEDIAN
                and self.minimum >= LEAST_MINIMUM and self.map >= LEAST_MAP
                and self.frames > 0 and self.tracked >= LEAST_TRACKED)

    def __str__(self) -> str:
        return (f'over {self.crops} crops the boxes overlap with those in float32 by '
                f'{self.median:.4f} in the median and {self.minimum:.4f} at least (needed: '
                f'{LEAST_CROPS} crops, {LEAST_MEDIAN}, {LEAST_MINIMUM}), the score maps correlate '
                f'by {self.map:.4f} (needed: {LEAST_MAP}), and tracking by itself over '
                f'{self.frames} frames it overlaps by {self.tracked:.4f} (needed: '
                f'{LEAST_TRACKED}); the score differs by at most {self.score:.3f}; shown: '
                f'{self.clips}')


def judge(overlaps: Sequence[float], score_differences: Sequence[float], maps: Sequence[float],
          tracked: Sequence[float], clips: str) -> Verdict:
    """
    Sum up what was seen.

    :param overlaps: one number a crop, as ``score_differences`` and ``maps``.
    :param tracked: one overlap a frame of a sequence tracked by itself.
    :param clips: names of what was shown.
    """
    if not len(overlaps):
        return Verdict(0, 0.0, 0.0, 0.0, 0.0, 0, 0.0, clips)
    return Verdict(len(overlaps), _median(overlaps), float(min(overlaps)),
                   float(max(score_differences)), _median(maps), len(tracked),
                   _median(tracked) if len(tracked) else 0.0, clips)


def _median(values: Sequence[float]) -> float:
    return float(statistics.median(values))


def cache_root(chosen: str | Path | None = None) -> Path:
    """Folder of all that is built: the chosen one, or ``lorat_ros/engines`` in XDG's cache."""
    if chosen:
        return Path(chosen).expanduser()
    return Path(os.environ.get('XDG_CACHE_HOME') or '~/.cache').expanduser() / \
        'lorat_ros' / 'engines'


def processor(listing: Path = Path('/proc/cpuinfo')) -> str:
    """
    Architecture and arithmetic units of this machine's processor.

    Without VNNI, sums of 8-bit products saturate: the same graph gives other answers there.
    """
    try:
        lines = listing.read_text(encoding='utf-8').splitlines()
    except OSError:
        lines = []
    named = (line.partition(':')[2].split() for line in lines
             if line.startswith(('flags', 'Features')))
    units = {name for name in next(named, []) if any(unit in name for unit in _ARITHMETIC)}
    return ' '.join([platform.machine(), *sorted(units)])


def folder_of(bundle: Bundle, engine: str, precision: str, version: str,
              root: str | Path | None = None) -> Path:
    """
    Folder for what is built of a bundle.

    :param version: of the engine's library, and of whatever else its answers hang on.
    :param root: see ``cache_root``.
    """
    graphs = sorted((role, entry['sha256'], [data['sha256'] for data in entry.get('data', ())])
                    for role, entry in bundle.manifest['graphs'].items())
    told = json.dumps([graphs, engine, precision, version]).encode()
    key = hashlib.sha256(told).hexdigest()[:12]
    return cache_root(root) / f'{bundle.name}-{engine}-{precision}-{key}'


def write_verdict(folder: Path, verdict: Verdict) -> None:
    """Keep a verdict with what it is about; never half of it. May raise ``CacheError``."""
    make_folder(folder)
    write_json(folder / GATE, asdict(verdict))


def read_verdict(folder: Path) -> Verdict | None:
    """Return the verdict on what lies in a folder; None: there is none that can be read."""
    try:
        found = json.loads((folder / GATE).read_text(encoding='utf-8'))
        kinds = {'int': int, 'float': float, 'str': str}
        return Verdict(**{field.name: kinds[str(field.type)](found[field.name])
                          for field in fields(Verdict)})
    except (OSError, ValueError, KeyError, TypeError):
        return None


@contextmanager
def naming(folder: Path) -> Iterator[None]:
    """
    Write to the cache in the body of a ``with``.

    :raises CacheError: the body raised OSError: names the folder, the reason and the cure.
    """
    try:
        yield
    except OSError as error:
        cure = 'free some space' if error.errno in (errno.ENOSPC, errno.EDQUOT) else \
            'make it writable'
        raise CacheError(f'the engine cache {folder} cannot be written ({error.strerror or error}'
                         f'): {cure}, or choose another folder with engine_cache_dir '
                         '(--engine-cache-dir)') from None


def make_folder(folder: Path) -> None:
    """Make a folder of the cache; see ``naming``."""
    with naming(folder):
        folder.mkdir(parents=True, exist_ok=True)


def write_file(path: Path, content: bytes) -> None:
    """Write a file whole or not at all, also if the power fails; see ``naming``."""
    part = path.with_name(f'{path.name}.{os.getpid()}')
    with naming(path.parent):
        try:
            with part.open('wb') as stream:
                stream.write(content)
                stream.flush()
                os.fsync(stream.fileno())
            os.replace(part, path)
        finally:
            part.unlink(missing_ok=True)


def write_json(path: Path, content: Any) -> None:
    """Write an object as JSON; see ``write_file``."""
    write_file(path, (json.dumps(content, indent=2) + '\n').encode())


@contextmanager
def alone(folder: Path, tell: Callable[[str], None]) -> Iterator[None]:
    """
    Be the only process that builds what belongs in a folder, in the body of a ``with``.

    The lock is the kernel's: it goes with the process that holds it, however that ends.

    :param tell: gets a sentence if another process builds it and has to be waited for.
    :raises CacheError: the cache cannot be written.
    """
    make_folder(folder.parent)
    with naming(folder.parent):
        lock = (folder.parent / f'{folder.name}.lock').open('a+', encoding='utf-8')
    with lock:
        told = False
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if not told:
                    lock.seek(0)
                    tell(f'{lock.read() or "another process"} builds {folder.name}: waiting')
                told = True
                time.sleep(WAITING)
        lock.truncate(0)
        lock.write(f'process {os.getpid()} (since {time.strftime("%H:%M:%S")})')
        lock.flush()
        try:
            yield
        finally:
            lock.truncate(0)
