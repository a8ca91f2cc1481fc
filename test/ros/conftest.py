# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Nodes for tests: a bare one for each, and processes that a module shares."""
from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
import rclpy
from rclpy.context import Context
from rclpy.node import Node


@pytest.fixture(scope='module')
def module_node(tmp_path_factory: pytest.TempPathFactory, pytestconfig: pytest.Config
                ) -> Iterator[Callable]:
    """As `node_process`, for a whole module; what the nodes printed is shown if one ends badly."""
    plugins = pytestconfig.pluginmanager.get_plugins()
    shared = next(plugin for plugin in plugins if hasattr(plugin, 'NodeProcesses'))
    processes = shared.NodeProcesses(tmp_path_factory.mktemp('processes'))
    yield processes
    complaints = processes.stop_all()
    if complaints:
        pytest.fail('\n\n'.join(complaints), pytrace=False)


@pytest.fixture
def node() -> Iterator[Node]:
    """A node in a context of its own, which nobody spins."""
    context = Context()
    rclpy.init(context=context)
    node = rclpy.create_node('bare', context=context)
    yield node
    node.destroy_node()
    context.try_shutdown()
