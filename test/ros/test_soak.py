# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A quarter of a minute of what `python -m support.soak` does for half an hour."""
from __future__ import annotations

import random

import numpy as np
import pytest
from support.soak import Findings, Soak, table


def test_faults_and_wishes_in_quick_succession(node_process) -> None:
    soak = Soak(node_process('tracker_node'), random.Random(3), pauses=(0.05, 0.3))
    try:
        found = soak.run(12.0)
    finally:
        soak.client.close()
    assert found.complaints == []
    assert 0 < found.answered <= found.sent
    assert len(found.deeds) >= 5, f'too little happened: {found.deeds}'


def test_memory_that_grows_is_seen() -> None:
    rng = np.random.default_rng(0)
    found = Findings(memory=[(second, 200 + 3 * second / 600 + rng.normal(0, 0.5))
                             for second in range(1800)])
    assert found.slope() == pytest.approx(3.0, abs=0.2)
    assert Findings(memory=found.memory[:200]).slope() == 0.0      # too short to say
    assert 'slope after warm-up' in table(found, 1800)
