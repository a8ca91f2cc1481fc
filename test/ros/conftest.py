# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Nodes that the tests of one module share: each start costs seconds."""
from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest


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
