# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What the node publishes of the target: detections of every frame, and its status."""
from __future__ import annotations

import threading
from dataclasses import dataclass

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from rclpy.lifecycle import LifecycleNode
from rclpy.qos import QoSDurabilityPolicy, QoSProfile
from rclpy.qos_overriding_options import QoSOverridingOptions
from std_msgs.msg import Header
from vision_msgs.msg import Detection2D, Detection2DArray

from lorat_ros.ros.messages import (detection_message, detections_message, diagnostic_array,
                                    diagnostic_status)
from lorat_ros.target.status import TargetState
from lorat_ros.target.target import TargetStep


class DetectionPublishers:
    """`~/detection` and `~/detections`, silent while the node is not active."""

    def __init__(self, node: LifecycleNode) -> None:
        self._node = node
        self._one = node.create_lifecycle_publisher(
            Detection2D, '~/detection', QoSProfile(depth=1),
            qos_overriding_options=QoSOverridingOptions.with_default_policies())
        self._all = node.create_lifecycle_publisher(
            Detection2DArray, '~/detections', QoSProfile(depth=10),
            qos_overriding_options=QoSOverridingOptions.with_default_policies())

    def publish(self, header: Header, step: TargetStep, class_id: str) -> None:
        """Publish what one frame said; the header is that of the frame, unchanged."""
        detection = None
        if step.box is not None:
            detection = detection_message(header, step.box, step.score, step.target_id, class_id)
            self._one.publish(detection)
        self._all.publish(detections_message(header, detection))

    def close(self) -> None:
        """Give the topics back."""
        for publisher in (self._one, self._all):
            self._node.destroy_lifecycle_publisher(publisher)


@dataclass(frozen=True)
class StatusReport:
    """What `~/status` says. What only drifts (score, age) is no reason to say it again."""

    state: TargetState
    target_id: str
    init: str
    enabled: bool
    lifecycle: str
    fault: str
    score: float
    age: float

    @property
    def news(self) -> tuple:
        """Everything that, when it changes, is said at once."""
        return (self.state, self.target_id, self.init, self.enabled, self.lifecycle, self.fault)


class StatusPublisher:
    """`~/status`: a plain publisher, heard before activation too; the last word is kept."""

    def __init__(self, node: LifecycleNode) -> None:
        self._node, self._said = node, ()
        self._lock = threading.Lock()  # the worker and the executor both report
        self._publisher = node.create_publisher(
            DiagnosticArray, '~/status',
            QoSProfile(depth=1, durability=QoSDurabilityPolicy.TRANSIENT_LOCAL))

    def publish(self, report: StatusReport, only_news: bool) -> None:
        """Publish a report; with ``only_news`` nothing if it says nothing new."""
        with self._lock:
            if only_news and report.news == self._said:
                return
            self._said = report.news
            self._publisher.publish(diagnostic_array(
                self._node.get_clock().now().to_msg(), [self._status_of(report)]))

    def _status_of(self, report: StatusReport) -> DiagnosticStatus:
        level = DiagnosticStatus.OK
        if report.fault:
            level = DiagnosticStatus.ERROR
        elif report.state is TargetState.LOST:
            level = DiagnosticStatus.WARN
        name = f'{self._node.get_fully_qualified_name().lstrip("/")}: target'
        return diagnostic_status(name, level, report.state.value, {
            'state': report.state.value, 'id': report.target_id, 'score': f'{report.score:.4f}',
            'age': f'{report.age:.2f}', 'init': report.init,
            'enabled': str(report.enabled).lower(), 'lifecycle': report.lifecycle,
            'fault': report.fault})
