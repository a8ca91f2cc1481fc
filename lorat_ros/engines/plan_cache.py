# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
What was built of bundles for the engines of this machine, and whether it was proven.

A precision below float32 runs only where a parity gate has shown, on real images, that the boxes
stay the same. What was built and what the gate saw lie in one folder, whose name hangs on all that
could change the answer: the graphs, engine, precision, the engine's version, the processor.
"""
from __future__ import annotations

import hashlib
import json
import os
import platform
import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from lorat_ros.models.bundle import Bundle

GATE = 'gate.json'
LEAST_CROPS, LEAST_MEDIAN, LEAST_MINIMUM = 100, 0.98, 0.9
_ARITHMETIC = ('avx', 'amx', 'vnni', 'bf16', 'asimd', 'i8mm', 'sve')      # in names of features


@dataclass(frozen=True)
class Verdict:
    """What the parity gate saw: overlap (IoU) of the boxes with those in float32."""

    crops: int
    median: float
    minimum: float
    score: float      # largest difference of the score, [0, 1]; not judged

    @property
    def passed(self) -> bool:
        """Whether this may be used in place of float32."""
        return (self.crops >= LEAST_CROPS and self.median >= LEAST_MEDIAN
                and self.minimum >= LEAST_MINIMUM)

    def __str__(self) -> str:
        return (f'over {self.crops} crops the boxes overlap with those in float32 by '
                f'{self.median:.4f} in the median and {self.minimum:.4f} at least (needed: '
                f'{LEAST_CROPS} crops, {LEAST_MEDIAN}, {LEAST_MINIMUM}); the score differs by at '
                f'most {self.score:.3f}')


def judge(overlaps: Sequence[float], score_differences: Sequence[float]) -> Verdict:
    """Sum up what was seen, one number a crop each."""
    if not len(overlaps):
        return Verdict(0, 0.0, 0.0, 0.0)
    return Verdict(len(overlaps), float(statistics.median(overlaps)), float(min(overlaps)),
                   float(max(score_differences)))


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
    """Keep a verdict with what it is about; never half of it."""
    folder.mkdir(parents=True, exist_ok=True)
    part = folder / f'{GATE}.{os.getpid()}'
    part.write_text(json.dumps(asdict(verdict), indent=2) + '\n', encoding='utf-8')
    os.replace(part, folder / GATE)


def read_verdict(folder: Path) -> Verdict | None:
    """Return the verdict on what lies in a folder; None: there is none that can be read."""
    try:
        fields = json.loads((folder / GATE).read_text(encoding='utf-8'))
        return Verdict(int(fields['crops']), *(float(fields[name])
                                               for name in ('median', 'minimum', 'score')))
    except (OSError, ValueError, KeyError, TypeError):
        return None
