# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Frames from folders and videos, boxes from files, and what is said when they cannot be read."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from lorat_ros.tools.frames import (find_truth, first_box, FramesError, natural_key, open_frames,
                                    parse_box, read_boxes)


def write_frames(folder: Path, names: list[str], size_wh: tuple[int, int] = (32, 24)) -> Path:
    """Write grey images whose level tells which one it is: 10, 20, 30, …"""
    folder.mkdir(parents=True, exist_ok=True)
    for index, name in enumerate(names):
        image = np.full((size_wh[1], size_wh[0], 3), 10 * (index + 1), np.uint8)
        assert cv2.imwrite(str(folder / name), image)
    return folder


def levels(path: Path) -> list[int]:
    """The levels of the frames as read."""
    return [round(float(image.mean()) / 10) for image in open_frames(path)]


def test_a_folder_is_read_in_natural_order(tmp_path: Path) -> None:
    folder = write_frames(tmp_path, ['f1.png', 'f2.jpg', 'f10.bmp', 'f11.JPEG'])
    (folder / 'notes.txt').write_text('not a frame')
    (folder / '.f3.png').write_text('hidden')
    frames = open_frames(folder)
    assert (len(frames), frames.fps, frames.size_wh) == (4, 30.0, (32, 24))
    assert levels(folder) == [1, 2, 3, 4]
    assert [image.shape for image in frames] == [(24, 32, 3)] * 4  # a second time, too


@pytest.mark.parametrize(('names', 'expected'), [
    (['10.png', '9.png', '1.png'], ['1.png', '9.png', '10.png']),
    (['a2', 'A10', 'a1'], ['a1', 'a2', 'A10']),
    (['img_0002.jpg', 'img_1.jpg', 'x'], ['img_1.jpg', 'img_0002.jpg', 'x']),
    ([], [])])
def test_natural_key(names: list[str], expected: list[str]) -> None:
    assert [p.name for p in sorted(map(Path, names), key=natural_key)] == expected


def test_a_sequence_with_its_frames_in_img(tmp_path: Path) -> None:
    write_frames(tmp_path / 'img', ['1.png', '2.png'])
    assert levels(tmp_path) == [1, 2]


def test_a_video_is_read(tmp_path: Path) -> None:
    path = tmp_path / 'clip.mp4'
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*'mp4v'), 25.0, (64, 48))
    for level in (40, 80, 120):
        writer.write(np.full((48, 64, 3), level, np.uint8))
    writer.release()
    frames = open_frames(path)
    assert (len(frames), frames.fps, frames.size_wh) == (3, 25.0, (64, 48))
    assert [round(float(image.mean()) / 40) for image in frames] == [1, 2, 3]
    assert open_frames(path, fps=5.0).fps == 5.0


def test_what_cannot_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / 'empty').mkdir()
    (tmp_path / 'no.mp4').write_text('this is no video')
    cases = [(tmp_path / 'nowhere', 'does not exist'), (tmp_path / 'empty', 'no frame'),
             (tmp_path / 'no.mp4', 'cannot be decoded')]
    for path, complaint in cases:
        with pytest.raises(FramesError, match=complaint) as caught:
            open_frames(path)
        assert str(path) in str(caught.value)
    with pytest.raises(FramesError, match='fps'):
        open_frames(write_frames(tmp_path / 'good', ['1.png']), fps=0.0)


def test_a_truncated_frame_is_named_when_it_is_reached(tmp_path: Path) -> None:
    folder = write_frames(tmp_path, ['1.png', '2.png'])
    (folder / '2.png').write_bytes((folder / '2.png').read_bytes()[:20])
    frames = iter(open_frames(folder))
    assert next(frames).shape == (24, 32, 3)
    with pytest.raises(FramesError, match=r'2\.png \(20 bytes\)'):
        next(frames)


@pytest.mark.parametrize('text', ['1,2,3,4\n5,6,7,8\n', '1 2 3 4\n5\t6\t7\t8',
                                  '1, 2, 3, 4\r\n5;6;7;8',
                                  '# x y w h\n1,2,3,4\n\n5,6,7,8,0.9\n'])
def test_boxes_with_all_separators(tmp_path: Path, text: str) -> None:
    file = tmp_path / 'boxes.txt'
    file.write_text(text)
    assert np.array_equal(read_boxes(file), [[1, 2, 3, 4], [5, 6, 7, 8]])


def test_absent_targets_are_rows_of_nan(tmp_path: Path) -> None:
    file = tmp_path / 'boxes.txt'
    file.write_text('1,2,3,4\nnan,nan,nan,nan\n0,0,0,0\n1,2,3,nan\n5,6,7,8\n')
    absent = np.isnan(read_boxes(file)).all(axis=1)
    assert absent.tolist() == [False, True, True, True, False]


@pytest.mark.parametrize(('text', 'complaint'), [
    ('1,2,3\n', 'line 1.*3 values'), ('1,2,3,4\na,b,c,d\n', 'line 2.*not made of numbers'),
    ('1,2,3,4,5,6,7,8\n', '8 values'), ('', 'is empty'), ('# only words\n', 'is empty')])
def test_bad_box_files_are_named_with_the_line(tmp_path: Path, text: str, complaint: str) -> None:
    file = tmp_path / 'boxes.txt'
    file.write_text(text)
    with pytest.raises(FramesError, match=complaint) as caught:
        read_boxes(file)
    assert str(file) in str(caught.value)


def test_a_missing_box_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(FramesError, match=r'none\.txt'):
        read_boxes(tmp_path / 'none.txt')


@pytest.mark.parametrize('text', ['1,2,3.5,4', '1 2 3.5 4', ' 1,\t2, 3.5, 4 '])
def test_parse_box(text: str) -> None:
    assert parse_box(text) == (1.0, 2.0, 3.5, 4.0)


def test_parse_box_may_cross_the_border() -> None:
    assert parse_box('-10,-5,30,40') == (-10.0, -5.0, 30.0, 40.0)


@pytest.mark.parametrize('text', ['', '1,2,3', '1,2,3,4,5', 'a,b,c,d', '1,2,nan,4', '1,2,inf,4',
                                  '1,2,0,4', '1,2,3,-4'])
def test_parse_box_refuses(text: str) -> None:
    with pytest.raises(FramesError, match='expected'):
        parse_box(text)


def test_truth_is_found_in_and_beside(tmp_path: Path) -> None:
    folder = write_frames(tmp_path / 'sequence' / 'img', ['1.png'])
    assert find_truth(folder) is None
    truth = tmp_path / 'sequence' / 'groundtruth.txt'
    truth.write_text('1,2,3,4\n')
    assert find_truth(folder) == find_truth(folder.parent) == truth
    assert find_truth(tmp_path / 'sequence' / 'clip.mp4') == truth


def test_first_box() -> None:
    assert first_box(np.array([[1, 2, 3, 4], [5, 6, 7, 8]], float), 'x') == (1, 2, 3, 4)
    with pytest.raises(FramesError, match='first line of truth'):
        first_box(np.full((2, 4), np.nan), 'truth')
