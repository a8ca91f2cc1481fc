# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Builds that failed, remembered: a node need not spend minutes on the same one at each start.

What the parity gate refused is a verdict and no failure (``plan_cache``). What lies outside of the
build, such as a full disk or frames that cannot be read, is not remembered: it fails at once, and
may be mended by the next time.
"""
from __future__ import annotations

import contextlib
import importlib
import json
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import lorat_ros
from lorat_ros.engines import plan_cache
from lorat_ros.engines.session import EngineError, ENGINES
from lorat_ros.models.bundle import Bundle

FAILED = 'failed.json'


@dataclass(frozen=True)
class Failure:
    """A build that failed, and under what; it counts only where all that is as it was."""

    why: str
    versions: str         # engine, GPU, this package
    frames: list[str]     # what the gate was to be shown; empty: the rendered clip
    when: str             # UTC

    def __str__(self) -> str:
        return f'on {self.when} it failed with {self.versions}: {self.why}'


class Attempt:
    """One thing that may be built: keeps and tells how the last build of it failed.

    :param precision: as it was asked for, 'auto' too.
    :param frames: as they were given, in their order.
    :param cache: folder of what was built; None: the user's cache.
    :raises EngineError: the engine cannot run here.
    """

    def __init__(self, bundle: Bundle, engine: str, precision: str, frames: Sequence[str],
                 cache: str | Path | None = None) -> None:
        try:
            version = importlib.import_module(ENGINES[engine].module).version()
        except ImportError as error:
            raise EngineError(f'engine {engine}: {error}') from None
        self._versions = f'{version}, lorat_ros {lorat_ros.__version__}'
        self._frames = list(frames)
        self._path = plan_cache.folder_of(bundle, engine, precision, version, cache) / FAILED

    def remember(self, why: str) -> None:
        """Keep that it failed; where the cache cannot be written it is tried again next time."""
        failure = Failure(why, self._versions, self._frames,
                          time.strftime('%Y-%m-%d %H:%M', time.gmtime()))
        with contextlib.suppress(plan_cache.CacheError):
            plan_cache.make_folder(self._path.parent)
            plan_cache.write_json(self._path, asdict(failure))

    def forget(self) -> None:
        """It was built: whatever failed before counts no more."""
        with contextlib.suppress(OSError):
            self._path.unlink(missing_ok=True)

    def failure(self) -> Failure | None:
        """Return how it failed before; None: it did not, or under other versions or frames."""
        try:
            told = json.loads(self._path.read_text(encoding='utf-8'))
            found = Failure(**told)
        except (OSError, ValueError, TypeError):
            return None
        same = (found.versions, found.frames) == (self._versions, self._frames)
        return found if same else None
