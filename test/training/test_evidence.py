# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Weights of the evidence, learnt from frames."""
from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from lorat_ros.engines.session import open_session
from lorat_ros.models.catalog import find_bundle
from lorat_ros.tracking.evidence import PIECES, Weights
from lorat_ros.training import evidence
from lorat_ros.training.evidence import believed, fit, Frames, main, unseen
from lorat_ros.training.pool import read_pool


def frames_told_apart_by(column: int, count: int = 200) -> Frames:
    """Frames of four clips; one kind of evidence tells right from wrong, the others nothing."""
    rng = np.random.default_rng(0)
    right = rng.random(count) < 0.5
    pieces = rng.normal(0, 1, (count, len(PIECES)))
    pieces[:, column] += 2.5 * right
    return Frames(pieces, right, np.array([f'clip{k % 4}' for k in range(count)]))


@pytest.mark.parametrize('column', range(len(PIECES)))
def test_what_tells_right_from_wrong_gets_the_weight(column):
    frames = frames_told_apart_by(column)
    weights = np.array([getattr(fit(frames), name) for name in PIECES])
    assert weights.argmax() == column and weights[column] > 3 * np.abs(np.delete(weights, column)
                                                                       ).max()
    correct = (believed(frames, fit(frames)) > 0) == frames.right
    assert correct.mean() > 0.8
    assert ((unseen(frames, frames.clip) > 0) == frames.right).mean() > 0.8


def test_of_several_pools_each_is_told_apart_by_the_others_too():
    frames = frames_told_apart_by(2)
    groups = {'one': ['clip0', 'clip1'], 'two': ['clip2', 'clip3']}
    lines = evidence.report(frames, groups, PIECES).splitlines()
    assert [line.split('ROC')[0].split() for line in lines[1:]] == [
        [pool, *by.split()] for pool in groups for by in ('network', 'other clips', 'other pools')]
    area = [float(line.split('ROC')[1].split()[0]) for line in lines[1:]]
    assert min(area[1], area[2], area[4], area[5]) > 90 > 70 > max(area[0], area[3])


def test_what_is_not_asked_for_counts_nothing():
    weights = fit(frames_told_apart_by(1), ('peak', 'match'))
    assert (weights.memory, weights.agreement) == (0.0, 0.0) and weights.match > 1


def test_a_long_clip_does_not_outweigh_the_others():
    frames = frames_told_apart_by(0)
    more = Frames(*(np.concatenate([part, np.repeat(part[:4], 100, 0)]) for part in frames))
    share = evidence.shares(more)
    assert share[more.right].sum() == pytest.approx(share[~more.right].sum())
    assert share[-1] < share[10]


@pytest.fixture
def pool(tmp_path: Path) -> Path:
    """Two clips of a square that moves on over a scene."""
    rng = np.random.default_rng(1)
    scene = cv2.GaussianBlur(rng.integers(0, 255, (160, 240, 3), np.uint8), (0, 0), 2)
    target = rng.integers(0, 255, (24, 24, 3), np.uint8)
    for clip in ('one', 'two'):
        folder = tmp_path / 'pool' / 'clips' / clip
        folder.mkdir(parents=True)
        boxes = []
        for number in range(10):
            image, x = scene.copy(), 60 + 4 * number
            image[70:94, x:x + 24] = target
            cv2.imwrite(str(folder / f'{number:05d}.jpg'), image)
            boxes.append(f'{x},70,24,24')
        (folder / 'boxes.csv').write_text('\n'.join(boxes) + '\n')
    return tmp_path / 'pool'


def test_the_command_prints_weights_of_a_pool(pool, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(evidence, 'WAYS', {'plain': evidence.WAYS['plain']})
    arguments = ['kestrel-e', '--data', str(pool), '--cache', str(tmp_path / 'kept')]
    assert main(arguments) == 0
    said = capsys.readouterr().out
    found = json.loads(said[said.index('{'):])['evidence']
    assert set(found) == {*PIECES, 'bias'}
    assert 'other clips  ROC' in said and 'other pools  ROC' not in said
    kept = sorted(file.name for file in tmp_path.glob('kept/*/*'))
    assert kept == ['one-plain.npz', 'two-plain.npz']
    # What was kept is not asked for again, and says the same.
    monkeypatch.setattr(evidence, 'watch', None)
    assert main(arguments) == 0
    assert capsys.readouterr().out == said


def test_an_account_is_weighed_as_the_tracker_weighs_it(pool, monkeypatch):
    bundle, told = find_bundle(), []
    clip = read_pool(pool).clips['one']
    session = open_session(bundle)

    class Told(evidence.Witness):
        def weigh(self, *args) -> tuple:
            told.append(super().weigh(*args)[0])
            return told[-1], 0.0
    monkeypatch.setattr(evidence, 'Witness', Told)
    account = evidence.watch(bundle, session, clip, evidence.FAULTS['plain'])
    again = evidence.weighed(account, Weights.of(bundle.manifest))
    assert again == pytest.approx(np.array(told), abs=2e-2)
    assert len(account['overlap']) == len(again) == len(clip) - 1


def test_a_graph_that_answers_too_little_is_refused():
    witness = evidence.Witness(np.ones((5, 5), np.float32))
    with pytest.raises(ValueError, match='answers score, boxes, evidence is made of'):
        witness.weigh({'score': np.zeros(1), 'boxes': np.zeros(1)}, (0, 0, 1, 1), 0.5,
                      evidence.NETWORK_ALONE)
