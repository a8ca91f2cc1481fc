# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Bundles with random weights: of every published variant, finite, and run by both engines."""
from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip('torch')

from lorat_ros.models.bundle import read_bundle  # noqa: E402
from lorat_ros.models.families import FAMILIES, load  # noqa: E402
from lorat_ros.networks import lorat, untrained  # noqa: E402
from lorat_ros.tools import benchmark_rounds  # noqa: E402


def test_variants_name_families_that_can_be_built() -> None:
    known = untrained.known_variants()
    assert 'lorat-b-224' in known
    for family, variant in known.values():
        with torch.device('meta'):
            network = load(FAMILIES[family].network).from_settings(variant.settings)
        assert network.settings() == dict(variant.settings)
        assert {'variant', 'sizes', 'postprocessing', 'score', 'licence'} <= set(variant.about)


def test_every_weight_has_a_value_and_always_the_same() -> None:
    with torch.device('meta'):
        shape = lorat.Lorat(replace(lorat.VARIANTS['lorat-s-224'], depth=1))
    states = []
    for _ in range(2):
        network = shape.to_empty(device='cpu')
        for parameter in network.parameters():
            parameter.data.fill_(float('nan'))
        untrained.randomise(network)
        states.append({name: value.clone() for name, value in network.named_parameters()})
    for name, value in states[0].items():
        assert torch.isfinite(value).all(), name
        assert torch.equal(value, states[1][name]), name


def test_an_untrained_variant_runs_in_both_engines(tmp_path: Path,
                                                   monkeypatch: pytest.MonkeyPatch) -> None:
    # Two blocks instead of twelve: what is tested is the way, not the size.
    small = replace(lorat.VARIANTS['lorat-s-224'], depth=2)
    monkeypatch.setattr(lorat, 'VARIANTS', {**lorat.VARIANTS, 'lorat-s-224': small})
    untrained.write_untrained('lorat-s-224', tmp_path / 'lorat-s-224')
    bundle = read_bundle(tmp_path / 'lorat-s-224')
    assert bundle.manifest['provenance']['weights'].startswith('random')
    assert bundle.manifest['macs'] > 0
    contenders, left_out = benchmark_rounds.open_contenders(bundle, ['onnx', 'torch'], 1)
    assert left_out == {}
    clip = list(np.random.default_rng(2).integers(0, 255, (3, 120, 160, 3), np.uint8))
    taken = benchmark_rounds.measure(contenders, clip, (40.0, 40.0, 40.0, 30.0), 2, 1e-6, 'test')
    assert list(taken) == ['onnx', 'torch']
    for one in taken.values():
        assert all(took.shape == (2, 1) for took in one.samples.values())
    np.testing.assert_allclose(taken['onnx'].boxes, taken['torch'].boxes, atol=0.05)
