# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What `~/status` says, and in which order."""
from __future__ import annotations

import dataclasses
import threading
from collections.abc import Iterator

import pytest
import rclpy
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from lorat_ros.ros.messages import box_of
from lorat_ros.ros.publishers import DetectionPublishers, StatusPublisher, StatusReport
from lorat_ros.target.status import TargetState
from lorat_ros.target.target import TargetStep
from rclpy.lifecycle import LifecycleNode
from rclpy.qos import DurabilityPolicy, QoSProfile
from std_msgs.msg import Header
from support.graph import value_of
from support.listener import Listener
from vision_msgs.msg import Detection2D, Detection2DArray

PATIENCE = 20.0
TRACKING = StatusReport(state=TargetState.TRACKING, target_id='a', init='accepted', enabled=True,
                        lifecycle='active', fault='', score=1.0, age=2.0, frame_age=0.0)


@pytest.fixture
def node() -> Iterator[LifecycleNode]:
    context = rclpy.Context()
    rclpy.init(context=context)
    node = LifecycleNode('sayer', context=context, enable_communication_interface=False)
    yield node
    node.destroy_node()
    rclpy.shutdown(context=context)


@pytest.mark.parametrize(('changes', 'level', 'message'), [
    ({}, DiagnosticStatus.OK, 'tracking'),
    ({'state': TargetState.IDLE}, DiagnosticStatus.OK, 'idle'),
    ({'state': TargetState.LOST}, DiagnosticStatus.WARN, 'lost'),
    ({'silence': 'no image', 'silent_for': 4.25}, DiagnosticStatus.WARN,
     'tracking, no image for 4.2 s'),
    ({'fault': 'broken', 'state': TargetState.IDLE}, DiagnosticStatus.ERROR, 'idle'),
])
def test_level_and_message(changes: dict, level: bytes, message: str) -> None:
    report = dataclasses.replace(TRACKING, **changes)
    assert (report.level, report.message) == (level, message)


def test_drifting_values_are_no_news_and_silence_is() -> None:
    drifted = dataclasses.replace(TRACKING, score=0.5, age=3.0, frame_age=9.0, silent_for=9.0)
    assert drifted.news == TRACKING.news
    assert dataclasses.replace(TRACKING, silence='no image').news != TRACKING.news


def test_an_older_report_never_comes_after_a_newer_one(node: LifecycleNode) -> None:
    """One thread is in the midst of its report while the target is forgotten in another."""
    with Listener() as ear:
        said = ear.listen(DiagnosticArray, '/sayer/status', QoSProfile(
            depth=10, durability=DurabilityPolicy.TRANSIENT_LOCAL))
        publisher = StatusPublisher(node)
        assert ear.spin_until(lambda: node.count_subscribers('/sayer/status'))
        ear.spin(0.5)
        truth, inside, go_on = [TRACKING], threading.Event(), threading.Event()

        def slow() -> StatusReport:
            report = truth[0]
            inside.set()
            assert go_on.wait(PATIENCE)
            return report
        threads = [threading.Thread(target=publisher.publish, args=(slow, True))]
        threads[0].start()
        assert inside.wait(PATIENCE)
        truth[0] = dataclasses.replace(TRACKING, state=TargetState.IDLE, target_id='')
        threads.append(threading.Thread(target=publisher.publish, args=(lambda: truth[0], True)))
        threads[1].start()
        threads[1].join(0.2)
        go_on.set()
        for thread in threads:
            thread.join(PATIENCE)
        assert ear.spin_until(lambda: len(said) == 2)
    assert [value_of(array.status[0], 'state') for array in said] == ['tracking', 'idle']


@pytest.mark.parametrize(('topic', 'kind', 'expected'), [
    ('detection', Detection2D, {(1.0, 2.0, 4.0, 6.0)}),
    ('prediction', Detection2D, {(3.0, 2.0, 4.0, 6.0)}),
    ('detections', Detection2DArray, {((1.0, 2.0, 4.0, 6.0),), ()})])
def test_whoever_hears_one_topic_gets_all_of_it(node: LifecycleNode, topic: str, kind: type,
                                                expected: set) -> None:
    measured, guessed = (1.0, 2.0, 4.0, 6.0), (3.0, 2.0, 4.0, 6.0)
    steps = (TargetStep(TargetState.TRACKING, 'a', measured, 0.75),
             TargetStep(TargetState.COASTING, 'a', prediction=guessed))
    with Listener() as ear:
        # Two are published for each that is taken: a short queue that is full has the same one of
        # the two in front for ever.
        heard = ear.listen(kind, f'/sayer/{topic}')
        publishers = DetectionPublishers(node)
        node.trigger_configure()
        node.trigger_activate()

        def all_is_heard() -> bool:
            for step in steps:
                publishers.publish(Header(frame_id='camera'), step, 'boat')
            return {boxes_of(message) for message in heard} >= expected
        assert ear.spin_until(all_is_heard)
        publishers.close()
    assert {boxes_of(message) for message in heard} == expected
    assert all(message.header.frame_id == 'camera' for message in heard)


def boxes_of(message: Detection2D | Detection2DArray) -> tuple:
    """Its box, or those of its elements."""
    if isinstance(message, Detection2DArray):
        return tuple(map(box_of, message.detections))
    assert message.id == 'a' and message.results[0].hypothesis.class_id == 'boat'
    return box_of(message)
