# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A new stem under an old network."""
from __future__ import annotations

from pathlib import Path

import pytest
import torch

from lorat_ros.networks import kestrel_bundle
from lorat_ros.networks.efficient_stem import _pairs, EfficientStem
from lorat_ros.networks.kestrel import Kestrel, KestrelConfig
from lorat_ros.training import graft
from lorat_ros.training.method import Given, TrainError
from lorat_ros.training.methods.kestrel import KestrelMethod, KestrelSettings, LEARNT_BEFORE
from lorat_ros.training.pairs import PairConfig
from support.pools import write_pool
from support.training_runs import SIZES

CONFIG = KestrelConfig(**SIZES, width=48, depth=1, heads=3, head_width=16)


def classifier(folder: Path) -> Path:
    """Weights of an EfficientNet-Lite0 that was never trained, by their published names."""
    torch.manual_seed(5)
    state = {}

    def add(conv: str, norm: str, layer: torch.nn.Conv2d) -> None:
        state[f'{conv}.weight'] = layer.weight.detach()
        for part, value in (('weight', 1.0), ('bias', 0.1), ('running_mean', 0.0),
                            ('running_var', 0.1)):
            state[f'{norm}.{part}'] = torch.full((layer.out_channels,), value)

    for _, layer, conv, norm in _pairs(EfficientStem(48)):
        add(conv, norm, layer)
    torch.save(state, folder / 'efficientnet-lite0.pth')
    return folder / 'efficientnet-lite0.pth'


def test_last_layers_reach_what_they_can() -> None:
    torch.manual_seed(2)
    wanted, stem = EfficientStem(24), EfficientStem(24)
    stem.load_state_dict(wanted.state_dict())
    for layer in (stem.fine, stem.middle, stem.deep):
        torch.nn.init.normal_(layer.weight)
        torch.nn.init.normal_(layer.bias)
    images = [torch.randn(4, 3, 96, 96) * 3 for _ in range(6)]
    share = graft.fit_last_layers(stem, wanted, iter(images))
    assert share > 0.99
    with torch.no_grad():
        image = images[0]
        error = (stem(image) - wanted(image)).square().mean() / wanted(image).var()
    assert error == pytest.approx(1 - share, abs=0.01)


def test_a_grafted_network_trains_on_from_a_file(tmp_path: Path) -> None:
    torch.manual_seed(3)
    old = Kestrel(CONFIG)
    bundle = tmp_path / 'old'
    kestrel_bundle.write_bundle(old.eval(), bundle, {
        'name': 'old', 'variant': 's', **kestrel_bundle.DEFAULTS, 'licence': 'not stated',
        'provenance': {}})
    start = tmp_path / 'start.pt'
    assert graft.main([str(bundle), str(classifier(tmp_path)), str(start), '--data',
                       str(write_pool(tmp_path / 'pool')), '--batches', '2']) == 0
    settings = KestrelSettings(KestrelConfig(**{**CONFIG.as_dict(), 'stem': 'efficient'}),
                               PairConfig(**SIZES))
    with pytest.raises(TrainError, match='give --from what python -m lorat_ros.training.graft'):
        KestrelMethod(settings, Given())
    method = KestrelMethod(settings, Given(start=start))
    network = method.objective.network
    for name, value in network.state_dict().items():
        if not name.startswith('stem.') and 'num_batches' not in name:
            torch.testing.assert_close(value, old.state_dict()[name], rtol=1e-3, atol=1e-3)
    groups = method.groups(0.05)
    learnt = {id(p): group['scale'] for group in groups for p in group['params']}
    assert learnt[id(network.stem.blocks[8].project.weight)] == LEARNT_BEFORE
    assert learnt[id(network.stem.deep.weight)] == 1.0
    assert id(network.stem.entry.weight) not in learnt
