# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A ROS graph of this package's nodes, each a process of its own, apart from all other graphs."""
from __future__ import annotations

import importlib.util
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import Any, Optional

DOMAINS = (1, 101)  # beyond these the ports of a domain can be in use by others
PROFILE = 'fastdds.xml'
PROFILES = MappingProxyType({'tracker_node': 'fastdds_tracker.xml'})  # of who sends but little
OLD_VARIABLE, NEW_VARIABLE = 'FASTRTPS_DEFAULT_PROFILES_FILE', 'FASTDDS_DEFAULT_PROFILES_FILE'
OLD_DISTRIBUTIONS = ('humble', 'iron', 'jazzy')
TRANSPORT_VARIABLE = 'FASTDDS_BUILTIN_TRANSPORTS'
#: A setting of the C library, as tracker.launch.py has it; what it says there holds here too.
TUNABLES = 'GLIBC_TUNABLES'
ONE_HEAP = 'glibc.malloc.arena_max=1'
LOG_TAIL = 12  # lines of a process's log that are shown when it fails


class GraphError(RuntimeError):
    """A process of the graph failed; the message has the last lines of its log."""


class NodeProcess:
    """One node: its process and its log."""

    def __init__(self, name: str, command: list[str], log: Path, env: Mapping[str, str]) -> None:
        self.name, self.log = name, log
        with log.open('wb') as stream:
            # A session of its own: Ctrl-C at the terminal is ours to pass on, once and in order.
            self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=stream,
                                             stderr=subprocess.STDOUT, env=dict(env),
                                             start_new_session=True)

    @property
    def pid(self) -> int:
        """Process id."""
        return self._process.pid

    @property
    def status(self) -> Optional[int]:
        """Exit status, or None while it runs."""
        return self._process.poll()

    def text(self) -> str:
        """Return what it has printed so far."""
        return self.log.read_text(encoding='utf-8', errors='replace')

    def wait_for_text(self, text: str, timeout: float) -> None:
        """
        Wait until it has printed ``text``.

        :raises GraphError: it ended before, or took longer than ``timeout`` seconds.
        """
        give_up = time.monotonic() + timeout
        while text not in self.text():
            if self.status is not None and text not in self.text():
                raise GraphError(f'{self.name} ended with status {self.status}:\n{self.tail()}')
            if time.monotonic() > give_up:
                raise GraphError(f'{self.name} was not ready after {timeout:.0f} s:\n'
                                 f'{self.tail()}')
            time.sleep(0.05)

    def wait(self, timeout: float) -> Optional[int]:
        """Wait until it ends; returns its status, or None if it still runs after ``timeout``."""
        try:
            return self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            return None

    def stop(self, patience: float = 10.0) -> None:
        """End it as Ctrl-C would; only what does not obey is terminated, and then killed."""
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGKILL):
            if self.status is not None:
                return
            self._process.send_signal(number)
            self.wait(patience)

    def tail(self) -> str:
        """Return the last lines it printed, indented."""
        lines = self.text().splitlines()[-LOG_TAIL:] or ['(it printed nothing)']
        return '\n'.join(f'    {line}' for line in lines)


class Graph:
    """
    Nodes that find each other and nobody else: own domain, own namespace, this machine only.

    :param logs: folder for one log per node; it is made.
    :param domain_id: ROS_DOMAIN_ID; None = one at random.
    """

    def __init__(self, logs: Path, domain_id: Optional[int] = None) -> None:
        logs.mkdir(parents=True, exist_ok=True)
        self._logs = logs
        self.domain_id = random.SystemRandom().randint(*DOMAINS) if domain_id is None \
            else domain_id
        self.namespace = f'/demo_{os.getpid()}'
        self._nodes: list[NodeProcess] = []

    def __enter__(self) -> Graph:
        return self

    def __exit__(self, kind: Optional[type[BaseException]], error: Optional[BaseException],
                 traceback: Optional[TracebackType]) -> None:
        # A second Ctrl-C shall not leave nodes behind: stopping them takes a moment at most.
        before = [signal.signal(number, signal.SIG_IGN)
                  for number in (signal.SIGINT, signal.SIGTERM)]
        try:
            for node in reversed(self._nodes):
                node.stop()
        finally:
            for number, handler in zip((signal.SIGINT, signal.SIGTERM), before):
                signal.signal(number, handler)

    def start(self, executable: str, parameters: Mapping[str, Any],
              remaps: Mapping[str, str] = MappingProxyType({})) -> NodeProcess:
        """Start ``lorat_ros.ros.<executable>`` with these parameters and names."""
        # As a module: this finds the nodes in every kind of installation, with this Python.
        command = [sys.executable, '-m', f'lorat_ros.ros.{executable}', '--ros-args',
                   '-r', f'__ns:={self.namespace}']
        for name, value in parameters.items():
            command += ['-p', f'{name}:={json.dumps(value)}']  # JSON is YAML
        for name, other in remaps.items():
            command += ['-r', f'{name}:={other}']
        environment = self._environment(PROFILES.get(executable, PROFILE))
        if executable in PROFILES:
            environment |= c_library_of_the_tracker()
        node = NodeProcess(executable, command, self._logs / f'{executable}.log', environment)
        self._nodes.append(node)
        return node

    def check(self) -> None:
        """Raise GraphError if a node has failed."""
        for node in self._nodes:
            if node.status:
                raise GraphError(f'{node.name} failed with status {node.status}; the end of '
                                 f'{node.log}:\n{node.tail()}')

    def _environment(self, profile: str = PROFILE) -> dict[str, str]:
        here = {'ROS_LOCALHOST_ONLY': '1'} if os.environ.get('ROS_DISTRO') == 'humble' else {
            'ROS_AUTOMATIC_DISCOVERY_RANGE': 'LOCALHOST'}
        return {**_room_for_images(profile), **os.environ, **here,
                'ROS_DOMAIN_ID': str(self.domain_id), 'PYTHONUNBUFFERED': '1'}


def _room_for_images(profile: str) -> dict[str, str]:
    """
    Return the variables under which large images arrive with Fast DDS; other middlewares see
    nothing of them.

    By default a process has half a megabyte of shared memory for all that it sends: pieces of an
    image overwrite each other, and what was reliable is sent again seconds later. Nothing is
    returned if a profile or a transport was chosen already.
    """
    if any(os.environ.get(name) for name in (OLD_VARIABLE, NEW_VARIABLE, TRANSPORT_VARIABLE)):
        return {}
    prefixes = [*os.environ.get('AMENT_PREFIX_PATH', '').split(os.pathsep), sys.prefix]
    places = [Path(prefix, 'share', 'lorat_ros', 'config') for prefix in prefixes if prefix]
    places.append(Path(__file__).resolve().parents[2] / 'config')  # the source tree
    for place in places:
        if (place / profile).is_file():
            old = os.environ.get('ROS_DISTRO') in OLD_DISTRIBUTIONS
            return {OLD_VARIABLE if old else NEW_VARIABLE: str(place / profile)}
    return {TRANSPORT_VARIABLE: 'LARGE_DATA'}  # the next best


def c_library_of_the_tracker() -> dict[str, str]:
    """Return the variable that gives all threads one heap; what was chosen stays."""
    chosen = os.environ.get(TUNABLES, '')
    if ONE_HEAP.partition('=')[0] in chosen:
        return {}
    return {TUNABLES: ':'.join(filter(None, (chosen, ONE_HEAP)))}


def ros_is_there() -> bool:
    """Whether this Python can run nodes; nothing is imported."""
    return all(importlib.util.find_spec(name) for name in ('rclpy', 'vision_msgs'))
