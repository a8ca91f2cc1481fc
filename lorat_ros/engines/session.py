# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
The engine contract, and the table of engines.

An engine opens a session for one bundle and runs the bundle's graphs by role with named arrays.
It knows nothing of tracking. What one graph makes only for another (a template's tokens for the
search graph) comes back as ``Handle`` and is passed on as it is: a session on a GPU never copies
it to the host.
"""
from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np

from lorat_ros.models.bundle import Bundle


class EngineError(RuntimeError):
    """A session that cannot be opened or run; the message says why and what to do."""


class Handle:
    """A value that stays inside its session; ``value`` is the engine's own business."""

    __slots__ = ('value',)

    def __init__(self, value: Any) -> None:
        self.value = value


Value = np.ndarray | Handle


class Session(Protocol):
    """Runs the graphs of one bundle; used by one thread at a time."""

    engine: str       # 'onnx', 'torch', …
    device: str       # 'cpu', …

    def run(self, role: str, inputs: Mapping[str, Value]) -> dict[str, Value]:
        """Run the graph of a role; arrays in, arrays out, handles where the bundle says so."""

    def close(self) -> None:
        """Give back memory; the session cannot be used afterwards."""


# Where each engine lives: a module with open_session(bundle, threads). In the order in which
# 'auto' tries them; those marked False are taken only when they are asked for by name.
ENGINES: dict[str, tuple[str, bool]] = {
    'onnx': ('lorat_ros.engines.onnx', True),
    'torch': ('lorat_ros.engines.torch', False),
}
ENGINE_NAMES = ('auto', *ENGINES)


def open_session(bundle: Bundle, engine: str = 'auto', threads: int = 1) -> Session:
    """
    Open a session.

    :param engine: one of ``ENGINE_NAMES``; 'auto' takes the first that can run here.
    :param threads: CPU threads for one inference, at least 1.
    :raises EngineError: unknown engine, missing library, graph that cannot be loaded.
    """
    if engine not in ENGINE_NAMES:
        raise EngineError(f'engine {engine!r} is unknown: choose one of {", ".join(ENGINE_NAMES)}')
    if threads < 1:
        raise EngineError(f'threads is {threads}, expected at least 1')
    names = [engine] if engine != 'auto' else [n for n, (_, auto) in ENGINES.items() if auto]
    reasons = []
    for name in names:
        try:
            module = importlib.import_module(ENGINES[name][0])
            return module.open_session(bundle, threads)
        except ImportError as error:
            reasons.append(f'{name}: {error}')
    raise EngineError(f'no engine can run {bundle.name} here ({"; ".join(reasons)}): install one, '
                      'for example pip install onnxruntime')
