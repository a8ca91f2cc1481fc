# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
The table of families: for each, where its two modules are.

The runtime side is what happens before and after the network (the protocol ``Family`` in
``lorat_ros.tracking.family``); the network side is the definition in torch (``Network`` in
``lorat_ros.networks.network``), for the reference engine, for import and for export. Only names
stand here, so reading the table loads neither.
"""
from __future__ import annotations

import importlib
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any


@dataclass(frozen=True)
class FamilyEntry:
    """Where the two sides of a family are, as ``module:name``."""

    runtime: str      # class: cls(bundle) makes the memory of one target
    network: str      # class of the network


FAMILIES = MappingProxyType({
    'kestrel': FamilyEntry('lorat_ros.tracking.kestrel:KestrelFamily',
                           'lorat_ros.networks.kestrel:Kestrel'),
    'lorat': FamilyEntry('lorat_ros.tracking.lorat:LoratFamily',
                         'lorat_ros.networks.lorat:Lorat'),
    'fartrack': FamilyEntry('lorat_ros.tracking.fartrack:FarTrackFamily',
                            'lorat_ros.networks.fartrack:FarTrack'),
    'litetrack': FamilyEntry('lorat_ros.tracking.litetrack:LiteTrackFamily',
                             'lorat_ros.networks.litetrack:LiteTrack'),
})


def load(place: str) -> Any:
    """Import what a ``module:name`` names."""
    module, _, name = place.partition(':')
    return getattr(importlib.import_module(module), name)
