# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Scouts of every family: they look elsewhere, and nothing they see changes the tracker."""
from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from lorat_ros.boxes import centre_xywh
from lorat_ros.models.bundle import Bundle
from lorat_ros.models.catalog import find_bundle
from lorat_ros.models.families import FAMILIES
from lorat_ros.tracking.template_memory import TemplateMemory
from lorat_ros.tracking.tracker import Tracker

RNG = np.random.default_rng(5)
IMAGES = [RNG.integers(0, 255, (240, 320, 3), np.uint8) for _ in range(12)]
BOX, ELSEWHERE = (60.0, 70.0, 40.0, 30.0), (220.0, 150.0, 40.0, 30.0)
SQUARE = {'template': 112, 'search': 224, 'template_factor': 2.0, 'search_factor': 4.0}
#: What of model.json decides how a family works.
MANIFESTS = {
    'kestrel': {key: find_bundle(None).manifest[key] for key in ('sizes', 'postprocessing')},
    'lorat': {'sizes': SQUARE, 'postprocessing': {'window': 0.45, 'smallest': 10.0}},
    'litetrack': {'sizes': {**SQUARE, 'search': 256}, 'postprocessing': {'margin': 10.0}},
    'fartrack': {'sizes': SQUARE, 'postprocessing': {
        'schedule': 'exponential', 'decoding': 'likeliest', 'kept': 3, 'capacity': 16}}}


class Noise:
    """Network without weights: its outputs follow from the crop and from what was remembered."""

    engine = device = precision = 'noise'

    def __init__(self, family: str) -> None:
        self.family = family

    def run(self, role: str, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        seen = sum(float(np.abs(value, dtype=np.float64).sum()) for value in inputs.values())
        rng = np.random.default_rng(int(seen * 1000) % 2**32)
        if role == 'template':
            return {'memory': rng.random((1, 4))}
        cells = {'kestrel': 10, 'lorat': 16, 'litetrack': 16, 'fartrack': 0}[self.family]
        return {
            'kestrel': lambda: {'score': rng.normal(0, 2, (1, cells, cells)),
                                'boxes': rng.uniform(0.2, 0.8, (1, 4, cells, cells))},
            'lorat': lambda: {'score': rng.normal(0, 2, (1, cells, cells)).astype(np.float32),
                              'boxes': np.sort(rng.random((1, cells, cells, 2, 2)), 3).astype(
                                  np.float32)},
            'litetrack': lambda: {'score': rng.random((1, cells, cells)),
                                  'size': rng.uniform(0.1, 0.4, (1, 2, cells, cells)),
                                  'offset': rng.random((1, 2, cells, cells))},
            'fartrack': lambda: {'logits': rng.normal(0, 3, (1, 4, 605)),
                                 'tokens': rng.random((5 if role == 'first' else 1, 8, 4)),
                                 'rank': rng.random((1, 8))}}[self.family]()

    def close(self) -> None:
        """Nothing to give back."""


def started(family: str) -> Tracker:
    """A tracker that has followed for some frames, so that its memory holds something."""
    manifest = {**MANIFESTS[family], 'name': family, 'family': family,
                'graphs': dict.fromkeys(('template', 'first', 'search'))}
    tracker = Tracker(Bundle(Path(family), manifest, {}), Noise(family))
    tracker.init(IMAGES[0], BOX)
    for image in IMAGES[1:6]:
        tracker.update(image)
    return tracker


def test_every_family_is_tested_here() -> None:
    assert set(MANIFESTS) == set(FAMILIES)


@pytest.mark.parametrize('family', sorted(MANIFESTS))
def test_a_scout_looks_where_it_is_told(family: str) -> None:
    found = started(family).scout(ELSEWHERE).update(IMAGES[6])
    x, y, w, h = found.search_window
    middle = centre_xywh((x, y, w, h))
    assert middle == pytest.approx(centre_xywh(ELSEWHERE), abs=1.5)
    assert 100 < w < 200  # the size it is given decides about the crop, by the published rule


@pytest.mark.parametrize('family', sorted(MANIFESTS))
def test_what_a_scout_sees_changes_nothing(family: str) -> None:
    alone, watched = started(family), started(family)
    scout = watched.scout(ELSEWHERE)
    for image in IMAGES[6:]:
        expected, found = alone.update(image), watched.update(image)
        scout.update(image)
        watched.scout(ELSEWHERE).update(image)
        assert (found.box, found.score) == (expected.box, expected.score)


@pytest.mark.parametrize('family', sorted(MANIFESTS))
def test_a_tracker_that_follows_a_scout_goes_on_as_the_scout_would(family: str) -> None:
    one, other = started(family), started(family)
    scout, twin = one.scout(ELSEWHERE), other.scout(ELSEWHERE)
    scout.update(IMAGES[6])
    twin.update(IMAGES[6])
    one.follow(scout)
    for image in IMAGES[7:]:
        expected, found = twin.update(image), one.update(image)
        assert (found.box, found.score) == (expected.box, expected.score)


def test_without_a_target_there_is_nothing_to_scout_for() -> None:
    tracker = started('kestrel')
    tracker.reset()
    with pytest.raises(RuntimeError, match=r'scout\(\) before init\(\)'):
        tracker.scout(ELSEWHERE)


def test_a_copied_memory_of_templates_is_independent() -> None:
    memory = TemplateMemory(16)
    for number in range(10):
        memory.add(number, np.full(2, number), 0)
    other = memory.copy()
    for number in range(10, 40):
        other.add(number, np.full(2, number), 0)
    assert len(memory) == 10 and memory.stride == 1
    assert [int(memory[number][0]) for number in range(10)] == list(range(10))
