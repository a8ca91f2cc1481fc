# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Where a lost target is looked for, how much work that is, and what is believed."""
from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from lorat_ros.boxes import centre_xywh, iou_xywh
from lorat_ros.target.reacquire import (CONFIRMED, LOOKS, MOST_CANDIDATES, MOST_PLACES,
                                        places_around, Reacquisition, suitable_way, WAYS)
from lorat_ros.target.status import TargetState, TargetStatus
from lorat_ros.target.target import Target
from lorat_ros.tracking.tracker import load_tracker, Tracker, TrackResult
from support.picture import picture, TARGET

IMAGE = np.zeros((240, 320, 3), np.uint8)
LAST = (20.0, 30.0, 40.0, 40.0)
THERE = (230.0, 170.0, 40.0, 40.0)


class World:
    """Where the target is on the frame at hand (None: nowhere), and who looked where."""

    def __init__(self, *truth: tuple | None) -> None:
        self.truth, self.frame, self.looks = truth, 0, []

    @property
    def here(self) -> tuple | None:
        return self.truth[min(self.frame, len(self.truth) - 1)]


class NearSighted:
    """Sees the target if it lies in twice the box it looks around, as trackers do."""

    def __init__(self, world: World, box: tuple = LAST) -> None:
        self.world, self.box = world, box

    def init(self, image: np.ndarray, box: tuple) -> None:
        self.box = box

    def scout(self, box: tuple) -> NearSighted:
        return NearSighted(self.world, box)

    def follow(self, scout: NearSighted) -> None:
        self.box = scout.box

    def update(self, image: np.ndarray) -> TrackResult:
        self.world.looks.append((self.world.frame, self.box))
        here, score = self.world.here, 0.1
        if here and all(abs(a - b) <= 2 * side - side / 2 for a, b, side in zip(
                centre_xywh(here), centre_xywh(self.box), self.box[2:])):
            self.box, score = here, 0.9
        return TrackResult(self.box, score, (0.0, 0.0, 1.0, 1.0))


def lived(world: World, way: str, frames: int, offers: dict | None = None) -> list:
    """The steps of a target that is shown at LAST."""
    target = Target(NearSighted(world), TargetStatus(0.3, 0.6, 0.5), way)
    target.start(IMAGE, LAST, 'mine')
    steps = []
    for world.frame in range(frames):
        if offers and world.frame in offers:
            target.offer(offers[world.frame])
        steps.append(target.step(IMAGE, 0.1))
    return steps


def test_the_places_cover_the_image_and_grow_around_the_last_one() -> None:
    places = places_around(LAST, (320, 240))
    assert centre_xywh(places[0]) == centre_xywh(LAST)
    rings = [round(max(abs(x - 40), abs(y - 50)) / 80, 6) for x, y in map(centre_xywh, places)]
    assert rings == sorted(rings) and all(place[2:] == LAST[2:] for place in places)
    for point in ((0, 0), (319, 0), (160, 120), (0, 239), (319, 239)):
        nearest = min(max(abs(point[0] - x), abs(point[1] - y))
                      for x, y in map(centre_xywh, places))
        assert nearest <= 80.0  # a search region reaches that far at least


@given(st.tuples(*[st.floats(-1e4, 1e4)] * 2, *[st.floats(1.0, 1e4)] * 2),
       st.integers(1, 4000), st.integers(1, 4000))
def test_there_are_never_too_many_places_and_each_is_in_the_image(box: tuple, width: int,
                                                                  height: int) -> None:
    places = places_around(box, (width, height))
    # A grid of that many cells has at most one more in each row and column, and one of both.
    assert 1 <= len(places) <= (math.sqrt(MOST_PLACES * max(width / height, 1)) + 2) * (
        math.sqrt(MOST_PLACES * max(height / width, 1)) + 2)
    for x, y in map(centre_xywh, places):
        assert -1e-6 <= x <= width + 1e-6 and -1e-6 <= y <= height + 1e-6


def test_a_target_that_jumped_is_found_by_searching_and_keeps_its_id() -> None:
    world = World(LAST, LAST, THERE)
    steps = lived(world, 'search', 30)
    states = [step.state for step in steps]
    back = states.index(TargetState.TRACKING, 2)
    assert {step.target_id for step in steps} == {'mine'}
    assert states[2] is TargetState.COASTING
    assert steps[back].box == THERE and states[back:] == [TargetState.TRACKING] * (30 - back)
    assert [step.returned for step in steps[:back]] == [0] * back
    assert (steps[back].returned, steps[back].returned_by) == (1, 'search')
    # It was seen in CONFIRMED frames before it was believed, and no box was published meanwhile.
    seen = [frame for frame, box in world.looks if box != LAST and frame <= back]
    assert len(set(seen)) >= CONFIRMED
    assert all(step.box is None for step in steps[2:back])


