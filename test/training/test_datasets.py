# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The public data sets' layouts, and what is wrong with data in the field."""
from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.datasets import (lines, true_box, write_frames, write_got10k, write_lasot,
                              write_plain, write_trackingnet)

from lorat_ros.training.datasets import (belonging, read_got10k, read_lasot, read_plain,
                                         read_rows, read_trackingnet)
from lorat_ros.training.footage import clean_boxes, DataError, Notes, Reading
from lorat_ros.training.store import Store

TRUTH = np.array([true_box(n) for n in range(12)])


def read(reader, path: Path, notes: Notes | None = None, **options) -> list:
    return list(reader(path, Reading(Store(), **options), notes or Notes()))


def test_got10k_with_absent_and_covered_frames(tmp_path):
    write_got10k(tmp_path, absent=[3])
    for place in (tmp_path, tmp_path / 'train', tmp_path / 'train' / 'GOT-10k_Train_000001'):
        (clip,) = read(read_got10k, place)
        assert clip.name == 'GOT-10k_Train_000001'
        expected = TRUTH[:8].copy()
        expected[[3, 7]] = np.nan          # said to be absent; said to be covered whole
        np.testing.assert_array_equal(clip.boxes, expected)
        assert [item.box for item in clip.shelf()] == [tuple(b) for b in
                                                       expected[[0, 1, 2, 4, 5, 6]].tolist()]


def test_lasot_counts_from_one(tmp_path):
    write_lasot(tmp_path)
    (clip,) = read(read_lasot, tmp_path)
    expected = TRUTH[:8].copy()
    expected[[2, 5]] = np.nan
    np.testing.assert_array_equal(clip.boxes, expected)


def test_trackingnet_in_order_of_numbers(tmp_path):
    write_trackingnet(tmp_path)
    for place in (tmp_path, tmp_path / 'TRAIN_0'):
        (clip,) = read(read_trackingnet, place)
        np.testing.assert_array_equal(clip.boxes, TRUTH)
        assert [Path(clip.pictures.path(n)).name for n in (0, 2, 10)] == \
            ['0.jpg', '2.jpg', '10.jpg']


def test_a_plain_folder_shrunk(tmp_path):
    write_plain(tmp_path / 'walk')
    (clip,) = read(read_plain, tmp_path, longest=80)
    item = clip.shelf()[3]
    assert item.image.shape == (60, 80, 3)
    assert item.box == pytest.approx(TRUTH[3] / 2)


def test_the_box_lies_on_the_disc_in_every_layout(tmp_path):
    """The middle of its yellow is that of the box: a slip by one frame or one pixel shows."""
    write_got10k(tmp_path / 'got')
    write_lasot(tmp_path / 'lasot')
    write_trackingnet(tmp_path / 'net')
    write_plain(tmp_path / 'plain' / 'walk')
    for reader, name in ((read_got10k, 'got'), (read_lasot, 'lasot'), (read_trackingnet, 'net'),
                         (read_plain, 'plain')):
        (clip,) = read(reader, tmp_path / name)
        for item in clip.shelf():
            yellow = np.abs(item.image.astype(int) - (40, 200, 240)).max(2) < 40
            rows, columns = np.nonzero(yellow)
            x, y, w, h = item.box
            centre = (columns.mean() + 0.5, rows.mean() + 0.5)
            assert centre == pytest.approx((x + w / 2, y + h / 2), abs=0.6)


def test_missing_frames_are_paired_by_their_numbers(tmp_path):
    folder, notes = write_got10k(tmp_path), Notes()
    (folder / '00000003.jpg').unlink()
    (clip,) = read(read_got10k, tmp_path, notes)
    np.testing.assert_array_equal(clip.boxes[:6], TRUTH[[0, 1, 3, 4, 5, 6]])
    assert any('7 frames and 8 boxes: paired by the numbers in the names, 0 frames without a box,'
               ' 1 boxes without a frame' in line for line in notes.lines)
    assert notes.counts['missing frames'] == 1


def test_frames_beyond_the_truth_have_no_box(tmp_path):
    folder, notes = write_got10k(tmp_path), Notes()
    (folder / 'groundtruth.txt').write_text(lines(TRUTH[:1]))      # as in the test split
    (folder / 'cover.label').unlink()
    (clip,) = read(read_got10k, tmp_path, notes)
    assert np.isfinite(clip.boxes).all(1).tolist() == [True] + [False] * 7
    assert any('8 flags of absence for 1 boxes' in line for line in notes.lines)


def test_counts_that_cannot_be_matched_are_refused_by_name(tmp_path):
    folder, notes = write_plain(tmp_path / 'good'), Notes()
    other = write_plain(tmp_path / 'odd')
    (other / '00007.png').unlink()
    (other / '00003.png').unlink()
    assert [clip.name for clip in read(read_plain, tmp_path, notes)] == [folder.name]
    assert notes.counts['refused'] == 1
    assert 'odd: left out: 6 frames and 8 boxes, and the last frame is 00006.png' in notes.lines[0]


