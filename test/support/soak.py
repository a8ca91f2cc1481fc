# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
A real tracker under load for a long time, with faults at random.

::

    cd test && ../.venv/bin/python -m support.soak --minutes 30

A camera at 60 frames per second, an operator who points, resets, pauses and changes parameters,
and every few seconds a fault: images that are damaged, of another size or encoding, stamps that
jump back, floods, silence. Prints memory, latency and complaints, and returns 1 if anything was
not as it should be.
"""
from __future__ import annotations

import argparse
import os
import random
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from conftest import executable, NodeProcess, pytest_configure
from lorat_ros.tools import graph
from rclpy.impl.implementation_singleton import rclpy_implementation
from sensor_msgs.msg import Image
from std_msgs.msg import Header
from support.graph import Client, picture, TARGET
from tqdm import tqdm

RATE = 60.0                 # frames per second
WARM_UP = 300.0             # seconds before memory is looked at
SLOPE_LIMIT = 1.0           # megabytes in ten minutes
BAD_WORDS = ('Traceback', 'terminate called', 'Segmentation', 'RCLError')
NAME = '/lorat_tracker'


@dataclass
class Findings:
    """What was measured, and what was wrong."""

    sent: int = 0
    held_up: int = 0        # what the camera's middleware did not take within its time
    answered: int = 0
    deeds: dict[str, int] = field(default_factory=dict)
    memory: list[tuple[float, float]] = field(default_factory=list)      # seconds, MB
    latency: list[tuple[float, float]] = field(default_factory=list)     # seconds, ms
    complaints: list[str] = field(default_factory=list)

    def slope(self) -> float:
        """Megabytes in ten minutes, of a line through what was measured after the warm-up."""
        late = np.array([point for point in self.memory if point[0] >= WARM_UP])
        return 0.0 if len(late) < 30 else 600 * float(np.polyfit(late[:, 0], late[:, 1], 1)[0])

    def p95(self, start: float, end: float) -> float:
        """95th percentile of the latency between two moments, ms; nan without any."""
        values = [ms for at, ms in self.latency if start <= at < end]
        return float(np.percentile(values, 95)) if values else float('nan')


class Soak:
    """Camera and operator of one tracker node.

    :param node: the tracker's process.
    :param chance: decides what is done when.
    :param pauses: seconds between two faults or wishes, from and to.
    """

    def __init__(self, node: NodeProcess, chance: random.Random,
                 pauses: tuple[float, float] = (1.0, 4.0)) -> None:
        self._pauses = pauses
        self.client, self.node, self.chance = Client(NAME), node, chance
        self.found = Findings()
        self._scene = picture()
        self._large = picture(640, 480)
        self._sent_at: dict[tuple[int, int], float] = {}
        self._shift, self._seen = 0, 0
        self._deeds = (self._point, self._point, self._point_badly, self._forget, self._pause,
                       self._set, self._damage, self._resize, self._jump_back, self._flood,
                       self._silence)

    def run(self, seconds: float) -> Findings:
        """Go on for that long; what was wrong is in ``complaints``."""
        self.client.wait_for_matches()
        self.client.send_box(TARGET)
        start = time.monotonic()
        due, next_deed, next_look = start, start + 2.0, start
        bar = tqdm(total=round(seconds), unit='s', desc='soak', disable=None)
        while (now := time.monotonic()) < start + seconds and self.node.returncode is None:
            self._send()
            due = max(due + 1 / RATE, now)
            while (left := due - time.monotonic()) > 0:
                self.client.executor.spin_once(timeout_sec=left)
            self._take_in(start)
            if now > next_look:
                next_look = now + 1.0
                self.found.memory.append((now - start, self._megabytes()))
                bar.set_postfix_str(f'{self.found.memory[-1][1]:.0f} MB', refresh=False)
                bar.update(int(now - start) - bar.n)
            if now > next_deed:
                next_deed = now + self.chance.uniform(*self._pauses)
                deed = self.chance.choice(self._deeds)
                name = deed.__name__.strip('_')
                self.found.deeds[name] = self.found.deeds.get(name, 0) + 1
                deed()
                due = time.monotonic()
        bar.close()
        self._judge_end()
        return self.found

    # -- camera -------------------------------------------------------------------------------

    def _send(self) -> None:
        self._shift = (self._shift + 1) % 40
        moved = np.roll(self._scene, abs(self._shift - 20), axis=1)
        message = self.client.frame(moved)
        self._sent_at[self._key(message.header)] = time.monotonic()
        self._publish(message)
        self.found.sent += 1

    def _publish(self, message: Image) -> None:
        """Send it. On a machine that stands still for a tenth of a second, DDS gives up."""
        try:
            self.client.send(message)
        except rclpy_implementation.RCLError:
            self.found.held_up += 1

    def _damage(self) -> None:
        message = self.client.frame(self._scene)
        kind = self.chance.randrange(4)
        if kind == 0:
            message.data = message.data[:len(message.data) // 2]
        elif kind == 1:
            message.encoding = 'no_such_encoding'
        elif kind == 2:
            message.step = 7
        else:
            message.width = message.height = 0
        for _ in range(5):
            self._publish(message)

    def _resize(self) -> None:
        for _ in range(10):
            self._publish(self.client.frame(self._large))
            self.client.spin_for(1 / RATE)

    def _jump_back(self) -> None:
        old = [self.client.frame(self._scene, stamp=10**9 * (5 + number)) for number in range(5)]
        for message in old:
            self._publish(message)
            self.client.spin_for(1 / RATE)

    def _flood(self) -> None:
        for _ in range(200):
            self._publish(self.client.frame(self._scene))

    def _silence(self) -> None:
        self.client.spin_for(self.chance.uniform(0.5, 2.5))

    # -- operator -----------------------------------------------------------------------------

    def _point(self) -> None:
        self.client.send_box(TARGET)

    def _point_badly(self) -> None:
        self.client.send_box((10.0, 10.0, -5.0, float('nan')))

    def _forget(self) -> None:
        if not self.client.reset():
            self.found.complaints.append('~/reset was refused')

    def _pause(self) -> None:
        if not (self.client.enable(False) and self.client.enable(True)):
            self.found.complaints.append('~/enable was refused')

    def _set(self) -> None:
        value = self.chance.choice((0.0, 0.5, 2.0))
        if reason := self.client.set_parameter('coast_seconds', value):
            self.found.complaints.append(f'coast_seconds {value} was refused: {reason}')
        if not self.client.set_parameter('coast_seconds', -1.0):
            self.found.complaints.append('coast_seconds -1.0 was taken')

    # -- what comes of it ---------------------------------------------------------------------

    def _take_in(self, start: float) -> None:
        now = time.monotonic()
        for array in self.client.arrays:
            sent = self._sent_at.pop(self._key(array.header), None)
            if sent is not None:
                self.found.answered += 1
                self.found.latency.append((now - start, 1e3 * (now - sent)))
            for detection in array.detections:
                size = detection.bbox.size_x, detection.bbox.size_y
                if detection.header != array.header or not all(0 < v < 10_000 for v in size):
                    self.found.complaints.append(f'a bad detection: {detection}')
        for heard in (self.client.arrays, self.client.singles):
            heard.clear()
        del self.client.statuses[:-1]
        if len(self._sent_at) > 1000:      # frames that were dropped
            self._sent_at = dict(list(self._sent_at.items())[-200:])

    @staticmethod
    def _key(header: Header) -> tuple[int, int]:
        return header.stamp.sec, header.stamp.nanosec

    def _megabytes(self) -> float:
        """Resident, without shared memory: of the camera's, pages count when they are touched."""
        try:
            _, resident, shared = Path(
                f'/proc/{self.node.process.pid}/statm').read_text().split()[:3]
            held = int(resident) - int(shared)
        except (OSError, ValueError):      # it has ended; that is found out elsewhere
            return 0.0
        return held * os.sysconf('SC_PAGE_SIZE') / 1e6

    def _judge_end(self) -> None:
        found = self.found
        if self.node.returncode is not None:
            found.complaints.append(f'the node ended with {self.node.returncode}')
            return
        message: Image = self.client.frame()
        try:
            self.client.set_parameter('coast_seconds', 0.5)
            self.client.enable(True)
            if not self.client.track().id:
                found.complaints.append('a new target has no id')
            self.client.exchange(message)
        except (AssertionError, IndexError) as error:
            found.complaints.append(f'at the end it does not track: {error}')
        output = self.node.output
        found.complaints += [f'{word} in its log' for word in BAD_WORDS if word in output]


