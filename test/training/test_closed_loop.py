# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Judging a bundle in closed loop."""
from __future__ import annotations

import numpy as np
from support.pools import write_pool

from lorat_ros.models.catalog import DEFAULT_MODEL
from lorat_ros.training.closed_loop import altered, cover, FAULTS, main


def test_a_table_of_clips_and_faults(tmp_path, capsys):
    pool = write_pool(tmp_path, frames=16)
    assert main([DEFAULT_MODEL, '--data', str(pool), '--clips', 'moving']) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == ['moving', *FAULTS, 'mean', 'scores', 'scores',
                                                   'mean']
    plain = float(lines[1].split()[-1])
    assert 0 < plain <= 100


def test_a_covered_target_cannot_be_seen():
    image = np.zeros((100, 200, 3), np.uint8)
    image[40:60, 20:50] = 255
    hidden = cover(image, (20.0, 40.0, 30.0, 20.0))
    assert hidden.max() == 0 and image.max() == 255
    assert cover(image, (-10.0, -10.0, 30.0, 300.0)).shape == image.shape


def test_a_large_target_is_not_covered_with_itself():
    image = np.zeros((100, 200, 3), np.uint8)
    image[20:90, 40:160] = 255
    assert cover(image, (40.0, 20.0, 120.0, 70.0)).max() < 200


def test_other_postprocessing_can_be_tried():
    tracker = altered(DEFAULT_MODEL, ['window=0.9'])
    assert tracker.bundle.manifest['postprocessing']['window'] == 0.9
