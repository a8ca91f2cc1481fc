# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Running over sequences, and what is kept of it, also through interruptions."""
from __future__ import annotations

import json
from types import SimpleNamespace

import numpy as np
import pytest
from support.sequences import write_sequence

from lorat_ros.tools.evaluate_figures import Times
from lorat_ros.tools.evaluate_run import (identity, read_entry, read_run, Run, run_clip,
                                          run_model, Shelf)
from lorat_ros.tools.sequences import load_clip, Source
from lorat_ros.tracking.tracker import load_tracker

MADE_BY = {'model': 'owl', 'manifest': 'abc'}


@pytest.fixture
def clip(tmp_path):
    folder = write_sequence(tmp_path / 'disc')
    return load_clip(Source('disc', folder / 'img', folder / 'groundtruth.txt', origin=1))


def a_run(clip) -> Run:
    rows = np.c_[clip.truth, np.linspace(0, 1, len(clip))] + 1 / 3
    rows[0] = (*clip.init_box, np.nan)
    rows[3, :4] = np.nan
    return Run(rows, Times((1.0,) * 5, (2.0,) * 5))


def test_a_kept_run_comes_back_to_the_last_bit_but_of_the_shift(tmp_path, clip):
    shelf = Shelf(tmp_path / 'kept', MADE_BY)
    assert shelf.read(clip) is None
    shelf.write(clip, a_run(clip))
    back = shelf.read(clip)
    np.testing.assert_allclose(back.rows, a_run(clip).rows, rtol=0, atol=1e-12)
    assert back.times == a_run(clip).times
    first = (tmp_path / 'kept' / 'disc.txt').read_text().splitlines()[0]
    assert first == '44.0,44.0,33.0,33.0,nan'         # as in the truth: it begins at 1


@pytest.mark.parametrize('spoil', [
    lambda folder: (folder / 'disc.json').unlink(),
    lambda folder: (folder / 'disc.txt').unlink(),
    lambda folder: (folder / 'disc.json').write_text('{"made_by'),
    lambda folder: (folder / 'disc.txt').write_text('1,2,3,4,5\n'),
    lambda folder: (folder / 'disc.txt').write_text('9,9,9,9,nan\n' * 6)])
def test_what_is_not_whole_is_not_taken(tmp_path, clip, spoil):
    shelf = Shelf(tmp_path / 'kept', MADE_BY)
    shelf.write(clip, a_run(clip))
    spoil(tmp_path / 'kept')
    assert shelf.read(clip) is None


def test_what_another_model_left_is_not_taken(tmp_path, clip):
    Shelf(tmp_path / 'kept', {**MADE_BY, 'manifest': 'abd'}).write(clip, a_run(clip))
    assert Shelf(tmp_path / 'kept', MADE_BY).read(clip) is None


def test_an_interruption_while_writing_leaves_nothing_that_counts(tmp_path, clip, monkeypatch):
    shelf = Shelf(tmp_path / 'kept', MADE_BY)
    shelf.write(clip, a_run(clip))

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt
    monkeypatch.setattr('lorat_ros.tools.evaluate_run.os.replace', interrupt)
    with pytest.raises(KeyboardInterrupt):
        shelf.write(clip, a_run(clip))
    assert shelf.read(clip) is None


class Scripted:
    """A tracker that answers what it is told to."""

    def __init__(self, answers) -> None:
        self.answers = iter(answers)
        self.bundle = SimpleNamespace(name='owl', manifest={'name': 'owl'}, score_lost=0.2,
                                      score_recover=0.4, return_frames=2)
        self.session = SimpleNamespace(engine='none', precision='fp32')
        self.inits: list[object] = []

    def init(self, image, box) -> None:
        self.inits.append(box)

    def update(self, image):
        box, score = next(self.answers)
        return SimpleNamespace(box=box, score=score)


def test_a_box_that_is_none_is_a_reported_loss(clip):
    boxes = [(1, 2, 3, 4), (1, 2, 0, 4), (1, np.inf, 3, 4), (1, 2, 3, 4), (1, 2, 3, 4)]
    tracker, ticks = Scripted([(box, 0.5) for box in boxes]), []
    run = run_clip(tracker, clip, lambda: ticks.append(1))
    assert tracker.inits == [clip.init_box] and len(ticks) == 6
    assert np.isnan(run.rows[:, 0]).tolist() == [False, False, True, True, False, False]
    assert len(run.times.wall) == len(run.times.cpu) == 5


def test_reuse_runs_only_what_is_missing(tmp_path, clip):
    shelf = Shelf(tmp_path / 'kept', identity(Scripted([])))
    answers = [((1, 2, 3, 4), 0.5)] * 5
    first = run_model(Scripted(answers), 'owl', [clip], shelf, reuse=True)
    assert first.about['reused'] == 0 and not first.complaints
    idle = Scripted([])
    again = run_model(idle, 'owl', [clip], shelf, reuse=True)
    assert again.about['reused'] == 1 and idle.inits == []
    np.testing.assert_array_equal(again.runs['disc'].rows, first.runs['disc'].rows)
    assert run_model(Scripted(answers), 'owl', [clip], shelf, reuse=False).about['reused'] == 0


def test_the_identity_tells_models_and_engines_apart():
    tracker = load_tracker()
    found = identity(tracker)
    assert found['model'] == 'kestrel-e' and len(found['manifest']) == 64
    changed = SimpleNamespace(
        bundle=SimpleNamespace(name='kestrel-e', manifest={**tracker.bundle.manifest, 'x': 1}),
        session=tracker.session)
    assert identity(changed) != found
    assert json.loads(json.dumps(found)) == found


def test_boxes_as_got10k_toolkit_keeps_them(tmp_path, clip):
    (tmp_path / 'theirs' / 'disc').mkdir(parents=True)
    (tmp_path / 'theirs' / 'disc' / 'disc_001.txt').write_text('44.000,44.000,33.000,33.000\n' * 6)
    entry = read_entry(tmp_path / 'theirs', 'theirs', [clip])
    assert not entry.complaints
    assert entry.runs['disc'].rows[5, :4].tolist() == [43, 43, 33, 33]


def test_separators_of_other_trackers(tmp_path, clip):
    for separator in ('\t', ' ', ', '):
        (tmp_path / 'disc.txt').write_text((separator.join('1234') + '\n') * 6)
        assert read_run(tmp_path / 'disc.txt', clip).rows[2, :4].tolist() == [0, 1, 3, 4]
