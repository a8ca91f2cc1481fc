# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
A camera with prepared images that takes the time of a tracker, for ``lorat benchmark --node``.

It publishes one image after the other, stamped when it is published, as a driver in C++ does, and
reads from the tracker's /diagnostics how long each stage took, and from /proc what the tracker's
process cost: first without anybody looking, then with a subscriber to the debug image, then
paused. Writes JSON.
"""
from __future__ import annotations

import ctypes
import json
import os
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Optional

import cv2
import numpy as np
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import QoSProfile
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Header
from std_srvs.srv import SetBool
from vision_msgs.msg import Detection2DArray

from lorat_ros.ros.images import compressed_message, image_message
from lorat_ros.ros.malloc import keep_image_memory
from lorat_ros.ros.parameters import Parameters, Settable, Spec
from lorat_ros.ros.prepared import Prepared
from lorat_ros.ros.running import run_to_end

WINDOW = 300            # frames that the tracker takes its percentiles over
PAUSED_SECONDS = 3.0
PATIENCE = 60.0         # seconds until the tracker answers at all
VIEWS = 8               # prepared images; the target moves a little from one to the next
QUALITY = 90            # of JPEG

SPECS = (
    Spec('scene', '', 'Image file that is scaled to the size and shown.', Settable.AT_START),
    Spec('width', 1280, 'Pixels.', Settable.AT_START, low=16, high=16384),
    Spec('height', 720, 'Pixels.', Settable.AT_START, low=16, high=16384),
    Spec('transport', 'raw', 'raw or compressed.', Settable.AT_START,
         choices=('raw', 'compressed')),
    Spec('rate', 30.0, 'Images per second.', Settable.AT_START, low=0.1, high=1000.0),
    Spec('tracker', 'lorat_tracker', 'Name of the tracker node.', Settable.AT_START),
    Spec('output', 'stopwatch.json', "File to write; the tracker's process id is read from the "
         'file beside it with the suffix .pid.', Settable.AT_START),
)


class StopwatchError(ValueError):
    """There is nothing to measure; the message says why."""


class Stopwatch(Node):
    """Camera and clock of one tracker."""

    def __init__(self) -> None:
        super().__init__('stopwatch')
        settings = Parameters(self, SPECS)
        self._output = Path(settings['output'])
        self._period = 1 / settings['rate']
        name = settings['tracker']
        self._images = self._prepared(settings)
        kind = CompressedImage if settings['transport'] == 'compressed' else Image
        topic = 'image/compressed' if kind is CompressedImage else 'image'
        self._publisher = self.create_publisher(kind, topic, QoSProfile(depth=1))
        self._enable = self.create_client(SetBool, f'{name}/enable')
        self._answers = 0
        self._stages: dict[str, list[float]] = {}
        self._debug = f'{name}/debug_image'
        self._suffix = f'{name}: engine', f'{name}: image input'
        self.create_subscription(Detection2DArray, f'{name}/detections', self._on_answer, 10)
        self.create_subscription(DiagnosticArray, '/diagnostics', self._on_health, 10)
        self._executor = SingleThreadedExecutor()
        self._executor.add_node(self)
        self._count = 0
        self._publishing: list[float] = []  # milliseconds that the camera's calls took

    def run(self) -> int:
        """Measure, write, and return 0."""
        self._show_until(lambda: self._answers > 0, PATIENCE, 'an answer of the tracker')
        first = time.time()
        process = self._process_id()
        clock = _processor_clock(process)
        report: dict[str, Any] = {'first_answer': first}
        report['alone'] = self._measure(process, clock)
        pictures: list[int] = []
        looking = self.create_subscription(Image, self._debug,
                                           lambda message: pictures.append(len(message.data)), 1)
        report['with_debug_image'] = self._measure(process, clock)
        self.destroy_subscription(looking)
        report['debug_images'] = len(pictures)
        report['paused_cpu_percent'] = self._paused(clock)
        self._output.write_text(json.dumps(report), encoding='utf-8')
        return 0

    def _process_id(self) -> int:
        place = self._output.with_suffix('.pid')
        end = time.monotonic() + PATIENCE
        while not place.is_file():
            if time.monotonic() > end:
                raise StopwatchError(f'{place} does not appear: write the process id there')
            time.sleep(0.05)
        return int(place.read_text())

    def _measure(self, process: int, clock: Callable[[], float]) -> dict[str, Any]:
        """Show as many images as the percentiles are taken over, after some to settle."""
        self._show(WINDOW // 10)
        answers, cpu, shown = self._answers, clock(), self._count
        threads = _threads(process)
        self._publishing.clear()
        self._show(WINDOW)
        answered, shown = self._answers - answers, self._count - shown
        cpu = clock() - cpu
        used: dict[str, float] = {}
        for thread, (name, seconds) in _threads(process).items():
            used[name] = used.get(name, 0.0) + seconds - threads.get(thread, (name, 0.0))[1]
        camera = np.percentile(self._publishing, (50, 95)).tolist()
        self._stages.clear()
        self._show_until(lambda: 'age' in self._stages and 'network' in self._stages, PATIENCE,
                         'diagnostics of the tracker')
        each = 1e3 / max(answered, 1)
        return {'shown': shown, 'answered': answered, 'cpu_ms': cpu * each,
                'threads_ms': {name: seconds * each for name, seconds in used.items()},
                'memory_mb': _memory(process),
                'stages': {**self._stages, 'camera': camera}}

    def _paused(self, clock: Callable[[], float]) -> float:
        if not self._enable.wait_for_service(PATIENCE):
            raise StopwatchError('the service enable does not answer')
        future = self._enable.call_async(SetBool.Request(data=False))
        self._show_until(future.done, PATIENCE, 'an answer of the service enable')
        self._show_for(1.0)
        cpu = clock()
        self._show_for(PAUSED_SECONDS)
        return 100 * (clock() - cpu) / PAUSED_SECONDS

    # -- camera -------------------------------------------------------------------------------

    @staticmethod
    def _prepared(settings: Parameters) -> list[Prepared]:
        picture = cv2.imread(settings['scene'])
        if picture is None:
            raise StopwatchError(f'scene {settings["scene"]!r} cannot be read: give an image file')
        size = settings['width'], settings['height']
        picture = cv2.resize(picture, size, interpolation=cv2.INTER_CUBIC)
        step = max(1, size[0] // 320)
        moved = [np.roll(picture, step * (k if k < VIEWS // 2 else VIEWS - k), axis=1)
                 for k in range(VIEWS)]
        header = Header(frame_id='camera')
        if settings['transport'] == 'compressed':
            return [Prepared(compressed_message(view, header, QUALITY)) for view in moved]
        return [Prepared(image_message(view, header)) for view in moved]

    def _show(self, count: int) -> None:
        for _ in range(count):
            self._show_one()

    def _show_for(self, seconds: float) -> None:
        self._show(max(1, round(seconds / self._period)))

    def _show_until(self, done: Callable[[], Any], patience: float, what: str) -> None:
        end = time.monotonic() + patience
        while not done():
            if time.monotonic() > end:
                raise StopwatchError(f'{what} did not come within {patience:.0f} s')
            self._show_one()

    def _show_one(self) -> None:
        due = time.monotonic() + self._period
        image = self._images[self._count % VIEWS]
        self._count += 1
        stamp, begun = self.get_clock().now().to_msg(), time.perf_counter()
        image.publish(self._publisher, stamp)
        self._publishing.append(1e3 * (time.perf_counter() - begun))
        while (left := due - time.monotonic()) > 0:
            self._executor.spin_once(timeout_sec=left)

    # -- what is heard ------------------------------------------------------------------------

    def _on_answer(self, message: Detection2DArray) -> None:
        self._answers += 1

    def _on_health(self, message: DiagnosticArray) -> None:
        for status in message.status:
            if not status.name.endswith(self._suffix):
                continue
            for item in status.values:
                stage, found, _ = item.key.removesuffix(' [ms]').partition(' p50/p95')
                if (found or stage.endswith(' mean')) and item.value != 'none yet':
                    self._stages[stage] = [float(text) for text in item.value.split(' / ')]


def _processor_clock(process: int) -> Callable[[], float]:
    """Make a clock of the processor seconds that a process and all its threads have used."""
    clock = ctypes.c_int()
    error = ctypes.CDLL(None).clock_getcpuclockid(process, ctypes.byref(clock))
    if error:
        raise OSError(error, f'process {process} has no clock: {os.strerror(error)}')
    return lambda: time.clock_gettime(clock.value)


def _threads(process: int) -> dict[str, tuple[str, float]]:
    """Name of each thread of a process, and the processor seconds it has used; Linux only.

    The first thread is `executor`; threads of Fast DDS are named without their numbers.
    """
    used: dict[str, tuple[str, float]] = {}
    for thread in Path(f'/proc/{process}/task').glob('*'):
        try:
            name = (thread / 'comm').read_text().strip()
            nanoseconds = int((thread / 'schedstat').read_text().split()[0])
        except OSError:     # it has just ended, or Linux keeps no such account
            continue
        if thread.name == str(process):
            name = 'executor'
        elif name.startswith('dds.'):
            name = '.'.join(name.split('.')[:2])
        used[thread.name] = name, nanoseconds / 1e9
    return used


def _memory(process: int) -> dict[str, float]:
    """Megabytes that a process holds: all of it, and what of it nobody else holds, too.

    The difference is in libraries that others have loaded as well, and in the camera's shared
    memory.
    """
    lines = Path(f'/proc/{process}/smaps_rollup').read_text().splitlines()[1:]
    held = {name: int(value.split()[0]) * 1024 / 1e6
            for name, _, value in (line.partition(':') for line in lines)}
    return {'resident': held['Rss'], 'private': held['Private_Clean'] + held['Private_Dirty']}


def main(args: Optional[Sequence[str]] = None) -> int:
    """Run until it is measured. Returns 0, or 2 after one line on stderr."""
    keep_image_memory()
    return run_to_end(Stopwatch, 'stopwatch', args)


if __name__ == '__main__':
    sys.exit(main())
