# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""How often a debug image passes."""
from __future__ import annotations

import random

import pytest
from lorat_ros.ros.debug_view import RateLimit


@pytest.mark.parametrize(('rate', 'fps', 'seconds', 'expected'), [
    (15.0, 30.0, 20, 300),  # every second one
    (10.0, 30.0, 20, 200),
    (100.0, 30.0, 20, 600),  # all
    (0.5, 30.0, 20, 10),
])
def test_the_rate_is_kept_although_frames_are_never_on_time(
        rate: float, fps: float, seconds: int, expected: int) -> None:
    jitter = random.Random(3)
    limit = RateLimit()
    passed = sum(limit.allows(rate, 100.0 + index / fps + jitter.uniform(0.0, 0.4 / fps))
                 for index in range(int(seconds * fps)))
    assert abs(passed - expected) <= 0.05 * expected + 1


def test_a_pause_is_not_caught_up_with() -> None:
    limit = RateLimit()
    assert limit.allows(1.0, 0.0)
    moments = [100.0 + index / 10 for index in range(10)]
    assert sum(limit.allows(1.0, moment) for moment in moments) <= 2
