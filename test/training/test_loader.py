# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Pairs drawn ahead are those drawn in between; who waits for whom is said."""
from __future__ import annotations

import cv2
import numpy as np
import pytest
from support.pools import write_pool

from lorat_ros.training.loader import Batch, batches, Pace, usual_loaders
from lorat_ros.training.pairs import PairConfig, PairSampler
from lorat_ros.training.pool import read_pool

SMALL = PairConfig(search_size=96, template_size=48)


def test_loading_processes_change_no_pair(tmp_path):
    folder = write_pool(tmp_path)
    # OpenCV's own threads are at work before: copies of this process must not wait for them.
    cv2.setNumThreads(4)
    cv2.GaussianBlur(np.zeros((2000, 2000, 3), np.uint8), (0, 0), 5)

    def drawn(loaders: int) -> list[Batch]:
        return list(batches(PairSampler(read_pool(folder), SMALL),
                            lambda step: [(7, step, number) for number in range(3)],
                            range(5, 11), loaders))
    one, two = drawn(0), drawn(2)
    assert len(one) == len(two) == 6
    for a, b in zip(one, two):
        assert a.pairs.keys() == b.pairs.keys()
        for name in a.pairs:
            np.testing.assert_array_equal(a.pairs[name], b.pairs[name])
        assert a.seconds > 0 and b.seconds > 0 and a.waited >= a.seconds


def test_the_pace_of_loader_and_trainer():
    pace = Pace(share=24, whole=48, loaders=2)
    figures = pace.figures(Batch({}, seconds=0.1, waited=0.05), step_seconds=0.25)
    assert figures == {'rate': pytest.approx(48 / 0.25), 'loader': pytest.approx(2 * 48 / 0.1),
                       'trainer': pytest.approx(48 / 0.2), 'loading': pytest.approx(0.2)}


def test_starving_is_said_once_with_the_cure():
    pace, said = Pace(48, 48, 1), []
    for _ in range(300):
        figures = pace.figures(Batch({}, seconds=0.4, waited=0.3), step_seconds=0.4)
        said.append(pace.complaint(figures))
    (line,) = [text for text in said if text]
    assert said.index(line) == 99
    assert line.startswith('75% of the time the training waits for pairs: the loader gives 120 a '
                           'second, the trainer could take 480. --loaders 2')


def test_a_loader_that_keeps_up_is_not_blamed():
    pace = Pace(48, 48, 1)
    assert not any(pace.complaint(pace.figures(Batch({}, 0.3, 0.01), 0.4)) for _ in range(300))


def test_cores_are_left_to_the_training():
    assert usual_loaders(1) >= 0 and usual_loaders(10_000) == 0
