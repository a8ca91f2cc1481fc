# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The factory for one-pass evaluation."""
from __future__ import annotations

import numpy as np

from lorat_ros.tools.ope import default


def test_update_answers_box_and_score(monkeypatch):
    monkeypatch.delenv('LORAT_MODEL', raising=False)
    image = np.random.default_rng(0).integers(0, 255, (120, 160, 3), np.uint8)
    tracker = default()
    tracker.init(image, (50, 40, 30, 30))
    x, y, w, h, score = tracker.update(image)
    assert abs(x - 50) < 15 and abs(y - 40) < 15 and w > 5 and h > 5
    assert 0 <= score <= 1


def test_two_trackers_have_targets_of_their_own(monkeypatch):
    monkeypatch.delenv('LORAT_MODEL', raising=False)
    image = np.random.default_rng(0).integers(0, 255, (120, 160, 3), np.uint8)
    one, two = default(), default()
    one.init(image, (20, 20, 30, 30))
    two.init(image, (100, 70, 30, 30))
    assert abs(one.update(image)[0] - 20) < 15
