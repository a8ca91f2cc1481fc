# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""COCO: boxes, polygons, run lengths as pycocotools packs them, and files with faults."""
from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.datasets import true_box, write_coco

from lorat_ros.training.coco import (is_coco, mask_of_polygons, mask_of_runs, read_coco,
                                     runs_of_text, visible_box)
from lorat_ros.training.footage import DataError, Notes, Reading
from lorat_ros.training.store import Store

# What pycocotools 2 makes of two masks: (height, width), text.
SMALL = ((7, 5), '9340;N')            # rows 2 to 4 of columns 1 and 2; row 6 of column 4
# Rows 5 to 29 of columns 10 to 49, but for a hole in rows 10 to 19 of columns 20 to 29.
RING = ((40, 60), 'e<i0?' + 18 * '0' + '\\OK55KK55KK55KK55KK55KK55KK55KK55KK55KK55?'
        + 38 * '0' + '[<')


def read(path: Path, notes: Notes | None = None, **options) -> list:
    return list(read_coco(path, Reading(Store(), **options), notes or Notes()))


def change(table: Path, **changes) -> None:
    """Write other values into the first annotation."""
    content = json.loads(table.read_text())
    content['annotations'][0].update(changes)
    table.write_text(json.dumps(content))


def test_packed_run_lengths_are_those_of_pycocotools():
    small = np.zeros(SMALL[0], np.uint8)
    small[2:5, 1:3] = small[6, 4] = 1
    ring = np.zeros(RING[0], np.uint8)
    ring[5:30, 10:50] = 1
    ring[10:20, 20:30] = 0
    for (size, text), expected in ((SMALL, small), (RING, ring)):
        np.testing.assert_array_equal(mask_of_runs(runs_of_text(text), size), expected)


def packed(runs: list[int]) -> str:
    """Pack run lengths, from the format's description."""
    text = ''
    for place, value in enumerate(runs):
        value -= runs[place - 2] if place > 2 else 0
        while True:
            bits, value = value & 31, value >> 5
            done = value == (-1 if bits & 16 else 0)
            text += chr(48 + bits + (0 if done else 32))
            if done:
                break
    return text


@given(st.lists(st.integers(0, 10**6), min_size=1, max_size=40))
def test_packing_and_reading_give_the_same(runs):
    assert runs_of_text(packed(runs)) == runs


@pytest.mark.parametrize('text', ['934P', 'a b', '\x01'])
def test_bad_run_lengths(text):
    with pytest.raises(DataError, match='cut off or no run lengths'):
        runs_of_text(text)


def test_runs_must_fill_the_picture():
    with pytest.raises(DataError, match='sum up to 9, expected 12 for 4x3 pixels'):
        mask_of_runs([4, 5], (3, 4))


@given(st.integers(0, 20), st.integers(0, 20), st.integers(1, 20), st.integers(1, 20))
def test_a_rectangle_on_whole_pixels_is_filled_exactly(x, y, w, h):
    polygon = np.array([(x, y), (x + w, y), (x + w, y + h), (x, y + h)], float)
    expected = np.zeros((30, 35), np.uint8)
    expected[y:y + h, x:x + w] = 1
    np.testing.assert_array_equal(mask_of_polygons([polygon], (30, 35)), expected)


def test_a_slanted_polygon_is_nearly_that_of_pycocotools():
    """There it has 815 pixels; which side of the border a pixel is on may differ."""
    ring = np.array([10.2, 5.1, 50.7, 8.3, 44.0, 30.6, 12.5, 28.0]).reshape(-1, 2)
    assert int(mask_of_polygons([ring], (40, 60)).sum()) == pytest.approx(815, abs=12)


def test_objects_with_masks(tmp_path):
    write_coco(tmp_path)
    notes = Notes()
    (stills,) = read(tmp_path, notes)
    assert notes.counts['crowds'] == 4 and not notes.lines
    shelf = stills.shelf()
    assert stills.name == 'coco-train2017' and len(shelf) == 5
    assert stills.classes[-1] == 'plank' and len(stills.pictures) == 4
    for number in range(4):
        assert shelf[number].box == pytest.approx(true_box(number))
        assert shelf[number].mask[60, 40 + 5 * number] == 255
    plank = shelf[4]
    assert plank.box == (100, 80, 30, 20) and plank.mask.sum() == 255 * 600
    assert plank.shares_image(shelf[0]) and not plank.shares_image(shelf[1])


def test_shrunk_masks_follow_their_pictures(tmp_path):
    write_coco(tmp_path)
    (stills,) = read(tmp_path / 'annotations' / 'instances_train2017.json', longest=80)
    plank = stills.shelf()[4]
    assert plank.image.shape == (60, 80, 3) and plank.box == (50, 40, 15, 10)


def test_is_it(tmp_path):
    table = write_coco(tmp_path)
    assert is_coco(tmp_path) and is_coco(table) and not is_coco(tmp_path / 'train2017')


def test_missing_pictures_and_bad_boxes_are_named(tmp_path):
    table, notes = write_coco(tmp_path), Notes()
    (tmp_path / 'train2017' / '000000000002.jpg').unlink()
    change(table, bbox=[float('nan'), 1, 2, 3])
    (stills,) = read(tmp_path, notes)
    assert len(stills.pictures) == 3 and len(stills.shelf()) == 3
    assert 'first: 000000000002.jpg): left out' in notes.lines[0]
    assert 'object 0 in 000000000000.jpg has the box [nan, 1, 2, 3]: left out' in notes.lines[1]


@pytest.mark.parametrize('segmentation', [
    None, [], [[1, 2, 3]], {'size': [120, 160], 'counts': [5]}, {'size': [1, 1], 'counts': '1'},
    {'size': [120, 160], 'counts': 'a b'}, {'size': [120, 160]}])
def test_an_object_without_a_usable_mask_has_its_box(segmentation, tmp_path):
    change(write_coco(tmp_path), segmentation=segmentation)
    (stills,) = read(tmp_path)
    item = stills.shelf()[0]
    assert item.mask is None and item.box == true_box(0)


def test_files_that_are_not_coco_are_refused_by_name(tmp_path):
    table, notes = write_coco(tmp_path), Notes()
    for text, complaint in (('{"a": ', 'cannot be read as JSON'), ('[]', 'no lists `images`'),
                            ('{"images": [{}], "annotations": []}', "KeyError('file_name')")):
        table.write_text(text)
        assert not read(tmp_path, notes)
        assert complaint in notes.lines[-1]
    assert notes.counts['refused'] == 3


@given(st.lists(st.floats(-50, 250), min_size=4, max_size=4))
def test_visible_boxes_are_within_the_picture(box):
    found = visible_box(box, (160, 120))
    if found is not None:
        x, y, w, h = found
        assert x >= 0 and y >= 0 and w > 0 and h > 0
        assert x + w <= 160 + 1e-6 and y + h <= 120 + 1e-6
