# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
TensorRT's Python module, version 8.6 to 11: found, checked, and what differs between versions.

Nothing else in the package imports TensorRT. Flags are asked for by name, for the same name has
another value, or is gone, in another version.
"""
from __future__ import annotations

import importlib
import logging
import re
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from lorat_ros.engines.gpu import find_gpu, Gpu
from lorat_ros.engines.session import EngineError

OLDEST, NEWEST = (8, 6), (11,)
#: What is used of TensorRT whatever its version; looked for before anything is done with it.
NEEDED: Mapping[str, tuple[str, ...]] = MappingProxyType({
    'ILogger': ('log', 'Severity'),
    'Runtime': ('deserialize_cuda_engine',),
    'ICudaEngine': ('num_io_tensors', 'get_tensor_name', 'get_tensor_mode', 'get_tensor_dtype',
                    'get_tensor_shape', 'create_execution_context'),
    'IExecutionContext': ('set_tensor_address', 'execute_async_v3'),
    'TensorIOMode': ('INPUT', 'OUTPUT'),
})
_INSTALL = ('on a Jetson it comes with JetPack (a virtual environment needs '
            '--system-site-packages), elsewhere pip install tensorrt')
_LEVELS = {'INTERNAL_ERROR': logging.ERROR, 'ERROR': logging.ERROR, 'WARNING': logging.WARNING,
           'INFO': logging.DEBUG, 'VERBOSE': logging.DEBUG - 1}


def usable_gpu(find: Callable[[], Gpu | str] = find_gpu) -> Gpu:
    """
    Return the GPU that TensorRT would use.

    :param find: see ``find_gpu``.
    :raises EngineError: there is none, and why.
    """
    gpu = find()
    if not isinstance(gpu, Gpu):
        raise EngineError(f'TensorRT needs a GPU: {gpu}; use engine onnx on a machine without one')
    return gpu


def load_tensorrt(find: Callable[[], Gpu | str] = find_gpu,
                  load: Callable[[str], Any] = importlib.import_module) -> Any:
    """
    Import TensorRT, but only where there is a GPU: without one, using it ends the process.

    :param find: see ``find_gpu``.
    :param load: imports a module by name.
    :returns: the module.
    :raises EngineError: no GPU, no TensorRT, or a version that cannot be used.
    """
    usable_gpu(find)
    try:
        trt = load('tensorrt')
    except Exception as error:      # beside ImportError: libraries that do not fit, and so on
        raise EngineError(f'TensorRT cannot be imported: {error}; {_INSTALL}') from None
    _check(trt)
    return trt


def version_of(trt: Any) -> tuple[int, ...]:
    """Version of TensorRT as numbers: (10, 3, 0)."""
    return tuple(int(part) for part in re.findall(r'\d+', getattr(trt, '__version__', ''))[:3])


def _check(trt: Any) -> None:
    version = version_of(trt)
    told = getattr(trt, '__version__', 'of no version')
    if version < OLDEST:
        raise EngineError(f'TensorRT {told} is too old, expected 8.6 to {NEWEST[0]}: update it, '
                          'on a Jetson with JetPack 6 or newer')
    missing = [f'{kind}.{name}' for kind, names in NEEDED.items() for name in names
               if not hasattr(getattr(trt, kind, None), name)]
    if missing:
        raise EngineError(f'TensorRT {told} has no {", ".join(missing[:3])}: use a version of 8.6 '
                          f'to {NEWEST[0]}, or update lorat_ros')
    if version[:1] > NEWEST:
        logging.getLogger(__name__).warning(
            'TensorRT %s is newer than what lorat_ros knows (8.6 to %d)', told, NEWEST[0])


def logger_for(trt: Any, logger: logging.Logger) -> Any:
    """
    Make a logger for TensorRT that writes to one of Python's.

    What TensorRT calls information is many lines a plan: it goes to level DEBUG.
    """
    levels = {int(getattr(trt.ILogger.Severity, name)): level for name, level in _LEVELS.items()}

    class PythonLogger(trt.ILogger):
        """Called by TensorRT, also from threads of its own."""

        def __init__(self) -> None:
            trt.ILogger.__init__(self)      # pybind11 asks for this very call

        def log(self, severity: Any, message: str) -> None:
            """Pass a message on."""
            logger.log(levels.get(int(severity), logging.INFO), '%s', message)

    return PythonLogger()


def explicit_batch(trt: Any) -> int:
    """Bits for ``Builder.create_network``: batch 1 is part of the shapes (from 11 on always)."""
    return _bits(trt.NetworkDefinitionCreationFlag, 'EXPLICIT_BATCH')


def strongly_typed(trt: Any) -> int | None:
    """
    Bits for ``Builder.create_network``: types are those of the graph, none is chosen.

    None: this version (8.x) has no such networks. In 11 there are no others, and no bit is asked.
    """
    bits = _bits(trt.NetworkDefinitionCreationFlag, 'STRONGLY_TYPED')
    return explicit_batch(trt) | bits if bits else None


def _bits(flags: Any, *names: str) -> int:
    found = (getattr(flags, name, None) for name in names)
    return sum(1 << int(flag) for flag in found if flag is not None)


def precision_flag(trt: Any, precision: str) -> Any | None:
    """
    Flag of the builder that lets it choose a precision by itself; None: there is none any more.

    :param precision: 'fp16', 'bf16', 'int8' or 'fp8'.
    """
    return getattr(trt.BuilderFlag, precision.upper(), None)