def table(found: Findings, seconds: float) -> str:
    """What was measured, in Markdown."""
    memory = [mb for _, mb in found.memory] or [0.0]
    tenth = seconds / 10
    rows = [('frames sent, answered', f'{found.sent:,}, {found.answered:,}'),
            ('images that the camera could not publish', str(found.held_up)),
            ('faults and wishes', ', '.join(f'{name} {count}' for name, count in
                                            sorted(found.deeds.items()))),
            ('memory of its own at first, after warm-up, at last, most [MB]',
             f'{memory[0]:.0f}, {memory[min(len(memory) - 1, int(WARM_UP))]:.0f}, '
             f'{memory[-1]:.0f}, {max(memory):.0f}'),
            ('slope after warm-up [MB in ten minutes]', f'{found.slope():.2f}'),
            ('latency p95, second tenth and last tenth of the time [ms]',
             f'{found.p95(tenth, 2 * tenth):.1f}, {found.p95(9 * tenth, seconds):.1f}'),
            ('complaints', '; '.join(dict.fromkeys(found.complaints)) or 'none')]
    return '\n'.join(['| | |', '|---|---|', *(f'| {a} | {b} |' for a, b in rows)])


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line; returns 1 if anything was wrong."""
    parser = argparse.ArgumentParser(description=__doc__.split('\n\n')[0])
    parser.add_argument('--minutes', type=float, default=30.0)
    parser.add_argument('--seed', type=int, default=0)
    args = parser.parse_args(arguments)
    pytest_configure()      # a graph of its own
    with tempfile.TemporaryDirectory() as folder:
        node = NodeProcess(executable('tracker_node'), Path(folder) / 'node.log',
                           graph.c_library_of_the_tracker())      # as tracker.launch.py starts it
        soak = Soak(node, random.Random(args.seed))
        try:
            found = soak.run(60 * args.minutes)
        finally:
            soak.client.close()
            node.stop()
    if found.slope() > SLOPE_LIMIT:
        found.complaints.append(f'memory grows by {found.slope():.2f} MB in ten minutes, '
                                f'expected at most {SLOPE_LIMIT}')
    print(table(found, 60 * args.minutes))
    return int(bool(found.complaints))


if __name__ == '__main__':
    sys.exit(main())
