# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What the tracker's node says of its own health: `/diagnostics` (REP-107)."""
from __future__ import annotations

from typing import Optional

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from rclpy.node import Node

from lorat_ros.ros.engine_build import EngineBuilds
from lorat_ros.ros.eyes import Eyes
from lorat_ros.ros.health import Health
from lorat_ros.ros.messages import diagnostic_array


class DiagnosticsPublisher:
    """Engine and image input, each a status of its own; to be used by one thread."""

    def __init__(self, node: Node, health: Health, builds: EngineBuilds) -> None:
        self._node, self._health, self._builds = node, health, builds
        self._publisher = node.create_publisher(DiagnosticArray, '/diagnostics', 10)

    def publish(self, lifecycle: str, fault: str, has_model: bool, eyes: Optional[Eyes]) -> None:
        """
        Publish how both are doing.

        :param lifecycle: the node's state.
        :param fault: why it is not in the one it should be in; empty if it is.
        :param eyes: what it sees with; None while it is not active.
        """
        name = self._node.get_fully_qualified_name().lstrip('/')
        building = self._builds.building
        engine = self._builds.facts if has_model else {}
        missing = '' if has_model else building.text if building else (
            fault or f'no model, the node is {lifecycle}')
        facts, awaiting = {}, f'no subscription, the node is {lifecycle}'
        if eyes is not None:
            facts, awaiting = eyes.facts(), eyes.awaiting()
        # What is missing only because nobody has asked for it yet is no error.
        level = DiagnosticStatus.ERROR if eyes or fault else DiagnosticStatus.WARN
        self._publisher.publish(diagnostic_array(self._node.get_clock().now().to_msg(), [
            self._health.engine_report(f'{name}: engine', engine, missing, level),
            self._health.image_report(f'{name}: image input', facts, awaiting, level)]))
