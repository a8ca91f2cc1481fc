# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The training loop: it learns, and whatever ends it, it goes on to the very same weights."""
from __future__ import annotations

import csv
import os
import random
import resource
import signal

import numpy as np
import pytest
import torch
from support.pools import write_pool
from support.training_runs import tiny_trainer, train_on, wait_for

from lorat_ros.networks.kestrel_bundle import load_checkpoint
from lorat_ros.training.loop import Ended
from lorat_ros.training.method import TrainError
from lorat_ros.training.pool import read_pool
from lorat_ros.training.recipe import TrainConfig
from lorat_ros.training.saving import Diverged


def quietly(step, figures):
    """Nothing to say."""


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    return write_pool(tmp_path_factory.mktemp('pool'))


@pytest.fixture(scope='module')
def pool(folder):
    return read_pool(folder)


def state_of(run):
    return torch.load(run / 'last.pt', weights_only=True)


def assert_same(run, other):
    """Everything that a checkpoint holds is the same to the last bit, but how long it took."""
    one, two = (state_of(folder) for folder in (run, other))
    assert one['step'] == two['step']
    for part in ('network', 'average'):
        for name, value in one[part].items():
            torch.testing.assert_close(value, two[part][name], rtol=0, atol=0, msg=name)
    for number, moments in one['optimiser']['state'].items():
        for name, value in moments.items():
            assert torch.equal(value, two['optimiser']['state'][number][name])


def steps_of(run):
    with (run / 'curves.csv').open() as lines:
        return [int(row['step']) for row in csv.DictReader(lines)]


def test_a_resumed_run_ends_where_an_unbroken_one_does(pool, tmp_path):
    unbroken = tiny_trainer(pool, tmp_path / 'whole')
    assert unbroken.run(quietly) == Ended(True, True)

    class Stop(Exception):
        pass

    def stop_at_four(step, figures):
        if step == 4:
            raise Stop
    with pytest.raises(Stop):
        tiny_trainer(pool, tmp_path / 'parts').run(stop_at_four)
    resumed = tiny_trainer(pool, tmp_path / 'parts')
    resumed.resume(tmp_path / 'parts' / 'last.pt')
    assert resumed.step == 3
    resumed.run(quietly)
    assert_same(tmp_path / 'whole', tmp_path / 'parts')
    assert steps_of(tmp_path / 'parts') == [1, 2, 3, 4, 5, 6]


def test_a_run_that_is_asked_to_end_saves_and_goes_on(pool, tmp_path):
    tiny_trainer(pool, tmp_path / 'whole').run(quietly)
    asked = []
    trainer = tiny_trainer(pool, tmp_path / 'parts', stop=lambda: asked.append(1) or
                           len(asked) == 2)
    assert trainer.run(quietly) == Ended(False, True)
    assert state_of(tmp_path / 'parts')['step'] == 2
    again = tiny_trainer(pool, tmp_path / 'parts')
    again.resume(tmp_path / 'parts' / 'last.pt')
    assert again.run(quietly) == Ended(True, True)
    assert_same(tmp_path / 'whole', tmp_path / 'parts')


def test_killed_at_any_moment_it_goes_on_to_the_same_weights(folder, pool, tmp_path):
    steps, chance = 16, random.Random(4)
    tiny_trainer(pool, tmp_path / 'whole', steps=steps, save_every=steps).run(quietly)
    run, kills = tmp_path / 'killed', 0
    first = train_on(folder, run, steps, 1)
    wait_for(run / 'last.pt', first)
    os.kill(first.pid, signal.SIGKILL)
    first.join()
    while kills < 3:
        process = train_on(folder, run, steps, 1)
        process.join(chance.uniform(0.3, 1.5))
        if process.exitcode is not None:
            assert process.exitcode == 0
            break
        os.kill(process.pid, signal.SIGKILL)
        process.join()
        kills += 1
        assert 1 <= state_of(run)['step'] <= steps       # never half written
        if (run / 'kestrel.pt').is_file():      # not if killed right after the first last.pt
            load_checkpoint(run / 'kestrel.pt')
    process = train_on(folder, run, steps, steps)
    process.join()
    assert process.exitcode == 0 and kills > 0
    assert_same(tmp_path / 'whole', run)
    assert load_checkpoint(run / 'kestrel.pt')[1]['step'] == steps
    assert steps_of(run) == list(range(1, steps + 1))


def test_the_loss_falls_and_everything_is_written(pool, tmp_path):
    totals = []
    trainer = tiny_trainer(pool, tmp_path, steps=40, batch=8, decay_steps=10, save_every=40,
                           held_out=pool)
    trainer.run(lambda step, figures: totals.append(figures['total']))
    assert sum(totals[-8:]) < 0.8 * sum(totals[:8])
    written = {p.name for p in tmp_path.iterdir()}
    assert {'last.pt', 'kestrel.pt', 'curves.csv', 'curves.png'} == written
    network, state = load_checkpoint(tmp_path / 'kestrel.pt')
    assert state['step'] == 40 and network.config == trainer.network.config
    steps, held_out = trainer.curves.of('held_out')
    assert steps.tolist() == [40] and 0 <= held_out[0] <= 1
    assert trainer.curves.of('learning_rate')[1][[0, 2, 29]] == pytest.approx([5e-4, 1e-3, 1e-3])


