# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""One subscription heard in a thread of its own, apart from the node's executor.

For every message an rclpy executor gathers all that its node has (services, timers, guards) and
waits for it anew; meanwhile nobody else gets the interpreter. Here one wait set of two entities is
made once.
"""
from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from typing import Any, Optional

from rclpy.callback_groups import CallbackGroup
from rclpy.guard_condition import GuardCondition
from rclpy.impl.implementation_singleton import rclpy_implementation
from rclpy.node import Node
from rclpy.qos import QoSProfile
from rclpy.qos_overriding_options import QoSOverridingOptions

from lorat_ros.ros.taking import Taker
from lorat_ros.ros.threads import tell_name

try:
    from rclpy.event_handler import SubscriptionEventCallbacks
except ImportError:     # Humble
    from rclpy.qos_event import SubscriptionEventCallbacks

FOREVER = -1    # nanoseconds


class Listener:
    """
    Hears one topic until it is closed.

    :param kind: type of the messages.
    :param taker: takes one of the subscription; see ``Taker``.
    :param on_message: called in the listener's thread with a message as the taker gives it, with
        what the middleware says of it, and with the seconds that taking it took.
    :param on_error: called there with what ``on_message`` or the taker raises.
    """

    def __init__(self, node: Node, kind: type, topic: str, qos: QoSProfile,
                 overriding: QoSOverridingOptions, taker: Taker,
                 on_message: Callable[[Any, Mapping[str, Any], float], None],
                 on_error: Callable[[Exception], None]) -> None:
        self._node, self._taker = node, taker
        self._on_message, self._on_error = on_message, on_error
        self._closed = False
        # Without handlers of QoS events: with Fast DDS, an executor that waits for events of a
        # subscription is woken by each of its messages.
        self._subscription = node.create_subscription(
            kind, topic, lambda message: None, qos, callback_group=Aside(),
            event_callbacks=SubscriptionEventCallbacks(use_default_callbacks=False),
            qos_overriding_options=overriding)
        # None of the node's: it must still ring when a context that ends has taken those away.
        self._bell = GuardCondition(None, None, node.context)
        self._thread = threading.Thread(target=self._run, name='images', daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Unsubscribe; nothing is heard after this returns. Not to be called by ``on_message``."""
        self._closed = True
        self._bell.trigger()
        self._thread.join()
        self._bell.destroy()
        self._node.destroy_subscription(self._subscription)

    def _run(self) -> None:
        tell_name()
        try:
            self._listen()
        except rclpy_implementation.RCLError:
            if self._node.context.ok():     # else a signal ended it in the midst of this
                raise

    def _listen(self) -> None:
        images, bell, context = self._subscription.handle, self._bell.handle, self._node.context
        with images, bell, context.handle:      # they stay while somebody waits for them
            waiting = rclpy_implementation.WaitSet(1, 1, 0, 0, 0, 0, context.handle)
            taken = None
            while context.ok():
                waiting.clear_entities()
                waiting.add_subscription(images)
                waiting.add_guard_condition(bell)
                # Only now: whom it wakes shall find the interpreter free, and not wait for this.
                if taken is not None:
                    self._hand_over(*taken)
                    taken = None    # else its memory would be kept until the next one comes
                waiting.wait(FOREVER)
                if self._closed:
                    return
                taken = self._take(images)

    def _take(self, images: Any) -> Optional[tuple[Any, Mapping[str, Any], float]]:
        begun = time.perf_counter()
        try:
            taken = self._taker.take(images)
        except Exception as error:      # one bad message must not make the node deaf
            self._on_error(error)
            return None
        return taken and (*taken, time.perf_counter() - begun)

    def _hand_over(self, message: Any, info: Mapping[str, Any], seconds: float) -> None:
        try:
            self._on_message(message, info, seconds)
        except Exception as error:      # nor must whoever listens
            self._on_error(error)


class Aside(CallbackGroup):
    """Keeps what belongs to it from the node's executor."""

    def can_execute(self, entity: Any) -> bool:
        """Whether the executor may wait for it."""
        return False

    def beginning_execution(self, entity: Any) -> bool:
        """It may not."""
        return False

    def ending_execution(self, entity: Any) -> None:
        """It never began."""
