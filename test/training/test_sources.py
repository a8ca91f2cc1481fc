# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Any mixture of data: told apart by content, weighed, held out, made one pool."""
from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from support.datasets import (write_coco, write_got10k, write_lasot, write_plain,
                              write_trackingnet)
from support.pools import write_pool
from support.recordings import moving_disc, write_recording

from lorat_ros.training.footage import DataError, Notes, Reading
from lorat_ros.training.pairs import PairConfig, PairSampler
from lorat_ros.training.sources import detect, read_data, Share, share_of
from lorat_ros.training.store import Store


@pytest.fixture(scope='module')
def places(tmp_path_factory):
    root = tmp_path_factory.mktemp('data')
    write_got10k(root / 'GOT-10k')
    write_lasot(root / 'LaSOT')
    write_trackingnet(root / 'TrackingNet')
    write_plain(root / 'folder' / 'walk')
    write_coco(root / 'COCO')
    write_pool(root / 'pool')
    write_recording(root / 'recording')
    return root


def read(places, *names, unpacked=None, **options):
    shares = [name if isinstance(name, Share) else Share(places / name) for name in names]
    return read_data(shares, Reading(Store()), unpacked, Notes(), **options)


@pytest.mark.parametrize('kind', ['GOT-10k', 'LaSOT', 'TrackingNet', 'folder', 'COCO', 'pool',
                                  'recording'])
def test_the_kind_is_seen_by_what_is_there(kind, places):
    assert detect(places / kind).name == kind


def test_nothing_known_and_nothing_there(tmp_path):
    with pytest.raises(DataError, match='no training data that is known here: expected a train'):
        detect(tmp_path)
    with pytest.raises(DataError, match='does not exist'):
        detect(tmp_path / 'nowhere')
    (tmp_path / 'video.mp4').touch()
    with pytest.raises(DataError, match='no training data'):
        detect(tmp_path / 'video.mp4')


def test_a_mixture_of_all(places, tmp_path):
    pool = read(places, 'GOT-10k', 'LaSOT', 'TrackingNet', 'folder', 'COCO', 'pool', 'recording',
                unpacked=tmp_path)
    assert {name: len(clip) for name, clip in pool.clips.items()} == {
        'GOT-10k_Train_000001': 7, 'disc-1': 6, 'abc_0': 12, 'walk': 8, 'moving': 8,
        'recording': 8}
    assert {name: len(items) for name, items in pool.stills.items()} == \
        {'coco-train2017': 5, 'discs': 6}
    assert len(pool.images) == 8 + 8 + 12 + 8 + 4 + (6 + 8 + 8) + 8
    batch = PairSampler(pool, PairConfig()).batch((0, number) for number in range(40))
    assert batch['search'].shape == (40, 160, 160, 3) and np.isfinite(batch['box']).all()


def test_a_recording_is_unpacked_once_and_its_boxes_are_true(places, tmp_path):
    pool = read(places, 'recording', unpacked=tmp_path)
    assert [item.box for item in pool.clips['recording']] == \
        [box for _, _, box in moving_disc(8)]
    (frame,) = tmp_path.glob('*/clips/recording/00000.jpg')
    written = frame.stat().st_mtime_ns
    read(places, 'recording', unpacked=tmp_path)
    assert frame.stat().st_mtime_ns == written and len(list(tmp_path.iterdir())) == 1
    again = read_data([Share(places / 'recording')], Reading(Store(), longest=80), tmp_path,
                      Notes())
    assert again.images[0].shape == (60, 80, 3) and len(list(tmp_path.iterdir())) == 2


def test_held_out_and_left_out(places):
    pool = read(places, 'LaSOT', 'folder', 'pool', leave_out=['walk', 'discs'])
    assert set(pool.clips) == {'disc-1', 'moving'} and not pool.stills
    held = read(places, 'LaSOT', 'folder', 'pool', 'COCO', only_clips=['walk'])
    assert set(held.clips) == {'walk'} and not held.stills and len(held.images) == 8


def test_weights_decide_how_often_a_clip_is_drawn(places):
    pool = read(places, 'LaSOT', Share(places / 'folder', 3.0))
    sampler = PairSampler(pool, PairConfig())
    sampler.rng = np.random.default_rng(0)
    drawn = [sampler._pick_group(pool.clips) is pool.clips['walk'] for _ in range(3000)]
    expected = 3 * np.sqrt(8) / (3 * np.sqrt(8) + np.sqrt(6))
    assert np.mean(drawn) == pytest.approx(expected, abs=0.04)


def test_clips_of_one_name_are_both_kept(tmp_path):
    for part in ('a', 'b', 'c'):
        write_plain(tmp_path / part / 'walk')
    pool = read(tmp_path, 'a', 'b', 'c')
    assert set(pool.clips) == {'walk', 'walk~2', 'walk~3'}
    assert not read(tmp_path, 'a', 'b', only_clips=['walk']).stills


def test_paths_with_weights(tmp_path):
    assert share_of('a/b') == Share(Path('a/b'))
    assert share_of('a/b=2.5').weight == 2.5 and str(share_of('a/b=2.5').path) == 'a/b'
    assert share_of('a/x=y').weight == 1 and str(share_of('a/x=y').path) == 'a/x=y'
    (tmp_path / 'x=3').mkdir()
    assert share_of(str(tmp_path / 'x=3')) == Share(tmp_path / 'x=3')
    for text in ('a=0', 'a=-1', 'a=inf', 'a=nan'):
        with pytest.raises(DataError, match='expected a number above 0'):
            share_of(text)


def test_data_of_which_nothing_is_left_is_said_with_the_reason(tmp_path):
    folder = write_plain(tmp_path / 'walk')
    (folder / 'groundtruth.txt').write_text('no numbers\n')
    with pytest.raises(DataError, match="holds no images that can be used .*'no numbers'"):
        read(tmp_path, 'walk')


def test_names_that_are_not_there_are_said_and_patterns_fit_several(tmp_path):
    shares = [Share(write_pool(tmp_path / 'pool'))]
    reading = Reading(Store(100))
    with pytest.raises(DataError, match='mooving: no clip and no set of stills of that name'):
        read_data(shares, reading, tmp_path, Notes(), ['mooving'])
    assert not read_data(shares, reading, tmp_path, Notes(), ['mov*']).clips
    assert list(read_data(shares, reading, tmp_path, Notes(), (), ['m?ving']).clips) == ['moving']
