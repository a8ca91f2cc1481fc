# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Weights of the evidence, learnt from frames."""
from __future__ import annotations

import json
from dataclasses import astuple

import cv2
import numpy as np
import pytest

from lorat_ros.training import evidence
from lorat_ros.training.evidence import believed, fit, Frames, main, unseen


def frames_told_apart_by(column: int, count: int = 200) -> Frames:
    """Frames of four clips; one kind of evidence tells right from wrong, the others nothing."""
    rng = np.random.default_rng(0)
    right = rng.random(count) < 0.5
    pieces = rng.normal(0, 1, (count, 4))
    pieces[:, column] += 2.5 * right
    return Frames(pieces, right, np.array([f'clip{k % 4}' for k in range(count)]))


@pytest.mark.parametrize('column', range(4))
def test_what_tells_right_from_wrong_gets_the_weight(column):
    frames = frames_told_apart_by(column)
    weights = np.array(astuple(fit(frames))[:4])
    assert weights.argmax() == column and weights[column] > 3 * np.abs(np.delete(weights, column)
                                                                       ).max()
    correct = (believed(frames, fit(frames)) > 0) == frames.right
    assert correct.mean() > 0.8
    assert ((unseen(frames) > 0) == frames.right).mean() > 0.8


def test_a_long_clip_does_not_outweigh_the_others():
    frames = frames_told_apart_by(0)
    more = Frames(*(np.concatenate([part, np.repeat(part[:4], 100, 0)]) for part in frames))
    share = evidence.shares(more)
    assert share[more.right].sum() == pytest.approx(share[~more.right].sum())
    assert share[-1] < share[10]


def test_the_command_prints_weights_of_a_pool(tmp_path, capsys, monkeypatch):
    rng = np.random.default_rng(1)
    scene = cv2.GaussianBlur(rng.integers(0, 255, (160, 240, 3), np.uint8), (0, 0), 2)
    target = rng.integers(0, 255, (24, 24, 3), np.uint8)
    for clip in ('one', 'two'):
        folder = tmp_path / 'clips' / clip
        folder.mkdir(parents=True)
        boxes = []
        for number in range(10):
            image, x = scene.copy(), 60 + 4 * number
            image[70:94, x:x + 24] = target
            cv2.imwrite(str(folder / f'{number:05d}.jpg'), image)
            boxes.append(f'{x},70,24,24')
        (folder / 'boxes.csv').write_text('\n'.join(boxes) + '\n')
    monkeypatch.setattr(evidence, 'FAULTS', {'plain': evidence.FAULTS['plain']})
    assert main(['kestrel-s', '--data', str(tmp_path)]) == 0
    said = capsys.readouterr().out
    found = json.loads(said[said.index('{'):])['evidence']
    assert set(found) == {'peak', 'match', 'memory', 'agreement', 'bias'}
    assert 'evidence  ROC' in said
