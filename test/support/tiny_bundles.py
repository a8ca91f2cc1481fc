# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A bundle of each family, small enough to be made for a test, with weights that see something."""
from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from support.fartrack_runs import generated
from support.fartrack_tiny import stir
from support.litetrack_tiny import heavy_tensors, LIGHT
from support.lorat_tiny import CONFIG

from lorat_ros.models.bundle import Bundle, read_bundle
from lorat_ros.models.catalog import find_bundle
from lorat_ros.networks.export import export_bundle
from lorat_ros.networks.fartrack import FarTrack
from lorat_ros.networks.litetrack import LiteTrack
from lorat_ros.networks.lorat import Lorat
from lorat_ros.networks.network import Network
from lorat_ros.networks.untrained import randomise


def _lorat() -> Network:
    network = Lorat(CONFIG)
    randomise(network)
    return stir(network, 8.0)


def _litetrack() -> Network:
    network = LiteTrack(LIGHT)
    network.load_state_dict(heavy_tensors(LIGHT), strict=False)
    return network


#: Family to the network, to the variant whose description it takes, and to its own sizes.
_MADE: Mapping[str, tuple[Callable[[], Network], Mapping, Mapping[str, int]]] = {
    'lorat': (_lorat, Lorat.variants()['lorat-b-224'].about,
              {'template': CONFIG.template_size, 'search': CONFIG.search_size}),
    'litetrack': (_litetrack, LiteTrack.variants()['litetrack-b4'].about,
                  {'template': LIGHT.template_size, 'search': LIGHT.search_size}),
    'fartrack': (lambda: generated('fartrack-pico'), FarTrack.variants()['fartrack-pico'].about,
                 {}),
}
FAMILIES = ('kestrel', *_MADE)


def tiny_bundle(family: str, folder: Path) -> Bundle:
    """Make the bundle of a family in a folder (kestrel: the shipped one)."""
    if family == 'kestrel':
        return find_bundle()
    make, about, sizes = _MADE[family]
    told = {**about, 'name': f'tiny-{family}', 'family': family,
            'sizes': {**about['sizes'], **sizes}}
    export_bundle(make().eval(), folder / family, told, check=lambda part: None)
    return read_bundle(folder / family)
