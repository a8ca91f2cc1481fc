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
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple, Protocol

import numpy as np

from lorat_ros.engines import plan_cache, plan_record
from lorat_ros.engines.gpu import find_gpu, Gpu
from lorat_ros.models.bundle import Bundle


class EngineError(RuntimeError):
    """A session that cannot be opened or run; the message says why and what to do."""


class Unproven(EngineError):
    """
    What is asked for was not built and proven on this machine, or the gate refused it.

    ``worth_building``: it was not refused.
    """

    def __init__(self, message: str, worth_building: bool = True) -> None:
        super().__init__(message)
        self.worth_building = worth_building


class Handle:
    """A value that stays inside its session; ``value`` is the engine's own business."""

    __slots__ = ('value',)

    def __init__(self, value: Any) -> None:
        self.value = value


Value = np.ndarray | Handle


def arrays(outputs: Mapping[str, Value]) -> dict[str, np.ndarray]:
    """Those of a graph's outputs that came to the host: what may be looked into."""
    return {name: value for name, value in outputs.items() if not isinstance(value, Handle)}


class Session(Protocol):
    """Runs the graphs of one bundle; used by one thread at a time."""

    engine: str       # 'onnx', 'torch', …
    device: str       # 'cpu', …
    precision: str    # 'fp32', …

    def run(self, role: str, inputs: Mapping[str, Value]) -> dict[str, Value]:
        """Run the graph of a role; arrays in, arrays out, handles where the bundle says so."""

    def close(self) -> None:
        """Give back memory; the session cannot be used afterwards."""


class ArraySession:
    """What sessions that run ONNX graphs with arrays of the host have in common."""

    def __init__(self, bundle: Bundle, outputs: Mapping[str, Sequence[str]]) -> None:
        """
        Take over the bookkeeping.

        :param outputs: role to the names of its graph's outputs, in the order of ``_infer``.
        """
        self._outputs = outputs
        self._kept = {role: bundle.handed_over(role) for role in outputs}

    def _infer(self, role: str, feed: dict[str, np.ndarray]) -> Sequence[np.ndarray]:
        """Run a graph; what it returns nobody else writes to. May raise anything."""
        raise NotImplementedError

    def run(self, role: str, inputs: Mapping[str, Value]) -> dict[str, Value]:
        """Run the graph of a role; see ``Session.run``."""
        if role not in self._outputs:
            raise EngineError(f'this model has no graph {role!r}, only {sorted(self._outputs)}')
        feed = {name: value.value if isinstance(value, Handle) else np.ascontiguousarray(value)
                for name, value in inputs.items()}
        try:
            values = self._infer(role, feed)
        except Exception as error:      # engines have exception types of their own
            shapes = {name: getattr(value, 'shape', None) for name, value in feed.items()}
            raise EngineError(f'graph {role!r} refused its inputs {shapes}: {error}') from None
        kept = self._kept[role]
        return {name: Handle(value) if name in kept else value
                for name, value in zip(self._outputs[role], values)}


class EngineEntry(NamedTuple):
    """
    An engine: a module, and what it can do.

    The module has ``open_session(bundle, threads, precision, built)`` (``built``: the folder of
    what was built, None where nothing needs to be) and, if something does, ``version()``.
    """

    module: str
    by_itself: bool                 # whether 'auto' takes it, or only who asks for it by name
    precisions: tuple[str, ...]
    built: bool = False             # whether it runs only what was built and proven, fp32 too


#: In the order in which 'auto' tries them.
ENGINES: Mapping[str, EngineEntry] = MappingProxyType({
    'onnx': EngineEntry('lorat_ros.engines.onnx', True, ('fp32', 'int8')),
    'openvino': EngineEntry('lorat_ros.engines.openvino', False, ('fp32', 'bf16')),
    'torch': EngineEntry('lorat_ros.engines.torch', False, ('fp32', 'bf16', 'fp16')),
    'tensorrt': EngineEntry('lorat_ros.engines.tensorrt', False,
                            ('fp32', 'fp16', 'bf16', 'int8', 'fp8'), built=True),
})
ENGINE_NAMES = ('auto', *ENGINES)
EXACT = 'fp32'      # what every engine can do and what needs no proof
#: What 'auto' means for an engine whose every precision is proven: the first that passed.
LADDER = ('fp16', 'bf16', EXACT)
PRECISION_NAMES = ('auto', *dict.fromkeys(p for e in ENGINES.values() for p in e.precisions))
_INSTALL = {'openvino': 'pip install openvino', 'torch': 'pip install torch onnx safetensors'}


