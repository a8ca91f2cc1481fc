# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What the node publishes of the target: detections of every frame, and its status."""
from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Optional

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from rclpy.lifecycle import LifecycleNode
from rclpy.qos import QoSDurabilityPolicy, QoSProfile
from rclpy.qos_overriding_options import QoSOverridingOptions
from vision_msgs.msg import Detection2D, Detection2DArray

from lorat_ros.ros.engine_build import Building
from lorat_ros.ros.forms import DetectionWriter, numbers_of
from lorat_ros.ros.init_request import OLDEST_KEPT
from lorat_ros.ros.messages import diagnostic_array, diagnostic_status
from lorat_ros.ros.received import AnyHeader
from lorat_ros.target.status import TargetState
from lorat_ros.target.target import TargetStep


class DetectionPublishers:
    """`~/detection`, `~/detections` and `~/prediction`, silent while the node is not active."""

    def __init__(self, node: LifecycleNode) -> None:
        self._node, self._writer = node, DetectionWriter()
        self._one = node.create_lifecycle_publisher(
            Detection2D, '~/detection', QoSProfile(depth=1),
            qos_overriding_options=QoSOverridingOptions.with_default_policies())
        self._all = node.create_lifecycle_publisher(
            Detection2DArray, '~/detections', QoSProfile(depth=10),
            qos_overriding_options=QoSOverridingOptions.with_default_policies())

        self._prediction = node.create_lifecycle_publisher(
            Detection2D, '~/prediction', QoSProfile(depth=1),
            qos_overriding_options=QoSOverridingOptions.with_default_policies())

    def publish(self, header: AnyHeader, step: TargetStep, class_id: str) -> None:
        """Publish what one frame said; the header is that of the frame, unchanged.

        Where a coasting target should be has a topic of its own: nobody takes it for measured. A
        topic that nobody hears costs nothing.
        """
        forms, stamp = self._writer.forms(header, step.target_id, class_id), header.stamp
        numbers = () if step.box is None else numbers_of(step.box, step.score)
        if numbers and self._one.get_subscription_count():
            self._one.publish(forms.detection.filled(stamp, numbers))
        if self._all.get_subscription_count():
            self._all.publish((forms.array if numbers else forms.empty).filled(stamp, numbers))
        if step.prediction is not None and self._prediction.get_subscription_count():
            self._prediction.publish(
                forms.detection.filled(stamp, numbers_of(step.prediction, step.score)))

    def close(self) -> None:
        """Give the topics back."""
        for publisher in (self._one, self._all, self._prediction):
            self._node.destroy_lifecycle_publisher(publisher)


@dataclass(frozen=True)
class StatusReport:
    """What `~/status` says. What only drifts (score, ages) is no reason to say it again.

    ``silence`` says what has been missing for ``silent_for`` seconds, so that ``state`` is not of
    the present; otherwise it is empty. ``frame_age`` are the seconds since the last frame was
    processed, None if none was. ``returned`` is how often the target was lost and found again, and
    ``returned_by`` what found it last. ``building`` is what has to be built first.
    """

    state: TargetState
    target_id: str
    init: str
    enabled: bool
    lifecycle: str
    fault: str
    score: float
    age: float
    silence: str = ''
    silent_for: float = 0.0
    frame_age: Optional[float] = None
    returned: int = 0
    returned_by: str = ''
    building: Optional[Building] = None

    @property
    def news(self) -> tuple[object, ...]:
        """Everything that, when it changes, is said at once."""
        return (self.state, self.target_id, self.init, self.enabled, self.lifecycle, self.fault,
                self.silence, self.returned, self.building and (self.building.what,
                                                                int(self.building.elapsed)))

    @property
    def level(self) -> bytes:
        """ERROR for a fault of the node; WARN where the target is not seen, or nobody looks."""
        if self.fault:
            return DiagnosticStatus.ERROR
        unseen = self.silence or self.state in (TargetState.COASTING, TargetState.LOST)
        return DiagnosticStatus.WARN if unseen or self.building else DiagnosticStatus.OK

    @property
    def message(self) -> str:
        """The state, and since when nobody could know better; or how far a build is."""
        if self.building:
            return self.building.text
        if not self.silence:
            return self.state.value
        return f'{self.state.value}, {self.silence} for {self.silent_for:.1f} s'


class StatusPublisher:
    """`~/status`: a plain publisher, heard before activation too; the last word is kept."""

    def __init__(self, node: LifecycleNode) -> None:
        self._node, self._said_of_init = node, ''
        self._said: tuple[object, ...] = ()
        self._count = 0     # of reports
        self._heeded: tuple[object, ...] = ()   # by the last frame
        self._lock = threading.Lock()  # the worker and the executor both report
        self._publisher = node.create_publisher(
            DiagnosticArray, '~/status',
            QoSProfile(depth=1, durability=QoSDurabilityPolicy.TRANSIENT_LOCAL))

    def publish(self, make_report: Callable[[], StatusReport], only_news: bool) -> None:
        """Publish a report; with ``only_news`` nothing if it says nothing new.

        :param make_report: called when it is our turn: a report that was made before may be older
            than one that has been published meanwhile.
        """
        with self._lock:
            report = make_report()
            if only_news and report.news == self._said:
                return
            # Whoever sends a box over a topic gets no answer: the log has it too, once.
            wrong = report.init.startswith('refused') or OLDEST_KEPT in report.init
            if wrong and report.init != self._said_of_init:
                self._node.get_logger().warning(f'init box {report.init}')
            self._said, self._said_of_init = report.news, report.init
            self._count += 1
            self._publisher.publish(diagnostic_array(
                self._node.get_clock().now().to_msg(), [self._status_of(report)]))

    def heed(self, frame: tuple[object, ...], make_report: Callable[[], StatusReport]) -> None:
        """Publish a report if a frame has made one necessary.

        Making it costs more than to see that there is no news: nothing of the frame is new, and
        nothing was said since the last one, say, of silence, which a frame ends.

        :param frame: all that a frame may change of a report's news.
        """
        if (*frame, self._count) != self._heeded:
            self.publish(make_report, only_news=True)
            self._heeded = (*frame, self._count)

    def _status_of(self, report: StatusReport) -> DiagnosticStatus:
        name = f'{self._node.get_fully_qualified_name().lstrip("/")}: target'
        frame_age = 'none yet' if report.frame_age is None else f'{report.frame_age:.2f}'
        return diagnostic_status(name, report.level, report.message, {
            'state': 'building_engine' if report.building else report.state.value,
            'id': report.target_id, 'score': f'{report.score:.4f}',
            'age': f'{report.age:.2f}', 'frame_age': frame_age, 'init': report.init,
            'reacquired': f'{report.returned}, last by {report.returned_by}' if report.returned
            else '0', 'enabled': str(report.enabled).lower(), 'lifecycle': report.lifecycle,
            'fault': report.fault, **_facts_of(report.building)})


def _facts_of(building: Optional[Building]) -> dict[str, str]:
    """How far a build is, as values; none while nothing is built."""
    if building is None:
        return {}
    share, expected = building.share, building.expected
    return {'build': building.what, 'build elapsed': f'{building.elapsed:.1f}',
            'build progress': 'unknown' if share is None else f'{share:.3f}',
            'build estimate': 'unknown' if expected is None else f'{expected:.1f}'}
