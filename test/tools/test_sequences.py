# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Reading a sequence: what fits together, and what is said where it does not."""
from __future__ import annotations

import numpy as np
import pytest
from support.sequences import truth_of, write_sequence

from lorat_ros.tools.frames import FramesError
from lorat_ros.tools.sequences import load_clip, load_clips, Source


def source(folder, **more) -> Source:
    return Source(folder.name, folder / 'img', folder / 'groundtruth.txt', **more)


def test_a_good_sequence(tmp_path):
    clip = load_clip(source(write_sequence(tmp_path / 'disc')))
    assert (clip.name, len(clip), clip.size_wh, clip.doubts) == ('disc', 6, (160, 120), ())
    assert clip.init_box == (44, 44, 33, 33)
    assert [image.shape for image in clip.frames([5, 0])] == [(120, 160, 3)] * 2


def test_matlab_coordinates_begin_at_one(tmp_path):
    clip = load_clip(source(write_sequence(tmp_path / 'disc'), origin=1))
    assert clip.init_box == (43, 43, 33, 33) and clip.origin == 1


def test_labels_say_where_the_target_is_absent(tmp_path):
    folder = write_sequence(tmp_path / 'disc')
    (folder / 'full_occlusion.txt').write_text('0,1,0,0,0,0\n')
    (folder / 'cover.label').write_text('8\n8\n8\n0\n1\n8\n')
    clip = load_clip(source(folder, absent=(folder / 'full_occlusion.txt',),
                            cover=(folder / 'cover.label',)))
    assert np.isnan(clip.truth).all(1).tolist() == [False, True, False, True, False, False]


def test_a_box_without_size_is_an_absent_target(tmp_path):
    lines = truth_of(6)
    lines[2:4] = ['0,0,0,0', 'nan,nan,nan,nan']
    clip = load_clip(source(write_sequence(tmp_path / 'disc', lines=lines)))
    assert np.isnan(clip.truth).all(1).tolist() == [False, False, True, True, False, False]
    assert clip.doubts == ()


def test_missing_frames_are_named(tmp_path):
    folder = write_sequence(tmp_path / 'disc')
    (folder / 'img' / '0003.png').unlink()
    with pytest.raises(FramesError, match='disc: 5 frames for 6 lines of truth, number 3 is'):
        load_clip(source(folder))


def test_more_frames_than_truth_is_a_doubt(tmp_path):
    clip = load_clip(source(write_sequence(tmp_path / 'disc', lines=truth_of(4))))
    assert len(clip) == len(clip.truth) == 4
    assert clip.doubts == ('6 frames, but 4 lines of truth: measured on the first 4 frames',)


def test_a_span_says_which_frames_the_truth_is_of(tmp_path):
    folder = write_sequence(tmp_path / 'disc', lines=truth_of(3, 2))
    clip = load_clip(source(folder, span=(3, 5)))
    assert [f.stem for f in clip.files] == ['0003', '0004', '0005'] and clip.doubts == ()


def test_a_span_is_of_no_concern_if_only_those_frames_are_there(tmp_path):
    clip = load_clip(source(write_sequence(tmp_path / 'disc'), span=(300, 305)))
    assert len(clip) == 6


@pytest.mark.parametrize('lines, doubt', [
    (['44,44,33,33', '48,nan,33,33', *truth_of(4, 2)],
     '1 boxes are nan in part (the first in line 2): taken as absent'),
    ([*truth_of(5), '500,500,10,10'],
     '1 true boxes lie outside the 160x120 image (the first in line 6): counted as they stand')])
def test_odd_boxes_are_doubts(tmp_path, lines, doubt):
    assert load_clip(source(write_sequence(tmp_path / 'disc', lines=lines))).doubts == (doubt,)


@pytest.mark.parametrize('lines, complaint', [
    (['nan,nan,nan,nan', *truth_of(5, 1)], 'the first line of .* has no box'),
    (['500,500,10,10', *truth_of(5, 1)], 'does not overlap the 160x120 image'),
    (['44,44,33', *truth_of(5, 1)], 'line 1.* has 3 values'),
    (['left', *truth_of(5, 1)], 'line 1.* is not made of numbers'),
    ([''], 'is empty'),
    (truth_of(1), 'truth of the first one only')])
def test_what_cannot_be_run_says_why(tmp_path, lines, complaint):
    with pytest.raises(FramesError, match=f'^disc: .*{complaint}'):
        load_clip(source(write_sequence(tmp_path / 'disc', lines=lines)))


def test_no_frames_no_truth_and_broken_frames(tmp_path):
    folder = write_sequence(tmp_path / 'disc')
    with pytest.raises(FramesError, match='^disc: no frame in'):
        load_clip(Source('disc', tmp_path / 'nowhere', folder / 'groundtruth.txt'))
    with pytest.raises(FramesError, match='^disc: cannot read the box file'):
        load_clip(Source('disc', folder / 'img', tmp_path / 'nowhere.txt'))
    (folder / 'img' / '0001.png').write_bytes(b'no image')
    with pytest.raises(FramesError, match='^disc: .* cannot be decoded'):
        load_clip(source(folder))


@pytest.mark.parametrize('text, complaint', [('0\n0\n', 'has 2 numbers for 6 lines'),
                                             ('a,b', 'is not made of numbers')])
def test_labels_that_do_not_fit(tmp_path, text, complaint):
    folder = write_sequence(tmp_path / 'disc')
    (folder / 'absence.label').write_text(text)
    with pytest.raises(FramesError, match=complaint):
        load_clip(source(folder, absent=(folder / 'absence.label',)))


def test_what_cannot_be_run_is_left_out_and_named_and_doubts_too(tmp_path):
    good = source(write_sequence(tmp_path / 'good'))
    odd = source(write_sequence(tmp_path / 'odd', lines=[*truth_of(5), '500,500,10,10']))
    bad = source(write_sequence(tmp_path / 'bad', lines=['']))
    clips, complaints = load_clips([good, bad, odd], tmp_path)
    assert [clip.name for clip in clips] == ['good', 'odd']
    assert complaints[0].startswith('bad: ') and complaints[0].endswith('(left out)')
    assert complaints[1].startswith('odd: 1 true boxes lie outside') and len(complaints) == 2
    with pytest.raises(FramesError, match='none of the 2 sequences in .* can be run:\nbad: '):
        load_clips([bad, bad], tmp_path)