def test_left_alone_it_stays_lost() -> None:
    steps = lived(World(LAST, LAST, THERE), 'off', 30)
    assert steps[-1].state is TargetState.LOST


@pytest.mark.parametrize('way', ['off', 'search', 'candidates'])
def test_the_work_of_a_frame_is_bounded(way: str) -> None:
    world = World(LAST, None)
    lived(world, way, 60, {n: [THERE] * 99 for n in range(60)})
    per_frame = np.bincount([frame for frame, _ in world.looks])
    assert per_frame.max() <= 1 + (0 if way == 'off' else LOOKS)
    assert per_frame[0] == 1  # nothing is looked for while it is seen


def test_what_shows_up_for_a_moment_only_is_not_believed() -> None:
    flash = [None] * 40
    for n in range(6, 40, 5):  # CONFIRMED - 1 frames at a time
        flash[n:n + CONFIRMED - 1] = [THERE] * (CONFIRMED - 1)
    steps = lived(World(LAST, *flash), 'search', 40)
    assert all(step.box is None for step in steps[1:])


def test_candidates_are_looked_at_and_verified_and_nothing_else_is() -> None:
    elsewhere = (100.0, 20.0, 40.0, 40.0)
    world = World(LAST, THERE)
    offers = {4: [elsewhere], 8: [(math.nan, 0.0, 5.0, 5.0), (0.0, 0.0, 0.0, 9.0),
                                  (900.0, 0.0, 5.0, 5.0), (-1e300, -1e300, 2e300, 2e300)],
              12: [elsewhere, (225.0, 168.0, 44.0, 42.0)]}
    steps = lived(world, 'candidates', 20, offers)
    back = [step.state for step in steps].index(TargetState.TRACKING, 1)
    assert back == 12 + CONFIRMED - 1
    assert (steps[back].box, steps[back].returned_by) == (THERE, 'candidates')
    places = {box for _, box in world.looks}
    assert places <= {LAST, elsewhere, THERE, (225.0, 168.0, 44.0, 42.0)}


def test_only_so_many_candidates_are_kept() -> None:
    world = World(None)
    lived(world, 'candidates', 40, {1: [(float(n), 5.0, 40.0, 40.0) for n in range(100, 200)]})
    assert len({box for _, box in world.looks} - {LAST}) == MOST_CANDIDATES


def test_a_target_that_comes_back_by_itself_says_so_too() -> None:
    steps = lived(World(LAST, *[None] * 10, LAST), 'off', 14)
    assert [(step.state.value, step.returned, step.returned_by) for step in steps[9:13]] == [
        ('lost', 0, ''), ('lost', 0, ''), ('lost', 0, ''), ('tracking', 1, 'tracker')]


def test_the_image_is_searched_by_itself_only_for_a_model_that_weighs_evidence() -> None:
    evidence = {'evidence': {'peak': 1.0}}
    assert suitable_way('auto', evidence) == 'search'
    assert suitable_way('auto', {}) == suitable_way('auto', {'evidence': None}) == 'off'
    assert [suitable_way(way, evidence) for way in WAYS] == list(WAYS)


def test_an_unknown_way_is_refused() -> None:
    with pytest.raises(ValueError, match="reacquire 'magic', expected one of off, search, cand"):
        Reacquisition(NearSighted(World(None)), 'magic')


@pytest.fixture(scope='module')
def tracker() -> Tracker:
    return load_tracker()


def scene_at(x: int, y: int) -> np.ndarray:
    """A large picture with the target at a place, without it if x is negative."""
    image = np.repeat(np.repeat(picture(320, 240)[::8, 200:][:, ::8], 32, 0), 32, 1)[:480, :640]
    image = np.resize(image, (480, 640, 3)).copy()
    if x >= 0:
        tx, ty, w, h = (int(v) for v in TARGET)
        image[y:y + h, x:x + w] = picture()[ty:ty + h, tx:tx + w]
    return image


@pytest.mark.parametrize('way', ['search', 'candidates'])
def test_the_shipped_model_finds_a_target_at_the_other_end_of_the_image(tracker: Tracker,
                                                                        way: str) -> None:
    bundle = tracker.bundle
    target = Target(tracker, TargetStatus(bundle.score_lost, bundle.score_recover, 0.5), way)
    target.start(scene_at(60, 60), (60.0, 60.0, *TARGET[2:]))
    there = (540.0, 400.0, *TARGET[2:])
    for n in range(40):
        target.offer([(300.0, 200.0, 40.0, 40.0), (530.0, 390.0, 55.0, 50.0)])
        step = target.step(scene_at(60, 60) if n < 5 else scene_at(-1, 0) if n < 15
                           else scene_at(540, 400), 1 / 15)
        if 5 <= n < 15:
            assert step.box is None
    assert step.returned_by == way
    assert float(iou_xywh(np.array(step.box), np.array(there))) > 0.5
