# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
What can be trained: the table of methods.

A method (``lorat_ros.training.method.Method``) is one module here; recipes choose it by name and
give it its settings. The loop, saving, data and the command line know only the protocol.
"""
from __future__ import annotations

import importlib
from types import MappingProxyType

from lorat_ros.training.method import MethodClass

METHODS = MappingProxyType({
    'kestrel': 'lorat_ros.training.methods.kestrel:KestrelMethod',
    'lorat': 'lorat_ros.training.methods.lorat:LoratMethod',
    'litetrack': 'lorat_ros.training.methods.litetrack:LiteTrackMethod',
    'fartrack-distill': 'lorat_ros.training.methods.fartrack_distill:DistillMethod',
    'fartrack-sparse': 'lorat_ros.training.methods.fartrack_sparse:SparseMethod',
})


def load_method(name: str) -> MethodClass:
    """Import the class of a method."""
    module, _, kind = METHODS[name].partition(':')
    found: MethodClass = getattr(importlib.import_module(module), kind)
    return found
