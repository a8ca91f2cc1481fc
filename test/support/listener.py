# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A node in the test's own process, for listening to real nodes in other processes."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import rclpy
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy


class Listener:
    """A node with a context of its own; `with Listener() as ear: heard = ear.listen(...)`."""

    def __init__(self, name: str = 'ear') -> None:
        """Make the node."""
        self._context = rclpy.Context()
        rclpy.init(context=self._context)
        self.node = Node(name, context=self._context)
        self._executor = SingleThreadedExecutor(context=self._context)
        self._executor.add_node(self.node)

    def __enter__(self) -> Listener:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Leave the graph."""
        self._executor.shutdown()
        self.node.destroy_node()
        rclpy.shutdown(context=self._context)

    def listen(self, kind: type, topic: str, qos: QoSProfile | int | None = None) -> list[Any]:
        """Subscribe (reliable, 200 deep, if not told otherwise); the list grows while it spins."""
        heard: list[Any] = []
        profile = QoSProfile(depth=200, reliability=ReliabilityPolicy.RELIABLE) if qos is None \
            else qos
        self.node.create_subscription(kind, topic, heard.append, profile)
        return heard

    def spin(self, seconds: float) -> None:
        """Let messages in for that long."""
        self.spin_until(lambda: False, seconds)

    def spin_until(self, done: Callable[[], Any], timeout: float = 30.0) -> bool:
        """Let messages in until `done`; returns whether it came to that."""
        end = time.monotonic() + timeout
        while not done():
            if time.monotonic() > end:
                return False
            self._executor.spin_once(timeout_sec=0.05)
        return True
