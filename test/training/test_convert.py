# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What is written as a pool reads back as what it was."""
from __future__ import annotations

import csv
import errno

import cv2
import numpy as np
import pytest
from support.datasets import true_box, write_coco, write_got10k, write_plain
from support.pools import write_pool
from support.recordings import write_recording

from lorat_ros.training import convert
from lorat_ros.training.contact import draw_contact
from lorat_ros.training.convert import write_pool as write_data
from lorat_ros.training.footage import Notes, Reading
from lorat_ros.training.pool import read_pool
from lorat_ros.training.sources import detect
from lorat_ros.training.store import Store


def converted(path, pool, longest=400, **options) -> Notes:
    notes, source = Notes(), detect(path)
    write_data(source.read(path, Reading(Store(0), longest), notes), pool, notes, source.name,
               path, **options)
    return notes


def test_a_clip_reads_back_with_its_boxes(tmp_path):
    write_got10k(tmp_path / 'got', absent=[3])
    notes = converted(tmp_path / 'got', tmp_path / 'pool', 80, licence='CC BY')
    lines = (tmp_path / 'pool' / 'clips' / 'GOT-10k_Train_000001' / 'boxes.csv').read_text()
    assert lines.splitlines()[:2] == ['12.50,22.50,15.50,15.50', '15.00,22.50,15.50,15.50']
    assert lines.splitlines()[3] == 'nan,nan,nan,nan'
    pool = read_pool(tmp_path / 'pool')
    items = pool.clips['GOT-10k_Train_000001']
    assert len(items) == 6 and items[0].image.shape == (60, 80, 3)
    assert items[5].box == pytest.approx(np.array(true_box(6)) / 2, abs=0.01)
    assert notes.counts['clips'] == 1 and notes.counts['boxes'] == 6
    with (tmp_path / 'pool' / 'index.csv').open() as table:
        (row,) = csv.DictReader(table)
    assert row['licence'] == 'CC BY' and row['frames'] == '8' and row['kind'] == 'clip'


def test_stills_read_back_with_their_masks(tmp_path):
    write_coco(tmp_path / 'coco')
    notes = converted(tmp_path / 'coco', tmp_path / 'pool')
    pool = read_pool(tmp_path / 'pool')
    found = sorted(item.box for item in pool.stills['coco-train2017'])
    assert found == sorted([*(true_box(n) for n in range(4)), (100.0, 80.0, 30.0, 20.0)])
    assert all(item.mask is not None for item in pool.stills['coco-train2017'])
    assert notes.counts['masks'] == 5 and notes.counts['stills'] == 4


def test_a_pool_of_a_pool_is_the_same(tmp_path):
    source = write_pool(tmp_path / 'a')
    converted(source, tmp_path / 'b', None)
    one, two = read_pool(source), read_pool(tmp_path / 'b')
    assert list(one.clips) == list(two.clips) and len(one.images) == len(two.images)
    for name in one.stills:
        assert [i.box for i in one.stills[name]] == [i.box for i in two.stills[name]]
    for a, b in zip(one.clips['moving'], two.clips['moving']):
        assert a.box == b.box
        np.testing.assert_array_equal(a.mask, b.mask)


def test_every_third_frame_and_a_pool_that_grows(tmp_path):
    write_plain(tmp_path / 'walk')
    write_recording(tmp_path / 'drive')
    for name, count in (('walk', 3), ('drive', 3)):
        converted(tmp_path / name, tmp_path / 'pool', every=3)
        assert len(list((tmp_path / 'pool' / 'clips' / name).glob('*.jpg'))) == count
    notes = converted(tmp_path / 'walk', tmp_path / 'pool')
    assert notes.counts['there already'] == 1 and 'left as it is' in notes.lines[0]
    with (tmp_path / 'pool' / 'index.csv').open() as table:
        assert [row['path'] for row in csv.DictReader(table)] == ['clips/walk', 'clips/drive']


def test_a_full_disk_leaves_no_half_clip(tmp_path, monkeypatch):
    write_plain(tmp_path / 'walk')
    write, count = convert._write_image, iter(range(100))

    def full(path, image):
        if next(count) == 3:
            raise OSError(errno.ENOSPC, 'No space left on device', str(path))
        write(path, image)
    monkeypatch.setattr(convert, '_write_image', full)
    with pytest.raises(OSError, match='No space left'):
        converted(tmp_path / 'walk', tmp_path / 'pool')
    assert not (tmp_path / 'pool' / 'clips' / 'walk').exists()
    monkeypatch.undo()
    converted(tmp_path / 'walk', tmp_path / 'pool')
    assert len(read_pool(tmp_path / 'pool').clips['walk']) == 8
    assert [p.name for p in (tmp_path / 'pool' / 'clips').iterdir()] == ['walk']


def test_boxes_that_became_too_small_are_named(tmp_path):
    folder = write_plain(tmp_path / 'walk')
    (folder / 'groundtruth.txt').write_text('10,10,8,8\n' * 8)
    notes = converted(folder, tmp_path / 'pool', 80)
    assert notes.counts['tiny'] == 8
    assert 'walk: 8 boxes are under 6 pixels in pictures of 80x60' in notes.lines[0]


def test_the_contact_sheet_shows_boxes_where_they_are(tmp_path):
    write_plain(tmp_path / 'walk')
    converted(tmp_path / 'walk', tmp_path / 'pool')
    draw_contact([tmp_path / 'pool' / 'clips' / 'walk'], tmp_path / 'contact.png', columns=4)
    sheet = cv2.imread(str(tmp_path / 'contact.png'))
    green = (sheet == (0, 255, 0)).all(2)
    assert green.any()
    factor, (x, y, _, _) = 168 / 160, true_box(0)
    rows, columns = np.nonzero(green[:, :160])
    assert (columns.min(), rows.min()) == pytest.approx((x * factor, 16 + y * factor), abs=1)
