# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""`lorat track` from end to end with the shipped model, and its errors."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from lorat_ros.tools.cli import main
from lorat_ros.tools.frames import read_boxes

COUNT = 12


@pytest.fixture(scope='module')
def sequence(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A textured patch that moves 3 pixels a frame over another texture, with its truth."""
    folder = tmp_path_factory.mktemp('sequence')
    (folder / 'img').mkdir()
    rng = np.random.RandomState(1)
    ground = cv2.resize(rng.randint(60, 120, (30, 40, 3)).astype(np.uint8), (320, 240))
    patch = cv2.resize(rng.randint(0, 255, (6, 8, 3)).astype(np.uint8), (48, 36))
    lines = []
    for index in range(COUNT):
        image, x = ground.copy(), 100 + 3 * index
        image[90:126, x:x + 48] = patch
        cv2.imwrite(str(folder / 'img' / f'{index}.png'), image)
        lines.append(f'{x},90,48,36')
    lines[5] = 'nan,nan,nan,nan'
    (folder / 'groundtruth.txt').write_text('\n'.join(lines))
    return folder


def test_a_sequence_with_truth(sequence: Path, tmp_path: Path,
                               capsys: pytest.CaptureFixture) -> None:
    video, boxes = tmp_path / 'out.mp4', tmp_path / 'boxes.txt'
    assert main(['track', str(sequence), '--output', str(video), '--boxes', str(boxes)]) == 0
    printed = capsys.readouterr().out
    assert f'over {COUNT - 2} frames' in printed  # the first and the absent one do not count
    assert 'ms p50' in printed and 'fps' in printed
    written = read_boxes(boxes)
    assert written.shape == (COUNT, 4)
    assert written[0].tolist() == [100, 90, 48, 36]
    assert len(boxes.read_text().splitlines()[3].split(',')) == 5  # with the score
    capture = cv2.VideoCapture(str(video))
    assert capture.get(cv2.CAP_PROP_FRAME_COUNT) == COUNT
    assert capture.read()[1].shape == (240, 320, 3)


def test_init_needs_no_truth(sequence: Path, tmp_path: Path,
                             capsys: pytest.CaptureFixture) -> None:
    lone = tmp_path / 'frames'
    lone.mkdir()
    for file in (sequence / 'img').glob('*.png'):
        (lone / file.name).write_bytes(file.read_bytes())
    assert main(['track', str(lone), '--init', '100,90,48,36']) == 0
    assert 'mean overlap' not in capsys.readouterr().out


@pytest.mark.parametrize(('arguments', 'complaint'), [
    (['--init', '1,2,3'], 'expected'), (['--init', '900,2,30,30'], 'does not overlap'),
    (['--model', 'ostrich'], "'ostrich'"), (['--engine', 'steam'], "'steam'"),
    (['--truth', '/nowhere.txt'], '/nowhere.txt'), (['--output', 'x.avi'], '.mp4'),
    (['--boxes', '/nowhere/boxes.txt'], '/nowhere')])
def test_errors(sequence: Path, arguments: list[str], complaint: str,
                capsys: pytest.CaptureFixture) -> None:
    assert main(['track', str(sequence), *arguments]) == 2
    errors = capsys.readouterr().err.strip().splitlines()
    assert len(errors) == 1 and errors[0].startswith('lorat track: ') and complaint in errors[0]


def test_no_target(sequence: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    (tmp_path / '0.png').write_bytes((sequence / 'img' / '0.png').read_bytes())
    assert main(['track', str(tmp_path)]) == 2
    assert '--init x,y,w,h' in capsys.readouterr().err
