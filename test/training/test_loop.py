# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The training loop: it learns, it resumes to the same weights, its schedule is what it says."""
from __future__ import annotations

import csv

import pytest
import torch
from support.pools import write_pool

from lorat_ros.networks.kestrel import KestrelConfig
from lorat_ros.networks.kestrel_bundle import load_checkpoint
from lorat_ros.training.loop import Trainer
from lorat_ros.training.method import Given, TrainError
from lorat_ros.training.methods.kestrel import KestrelMethod, KestrelSettings
from lorat_ros.training.pairs import PairConfig
from lorat_ros.training.pool import read_pool
from lorat_ros.training.recipe import TrainConfig

SIZES = {'search_size': 96, 'template_size': 48}
NETWORK = KestrelConfig(**SIZES, width=48, depth=1, heads=3, head_width=16)
PAIRS = PairConfig(**SIZES, degraded=0.0, look_alike=0.0, occluder=0.0)


def config(**changes) -> TrainConfig:
    return TrainConfig(**{'steps': 6, 'decay_steps': 2, 'warmup_steps': 2, 'batch': 4,
                          'precision': 'fp32', 'save_every': 3, **changes})


def trainer_of(pool, output, train=None, **more) -> Trainer:
    torch.manual_seed(0)
    method = KestrelMethod(KestrelSettings(NETWORK, PAIRS), Given())
    return Trainer(method, pool, output, train or config(), **more)


@pytest.fixture(scope='module')
def pool(tmp_path_factory):
    return read_pool(write_pool(tmp_path_factory.mktemp('pool')))


def test_a_resumed_run_ends_where_an_unbroken_one_does(pool, tmp_path):
    whole, first = tmp_path / 'whole', tmp_path / 'parts'
    whole.mkdir()
    first.mkdir()
    unbroken = trainer_of(pool, whole)
    unbroken.run(lambda step, figures: None)

    class Stop(Exception):
        pass

    def stop_at_four(step, figures):
        if step == 4:
            raise Stop
    with pytest.raises(Stop):
        trainer_of(pool, first).run(stop_at_four)
    resumed = trainer_of(pool, first)
    resumed.resume(first / 'last.pt')
    assert resumed.step == 3
    resumed.run(lambda step, figures: None)
    for a, b in zip(unbroken.network.state_dict().values(), resumed.network.state_dict().values(),
                    strict=True):
        torch.testing.assert_close(a, b)
    with (first / 'curves.csv').open() as lines:
        assert [int(row['step']) for row in csv.DictReader(lines)] == [1, 2, 3, 4, 5, 6]


def test_the_loss_falls_and_everything_is_written(pool, tmp_path):
    totals = []
    trainer = trainer_of(pool, tmp_path, config(steps=40, batch=8, decay_steps=10),
                         held_out=pool)
    trainer.run(lambda step, figures: totals.append(figures['total']))
    assert sum(totals[-8:]) < 0.8 * sum(totals[:8])
    written = {p.name for p in tmp_path.iterdir()}
    assert {'last.pt', 'kestrel.pt', 'curves.csv', 'curves.png'} <= written
    network, state = load_checkpoint(tmp_path / 'kestrel.pt')
    assert state['step'] == 40 and network.config == NETWORK
    assert 0 <= trainer.validate() <= 1


def test_a_batch_that_cannot_be_divided_is_refused(pool, tmp_path, monkeypatch):
    monkeypatch.setattr(torch.distributed, 'is_initialized', lambda: True)
    monkeypatch.setattr(torch.distributed, 'get_rank', lambda: 0)
    monkeypatch.setattr(torch.distributed, 'get_world_size', lambda: 3)
    with pytest.raises(TrainError, match='batch 4 is not a multiple of the 3 processes'):
        trainer_of(pool, tmp_path)
