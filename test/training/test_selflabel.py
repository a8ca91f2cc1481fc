# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Labels from the way there and back: agreement is kept, disagreement is not."""
from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import pytest
from support.pools import disc, scene, write_pool

from lorat_ros.training.pairs import PairConfig, PairSampler
from lorat_ros.training.pool import read_pool
from lorat_ros.training.selflabel import (label_clip, motion_map, propose, track_both_ways,
                                          write_tracks)


@dataclass
class Result:
    box: tuple[float, float, float, float]
    score: float


class Drifting:
    """A stand-in that moves its box by a fixed step a frame, there and back alike or not."""

    def __init__(self, there: float, back: float, score: float = 0.9) -> None:
        self.steps, self.score, self.inits = (there, back), score, 0

    def init(self, image, box):
        self.box, self.step = np.array(box), self.steps[self.inits % 2]
        self.inits += 1

    def update(self, image):
        self.box = self.box + (self.step, 0, 0, 0)
        return Result(tuple(self.box.tolist()), self.score)


FRAMES = [np.zeros((60, 80, 3), np.uint8)] * 10


def test_both_ways_agree():
    boxes = track_both_ways(Drifting(2, -2), FRAMES, (10.0, 10.0, 20.0, 20.0))
    assert boxes.shape == (10, 4)
    assert boxes[-1] == pytest.approx((28, 10, 20, 20))


@pytest.mark.parametrize('tracker', [Drifting(2, 2), Drifting(2, -2, score=0.1)])
def test_a_guess_is_thrown_away(tracker):
    assert track_both_ways(tracker, FRAMES, (10.0, 10.0, 20.0, 20.0)) is None


def moving_disc(frames: int = 14) -> list[np.ndarray]:
    rng = np.random.default_rng(4)
    ground = scene(rng)
    images = []
    for number in range(frames):
        image = ground.copy()
        disc(image, 30 + 5 * number, 60, 16, (40, 200, 240))
        cv2.circle(image, (30 + 5 * number, 60), 5, (0, 0, 160), -1)
        images.append(image)
    return images


def test_motion_is_seen_where_it_is():
    motion = motion_map(moving_disc(), 0)
    y, x = divmod(int(motion.argmax()), motion.shape[1])
    assert abs(y - 60) < 25 and 5 < x < 75


def test_proposals_lie_in_the_image_and_mostly_on_what_moves():
    frames, rng = moving_disc(), np.random.default_rng(0)
    boxes = [b for b in (propose(frames, 0, rng) for _ in range(40)) if b is not None]
    assert len(boxes) > 10
    near = [abs(x + w / 2 - 37) < 35 and abs(y + h / 2 - 60) < 35 for x, y, w, h in boxes]
    assert np.mean(near) > 0.6


def test_tracks_are_written_and_become_pairs(tmp_path):
    folder = write_pool(tmp_path / 'pool', frames=12)
    tracks = tmp_path / 'tracks'
    tracks.mkdir()
    found = label_clip(Drifting(0.5, -0.5), moving_disc(12), 3, np.random.default_rng(1))
    assert len(found) == 3
    write_tracks(tracks / 'plain.csv', found)
    pool = read_pool(folder, tracks=tracks)
    assert {name: len(t) for name, t in pool.tracks.items()} == {'plain': 3}
    first, boxes = found[0]
    assert pool.tracks['plain'][0][2].box == pytest.approx(boxes[2], abs=0.01)
    only = PairConfig(clip=0, still=0, paste=0, texture=0, tracked=1.0)
    assert PairSampler(pool, only).batch((0, n) for n in range(6))['present'].any()


def test_a_clip_without_tracks_adds_none(tmp_path):
    folder = write_pool(tmp_path / 'pool')
    write_tracks(tmp_path / 'plain.csv', [])
    assert read_pool(folder, tracks=tmp_path).tracks == {}
