# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Two trackers in two namespaces, in one process and in two: neither hears the other."""
from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from support.graph import Client

TOGETHER = '''
import rclpy
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from lorat_ros.ros.tracker_node import TrackerNode
rclpy.init()
nodes = [TrackerNode(namespace=name) for name in ('left', 'right')]
executor = SingleThreadedExecutor()
for node in nodes:
    executor.add_node(node)
    node.autostart()
try:
    executor.spin()
except (KeyboardInterrupt, ExternalShutdownException):
    pass
finally:
    for node in nodes:
        node.close()
        node.destroy_node()
    rclpy.try_shutdown()
'''


@pytest.mark.parametrize('processes', [1, 2])
def test_two_trackers_are_two(node_process: Callable, tmp_path: Path, processes: int) -> None:
    everything = ['--ros-args', '-p', 'score_lost:=0.0', '-p', 'score_recover:=0.0']
    if processes == 1:
        (tmp_path / 'together.py').write_text(TOGETHER)
        node_process([sys.executable, str(tmp_path / 'together.py')], *everything)
    else:
        for name in ('left', 'right'):
            node_process('tracker_node', *everything, '-r', f'__ns:=/{name}')
    left, right = (Client(f'/{name}/lorat_tracker', f'/{name}/image')
                   for name in ('left', 'right'))
    try:
        for client in (left, right):
            client.wait_for_matches()
        for client in (left, right):
            client.arrays.clear()
        assert left.track(target_id='mine').id == 'mine'
        assert left.exchange(left.frame()).detections[0].id == 'mine'
        # The other has a camera of its own, and nobody has shown it anything.
        assert list(right.exchange(right.frame()).detections) == []
        assert len(right.arrays) == 1
        assert right.track(target_id='yours').id == 'yours'
        left.reset()
        assert list(left.exchange(left.frame()).detections) == []
        assert right.exchange(right.frame()).detections[0].id == 'yours'
    finally:
        left.close()
        right.close()
