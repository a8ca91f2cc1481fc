# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""``lorat train``: from a folder of images to a bundle that tracks, in one and two processes."""
from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from support.pools import write_pool

from lorat_ros import load_tracker

TINY = ['--steps', '4', '--batch', '4', '--hold-out', 'moving', '--set', 'train.micro_batch=2',
        'train.decay_steps=2', 'network.width=48', 'network.depth=1',
        *(f'{part}.{name}' for part in ('network', 'pairs')
          for name in ('search_size=96', 'template_size=48'))]


@pytest.fixture(scope='module')
def pool(tmp_path_factory):
    return write_pool(tmp_path_factory.mktemp('pool'))


def train(pool, output, *more, launcher=()) -> subprocess.CompletedProcess:
    command = [sys.executable, *launcher, '-m', 'lorat_ros.tools.train', 'kestrel', '--data',
               str(pool), '--output', str(output), *TINY, *more]
    return subprocess.run(command, capture_output=True, text=True, timeout=170)


def test_a_run_a_longer_run_and_a_bundle(pool, tmp_path):
    run = tmp_path / 'run'
    done = train(pool, run)
    assert done.returncode == 0, done.stderr
    for name in ('last.pt', 'kestrel.pt', 'curves.csv', 'curves.png', 'samples.png', 'run.json'):
        assert (run / name).is_file(), name
    other = train(pool, run, '--set', 'network.width=96')
    assert other.returncode == 2 and 'width 48 there, 96 asked for' in other.stderr
    assert 'Traceback' not in other.stderr
    longer = train(pool, run, '--steps', '6')
    assert longer.returncode == 0, longer.stderr
    assert 'going on from step 4' in longer.stdout
    tracker = load_tracker(run / 'run')
    assert tracker.bundle.manifest['provenance']['steps'] == 6
    image = np.random.default_rng(0).integers(0, 255, (120, 160, 3), np.uint8)
    tracker.init(image, (50, 40, 30, 30))
    assert np.isfinite(tracker.update(image).box).all()


def test_two_processes(pool, tmp_path):
    done = train(pool, tmp_path / 'run',
                 launcher=['-m', 'torch.distributed.run', '--nproc-per-node', '2'])
    assert done.returncode == 0, done.stderr
    assert '"processes": 2' in (tmp_path / 'run' / 'run.json').read_text()


def test_a_folder_without_images_is_one_clear_line(tmp_path):
    done = train(tmp_path, tmp_path / 'run')
    assert done.returncode == 2
    assert 'no training data that is known here: expected a training pool' in done.stderr
    assert 'Traceback' not in done.stderr


def test_sizes_that_do_not_fit_are_one_clear_line(pool, tmp_path):
    done = train(pool, tmp_path / 'run', '--set',
                 'network.search_size=100')
    assert done.returncode == 2
    assert 'multiple of 16' in done.stderr and 'Traceback' not in done.stderr


def test_a_cut_off_checkpoint_is_one_clear_line(pool, tmp_path):
    (tmp_path / 'last.pt').write_bytes(b'PK cut off')
    done = train(pool, tmp_path)
    assert done.returncode == 2
    assert 'last.pt cannot be read' in done.stderr and 'Traceback' not in done.stderr
