# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""``lorat benchmark --scaling``: cost against size of images, number of trackers, and threads."""
from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from threading import BrokenBarrierError
from types import MappingProxyType
from typing import Any

from tqdm import tqdm

from lorat_ros.engines.session import EngineError
from lorat_ros.tools import benchmark_node
from lorat_ros.tools.benchmark_figures import table
from lorat_ros.tools.benchmark_instances import measure_instances, measure_threads, Work
from lorat_ros.tools.benchmark_machine import about, describe_machine
from lorat_ros.tools.evaluate_plots import can_plot
from lorat_ros.tools.frames import check_folders_of
from lorat_ros.tools.graph import GraphError, ros_is_there

INSTANCES = (1, 2, 3, 4)
THREADS = (1, 2, 4)
HOW = ('threads', 'processes')
POINTS = len(HOW) * len(INSTANCES) + len(THREADS)
BLUE, RED = '#0072B2', '#D55E00'
COLOURS = MappingProxyType({'raw': BLUE, 'compressed': RED, 'threads': BLUE, 'processes': RED,
                            'wall clock': BLUE, 'CPU': RED})


def run(args: argparse.Namespace) -> int:
    """Run it; returns 0, 1 (without ROS there are no sizes) or 2, after one line on stderr."""
    try:
        check_folders_of(args.json, args.plot)
        if args.plot and not can_plot():
            raise ValueError('--plot needs matplotlib: pip install matplotlib')
        report = measure(args)
        if args.json:
            args.json.write_text(json.dumps(report, indent=1) + '\n', encoding='utf-8')
        if args.plot:
            write_plot(args.plot, report)
    except (ValueError, OSError, EngineError, GraphError, BrokenProcessPool,
            BrokenBarrierError) as error:
        print(f'lorat benchmark: {error}', file=sys.stderr)
        return 2
    print(text_of(report))
    if report['sizes'] is None:
        print('lorat benchmark: without ROS 2 nothing is measured over the size of images',
              file=sys.stderr)
    return 0 if report['sizes'] else 1


def measure(args: argparse.Namespace) -> dict[str, Any]:
    """
    Measure all; what is written as JSON.

    :raises ValueError: frames, target, model or size cannot be had.
    """
    cases = benchmark_node.cases_of(args.size or benchmark_node.SIZES,
                                    args.transport or benchmark_node.TRANSPORTS)
    machine = describe_machine()
    work = Work(args.model[0] if args.model else None, args.engine[0] if args.engine else 'auto',
                args.frames, args.init, args.seconds / POINTS)
    image_wh = list(work.clip()[0][0].shape[1::-1])
    instances = [measure_instances(work, count, how)
                 for count in tqdm(INSTANCES, desc='trackers', disable=None) for how in HOW]
    threads = measure_threads(work, THREADS)
    sizes = benchmark_node.measure(cases, args) if ros_is_there() else None
    return {'machine': machine, 'image_wh': image_wh, 'instances': instances, 'threads': threads,
            'sizes': sizes}


def text_of(report: Mapping[str, Any]) -> str:
    """Three tables for a terminal."""
    width, height = report['image_wh']
    lines = [about(report['machine']), '',
             f'Trackers at a time, each as fast as it can, images of {width}x{height}:']
    rows = [['trackers', 'frames/s', 'ms p50', 'ms p95', 'CPU ms a frame']]
    rows += [[f'{one["instances"]} in {one["how"]}', f'{one["fps"]:.0f}', *_times(one)]
             for one in report['instances']]
    lines += [table(rows), '', 'Threads of the network, one tracker alone:']
    rows = [['threads', 'ms p50', 'ms p95', 'CPU ms a frame']]
    lines.append(table(rows + [[str(one['threads']), *_times(one)] for one in report['threads']]))
    if report['sizes']:
        lines += ['', 'In the node:', '', benchmark_node.text_of(report['sizes'])]
    return '\n'.join(lines)


def _times(one: Mapping[str, float]) -> list[str]:
    return [f'{one[name]:.1f}' for name in ('p50', 'p95', 'cpu_ms')]


def write_plot(path: Path, report: Mapping[str, Any]) -> None:
    """
    Draw the three tables side by side.

    :raises OSError: it cannot be written.
    """
    from matplotlib.figure import Figure
    sizes = report['sizes']
    figure = Figure(figsize=(11 if sizes else 7.5, 3.8), layout='constrained')
    axes = figure.subplots(1, 3 if sizes else 2)
    for how in HOW:
        _line(axes[0], how, [(one['instances'], one['fps']) for one in report['instances']
                             if one['how'] == how])
    axes[0].set(xlabel='trackers at a time', ylabel='frames a second, all together',
                xticks=INSTANCES)
    _line(axes[1], 'wall clock', [(one['threads'], one['p50']) for one in report['threads']])
    _line(axes[1], 'CPU', [(one['threads'], one['cpu_ms']) for one in report['threads']])
    axes[1].set(xlabel='threads of the network', ylabel='ms a frame', xticks=THREADS)
    if sizes:
        for transport in dict.fromkeys(case['transport'] for case in sizes['cases']):
            _line(axes[2], transport, [
                (case['width'] * case['height'] / 1e6, case['alone']['beside_network_ms'])
                for case in sizes['cases'] if case['transport'] == transport])
        axes[2].set(xlabel='megapixels', ylabel='CPU ms a frame in the node,\nbeside the network')
    for axis in axes:
        axis.set_ylim(bottom=0)
        axis.grid(True, color='0.9')
        axis.spines[['top', 'right']].set_visible(False)
        axis.legend(frameon=False)
    figure.savefig(path, dpi=90)


def _line(axis: Any, name: str, points: Sequence[tuple[float, float]]) -> None:
    axis.plot(*zip(*sorted(points)), 'o-', color=COLOURS[name], label=name)
