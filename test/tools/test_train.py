# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""``lorat train``: from images to a bundle that tracks, in one and two processes, interrupted."""
from __future__ import annotations

import csv
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time

import numpy as np
import pytest
import torch
from support.pools import write_pool
from support.training_runs import lorat, TINY, wait_for

from lorat_ros import load_tracker
from lorat_ros.tools.cli import main
from lorat_ros.training.pairs import PairSampler

STEPS = ('train.save_every=10', '--steps', '30', '--loaders', '1', '--hold-out', 'moving')


@pytest.fixture(scope='module')
def pool(tmp_path_factory):
    return write_pool(tmp_path_factory.mktemp('pool'), frames=14)


def command(pool, run, *more):
    return ['train', 'kestrel', '--data', str(pool), '--output', str(run), *TINY, *more]


@pytest.fixture(scope='module')
def whole(pool, tmp_path_factory):
    """A run from the first step to the card."""
    run = tmp_path_factory.mktemp('runs') / 'whole'
    process = lorat(command(pool, run, *STEPS), run.with_suffix('.log'))
    process.join()
    assert process.exitcode == 0, run.with_suffix('.log').read_text()
    return run


def state_of(run):
    return torch.load(run / 'last.pt', weights_only=True)


def assert_close(run, other, tolerance=0.0):
    one, two = state_of(run), state_of(other)
    assert one['step'] == two['step']
    for part in ('network', 'average'):
        for name, value in one[part].items():
            torch.testing.assert_close(value, two[part][name], rtol=0, atol=tolerance, msg=name)


def totals(run):
    with (run / 'curves.csv').open() as lines:
        return {int(row['step']): float(row['total']) for row in csv.DictReader(lines)}


def test_a_run_ends_in_a_bundle_that_tracks(whole):
    for name in ('last.pt', 'kestrel.pt', 'curves.csv', 'curves.png', 'samples.png', 'run.json'):
        assert (whole / name).is_file(), name
    tracker = load_tracker(whole / 'whole')
    assert tracker.bundle.manifest['provenance']['steps'] == 30
    image = np.random.default_rng(0).integers(0, 255, (120, 160, 3), np.uint8)
    tracker.init(image, (50, 40, 30, 30))
    assert np.isfinite(tracker.update(image).box).all()
    said = whole.with_suffix('.log').read_text()
    assert 'try it: lorat track VIDEO' in said and 'held-out clips: success AUC' in said


def test_every_run_has_a_card(whole, pool):
    card = (whole / 'whole' / 'MODEL_CARD.md').read_text()
    assert (whole / 'whole' / 'curves.png').is_file() and '](curves.png)' in card
    assert (whole / 'whole' / 'worst.png').is_file() and '](worst.png)' in card
    for said in ('kestrel, variant s: 0.2', '30 steps, 120 samples', 'from scratch', 'seed 0',
                 'Held out of training, to validate and to judge on: moving.',
                 f'| {pool} | pool | not stated | not stated | 1 clips, 14 frames, 6 stills, 6 '
                 'labelled objects |', 'learning_rate: 0.001', 'lorat train kestrel --data',
                 f'torch {torch.__version__}', '| low light |', '**not calibrated**',
                 '* moving (success '):
        assert said in card, said


def test_an_interrupted_run_goes_on_to_the_same_weights(pool, whole, tmp_path):
    run, log, ends = tmp_path / 'run', tmp_path / 'log', [0]
    for number in (signal.SIGINT, signal.SIGTERM):
        process = lorat(command(pool, run, *STEPS), log)
        if ends == [0]:
            wait_for(run / 'last.pt', process)
        else:      # it is listening when it has noted that it began
            while process.exitcode is None and f'"step": {ends[-1]},' not in \
                    (run / 'run.json').read_text():
                time.sleep(0.005)
        os.kill(process.pid, number)
        process.join()
        said = log.read_text()
        assert process.exitcode == 130, said
        ends.append(state_of(run)['step'])
        assert f'ended at step {ends[-1]} of 30 as asked; the same command goes on' in said
        assert 'Traceback' not in said and not (run / 'run').exists()
    assert 10 <= ends[1] < ends[2] < 30
    process = lorat(command(pool, run, *STEPS), log)
    process.join()
    assert process.exitcode == 0 and f'going on from step {ends[2]}' in log.read_text()
    assert_close(whole, run)
    assert sorted(totals(run)) == list(range(1, 31))
    starts = json.loads((run / 'run.json').read_text())['starts']
    assert [start['step'] for start in starts] == ends
    card = (run / 'run' / 'MODEL_CARD.md').read_text()
    assert all(f'# from step {step}, processes: 1' in card for step in ends)


def two(pool, run, log, *more):
    """Two processes of one run, as a launcher begins them."""
    with socket.socket() as free:
        free.bind(('127.0.0.1', 0))
        port = free.getsockname()[1]
    return [lorat(command(pool, run, *more), log, {
        'RANK': str(rank), 'LOCAL_RANK': str(rank), 'WORLD_SIZE': '2', 'LOCAL_WORLD_SIZE': '2',
        'MASTER_ADDR': '127.0.0.1', 'MASTER_PORT': str(port)}) for rank in (0, 1)]


