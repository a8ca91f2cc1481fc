# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""``lorat benchmark --node``: where the milliseconds go in the real node, by size of images."""
from __future__ import annotations

import argparse
import itertools
import json
import math
import statistics
import sys
import tempfile
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from tqdm import tqdm

from lorat_ros.tools.benchmark_machine import about, describe_machine
from lorat_ros.tools.frames import images_in, read_image
from lorat_ros.tools.graph import Graph, GraphError, ros_is_there
from lorat_ros.tools.scene import cached_scene

SIZES = ('640x480', '1280x720', '1920x1080', '3840x2160')
TRANSPORTS = ('raw', 'compressed')
PATIENCE = 300.0        # seconds for one size and transport, beside the time it is shown for
#: Columns of the table; up to the age they add up to it, but for what is of the one before.
STAGES = ('camera', 'transport', 'take', 'waited', 'convert', 'crop', 'normalise', 'network',
          'decode', 'publish', 'age', 'age beside network')
HEADINGS = {'normalise': 'of it normalise'}
DEBUG_IMAGE = 'debug image'
#: What of an image's age is not its way through the middleware.
OTHERS = ('camera', 'take', 'waited', 'frame')
LEAST_THREAD = 0.02     # milliseconds a frame; threads that take less have no column


class Case(NamedTuple):
    """What is measured in one graph."""

    width: int
    height: int
    transport: str

    def __str__(self) -> str:
        return f'{self.width}x{self.height} {self.transport}'


def cases_of(sizes: Sequence[str], transports: Sequence[str] = TRANSPORTS) -> list[Case]:
    """
    All sizes, in each transport.

    :raises ValueError: a size that is none.
    """
    cases = []
    for size in sizes:
        numbers = size.lower().split('x')
        if len(numbers) != 2 or not all(n.isdecimal() and int(n) >= 64 for n in numbers):
            raise ValueError(f'--size {size}: expected WIDTHxHEIGHT in pixels, 64 at least, such '
                             'as 1280x720')
        cases += [Case(int(numbers[0]), int(numbers[1]), transport) for transport in transports]
    return cases


def run(args: argparse.Namespace) -> int:
    """Run the subcommand; returns 0, or 2 after one line on stderr."""
    try:
        if not ros_is_there():
            raise ValueError('ROS 2 is not there: source it, or run .venv/bin/lorat (make env)')
        cases = cases_of(args.size or SIZES, args.transport or TRANSPORTS)
        report = measure(cases, args)
    except (ValueError, OSError, GraphError) as error:
        print(f'lorat benchmark: {error}', file=sys.stderr)
        return 2
    print(text_of(report))
    if args.json:
        args.json.write_text(json.dumps(report, indent=1) + '\n', encoding='utf-8')
    return 0


def measure(cases: Sequence[Case], args: argparse.Namespace) -> dict[str, Any]:
    """Measure all cases, one graph after the other, and that as often as it is wanted."""
    parameters: dict[str, Any] = {'threads': args.threads}
    parameters |= {'model': args.model[0]} if args.model else {}
    parameters |= {'engine': args.engine[0].partition(':')[0]} if args.engine else {}
    scene = cached_scene()
    first = images_in(scene.images)[0]
    height, width = read_image(first).shape[:2]
    machine = describe_machine()
    runs: list[list[dict[str, Any]]] = [[] for _ in cases]
    # In turns: what disturbs the machine for a while shall not have all of one case.
    for case, found in tqdm([*zip(cases, runs)] * args.repeat, desc='graphs', unit='graph'):
        share = case.width / width, case.height / height
        x, y, w, h = scene.boxes[0].tolist()
        box = [x * share[0], y * share[1], w * share[0], h * share[1]]
        with tempfile.TemporaryDirectory() as folder:
            found.append(_with_differences(
                _one(case, box, first, parameters, args.rate, Path(folder))))
    return {'machine': machine, 'rate': args.rate, 'parameters': parameters,
            'cases': [{'case': str(case), **case._asdict(), **median_of(found), 'runs': found}
                      for case, found in zip(cases, runs)]}


def median_of(found: Sequence[Any]) -> Any:
    """The median of numbers, and of all numbers in lists or dictionaries that are alike."""
    first = found[0]
    if isinstance(first, dict):
        return {key: median_of([one[key] for one in found]) for key in first
                if all(key in one for one in found)}
    if isinstance(first, list):
        return [median_of(parts) for parts in zip(*found)]
    return first if isinstance(first, str) else statistics.median(found)


def _one(case: Case, box: list[float], scene: Path, parameters: dict[str, Any], rate: float,
         folder: Path) -> dict[str, Any]:
    output = folder / 'stopwatch.json'
    with Graph(folder / 'logs') as graph:
        watch = graph.start('stopwatch', {
            'scene': str(scene), 'width': case.width, 'height': case.height, 'rate': rate,
            'transport': case.transport, 'output': str(output)})
        begun = time.time()
        tracker = graph.start('tracker_node', {
            **parameters, 'image_transport': case.transport, 'init_box': box})
        output.with_suffix('.pid').write_text(str(tracker.pid))
        give_up = time.monotonic() + PATIENCE + 1000 / rate
        while watch.wait(1.0) is None:
            graph.check()
            if time.monotonic() > give_up:
                raise GraphError(f'{case} took too long:\n{watch.tail()}')
        graph.check()
    report = json.loads(output.read_text(encoding='utf-8'))
    report['start_seconds'] = report.pop('first_answer') - begun
    return report


