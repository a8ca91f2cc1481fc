# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""One frame's way, with the shipped model and real messages, without a graph around it."""
from __future__ import annotations

import math
import threading

import numpy as np
import pytest
from builtin_interfaces.msg import Time
from lorat_ros.boxes import iou_xywh
from lorat_ros.ros.health import BESIDE, Health
from lorat_ros.ros.images import ImageError, image_message
from lorat_ros.ros.init_request import PATIENCE, InitRequest
from lorat_ros.ros.malloc import Sweeper
from lorat_ros.ros.pipeline import FORGOTTEN, NO_INIT, Frame, Pipeline, Said
from lorat_ros.target.frames import FrameBuffer
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
            self.health, lambda: 10**10, FrameBuffer(2.0, 10**8))

    def frame(self, stamp: int = 0, image: np.ndarray | None = None) -> Image:
        header = Header(stamp=Time(sec=stamp // 10**9, nanosec=stamp % 10**9))
        return image_message(picture() if image is None else image, header)

    def process(self, stamp: int = 0, image: np.ndarray | None = None) -> TargetStep:
        self.pipeline.process(self.arrive(stamp, image))
        return self.pipeline.said.step

    def arrive(self, stamp: int, image: np.ndarray | None = None) -> Frame:
        frame = Frame(self.frame(stamp, image), 0.0)
        self.pipeline.keep(frame)
        return frame


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
        'take', 'convert', 'crop', 'normalise', 'network', 'network_cpu', 'decode', 'total',
        'publish', 'frame', 'waited'}
    line.process(10**10 - 5 * 10**6)
    assert line.health.stages(['age']) == {'age p50/p95 [ms]': '5.00 / 5.00'}
    line.process(10**10 + 10**9)  # a clock that jumped back: no age
    assert line.health.stages(['age']) == {'age p50/p95 [ms]': '5.00 / 5.00'}
    assert (line.health.processed, line.health.picture) == (4, '320x240 bgr8')


def test_of_the_age_that_is_told_apart_which_is_not_the_networks(line: Line) -> None:
    line.pipeline.request_init(InitRequest(TARGET))
    line.process()
    step = line.process(10**10 - 10**9)
    own = 1000.0 - step.timings['network']
    assert line.health.stages([BESIDE]) == {f'{BESIDE} p50/p95 [ms]': f'{own:.2f} / {own:.2f}'}
    line.process(10**10 - 1)    # younger than the network's time: two clocks, and no difference
    assert line.health.stages([BESIDE]) == {f'{BESIDE} p50/p95 [ms]': f'{own:.2f} / {own:.2f}'}


def test_memory_of_images_of_another_kind_is_given_back_after_a_while(
        line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    swept = []
    monkeypatch.setattr(line.pipeline, '_sweeper', Sweeper(lambda: swept.append(len(line.out)),
                                                           lambda: 10.0 * len(line.out)))
    for image in (None, picture(64, 48), picture(64, 48)):
        line.process(image=image)
    assert swept == [4]      # after the second frame was published and shown, and only then


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


MS = 10**6


def scene_at(shift: int) -> np.ndarray:
    """The picture with everything in it moved to the right."""
    return np.roll(picture(), shift, axis=1)


def test_a_box_starts_on_the_frame_it_was_drawn_on_and_catches_up_at_once(line: Line) -> None:
    """Thirty frames were dropped meanwhile, and the target is far from where it was pointed at."""
    line.process(1000 * MS, scene_at(-60))
    for n in range(1, 30):
        line.arrive((1000 + 33 * n) * MS, scene_at(-60 + 4 * n))
    x, y, w, h = TARGET
    line.pipeline.request_init(InitRequest((x - 60, y, w, h), 1000 * MS, 'then'))
    step = line.process(1990 * MS, scene_at(60))
    assert [header.stamp.nanosec for what, header, _ in line.out if what == 'published'] == [
        0, 990 * MS]  # what it is led through is not published
    assert step.target_id == 'then'
    assert float(iou_xywh(np.array(step.box), np.array((x + 60, y, w, h)))) > 0.5
    assert line.pipeline.said.init.endswith("as id 'then'")


def test_a_box_whose_frame_is_gone_starts_on_the_oldest_there_is_or_not_at_all(line: Line
                                                                               ) -> None:
    for stamp in (2500, 5000, 5033, 5066):      # the first is forgotten
        line.process(stamp * MS)
    line.pipeline.request_init(InitRequest(TARGET, 4500 * MS, 'late'))
    assert line.process(5100 * MS).target_id == 'late'
    assert ('on the oldest frame that is kept, 0.500 s newer than its stamp: raise frame_buffer_'
            in line.pipeline.said.init)
    line.pipeline.request_init(InitRequest(TARGET, 3900 * MS, 'too late'))
    assert line.process(5133 * MS).target_id == 'late'
    assert ('refused: the oldest frame that is kept is 1.100 s newer than the stamp 3.900 of the '
            'box, expected at most 1.0 s: raise' in line.pipeline.said.init)
    # Between two frames it is the later one, and nothing is gone.
    line.pipeline.request_init(InitRequest(TARGET, 5090 * MS, 'between'))
    assert line.process(5166 * MS).target_id == 'between'
    assert line.pipeline.said.init.endswith('on a frame 0.010 s newer than its stamp')


def test_where_no_older_frame_ever_came_keeping_more_is_no_cure(line: Line) -> None:
    for stamp in (5000, 5033):
        line.process(stamp * MS)
    line.pipeline.request_init(InitRequest(TARGET, 4500 * MS, 'late'))
    line.process(5066 * MS)
    assert '0.500 s newer than its stamp: no older one has come' in line.pipeline.said.init
    line.pipeline.request_init(InitRequest(TARGET, 3900 * MS, 'too late'))
    line.process(5133 * MS)
    assert ('expected at most 1.0 s: no older one has come since their stamps '
            'began; give the stamp of a newer image' in line.pipeline.said.init)


def test_after_a_clock_that_jumped_back_no_frame_of_before_is_used(line: Line) -> None:
    for stamp in (5000, 5033, 1000, 1033):
        line.process(stamp * MS)
    line.pipeline.request_init(InitRequest(TARGET, 5000 * MS))
    assert line.process(1066 * MS).state is TargetState.IDLE
    assert line.pipeline.said.init.startswith('waiting')
    line.pipeline.request_init(InitRequest(TARGET, 1033 * MS, 'again'))
    assert line.process(1100 * MS).target_id == 'again'


def test_bad_frames_of_the_past_are_passed_over_or_refuse_the_box(line: Line) -> None:
    line.pipeline.request_init(InitRequest(TARGET, target_id='old'))
    line.process(1000 * MS)
    broken = line.frame(1033 * MS)
    broken.step = 1
    line.pipeline.keep(Frame(broken, 0.0))
    line.pipeline.request_init(InitRequest(TARGET, 1033 * MS, 'on a bad one'))
    assert line.process(1066 * MS).target_id == 'old'
    assert line.pipeline.said.init.startswith('refused: image of 320x240 bgr8 has step 1')
    line.pipeline.request_init(InitRequest(TARGET, 1000 * MS, 'past a bad one'))
    assert line.process(1100 * MS).target_id == 'past a bad one'


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
