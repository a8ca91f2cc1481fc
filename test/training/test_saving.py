# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Files are whole or not there, and nothing that is no number is saved."""
from __future__ import annotations

import os

import pytest
import torch

from lorat_ros.training.method import TrainError
from lorat_ros.training.saving import (check_step, check_weights, Diverged, load_state,
                                       replace_with, save_state, SaveError)

STATE = {'identity': {'method': 'kestrel', 'width': 48}, 'weights': torch.arange(50_000.)}


@pytest.fixture
def full(tmp_path):
    """A folder in which the next file's space has run out: the kernel itself says so."""
    if not os.path.exists('/dev/full'):
        pytest.skip('there is no /dev/full here')

    def fill(path):
        (tmp_path / f'{path.name}.part').symlink_to('/dev/full')
    return fill


@pytest.mark.parametrize('write', [
    lambda path: save_state(path, {**STATE, 'step': 2}),
    lambda path: replace_with(path, lambda part: part.write_text('x' * 100_000))])
def test_a_full_disk_leaves_what_was_there(full, tmp_path, write):
    path = tmp_path / 'last.pt'
    full(path)
    with pytest.raises(SaveError, match=r'last\.pt could not be written .*: there is none yet'):
        write(path)
    assert not list(tmp_path.iterdir())
    save_state(path, STATE)
    before = path.read_bytes()
    full(path)
    with pytest.raises(SaveError, match=r'the one before is kept\. Is the disk full'):
        write(path)
    assert path.read_bytes() == before and list(tmp_path.iterdir()) == [path]
    write(path)                       # there is room again
    assert path.read_bytes() != before


def test_what_is_written_is_read(tmp_path):
    save_state(tmp_path / 'last.pt', STATE)
    found = load_state(tmp_path / 'last.pt', torch.device('cpu'), STATE['identity'])
    assert torch.equal(found['weights'], STATE['weights'])


@pytest.mark.parametrize('damage', [b'', b'PK cut off', 1000, 100_000])
def test_a_damaged_file_is_refused(tmp_path, damage):
    path = tmp_path / 'last.pt'
    save_state(path, STATE)
    path.write_bytes(damage if isinstance(damage, bytes) else path.read_bytes()[:damage])
    with pytest.raises(TrainError, match=r'last\.pt cannot be read .*: remove it to start anew'):
        load_state(path, torch.device('cpu'), STATE['identity'])


@pytest.mark.parametrize(('identity', 'said'), [
    ({'method': 'lorat', 'width': 48}, "method 'kestrel' there, 'lorat' asked for"),
    ({'method': 'kestrel', 'width': 96}, 'width 48 there, 96 asked for'),
    ({'method': 'kestrel', 'width': 48, 'depth': 2}, 'depth None there, 2 asked for')])
def test_a_checkpoint_of_something_else_is_refused(tmp_path, identity, said):
    save_state(tmp_path / 'last.pt', STATE)
    with pytest.raises(TrainError, match=said):
        load_state(tmp_path / 'last.pt', torch.device('cpu'), identity)


def test_steps_that_are_no_numbers():
    check_step(3, {'total': 1.0, 'overlap': float('nan')}, 2.0)      # for the curves alone
    with pytest.raises(Diverged, match='step 3: total is inf, giou is nan') as error:
        check_step(3, {'total': float('inf'), 'giou': float('nan'), 'l1': 1.0}, 2.0)
    assert error.value.step == 3
    with pytest.raises(Diverged, match='step 4: the losses are finite, their gradient is nan'):
        check_step(4, {'total': 1.0}, float('nan'))
    check_weights(1, {'a': torch.ones(3), 'count': torch.tensor(3)})
    with pytest.raises(Diverged, match='b hold what is no number'):
        check_weights(1, {'a': torch.ones(3), 'b': torch.tensor([1.0, float('nan')])})
