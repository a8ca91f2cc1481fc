# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The standard library's unpickler in pure Python, with types of the parts that are built upon."""
from __future__ import annotations

import pickle
from collections.abc import Callable
from typing import Any, Protocol, TYPE_CHECKING


class Readable(Protocol):
    """What a pickle is read from: a file, or a file in memory."""

    def read(self, count: int, /) -> bytes:
        """Return so many bytes, or what there is."""

    def readline(self) -> bytes:
        """Return what comes before the next end of a line, and that."""


if TYPE_CHECKING:
    class PureUnpickler:
        """``pickle._Unpickler``, which typeshed takes for the one in C."""

        dispatch: dict[int, Callable[[Any], None]]      # opcode to method
        stack: list[Any]                # since the last mark
        metastack: list[list[Any]]      # the stacks below the marks
        append: Callable[[Any], None]

        def __init__(self, file: Readable, *, encoding: str) -> None: ...
        def load(self) -> Any: ...
        def readline(self) -> bytes: ...
        def pop_mark(self) -> list[Any]: ...
        def load_append(self) -> None: ...
        def load_appends(self) -> None: ...
        def load_setitem(self) -> None: ...
        def load_setitems(self) -> None: ...
        def load_dict(self) -> None: ...
else:
    PureUnpickler = pickle._Unpickler
