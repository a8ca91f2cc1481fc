# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""``lorat data``: one command from a recording to a pool that can be trained on."""
from __future__ import annotations

import pytest
from support.datasets import write_coco, write_plain
from support.recordings import moving_disc, Recorder, write_recording

from lorat_ros.tools.cli import main
from lorat_ros.training.pool import read_pool


def test_recording_data_set_and_folder_become_one_pool(tmp_path, capsys):
    write_recording(tmp_path / 'drive')
    write_coco(tmp_path / 'coco')
    write_plain(tmp_path / 'walk')
    pool = tmp_path / 'pool'
    paths = [str(tmp_path / name) for name in ('drive', 'coco', 'walk')]
    assert main(['data', *paths, '--output', str(pool), '--longest', '100']) == 0
    said = capsys.readouterr().out
    for line in ('drive: recording', 'coco: COCO', 'walk: folder', '2 clips', '16 frames\n',
                 '16 frames with a box', '4 stills', '5 objects', '4 crowds left out'):
        assert line in said, line
    found = read_pool(pool)
    assert set(found.clips) == {'drive', 'walk'} and set(found.stills) == {'coco-train2017'}
    assert found.images[0].shape == (75, 100, 3)
    assert (pool / 'contact.png').stat().st_size > 10_000
    assert main(['data', *paths, '--output', str(pool)]) == 0
    assert '3 clips or sets that were there already' in capsys.readouterr().out


def test_what_cannot_be_used_is_named_and_the_rest_is_made(tmp_path, capsys):
    recorder = Recorder(tmp_path / 'untrue')
    for stamp, image, _ in moving_disc(2):
        recorder.image(stamp, image)
    recorder.close()
    write_plain(tmp_path / 'walk')
    pool = tmp_path / 'pool'
    arguments = ['data', str(tmp_path / 'untrue'), str(tmp_path / 'walk'), '--output', str(pool)]
    assert main(arguments) == 0
    said = capsys.readouterr().out
    assert '1 clips or sets refused' in said and 'untrue has no detections' in said
    assert 'untrue has no detections' in (pool / 'notes.txt').read_text()
    assert list(read_pool(pool).clips) == ['walk']
    assert main(arguments[:2] + arguments[3:]) == 2
    assert 'nothing could be made of it' in capsys.readouterr().err


@pytest.mark.parametrize(('more', 'complaint'), [
    (['--longest', '9'], '--longest is 9, expected 64 or more'),
    (['--every', '0'], '--every is 0, expected 1 or more'),
    (['--tolerance', '-1'], '--tolerance is -1.0, expected 0 to 10 seconds')])
def test_numbers_without_sense_are_one_clear_line(more, complaint, tmp_path, capsys):
    write_plain(tmp_path / 'walk')
    assert main(['data', str(tmp_path / 'walk'), '--output', str(tmp_path / 'p'), *more]) == 2
    assert complaint in capsys.readouterr().err


def test_an_unknown_folder_is_one_clear_line(tmp_path, capsys):
    assert main(['data', str(tmp_path), '--output', str(tmp_path / 'p')]) == 2
    assert 'is no training data that is known here' in capsys.readouterr().err