def test_names_without_numbers_are_refused(tmp_path):
    notes = Notes()
    write_frames(tmp_path / 'x', ['a.png', 'b.png'])
    (tmp_path / 'x' / 'groundtruth.txt').write_text(lines(TRUTH[:3]))
    assert not read(read_plain, tmp_path, notes)
    assert 'the names of the frames do not number them' in notes.lines[0]


def test_neighbours_without_truth_and_folders_without_frames_are_named(tmp_path):
    notes = Notes()
    write_plain(tmp_path / 'good')
    write_frames(tmp_path / 'bare', ['0.png'])
    (tmp_path / 'empty').mkdir()
    (tmp_path / 'empty' / 'groundtruth.txt').write_text('1,2,3,4\n')
    assert len(read(read_plain, tmp_path, notes)) == 1
    assert sorted(notes.lines)[0] == 'bare: left out: it has frames, but no groundtruth.txt'
    assert 'empty: left out: no frames in' in sorted(notes.lines)[1]


@pytest.mark.parametrize(('text', 'complaint'), [
    ('', 'is empty'), ('1,2,3\n', "line 1: '1,2,3', expected four numbers"),
    ('1,2,3,4\n1,2,x,4\n', 'line 2'), ('1,2,3,4,5,6,7,8\n', 'expected four numbers')])
def test_a_file_that_is_not_made_of_boxes(text, complaint, tmp_path):
    (tmp_path / 'truth.txt').write_text(text)
    with pytest.raises(DataError, match=complaint):
        read_rows(tmp_path / 'truth.txt')


def test_separators_and_empty_lines(tmp_path):
    (tmp_path / 'truth.txt').write_text('1,2,3,4\n5\t6 7;8\n\nnan,nan,nan,nan\n')
    rows = read_rows(tmp_path / 'truth.txt')
    np.testing.assert_array_equal(rows, [[1, 2, 3, 4], [5, 6, 7, 8], [np.nan] * 4, [np.nan] * 4])


def test_bad_boxes_are_named(tmp_path):
    folder, notes = write_plain(tmp_path / 'walk'), Notes()
    boxes = TRUTH[:8].copy()
    boxes[1], boxes[2], boxes[3] = np.nan, (10, 10, 0, 5), (400, 10, 20, 20)
    boxes[4], boxes[5] = (-10, -10, 40, 50), (np.inf, 1, 2, 3)
    (folder / 'groundtruth.txt').write_text(lines(boxes))
    (clip,) = read(read_plain, tmp_path, notes)
    assert np.isfinite(clip.boxes).all(1).tolist() == [True, False, False, False, True, False,
                                                       True, True]
    assert clip.boxes[4].tolist() == [0, 0, 30, 40]
    assert notes.counts['absent'] == 3 and notes.counts['outside'] == 1
    assert notes.lines == [
        'walk: 1 of 8 boxes (first: frame 3) lie outside the image: taken as absent',
        'walk: 1 of 8 boxes (first: frame 4) overhang the image: cut at its border']


def test_a_damaged_frame_is_passed_over_by_name(tmp_path):
    folder, notes = write_plain(tmp_path / 'walk'), Notes()
    (folder / '00002.png').write_bytes(b'\x89PNG cut')
    (clip,) = read(read_plain, tmp_path)
    with pytest.warns(UserWarning, match=r'00002\.png \(8 bytes\) cannot be decoded'):
        assert clip.shelf()[2].box == tuple(TRUTH[3])
    assert len(list(clip.shots(notes))) == 7
    assert notes.counts['unreadable'] == 1 and '00002.png' in notes.lines[0]


@given(st.lists(st.tuples(*[st.floats(width=32)] * 4), min_size=1, max_size=6))
def test_clean_boxes_are_within_the_image_or_absent(boxes):
    notes = Notes()
    clean = clean_boxes(np.array(boxes), (160, 120), 'x', notes)
    known = np.isfinite(clean).all(1)
    assert np.isnan(clean[~known]).all()
    low, high = clean[known, :2], clean[known, :2] + clean[known, 2:]
    assert (low >= 0).all() and (high <= np.array([160, 120]) + 1e-6).all()
    assert (clean[known, 2:] > 0).all()
    for box, row in zip(boxes, clean):     # a box within the image stays what it is
        if np.isfinite(box).all() and min(box) >= 0 and min(box[2:]) >= 1 \
                and box[0] + box[2] <= 160 and box[1] + box[3] <= 120:
            np.testing.assert_allclose(row, box, atol=1e-4)


@given(st.integers(1, 30), st.data())
def test_a_frame_gets_the_box_of_its_number(count, data):
    first = data.draw(st.integers(0, 1))
    kept = sorted(data.draw(st.sets(st.integers(0, count - 1), min_size=1)))
    names = [f'{number + first}.jpg' for number in kept]
    assert belonging(names, count, first, 'x', Notes()).tolist() == kept
