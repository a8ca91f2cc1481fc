# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Judging a bundle in closed loop."""
from __future__ import annotations

from support.pools import write_pool

from lorat_ros.models.catalog import DEFAULT_MODEL
from lorat_ros.training.closed_loop import altered, FAULTS, main


def test_a_table_of_clips_and_faults(tmp_path, capsys):
    pool = write_pool(tmp_path, frames=16)
    assert main([DEFAULT_MODEL, '--data', str(pool), '--clips', 'moving']) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == ['moving', *FAULTS, 'mean', 'scores', 'scores',
                                                   'mean', 'covered']
    plain = float(lines[1].split()[-1])
    assert 0 < plain <= 100


def test_other_postprocessing_can_be_tried():
    tracker = altered(DEFAULT_MODEL, ['window=0.9'])
    assert tracker.bundle.manifest['postprocessing']['window'] == 0.9