def test_two_processes_equal_one_also_after_an_interruption(pool, tmp_path):
    one, both, log = tmp_path / 'one', tmp_path / 'both', tmp_path / 'log'
    endless = ('train.save_every=20', '--steps', '1000000', '--loaders', '1')
    with log.open('w') as file:
        launcher = subprocess.Popen(
            [sys.executable, '-m', 'torch.distributed.run', '--nproc-per-node', '2', '-m',
             'lorat_ros.tools.train', *command(pool, both, *endless)[1:]],
            stdout=file, stderr=file)
    single = lorat(command(pool, one, *endless), tmp_path / 'one.log')
    try:
        wait_for(one / 'last.pt', single)
        os.kill(single.pid, signal.SIGTERM)
        while launcher.poll() is None and not (both / 'last.pt').is_file():
            time.sleep(0.01)
        launcher.send_signal(signal.SIGTERM)
        launcher.wait(timeout=60)
    finally:
        launcher.kill()
        single.join()
    said, step = log.read_text(), state_of(both)['step']
    assert single.exitcode == 130
    assert said.count('as asked; the same command goes on from there') == 1, said
    assert said.count('reading images:   0%') == 1      # one of the two speaks
    assert 'Warning' not in said
    assert f'ended at step {step} of' in said and 'is killed by signal' not in said
    mine, theirs = totals(one), totals(both)
    assert len(theirs) == step >= 20
    assert max(abs(mine[s] - theirs[s]) for s in range(1, 21)) < 1e-4
    # From there on, two go on to where one does.
    shutil.rmtree(one)
    shutil.copytree(both, one)
    on = ('train.save_every=20', '--steps', str(step + 4), '--loaders', '0')
    processes = [lorat(command(pool, one, *on), tmp_path / 'one.log'), *two(pool, both, log, *on)]
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0, 0, 0], log.read_text()
    assert_close(one, both, 1e-4)
    assert json.loads((both / 'run.json').read_text())['starts'][-1]['processes'] == 2
    assert log.read_text().count('try it: lorat track') == 1


def test_a_disk_that_stays_full_is_said_at_the_end(pool, tmp_path):
    # Two megabytes hold everything but the checkpoint that a run goes on from.
    process = lorat(command(pool, tmp_path / 'run', 'train.save_every=2', '--steps', '4',
                            '--loaders', '0'), tmp_path / 'log', largest=2_000_000)
    process.join()
    said = (tmp_path / 'log').read_text()
    assert process.exitcode == 1 and 'Traceback' not in said
    assert 'last.pt could not be written' in said and 'Is the disk full?' in said
    assert 'the weights of step 4 could not be written' in said and 'make room' in said
    assert not (tmp_path / 'run' / 'last.pt').exists()


def test_a_sample_that_is_no_number_is_shown(pool, tmp_path, monkeypatch, capsys):
    good = PairSampler.batch

    def batch(self, keys):
        found = good(self, keys := list(keys))
        found['box'][:] = np.nan if keys[0][1] == 1 else found['box']
        found['present'][:] = 1
        return found
    monkeypatch.setattr(PairSampler, 'batch', batch)
    before = signal.getsignal(signal.SIGINT)
    assert main(command(pool, tmp_path / 'run', '--steps', '4', '--loaders', '0',
                        '--set', 'train.save_every=1')) == 1
    said = capsys.readouterr().err
    assert 'lorat train: step 2: ' in said and 'total is nan' in said
    assert f'They are in {tmp_path / "run" / "step-2.png"}' in said
    assert (tmp_path / 'run' / 'step-2.png').is_file()
    assert state_of(tmp_path / 'run')['step'] == 1
    assert signal.getsignal(signal.SIGINT) is before


@pytest.mark.parametrize(('changes', 'said'), [
    (['network.search_size=100'], 'multiple of 16'),
    (['network.widht=8'], 'network.widht is unknown (is width meant?)'),
    (['train.ema=word'], "train.ema is 'word', expected float"),
    (['train.steps'], "'train.steps' changes nothing: write NAME=VALUE")])
def test_a_recipe_that_cannot_be_is_one_clear_line(pool, tmp_path, capsys, changes, said):
    assert main(command(pool, tmp_path / 'run', *changes)) == 2
    error = capsys.readouterr().err
    assert said in error and error.startswith('lorat train: ') and error.count('\n') == 1
    assert not (tmp_path / 'run').exists()


def test_data_that_cannot_be_used_is_one_clear_line(tmp_path, capsys):
    (tmp_path / 'empty').mkdir()
    assert main(command(tmp_path / 'empty', tmp_path / 'run')) == 2
    assert 'no training data that is known here: expected a training pool' in \
        capsys.readouterr().err


def test_another_size_in_the_same_folder_is_refused(whole, pool, capsys):
    before = (whole / 'last.pt').read_bytes()
    assert main(command(pool, whole, *STEPS, '--set', 'network.width=96')) == 2
    assert 'width 48 there, 96 asked for' in capsys.readouterr().err
    assert (whole / 'last.pt').read_bytes() == before


def test_a_cut_off_checkpoint_is_one_clear_line(pool, tmp_path, capsys):
    (tmp_path / 'last.pt').write_bytes(b'PK cut off')
    assert main(command(pool, tmp_path)) == 2
    assert 'last.pt cannot be read' in capsys.readouterr().err


def test_an_output_that_is_a_file_is_one_clear_line(pool, tmp_path, capsys):
    (tmp_path / 'run').write_text('')
    assert main(command(pool, tmp_path / 'run')) == 2
    assert 'run' in capsys.readouterr().err


def test_recipes_are_listed(capsys):
    with pytest.raises(SystemExit) as ended:
        main(['train', '--list'])
    assert ended.value.code == 0
    listed = capsys.readouterr().out.splitlines()
    assert any(line.startswith('kestrel ') and len(line) > 20 for line in listed)
    assert main(['train', 'kestral', '--data', 'x', '--output', 'y']) == 2
    assert 'recipe kestral is unknown and no file (is kestrel meant?)' in capsys.readouterr().err


def test_help_shows_how(capsys):
    with pytest.raises(SystemExit):
        main(['train', '--help'])
    said = capsys.readouterr().out
    for word in ('--list', 'torchrun', 'the same command again', 'speed and memory', '--hold-out'):
        assert word in said