def _with_differences(result: dict[str, Any]) -> dict[str, Any]:
    """Add to the figures of one run what is left of one when others are taken off."""
    for phase in (result['alone'], result['with_debug_image']):
        stages = phase['stages']
        stages['transport'] = [transport_of(stages, k) for k in (0, 1)]
        phase['beside_network_ms'] = beside_network(phase)
    return result


def transport_of(stages: dict[str, list[float]], which: int) -> float:
    """
    Milliseconds from the camera's call until the frame lies in the tracker's process.

    What of the age is left when that call, taking the frame, and the tracker's own work are
    taken off.

    :param which: 0 for the median, 1 for the 95th percentile (a difference of percentiles: a
        rough figure).
    """
    left = stages['age'][which] - sum(stages[name][which] for name in OTHERS)
    return max(left, 0.0)


def beside_network(phase: dict[str, Any]) -> float:
    """
    Milliseconds of processor time that the node takes for a frame, but for its network.

    :param phase: of one run; with one thread, else more than one thread's share is not known.
    """
    # Means on both sides: what a median leaves out of the network would be counted as the node's.
    return float(phase['cpu_ms'] - phase['stages']['network_cpu mean'][0])


def text_of(report: dict[str, Any]) -> str:
    """Tables in Markdown: by stage, by process, and by thread where the system keeps account."""
    lines = [about(report['machine']),
             f'{report["rate"]:g} images per second; median / 95th percentile in ms'
             + _how_often(report), '',
             '| images | ' + ' | '.join(HEADINGS.get(stage, stage) for stage in STAGES)
             + f' | {DEBUG_IMAGE} | age with debug image |', '|' + '---|' * (len(STAGES) + 3)]
    for result in report['cases']:
        stages, looking = result['alone']['stages'], result['with_debug_image']['stages']
        cells = [*(_pair_of(stages, stage) for stage in STAGES),
                 *(_pair_of(looking, stage) for stage in (DEBUG_IMAGE, 'age'))]
        lines.append(f'| {result["case"]} | ' + ' | '.join(cells) + ' |')
    lines += ['', '| images | answered of shown | CPU ms a frame | of it beside the network | '
              'CPU with debug image | memory MB, of it private | memory with debug '
              'image | CPU paused | start to first answer |', '|' + '---|' * 9]
    for result in report['cases']:
        alone, debug = result['alone'], result['with_debug_image']
        lines.append(
            f'| {result["case"]} | {alone["answered"]:g} of {alone["shown"]:g} | '
            f'{alone["cpu_ms"]:.1f} | '
            f'{_spread(run["alone"]["beside_network_ms"] for run in result["runs"])} | '
            f'{debug["cpu_ms"]:.1f} | '
            f'{_memory_of(alone)} | {_memory_of(debug)} | '
            f'{result["paused_cpu_percent"]:.1f} % | {result["start_seconds"]:.1f} s |')
    return '\n'.join([*lines, *_threads_of(report)])


def _pair_of(stages: dict[str, list[float]], stage: str) -> str:
    return ' / '.join(f'{value:.2f}' for value in stages.get(stage, (math.nan, math.nan)))


def _threads_of(report: dict[str, Any]) -> list[str]:
    """Lines of a table: processor time by thread; the debug image's while one looks."""
    used = [{**result['alone']['threads_ms'],
             DEBUG_IMAGE: result['with_debug_image']['threads_ms'].get(DEBUG_IMAGE, 0.0)}
            for result in report['cases']]
    most = {name: max(one.get(name, 0.0) for one in used)
            for name in dict.fromkeys(itertools.chain(*used))}
    names = sorted((name for name in most if most[name] >= LEAST_THREAD), key=lambda n: -most[n])
    if not names:       # Linux alone keeps such an account
        return []
    return ['', 'CPU ms a frame by thread:', '', '| images | ' + ' | '.join(names) + ' |',
            '|' + '---|' * (len(names) + 1),
            *(f'| {result["case"]} | ' + ' | '.join(f'{one.get(name, 0.0):.2f}' for name in names)
              + ' |' for result, one in zip(report['cases'], used))]


def _how_often(report: dict[str, Any]) -> str:
    count = len(report['cases'][0]['runs'])
    return '' if count == 1 else f'; medians of {count} runs'


def _spread(values: Iterable[float]) -> str:
    """Median of all runs, and between which figures they lie, where there are several."""
    ordered = sorted(values)
    text = f'{statistics.median(ordered):.2f}'
    return text if len(ordered) == 1 else f'{text} ({ordered[0]:.2f} to {ordered[-1]:.2f})'


def _memory_of(phase: dict[str, Any]) -> str:
    return '{resident:.0f}, {private:.0f}'.format(**phase['memory_mb'])
