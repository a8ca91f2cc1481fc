# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
What lies beside plans that were built: for what, how, in how long, and what was tried before.

A plan runs only under the version of TensorRT and on the GPU that it was built with, and TensorRT
does not always notice that it is another: the record does.
"""
from __future__ import annotations

import json
import statistics
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from lorat_ros.engines.plan_cache import write_json
from lorat_ros.models.bundle import sha256_of

RECORD = 'plan.json'


@dataclass(frozen=True)
class Record:
    """The side-car of a folder of plans."""

    version: str                        # of the engine: library, GPU, compute capability
    precision: str
    how: str                            # in words: typed graph, flag of the builder, Q/DQ
    options: dict[str, Any]             # of the builder
    plans: dict[str, dict[str, Any]]    # role to bytes, sha256, seconds, bytes of the graph
    tried: list[str]                    # better precisions, and why they are not used

    @property
    def seconds(self) -> float:
        """How long all plans took."""
        return sum(plan['seconds'] for plan in self.plans.values())


def plan_of(folder: Path, role: str) -> Path:
    """File of a role's plan."""
    return folder / f'{role}.plan'


def describe_plan(path: Path, seconds: float, graph_bytes: int) -> dict[str, Any]:
    """Entry of a plan in a record."""
    return {'bytes': path.stat().st_size, 'sha256': sha256_of(path), 'seconds': round(seconds, 3),
            'graph_bytes': graph_bytes}


def write_record(folder: Path, record: Record) -> None:
    """Keep a record; may raise ``CacheError``."""
    write_json(folder / RECORD, asdict(record))


def read_record(folder: Path) -> Record | None:
    """Return the record of a folder; None: there is none that can be read."""
    try:
        record = Record(**json.loads((folder / RECORD).read_text(encoding='utf-8')))
        float(record.seconds)
        return record
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def complaint(folder: Path, roles: Iterable[str], version: str) -> str:
    """
    Say why the plans of a folder cannot be used here; empty if they can.

    :param roles: of which a plan is needed.
    :param version: of the engine here, as in ``Record``.
    """
    record = read_record(folder)
    if record is None:
        return f'{folder / RECORD} is missing or garbled'
    if record.version != version:
        return f'{folder} was built by {record.version}, this is {version}'
    for role in roles:
        path = plan_of(folder, role)
        if role not in record.plans or not path.is_file():
            return f'{path} is missing'
        if path.stat().st_size != record.plans[role].get('bytes') or (
                sha256_of(path) != record.plans[role].get('sha256')):
            return f'{path} is not what was built: it is truncated or damaged'
    return ''


def estimate(root: Path, version: str, graph_bytes: int) -> float | None:
    """
    Seconds that a plan will take, from what earlier ones took; None: there were none.

    :param root: folder of the cache.
    :param graph_bytes: size of the graph.
    """
    rates = [plan['seconds'] / max(plan['graph_bytes'], 1)
             for path in sorted(root.glob(f'*/{RECORD}'))
             for record in [read_record(path.parent)] if record and record.version == version
             for plan in record.plans.values()]
    return statistics.median(rates) * graph_bytes if rates else None
