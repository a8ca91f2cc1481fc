# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""`lorat evaluate`: its figures on known boxes, and a run over drawn sequences."""
from __future__ import annotations

import json

import cv2
import numpy as np
import pytest
from support.pools import disc, scene

from lorat_ros.tools.cli import main
from lorat_ros.tools.evaluate import find_sequences, measure, roc_area
from lorat_ros.tools.frames import FramesError

BOX = np.array([10.0, 10.0, 20.0, 20.0])


def test_a_perfect_run():
    figures = measure(np.tile(BOX, (5, 1)), np.tile(BOX, (5, 1)), [1.0, 2.0, 9.0])
    assert pytest.approx(100 * 20 / 21) == figures.AUC
    assert (figures.P20, figures.AO, figures.SR50, figures.SR75) == (100, 100, 100, 100)
    assert (figures.frames, figures.ms) == (5, 2.0)


def test_the_given_frame_counts_for_success_but_not_for_overlap():
    truth = np.tile(BOX, (4, 1))
    lost = truth + (500, 0, 0, 0)
    lost[0] = BOX
    figures = measure(lost, truth, [])
    assert pytest.approx(100 * 20 / 21 / 4) == figures.AUC
    assert figures.P20 == 25 and figures.AO == 0


def test_frames_without_truth_count_for_nothing():
    truth = np.tile(BOX, (4, 1))
    truth[2] = np.nan
    found = truth.copy()
    found[2] = (300, 300, 5, 5)
    assert measure(found, truth, []).AO == 100


def test_roc_area_of_known_scores():
    good = np.array([True, True, False, False])
    assert roc_area(np.array([0.9, 0.8, 0.2, 0.1]), good) == 1
    assert roc_area(np.array([0.1, 0.2, 0.8, 0.9]), good) == 0
    assert roc_area(np.array([0.5, 0.5, 0.5, 0.5]), good) == 0.5
    assert np.isnan(roc_area(np.array([0.5]), np.array([True])))


@pytest.fixture
def folder(tmp_path):
    ground = scene(np.random.default_rng(1))
    for name, inside in (('left', 'img'), ('right', '.')):
        frames = tmp_path / name / inside
        frames.mkdir(parents=True)
        boxes = []
        for number in range(6):
            image, x = ground.copy(), 60 + (-4 if name == 'left' else 4) * number
            disc(image, x, 60, 16, (40, 200, 240))
            cv2.imwrite(str(frames / f'{number:03d}.png'), image)
            boxes.append(f'{x - 16},44,33,33')
        (tmp_path / name / 'groundtruth.txt').write_text('\n'.join(boxes))
    return tmp_path


def test_a_folder_of_sequences(folder, capsys):
    assert main(['evaluate', str(folder), '--json', str(folder / 'out.json')]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == ['sequence', 'left', 'right', 'MEAN',
                                                   'area']
    report = json.loads((folder / 'out.json').read_text())
    assert report['mean']['frames'] == 12 and report['mean']['AUC'] > 40
    assert report['mean']['AUC'] == pytest.approx(
        np.mean([s['AUC'] for s in report['sequences'].values()]))


def test_one_sequence_alone(folder):
    assert find_sequences(folder / 'left') == [folder / 'left']


@pytest.mark.parametrize('more', [[], ['--model', 'owl']])
def test_what_cannot_be_read_is_one_line(tmp_path, folder, capsys, more):
    where = folder if more else tmp_path / 'left' / 'img'
    assert main(['evaluate', str(where), *more]) == 2
    error = capsys.readouterr().err
    assert error.startswith('lorat evaluate: ') and 'Traceback' not in error


def test_an_empty_folder_says_what_is_expected(tmp_path):
    with pytest.raises(FramesError, match=r'expected folders with groundtruth\.txt'):
        find_sequences(tmp_path)
