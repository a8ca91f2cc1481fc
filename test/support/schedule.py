# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Which tests run side by side when pytest-xdist shares them out, and which never do."""
from __future__ import annotations

from xdist.scheduler import LoadScopeScheduling

REAL_GRAPH = ('test/ros/', 'test/tools/test_demo.py', 'test/tools/test_benchmark_node.py',
              'test/tools/test_simulate.py')               # start nodes and mind the clock


def uses_the_graph(nodeid: str) -> bool:
    """Whether a test belongs to those that start real nodes."""
    return nodeid.startswith(REAL_GRAPH)


class OneGraph(LoadScopeScheduling):
    """Tests with real nodes go to one worker, one after the other; the others by module."""

    def _split_scope(self, nodeid: str) -> str:
        return 'real graph' if uses_the_graph(nodeid) else nodeid.partition('::')[0]
