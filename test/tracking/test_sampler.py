# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The seam between a family and who cuts its crops."""
from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

from lorat_ros.engines.session import Handle, open_session, Value
from lorat_ros.models.bundle import Bundle
from lorat_ros.models.catalog import find_bundle
from lorat_ros.models.families import FAMILIES, load
from lorat_ros.tracking.sampler import CropRule, HOST
from lorat_ros.tracking.tracker import Tracker

SIZES = {'template': 112, 'search': 224, 'template_factor': 2.0, 'search_factor': 4.0}
POSTPROCESSING = {
    'lorat': {'window': 0.45, 'smallest': 10},
    'litetrack': {'margin': 10},
    'fartrack': {'schedule': 'linear', 'decoding': 'mean', 'kept': 40, 'capacity': 32},
}
BOX = (100.0, 70.0, 40.0, 30.0)


def bundle_of(family: str) -> Bundle:
    """A bundle without graphs; what comes before a network needs none."""
    if family == 'kestrel':
        return find_bundle()
    return Bundle(Path('nowhere'), {'family': family, 'name': family, 'sizes': SIZES, 'graphs': {},
                                    'postprocessing': POSTPROCESSING[family]}, {})


class HandleSampler:
    """Hands out what the host cuts as a device would: so that only its session can look in."""

    where, normalising = 'elsewhere', 0.0

    def __init__(self) -> None:
        self.cuts = 0

    def cut(self, image: np.ndarray, plan: object, rule: CropRule) -> Handle:
        self.cuts += 1
        return Handle(HOST.cut(image, plan, rule))


def image() -> np.ndarray:
    return np.random.default_rng(1).integers(0, 256, (240, 320, 3), np.uint8)


def opened(inputs: Mapping[str, Value]) -> dict[str, np.ndarray]:
    return {name: value.value if isinstance(value, Handle) else value
            for name, value in inputs.items()}


@pytest.mark.parametrize('family', FAMILIES)
def test_what_the_network_sees_comes_from_the_sampler_and_is_not_touched(family: str) -> None:
    make, sampler = load(FAMILIES[family].runtime), HandleSampler()
    plain, handed = make(bundle_of(family)), make(bundle_of(family), sampler)
    for one, other in ((plain.start(image(), BOX), handed.start(image(), BOX)),
                       (plain.look(image()), handed.look(image()))):
        assert one.keys() == other.keys()
        for name, value in opened(other).items():
            np.testing.assert_array_equal(value, one[name])
    assert isinstance(other['image'], Handle)
    before = sampler.cuts
    handed.around((10.0, 10.0, 30.0, 30.0)).look(image())
    assert sampler.cuts == before + 1


def test_a_tracker_passes_handles_on_to_its_session() -> None:
    bundle, sampler = find_bundle(), HandleSampler()
    plain = Tracker(bundle, open_session(bundle))
    handed = Tracker(bundle, open_session(bundle), sampler)
    assert (plain.crops, handed.crops) == ('cpu', 'elsewhere')
    for tracker in (plain, handed):
        tracker.init(image(), BOX)
    for _ in range(3):
        assert handed.update(image()).box == plain.update(image()).box
    assert sampler.cuts == 4
