# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The report: figures that the toolkits know, and what GOT-10k's cuts to the image."""
from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from lorat_ros.tools.evaluate_plots import write_plots
from lorat_ros.tools.evaluate_report import assess, report_of
from lorat_ros.tools.evaluate_run import Entry, Run
from lorat_ros.tools.sequences import Clip


def a_clip(rng, name: str, length: int) -> Clip:
    truth = rng.uniform((0, 0, 10, 10), (100, 60, 90, 90), (length, 4))
    return Clip(name, (Path(name),) * length, truth, (160, 120), 0, ())


def an_entry(rng, label: str, clips, spread: float = 9.0) -> Entry:
    runs = {}
    for clip in clips:
        rows = np.c_[clip.truth + rng.normal(0, spread, clip.truth.shape), rng.random(len(clip))]
        rows[:, 2:4] = np.abs(rows[:, 2:4]) + 1
        runs[clip.name] = Run(rows)
    return Entry(label, {'boxes': label}, runs, ())


def test_pools_agree_with_got10k_toolkit():
    metrics = pytest.importorskip('got10k.utils.metrics',
                                  reason='the got10k toolkit is not installed: make env')
    rng = np.random.default_rng(3)
    clips = [a_clip(rng, 'one', 40), a_clip(rng, 'two', 7)]
    entry = an_entry(rng, 'owl', clips)
    for kind, bound in (('got10k_toolkit', (160, 120)), ('all_frames', None)):
        overlap = np.concatenate([
            metrics.rect_iou(entry.runs[clip.name].rows[1:, :4].copy(), clip.truth[1:].copy(),
                             bound) for clip in clips])
        found = assess(entry, clips, 'skip').pooled[kind]
        assert found['AO'] == pytest.approx(100 * overlap.mean(), abs=1e-9)
        assert found['SR50'] == pytest.approx(100 * (overlap > 0.5).mean(), abs=1e-9)
        assert found['SR75'] == pytest.approx(100 * (overlap > 0.75).mean(), abs=1e-9)


def test_what_does_not_exist_is_null(tmp_path):
    rng = np.random.default_rng(3)
    clips = [a_clip(rng, 'one', 5)]
    report = report_of('here', 'plain', 'skip', [assess(an_entry(rng, 'owl', clips), clips,
                                                        'skip')], ['one: odd'])
    assert report['trackers']['owl']['mean']['ms'] is None
    assert report['complaints'] == ['one: odd']


def test_plots_of_more_trackers_than_colours(tmp_path):
    pytest.importorskip('matplotlib', reason='matplotlib is not installed: make env')
    rng = np.random.default_rng(3)
    clips = [a_clip(rng, 'one', 30)]
    found = {f'tracker {i}': assess(an_entry(rng, '', clips, 4.0 * i + 1), clips, 'skip')
             for i in range(9)}
    paths = write_plots(tmp_path, {label: v.mean_curve for label, v in found.items()},
                        {label: v.mean for label, v in found.items()}, 1)
    assert [path.name for path in paths] == ['success.png', 'precision.png',
                                             'normalised_precision.png']
    assert all(path.stat().st_size > 10_000 for path in paths)
