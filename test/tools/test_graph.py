# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Processes of a graph: they start apart from others, fail aloud, and are always stopped."""

from __future__ import annotations

import ast
import contextlib
import os
import sys
from pathlib import Path

import pytest

from lorat_ros.tools import graph
from lorat_ros.tools.graph import Graph, GraphError, NodeProcess


def program(folder: Path, code: str) -> NodeProcess:
    """A process that runs `code`."""
    return NodeProcess('program', [sys.executable, '-u', '-c', code], folder / 'log', os.environ)


def test_text_is_waited_for(tmp_path: Path) -> None:
    node = program(tmp_path, 'import time; time.sleep(.2); print("here I am"); time.sleep(60)')
    node.wait_for_text('here I am', 30)
    assert node.status is None
    node.stop()
    assert node.status is not None


def test_a_process_that_ends_early_is_shown(tmp_path: Path) -> None:
    node = program(tmp_path, 'raise SystemExit("no petrol")')
    with pytest.raises(GraphError, match='(?s)ended with status 1.*no petrol'):
        node.wait_for_text('here I am', 30)


def test_a_process_that_never_gets_there_is_shown(tmp_path: Path) -> None:
    node = program(tmp_path, 'import time; print("nearly"); time.sleep(60)')
    node.wait_for_text('nearly', 30)
    with pytest.raises(GraphError, match='(?s)not ready after 0 s.*nearly'):
        node.wait_for_text('here I am', 0.1)
    node.stop()


def test_what_does_not_obey_is_ended_all_the_same(tmp_path: Path) -> None:
    node = program(tmp_path, 'import signal, time\n'
                   'signal.signal(signal.SIGINT, signal.SIG_IGN); print("deaf"); time.sleep(60)')
    node.wait_for_text('deaf', 30)
    node.stop(patience=0.3)
    assert node.status == -15


def test_a_failed_node_fails_the_graph_and_the_others_are_stopped(tmp_path: Path) -> None:
    with pytest.raises(GraphError, match='(?s)video_publisher failed.*/nowhere'), \
            Graph(tmp_path) as nodes:
        recorder = nodes.start('recorder', {'output': str(tmp_path), 'start_timeout': 60.0})
        nodes.start('video_publisher', {'path': '/nowhere'}).wait(30)
        assert recorder.status is None
        nodes.check()
    assert recorder.status is not None


def test_every_graph_is_apart_from_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv('ROS_DOMAIN_ID', '5')
    assert Graph(tmp_path, domain_id=7)._environment()['ROS_DOMAIN_ID'] == '7'
    domains = {Graph(tmp_path).domain_id for _ in range(40)}
    assert len(domains) > 10 and domains <= set(range(1, 102))


@pytest.mark.parametrize('distribution', ['humble', 'jazzy', 'kilted', ''])
def test_images_get_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
                         distribution: str) -> None:
    for name in (graph.OLD_VARIABLE, graph.NEW_VARIABLE, graph.TRANSPORT_VARIABLE):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv('ROS_DISTRO', distribution)
    environment = Graph(tmp_path)._environment()
    old = distribution in ('humble', 'jazzy')
    profile = environment[graph.OLD_VARIABLE if old else graph.NEW_VARIABLE]
    assert Path(profile).name == 'fastdds.xml' and Path(profile).is_file()
    own = Graph(tmp_path)._environment(graph.PROFILES['tracker_node'])
    assert Path(own[graph.OLD_VARIABLE if old else graph.NEW_VARIABLE]).is_file()
    monkeypatch.setenv(graph.TRANSPORT_VARIABLE, 'UDPv4')  # somebody has chosen
    environment = Graph(tmp_path)._environment()
    assert environment[graph.TRANSPORT_VARIABLE] == 'UDPv4'
    assert graph.OLD_VARIABLE not in environment and graph.NEW_VARIABLE not in environment


def test_threads_share_a_heap_unless_somebody_has_chosen(monkeypatch: pytest.MonkeyPatch
                                                         ) -> None:
    monkeypatch.delenv(graph.TUNABLES, raising=False)
    assert graph.c_library_of_the_tracker() == {graph.TUNABLES: graph.ONE_HEAP}
    monkeypatch.setenv(graph.TUNABLES, 'glibc.malloc.check=1')
    assert graph.c_library_of_the_tracker() == {
        graph.TUNABLES: f'glibc.malloc.check=1:{graph.ONE_HEAP}'}
    monkeypatch.setenv(graph.TUNABLES, 'glibc.malloc.arena_max=4')
    assert graph.c_library_of_the_tracker() == {}


def test_the_launch_file_makes_room_in_the_same_way() -> None:
    """It has names of its own: it runs also where `ros2 launch` cannot import this package."""
    file = Path(__file__).resolve().parents[2] / 'launch' / 'tracker.launch.py'
    tree = ast.parse(file.read_text())
    named = {}
    for node in tree.body:
        if isinstance(node, ast.Assign) and isinstance(node.value, (ast.Tuple, ast.Constant)):
            target = node.targets[0]
            names = target.elts if isinstance(target, ast.Tuple) else [target]
            with contextlib.suppress(ValueError):
                value = ast.literal_eval(node.value)
                named.update(zip((n.id for n in names),
                                 value if isinstance(target, ast.Tuple) else [value]))
    assert named['OLD_PROFILES'] == graph.OLD_VARIABLE
    assert named['PROFILES'] == graph.NEW_VARIABLE
    assert named['OLD_DISTRIBUTIONS'] == graph.OLD_DISTRIBUTIONS
    assert (named['TUNABLES'], named['ONE_HEAP']) == (graph.TUNABLES, graph.ONE_HEAP)
    texts = {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant)}
    assert {graph.TRANSPORT_VARIABLE, graph.PROFILE, *graph.PROFILES.values()} <= texts
