# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""One frame's way, with the shipped model and real messages, without a graph around it."""
from __future__ import annotations

import math
import threading

import numpy as np
import pytest
from builtin_interfaces.msg import Time
from lorat_ros.ros.health import Health
from lorat_ros.ros.images import ImageError, image_message
from lorat_ros.ros.init_request import PATIENCE, InitRequest
from lorat_ros.ros.pipeline import FORGOTTEN, NO_INIT, Frame, Pipeline, Said
from lorat_ros.target.status import TargetState, TargetStatus
from lorat_ros.target.target import Target, TargetStep
from lorat_ros.tracking.tracker import Tracker, load_tracker
from sensor_msgs.msg import Image
from std_msgs.msg import Header
from support.graph import TARGET, picture


@pytest.fixture(scope='module')
def tracker() -> Tracker:
    return load_tracker()


class Line:
    """A pipeline and everything that left it, in order."""

    def __init__(self, tracker: Tracker) -> None:
        self.out: list[tuple[str, Header, TargetStep]] = []
        self.health = Health()
        self.pipeline = Pipeline(
            Target(tracker, TargetStatus(0.0, 0.0)),
            lambda header, step: self.out.append(('published', header, step)),
            lambda image, header, step: self.out.append(('shown', header, step)),
            self.health, lambda: 10**10)

    def frame(self, stamp: int = 0, image: np.ndarray | None = None) -> Image:
        header = Header(stamp=Time(sec=stamp // 10**9, nanosec=stamp % 10**9))
        return image_message(picture() if image is None else image, header)

    def process(self, stamp: int = 0) -> TargetStep:
        self.pipeline.process(Frame(self.frame(stamp), 0.0))
        return self.pipeline.said.step


@pytest.fixture
def line(tracker: Tracker) -> Line:
    return Line(tracker)


def test_the_detection_leaves_before_anything_is_shown(line: Line) -> None:
    line.pipeline.request_init(InitRequest(TARGET, target_id='a'))
    line.process(5)
    line.process(6)
    assert [(what, header.stamp.nanosec, step.target_id) for what, header, step in line.out] == [
        ('published', 5, 'a'), ('shown', 5, 'a'), ('published', 6, 'a'), ('shown', 6, 'a')]


def test_times_are_kept_by_stage_and_the_age_where_the_stamp_tells_it(line: Line) -> None:
    line.pipeline.request_init(InitRequest(TARGET))
    line.process(0)
    line.process(0)
    assert {name.split()[0] for name in line.health.stages()} == {
        'convert', 'crop', 'network', 'decode', 'total', 'frame', 'waited'}
    line.process(10**10 - 5 * 10**6)
    assert line.health.stages(['age']) == {'age p50/p95 [ms]': '5.00 / 5.00'}
    line.process(10**10 + 10**9)  # a clock that jumped back: no age
    assert line.health.stages(['age']) == {'age p50/p95 [ms]': '5.00 / 5.00'}
    assert (line.health.processed, line.health.picture) == (4, '320x240 bgr8')


def test_the_latest_of_two_requests_counts(line: Line) -> None:
    for name in ('first', 'second'):
        line.pipeline.request_init(InitRequest(TARGET, target_id=name))
    assert line.pipeline.said.init.startswith('waiting for a frame: box x 120.0 y 90.0')
    assert line.process().target_id == 'second'
    assert line.pipeline.said.init == "accepted: box x 120.0 y 90.0 w 48.0 h 40.0 as id 'second'"


@pytest.mark.parametrize('bad', [(math.nan, 0.0, 9.0, 9.0), (1.0, 1.0, 0.0, 9.0)])
def test_a_box_that_cannot_be_one_is_refused_at_once_and_the_waiting_one_stays(
        line: Line, bad: tuple) -> None:
    line.pipeline.request_init(InitRequest(TARGET, target_id='good'))
    line.pipeline.request_init(InitRequest(bad, target_id='bad'))
    assert line.pipeline.said.init.startswith('refused: init box')
    assert line.process().target_id == 'good'
    assert line.pipeline.said.init.startswith('accepted')


def test_a_box_outside_of_the_image_is_refused_on_the_frame(line: Line) -> None:
    line.pipeline.request_init(InitRequest(TARGET, target_id='good'))
    line.process()
    line.pipeline.request_init(InitRequest((9000.0, 0.0, 9.0, 9.0)))
    assert line.pipeline.said.init.startswith('waiting')
    assert line.process().target_id == 'good'
    assert 'does not overlap' in line.pipeline.said.init


def test_what_is_said_is_of_one_moment(tracker: Tracker) -> None:
    """Step, init and age change together: nobody reads an accepted box without its target."""
    told: list[Said] = []

    class Witness(Pipeline):
        """Keeps every word."""

        @property
        def said(self) -> Said:
            return told[-1]

        @said.setter
        def said(self, word: Said) -> None:
            told.append(word)
    pipeline = Witness(Target(tracker, TargetStatus(0.0, 0.0)), lambda *_: None, lambda *_: None,
                       Health(), lambda: 0)
    pipeline.request_init(InitRequest(TARGET, target_id='a'))
    pipeline.process(Frame(image_message(picture(), Header()), 0.0))
    pipeline.reset('over')
    assert [(word.init.split(':')[0], word.step.target_id, word.born is None)
            for word in told] == [(NO_INIT, '', True), ('waiting for a frame', '', True),
                                  ('accepted', 'a', False), ('over', '', True)]


def test_while_paused_nothing_is_even_read(line: Line) -> None:
    broken = line.frame()
    broken.step = 1
    line.pipeline.enable(False)
    line.pipeline.process(Frame(broken, 0.0))
    line.pipeline.enable(True)
    with pytest.raises(ImageError):
        line.pipeline.process(Frame(broken, 0.0))


def test_a_bad_frame_leaves_target_and_request(line: Line) -> None:
    line.pipeline.request_init(InitRequest(TARGET, target_id='a'))
    broken = line.frame()
    broken.step = 1
    with pytest.raises(ImageError):
        line.pipeline.process(Frame(broken, 0.0))
    assert line.out == []
    assert line.process().target_id == 'a'


def test_a_request_with_a_stamp_waits_and_then_gives_up(line: Line) -> None:
    patient = InitRequest(TARGET, stamp=100, target_id='a')
    line.pipeline.request_init(patient)
    assert line.process(99).state is TargetState.IDLE
    assert line.process(100).state is TargetState.TRACKING
    stale = InitRequest(TARGET, stamp=100, target_id='b', received=patient.received - PATIENCE)
    line.pipeline.request_init(stale)
    assert line.process(99).target_id == 'a'
    assert line.pipeline.said.init.startswith('refused: no frame came within')
    assert line.process(200).target_id == 'a'


def test_reset_forgets_target_and_request(line: Line) -> None:
    line.pipeline.request_init(InitRequest(TARGET))
    line.process()
    line.pipeline.request_init(InitRequest(TARGET))
    line.pipeline.reset()
    assert line.pipeline.said == Said(init=FORGOTTEN) and line.pipeline.said.age == 0.0
    assert line.process().state is TargetState.IDLE


def test_after_reset_and_pause_have_returned_nothing_old_is_published(tracker: Tracker) -> None:
    """A frame is in the midst of being published when somebody asks."""
    inside, go_on, published = threading.Event(), threading.Event(), []

    def publish(header: Header, step: TargetStep) -> None:
        inside.set()
        assert go_on.wait(20)
        published.append(step.target_id)
    pipeline = Pipeline(Target(tracker, TargetStatus(0.0, 0.0)), publish, lambda *_: None,
                        Health(), lambda: 0)
    pipeline.request_init(InitRequest(TARGET, target_id='old'))
    frame = Frame(image_message(picture(), Header()), 0.0)
    worker = threading.Thread(target=lambda: pipeline.process(frame))
    worker.start()
    assert inside.wait(20)
    asked: list[str] = []
    asker = threading.Thread(target=lambda: (pipeline.reset(), asked.extend(published)))
    asker.start()
    asker.join(0.2)
    assert asker.is_alive()  # it waits for the frame that is under way
    go_on.set()
    asker.join(20)
    worker.join(20)
    assert asked == ['old']
    pipeline.process(frame)
    assert published == ['old', '']
    pipeline.enable(False)
    pipeline.process(frame)
    assert published == ['old', '']
