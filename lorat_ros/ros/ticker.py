# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Something done every so often, apart from a node's executor.

For a timer an rclpy executor wakes up and gathers all that its node has, services and guards and
subscriptions, before it waits again: about a millisecond, in which nobody else gets the
interpreter. A thread that sleeps wakes up for its work alone.
"""
from __future__ import annotations

import threading
import traceback
from collections.abc import Callable

from rclpy.node import Node

from lorat_ros.ros.threads import tell_name


class Ticker:
    """
    Calls ``work`` in a thread of its own until it is closed or the node's context ends.

    The time is the system's steady clock: simulated time may stand still.

    :param work: what it raises is logged and ends nothing.
    :param period: seconds from one call's end to the next one's begin.
    """

    def __init__(self, node: Node, work: Callable[[], None], period: float) -> None:
        self._node, self._work, self._period = node, work, period
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._run, name='watch', daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End it; nothing is called after this returns. Not to be called by ``work``."""
        self._closed.set()
        self._thread.join()

    def _run(self) -> None:
        tell_name()
        context = self._node.context
        while not self._closed.wait(self._period) and context.ok():
            try:
                self._work()
            except Exception:
                if context.ok():    # else a signal ended it in the midst of this
                    self._node.get_logger().error(traceback.format_exc())
