# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What an active node has and an inactive one has not: a subscription and a worker behind it."""
from __future__ import annotations

import time
import traceback
from collections.abc import Callable
from typing import Optional

from rclpy.node import Node

from lorat_ros.ros.health import Health, RepeatFilter
from lorat_ros.ros.images import ImageError
from lorat_ros.ros.input import ImageInput, ImageMessage
from lorat_ros.ros.parameters import Parameters
from lorat_ros.ros.pipeline import Frame
from lorat_ros.ros.worker import Worker

NAG_PERIOD = 5.0  # seconds before the log repeats a complaint


class Eyes:
    """Takes images in and hands the newest one to ``process`` in a thread of its own.

    :param keep: gets each frame when it arrives, in the thread that hears images.
    :param process: takes one frame its whole way; what it raises is logged and counted.
    :param on_error: called in either thread after a frame could not be used.
    :raises ParameterError: the subscription cannot be made as the parameters ask.
    """

    def __init__(self, node: Node, parameters: Parameters, health: Health,
                 keep: Callable[[Frame], None], process: Callable[[Frame], None],
                 on_error: Callable[[], None]) -> None:
        self._node, self._parameters, self._health = node, parameters, health
        self._keep, self._on_error, self._opened = keep, on_error, time.monotonic()
        self._complaints, self._errors = RepeatFilter(NAG_PERIOD), RepeatFilter(NAG_PERIOD)
        self._watching = True
        self._worker: Worker[Frame] = Worker(process, self._on_frame_error)
        self._input = ImageInput(node, parameters['image_transport'],
                                 parameters['image_reliability'], self._on_image,
                                 self._on_bad_message)

    def close(self) -> None:
        """Unsubscribe and end the thread; nothing is processed after this returns."""
        self._input.close()
        if self._worker.stop():
            self._health.count_unwanted()

    def wished_reliability(self) -> str:
        """What should be asked of the camera instead; empty if all is well. From any thread."""
        return self._input.wished_reliability()

    def follow_publisher(self) -> None:
        """Ask for the reliability that the camera offers, where that is left to us."""
        self._input.follow_publisher()

    def facts(self) -> dict[str, str]:
        """Return what /diagnostics says of the subscription, and of others that answer for us."""
        namesakes = self._node.count_publishers(self._node.resolve_topic_name('~/status'))
        if namesakes > 1 and self._complaints.allows('namesakes'):
            name = self._node.get_fully_qualified_name()
            self._node.get_logger().warning(
                f'{namesakes} nodes are called {name}: their detections come on one topic, and '
                'each obeys boxes meant for the other. End one, or give it another node_name or '
                'namespace')
        return {**self._input.facts(), 'nodes of this name': str(namesakes)}

    def awaiting(self) -> str:
        """Say what is missing if no image came of late, also in the log; empty if all is well."""
        silence = self._health.silence(time.monotonic(), self._opened)
        if not self._watching or silence <= self._parameters['image_timeout']:
            return ''
        reason = self._input.awaiting()
        if self._complaints.allows(reason):
            self._node.get_logger().warning(f'{reason} ({silence:.0f} s)')
        return reason

    def silence(self) -> tuple[str, float]:
        """Say what has not come for too long and for how many seconds; empty if all is well.

        Either images do not come, or nothing comes of them: both make the last result old.
        """
        now, patience = time.monotonic(), self._parameters['image_timeout']
        for what, seconds in (('no image', self._health.silence(now, self._opened)),
                              ('no usable image', self._health.unprocessed(now, self._opened))):
            if seconds > patience:
                return what, seconds
        return '', 0.0

    def watch(self, wanted: bool) -> None:
        """Subscribe, or do not: images that nobody wants cost as much as others."""
        if wanted == self._watching:
            return
        self._watching = wanted
        if wanted:
            self._opened = time.monotonic()  # silence counts from now on: there was a pause
            self._input.open()
        else:
            self._input.close()

    def _on_image(self, message: ImageMessage, missed: Optional[int], seconds: float) -> None:
        frame = Frame(message, time.perf_counter(), seconds)
        self._keep(frame)
        self._health.count_received(self._worker.give(frame), missed)

    def _on_bad_message(self, error: Exception) -> None:
        self._health.count_received(dropped=False)
        self._on_frame_error(error)

    def _on_frame_error(self, error: Exception) -> None:
        if not self._node.context.ok():  # the graph is gone: the frame is not to blame
            return
        self._health.count_failed(error)
        kind = error.kind if isinstance(error, ImageError) else type(error).__name__
        if self._errors.allows(kind):
            text = str(error) if isinstance(error, ImageError) else ''.join(
                traceback.format_exception(type(error), error, error.__traceback__))
            self._node.get_logger().error(f'a frame could not be used: {text}')
        self._on_error()