def test_a_full_disk_costs_a_checkpoint_and_not_the_run(pool, tmp_path):
    tiny_trainer(pool, tmp_path / 'whole').run(quietly)
    run, before = tmp_path / 'full', resource.getrlimit(resource.RLIMIT_FSIZE)
    kept = []

    def fill(step, figures):
        """No file may grow beyond 200 kB from step 1 to 4: pictures fit, checkpoints do not."""
        room = 200_000 if 1 < step < 5 else before[0]
        resource.setrlimit(resource.RLIMIT_FSIZE, (room, before[1]))
        kept.append(state_of(run)['step'] if (run / 'last.pt').is_file() else None)
    try:
        with pytest.warns(UserWarning, match=r'last\.pt could not be written .*the one before is '
                                             'kept.*Is the disk full'):
            ended = tiny_trainer(pool, run, save_every=1).run(fill)
        assert ended == Ended(True, True) and kept == [1, 2, 2, 2, 2, 6]
        assert_same(tmp_path / 'whole', run)
        assert not list(run.glob('*.part'))
        resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, before[1]))
        longer = tiny_trainer(pool, run, steps=8)
        longer.resume(run / 'last.pt')
        with pytest.warns(UserWarning, match='could not be written'):
            assert longer.run(quietly) == Ended(True, False)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert state_of(run)['step'] == 6
    # Ended by a full disk after its last step: the next start has nothing left but to save.
    (run / 'kestrel.pt').unlink()
    done = tiny_trainer(pool, run)
    done.resume(run / 'last.pt')
    assert done.run(quietly) == Ended(True, True) and (run / 'kestrel.pt').is_file()


class Spoilt:
    """Draws, of which one step's are no numbers."""

    def __init__(self, draws, step):
        self.draws, self.pool, self.step = draws, draws.pool, step

    def batch(self, keys):
        keys = list(keys)
        found = self.draws.batch(keys)
        if keys[0][1] == self.step:
            found['box'][:] = np.nan
            found['present'][:] = 1
        return found


def test_a_step_that_is_no_number_ends_the_run_and_spoils_nothing(pool, tmp_path):
    trainer = tiny_trainer(pool, tmp_path, save_every=2)
    trainer.draws = Spoilt(trainer.draws, 4)
    with pytest.raises(Diverged, match=r'step 5: .*total is nan.*train\.seed'):
        trainer.run(quietly)
    state = state_of(tmp_path)
    assert state['step'] == 4
    assert all(v.isfinite().all() for v in (*state['network'].values(),
                                            *state['average'].values()))
    assert all(p.isfinite().all() for p in trainer.parameters)


def test_weights_that_are_no_numbers_are_not_saved(pool, tmp_path):
    trainer = tiny_trainer(pool, tmp_path)
    next(iter(trainer.parameters)).data[0] = np.inf
    with pytest.raises(Diverged, match='hold what is no number'):
        trainer.save()
    assert not list(tmp_path.iterdir())


def test_what_the_recipe_says_now_holds_for_a_resumed_run(pool, tmp_path):
    first = tiny_trainer(pool, tmp_path, steps=2, ema=0.0)
    first.run(quietly)
    second = tiny_trainer(pool, tmp_path, steps=4, weight_decay=0.3, beta2=0.9, ema=0.9)
    second.resume(tmp_path / 'last.pt')
    assert {g['weight_decay'] for g in second.optimiser.param_groups} == {0.0, 0.3}
    assert {g['betas'] for g in second.optimiser.param_groups} == {(0.9, 0.9)}
    # An average that begins now begins with the weights, not with a random network.
    for mine, theirs in zip(second.average.network.state_dict().values(),
                            first.network.state_dict().values()):
        assert torch.equal(mine, theirs)


def test_another_network_in_the_same_folder_is_refused(pool, tmp_path):
    trainer = tiny_trainer(pool, tmp_path)
    trainer.run(quietly)
    trainer.method.identity = lambda: {'method': 'lorat', 'width': 48}
    with pytest.raises(TrainError, match=r"of another model: .*method 'kestrel' there, 'lorat' "
                                         'asked for.*another folder'):
        trainer.resume(tmp_path / 'last.pt')


@pytest.mark.parametrize(('world', 'changes', 'said'), [
    (3, {}, 'batch 4 is not a multiple of the 3 processes'),
    (2, {'batch': 12, 'micro_batch': 4}, 'micro_batch 4 does not divide the 6 samples')])
def test_a_batch_that_cannot_be_divided_is_refused(pool, tmp_path, monkeypatch, world, changes,
                                                   said):
    monkeypatch.setattr(torch.distributed, 'is_initialized', lambda: True)
    monkeypatch.setattr(torch.distributed, 'get_rank', lambda: 0)
    monkeypatch.setattr(torch.distributed, 'get_world_size', lambda: world)
    with pytest.raises(TrainError, match=said):
        tiny_trainer(pool, tmp_path, **changes)


def test_half_precision_of_that_kind_is_for_gpus(pool, tmp_path):
    if torch.cuda.is_available():
        pytest.skip('here is a GPU, on which fp16 is fine')
    with pytest.raises(TrainError, match='give bf16 or fp32'):
        tiny_trainer(pool, tmp_path, precision='fp16')
    assert TrainConfig(precision='fp16').precision == 'fp16'
