# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Which tests run side by side when pytest-xdist shares them out, and which never do."""
from __future__ import annotations

import os

from xdist.scheduler import LoadScopeScheduling

REAL_GRAPH = ('test/ros/', 'test/tools/test_demo.py', 'test/tools/test_benchmark_node.py',
              'test/tools/test_simulate.py')               # start nodes and mind the clock
SHORT = ('test/mavlink/', 'test/models/', 'test/packaging/', 'test/target/', 'test/test_')
YIELDING = 10      # how nice the others are to the tests with nodes, which mind the clock


def uses_the_graph(nodeid: str) -> bool:
    """Whether a test belongs to those that start real nodes."""
    return nodeid.startswith(REAL_GRAPH)


def turn(nodeid: str) -> int:
    """When a test comes: what only one worker may run first, short modules to fill up last."""
    return 0 if uses_the_graph(nodeid) else 2 if nodeid.startswith(SHORT) else 1


def give_way() -> None:
    """Leave the processors to the tests with nodes; what is started from here does, too."""
    if os.getpriority(os.PRIO_PROCESS, 0) < YIELDING:
        os.setpriority(os.PRIO_PROCESS, 0, YIELDING)


class OneGraph(LoadScopeScheduling):
    """Tests with real nodes go to one worker, one after the other; the others by module."""

    def _split_scope(self, nodeid: str) -> str:
        return 'real graph' if uses_the_graph(nodeid) else nodeid.partition('::')[0]
