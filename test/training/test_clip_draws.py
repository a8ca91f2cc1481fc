# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Runs of frames: consecutive, of one size, the same for the same key."""
from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from support.pools import write_pool

from lorat_ros.training.clip_draws import ClipConfig, ClipDraws
from lorat_ros.training.pool import read_pool


@pytest.fixture(scope='module')
def pool(tmp_path_factory):
    return read_pool(write_pool(tmp_path_factory.mktemp('pool')))


def test_runs_are_consecutive_frames_of_labelled_clips(pool):
    draws = ClipDraws(pool, ClipConfig(length=4, longest=80))
    batch = draws.batch([(0, 1, k) for k in range(12)])
    assert batch['frames'].shape == (12, 4, 80, 80, 3) and batch['frames'].dtype == np.uint8
    assert (batch['size'] == (80, 60)).all()      # of 160 x 120
    # The disc moves by 6 pixels a frame, halved.
    np.testing.assert_allclose(np.diff(batch['box'][..., 0], axis=1), 3.0)
    np.testing.assert_allclose(batch['box'][..., 1:], np.broadcast_to((22.5, 15.5, 15.5),
                                                                      (12, 4, 3)))
    assert len(set(batch['box'][:, 0, 0].tolist())) > 2
    # The disc is where the box is, and below the frame there is nothing.
    x, y, w, h = batch['box'][0, 2]
    blue, _, red = batch['frames'][0, 2, round(y + h / 4), round(x + w / 2)]
    assert red > 180 > 80 > blue
    assert not batch['frames'][:, :, 60:].any()


def test_the_same_key_draws_the_same(pool):
    draws = ClipDraws(pool, ClipConfig(length=3, longest=64))
    one, other = draws.batch([(1, 2, 3)]), draws.batch([(1, 2, 4), (1, 2, 3)])
    for name in one:
        np.testing.assert_array_equal(one[name][0], other[name][1])


def test_a_picture_shows_the_boxes(pool):
    picture = ClipDraws(pool, ClipConfig(length=3, longest=64)).picture((0, 0, 0))
    assert picture.shape == (160, 640, 3)
    assert (picture == (0, 255, 0)).all(-1).sum() > 100


def test_clips_that_are_too_short_are_refused_with_the_cure(pool):
    with pytest.raises(ValueError, match='no clip has 9 labelled frames, the longest has 8: give '
                                         'draws.length=8 or less'):
        ClipDraws(pool, ClipConfig(length=9))


@pytest.mark.parametrize(('change', 'words'), [
    ({'length': 1}, 'length is 1: give 2'), ({'longest': 10}, 'longest is 10: give 32 to'),
    ({'clip': -1.0}, 'clip is -1')])
def test_what_cannot_be_is_refused(change, words):
    with pytest.raises(ValueError, match=words):
        ClipConfig(**change)


def test_tracks_give_runs_too_and_short_clips_none(pool):
    clip = pool.clips['moving']
    several = replace(pool, tracks={'plain': [clip[2:7], clip[:3]]}, clips={'short': clip[:3]})
    batch = ClipDraws(several, ClipConfig(length=5, longest=160)).batch([(0, k) for k in range(9)])
    # Only the first track has five frames, and they are the third to the seventh of the clip.
    np.testing.assert_allclose(batch['box'][:, :, 0], np.broadcast_to(
        25 + 6 * np.arange(2, 7), (9, 5)))