def open_session(bundle: Bundle, engine: str = 'auto', threads: int = 1, precision: str = 'auto',
                 cache: str | Path | None = None) -> Session:
    """
    Open a session.

    :param engine: one of ``ENGINE_NAMES``; 'auto' takes TensorRT where it has been built and
        proven for this bundle, else ONNX Runtime.
    :param threads: CPU threads for one inference, at least 1.
    :param precision: one of ``PRECISION_NAMES``; 'auto' is float32, for TensorRT the best one that
        passed. What is below must have passed the parity gate on this machine (``lorat build``).
    :param cache: folder of what was built; None: the user's cache.
    :raises EngineError: unknown engine or precision, missing library, graph that cannot be
        loaded, precision without proof.
    """
    if engine not in ENGINE_NAMES:
        raise EngineError(f'engine {engine!r} is unknown: choose one of {", ".join(ENGINE_NAMES)}')
    if precision not in PRECISION_NAMES:
        raise EngineError(f'precision {precision!r} is unknown: choose one of '
                          f'{", ".join(PRECISION_NAMES)}')
    if threads < 1:
        raise EngineError(f'threads is {threads}, expected at least 1')
    ready = _ready(bundle, threads, precision, cache) if engine == 'auto' else None
    if ready is not None:
        return ready
    if engine != 'auto' and ENGINES[engine].built:
        return _open_built(bundle, engine, threads, precision, cache)
    wanted = EXACT if precision == 'auto' else precision
    names = [engine] if engine != 'auto' else [n for n, e in ENGINES.items() if e.by_itself]
    able = [name for name in names if wanted in ENGINES[name].precisions]
    if not able:
        offered = {n: e.precisions for n, e in ENGINES.items() if n in names}
        others = [n for n, e in ENGINES.items() if wanted in e.precisions]
        raise EngineError(f'precision {wanted} is not offered by engine {engine} ({offered}): '
                          f'choose engine {" or ".join(others)}, or another precision')
    reasons = []
    for name in able:
        try:
            module = importlib.import_module(ENGINES[name].module)
        except ImportError as error:
            cure = f' ({_INSTALL[name]})' if name in _INSTALL else ''
            reasons.append(f'{name}: {error}{cure}')
            continue
        built = None if wanted == EXACT else _proven(bundle, name, wanted, module, cache)
        return module.open_session(bundle, threads, wanted, built)
    raise EngineError(f'no engine can run {bundle.name} here ({"; ".join(reasons)}): install one, '
                      'for example pip install onnxruntime')


def _ready(bundle: Bundle, threads: int, precision: str, cache: str | Path | None
           ) -> Session | None:
    """What was built for a GPU, opened; None: there is no GPU, or nothing that was proven."""
    if not isinstance(find_gpu(), Gpu):
        return None
    for name, entry in ENGINES.items():
        if entry.built and precision in ('auto', *entry.precisions):
            try:
                return _open_built(bundle, name, threads, precision, cache)
            except EngineError as error:
                logging.getLogger(__name__).info('%s is not used: %s', name, error)
    return None


def _open_built(bundle: Bundle, name: str, threads: int, precision: str,
                cache: str | Path | None) -> Session:
    """Open the best that was built and proven; raises EngineError if there is none."""
    module, wanted, folder = _find_built(bundle, name, precision, cache)
    return module.open_session(bundle, threads, wanted, folder)


def _find_built(bundle: Bundle, name: str, precision: str, cache: str | Path | None
                ) -> tuple[Any, str, Path]:
    """
    Find the best that was built and proven.

    :returns: the engine's module, the precision, the folder.
    :raises Unproven: there is nothing, or nothing that can be used.
    :raises EngineError: the engine cannot run here.
    """
    if precision not in ('auto', *ENGINES[name].precisions):
        raise EngineError(f'precision {precision} is not offered by engine {name}, only '
                          f'{", ".join(ENGINES[name].precisions)}')
    try:
        module = importlib.import_module(ENGINES[name].module)
    except ImportError as error:
        raise EngineError(f'engine {name}: {error}; use engine onnx') from None
    reasons, again, version = [], _command(bundle, name, precision), module.version()
    worth, missing = False, True
    for wanted in LADDER if precision == 'auto' else (precision,):
        try:
            folder = _proven(bundle, name, wanted, module, cache)
        except Unproven as error:
            reasons.append(str(error))
            worth, missing = worth or error.worth_building, missing and error.worth_building
            continue
        damage = plan_record.complaint(folder, bundle.graphs, version)
        if not damage:
            return module, wanted, folder
        reasons.append(f'{damage}: run `{again}` again')
        worth, missing = True, False
    if precision == 'auto' and missing:
        reasons = [f'nothing was built of {bundle.name} for {version} yet: run `{again}`, which '
                   'takes minutes, or use engine onnx']
    raise Unproven('; '.join(reasons), worth)


def unbuilt(bundle: Bundle, engine: str, precision: str, cache: str | Path | None = None) -> bool:
    """
    Whether ``lorat build`` has to run before the best engine can be opened; see ``open_session``.

    Not where there is no GPU or no library for it, nor for what the gate has refused before, nor
    for int8 and fp8, which need images of the user's.
    """
    for name, entry in ENGINES.items():
        if not entry.built or engine not in ('auto', name) or precision not in ('auto', *LADDER):
            continue
        if not isinstance(find_gpu(), Gpu):
            return False
        try:
            _find_built(bundle, name, precision, cache)
        except Unproven as error:
            return error.worth_building
        except EngineError:
            return False
    return False


def built_record(bundle: Bundle, session: Session, cache: str | Path | None = None
                 ) -> plan_record.Record | None:
    """Return what is known of the plans that a session runs; None: it runs none."""
    if session.engine not in ENGINES or not ENGINES[session.engine].built:
        return None
    return plan_record.read_record(
        _find_built(bundle, session.engine, session.precision, cache)[2])


def _command(bundle: Bundle, engine: str, precision: str) -> str:
    """What builds it anew."""
    return (f'lorat build {bundle.name} --engine {engine} --precision {precision} --frames CLIP')


def _proven(bundle: Bundle, engine: str, precision: str, module: Any, cache: str | Path | None
            ) -> Path:
    folder = plan_cache.folder_of(bundle, engine, precision, module.version(), cache)
    verdict = plan_cache.read_verdict(folder)
    again = _command(bundle, engine, precision)
    if verdict is None:
        raise Unproven(f'{bundle.name} in {precision} under {engine} has not been proven on '
                          f'this machine ({folder}): run `{again}` with a clip of your camera, '
                          'or use precision fp32')
    if not verdict.passed:
        raise Unproven(f'{bundle.name} in {precision} under {engine} was refused by the parity '
                       f'gate: {verdict}. Use precision fp32, or try other frames: `{again}`',
                       worth_building=False)
    return folder
