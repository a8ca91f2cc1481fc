# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""OpenCV's trackers behind our two calls, and the run in which they take turns with models."""
from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from support.sequences import write_sequence

from lorat_ros.tools.benchmark_peers import Contender, measure
from lorat_ros.tools.cli import main
from lorat_ros.tools.peers import open_peer, Peer, PeerError, PEERS, Row
from lorat_ros.tools.sequences import load_clip, Source
from lorat_ros.tracking.tracker import ImageError

IMAGE = np.zeros((60, 80, 3), np.uint8)
NANO = next(row for row in PEERS if row.needs_weights)


class Scripted:
    """Stands for a tracker of OpenCV: says what the test wants."""

    def __init__(self, answers: list) -> None:
        self.answers, self.box = answers, None

    def init(self, image: np.ndarray, box: tuple) -> None:
        self.box = box

    def update(self, image: np.ndarray) -> tuple:
        answer = self.answers.pop(0)
        if answer is None:
            raise cv2.error('it broke')
        return answer


class Scored(Scripted):
    def getTrackingScore(self) -> float:
        return 0.25


@pytest.mark.parametrize(('given', 'taken'), [
    ((10.4, 20.6, 30.0, 9.9), (10, 21, 30, 9)),       # whole pixels
    ((-5.0, -5.0, 20.0, 20.0), (0, 0, 15, 15)),       # within the image
    ((70.0, 50.0, 50.0, 50.0), (70, 50, 10, 10)),
    ((79.9, 10.0, 0.2, 5.0), (80, 10, 1, 5)),
])
def test_boxes_are_given_as_opencv_wants_them(given: tuple, taken: tuple) -> None:
    made = Scripted([])
    Peer(lambda: made).init(IMAGE, given)
    assert made.box == taken
    assert all(isinstance(value, int) for value in made.box)


def test_what_it_says_becomes_boxes_and_scores() -> None:
    peer = Peer(lambda: Scripted([(True, (1, 2, 3, 4)), (False, (0, 0, 0, 0)), None]))
    peer.init(IMAGE, (1, 1, 9, 9))
    found, lost = peer.update(IMAGE), peer.update(IMAGE)
    assert (found.box, found.score) == ((1.0, 2.0, 3.0, 4.0), 1.0)
    assert np.isnan(lost.box).all() and lost.score == 0.0
    with pytest.raises(ImageError, match='it broke'):
        peer.update(IMAGE)
    scored = Peer(lambda: Scored([(True, (1, 2, 3, 4))]))
    scored.init(IMAGE, (1, 1, 9, 9))
    assert scored.update(IMAGE).score == 0.25


def test_a_peer_that_is_not_there_is_named_with_the_cure(tmp_path: Path) -> None:
    with pytest.raises(PeerError, match='has no CSRT: pip install --target'):
        open_peer(Row('OpenCV CSRT', 'TrackerOfNobody_create'), None)
    with pytest.raises(PeerError, match='--nanotrack FOLDER'):
        open_peer(NANO, None)
    with pytest.raises(PeerError, match=r'0 files \*backbone\*.onnx'):
        open_peer(NANO, tmp_path)
    for name in ('a_backbone.onnx', 'a_head.onnx'):
        (tmp_path / name).write_bytes(b'no network')
    with pytest.raises(PeerError, match='cannot load the weights'):
        open_peer(NANO, tmp_path)


def test_all_run_over_all_sequences_in_turns(tmp_path: Path) -> None:
    clips = [load_clip(Source(name, folder / 'img', folder / 'groundtruth.txt'))
             for name in ('one', 'two') for folder in [write_sequence(tmp_path / name)]]
    began: list[str] = []

    def named(label: str, answers: list) -> Contender:
        def make() -> Scripted:
            began.append(label)
            return Scripted(list(answers))
        return Contender(label, Peer(make), {'opencv': 'x'})

    still = named('still', [(True, (44, 44, 33, 33))] * 5)
    entries = measure([still, named('broken', [(True, (1, 1, 9, 9)), None])], clips)
    assert began == ['still', 'broken', 'broken', 'still']
    assert set(entries[0].runs) == {'one', 'two'} and not entries[0].complaints
    assert len(entries[0].runs['one'].times.cpu) == 5
    assert not entries[1].runs and len(entries[1].complaints) == 2


def test_the_command_compares_and_says_who_is_left_out(tmp_path: Path, capsys) -> None:
    write_sequence(tmp_path / 'sequences' / 'disc')
    pytest.importorskip('matplotlib', reason='matplotlib draws the plot: it is an extra')
    figures, plot = tmp_path / 'peers.json', tmp_path / 'cost.png'
    status = main(['benchmark', '--peers', str(tmp_path / 'sequences'), '--json', str(figures),
                   '--plot', str(plot)])
    said = capsys.readouterr()
    assert status == 1 and 'OpenCV Nano is left out: its weights' in said.err
    report = json.loads(figures.read_text())
    assert {'OpenCV MIL', 'kestrel-e'} <= set(report['trackers'])
    for tracker in report['trackers'].values():
        mean = tracker['mean']
        assert 0 <= mean['AUC'] <= 100 and mean['cpu_ms'] > 0
        assert f'{mean["AUC"]:.1f}' in said.out
    assert report['trackers']['kestrel-e']['mean']['AUC'] > 50
    assert report['threads'] == 1 and report['opencv'] == cv2.__version__
    assert cv2.imread(str(plot)).std() > 5


def test_bad_places_are_refused_before_anything_runs(tmp_path: Path, capsys) -> None:
    write_sequence(tmp_path / 'sequences' / 'disc')
    assert main(['benchmark', '--peers', str(tmp_path / 'nowhere')]) == 2
    assert main(['benchmark', '--peers', str(tmp_path / 'sequences'),
                 '--json', str(tmp_path / 'no' / 'figures.json')]) == 2
    assert 'does not exist' in capsys.readouterr().err
