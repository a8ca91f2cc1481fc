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
from lorat_ros.ros.publishers import StatusPublisher, StatusReport
from lorat_ros.target.status import TargetState
from rclpy.lifecycle import LifecycleNode
from rclpy.qos import DurabilityPolicy, QoSProfile
from support.graph import value_of
from support.listener import Listener

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
