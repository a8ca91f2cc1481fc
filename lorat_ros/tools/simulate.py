# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
``lorat simulate``: a drone is flown by the tracker and the follower, in a real ROS graph.

Three processes: ``tracker_node``, ``follow_node``, and the world, which renders what a camera on
a point-mass vehicle sees. It goes in lock step in simulated time, so the figures do not depend on
how fast the machine is. Exit status 1 if a figure breaks its limit.
"""
from __future__ import annotations

import argparse
import importlib.util
import json
import math
import signal
import sys
import time
from collections.abc import Mapping
from pathlib import Path

from lorat_ros.models.catalog import find_bundle
from lorat_ros.tools.graph import Graph, GraphError, ros_is_there
from lorat_ros.tools.simulate_figures import Figure, FIGURES, Flight, load_flights
from lorat_ros.tools.simulate_world import CAMERA_RPY, DISTANCE, SCENARIOS, TARGET_WIDTH

HELP = 'fly a simulated drone after a target, in closed loop'
FLIGHTS_NAME, FIGURES_NAME, PLOT_NAME = 'flights.json', 'figures.json', 'flights.png'
TIMEOUT = 900.0  # seconds for all flights
#: How the follower is set up; the rest are its defaults.
FOLLOWER = {
    'approach': 'range', 'target_width': TARGET_WIDTH, 'distance': DISTANCE, 'range_gain': 0.6,
    'yaw_gain': 1.2, 'max_yaw_rate': 0.8, 'max_forward': 5.0, 'max_backward': 1.0,
    'max_acceleration': 2.5, 'camera_rpy': list(CAMERA_RPY)}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the subcommand."""
    parser.add_argument('--scenario', action='append', choices=tuple(SCENARIOS), default=None,
                        help='fly this one only; may be repeated (default: all)')
    parser.add_argument('--model', default='', help='name or folder of a bundle; see lorat models')
    parser.add_argument('--engine', default='auto', help='what runs the model')
    parser.add_argument('--set', action='append', default=[], metavar='NAME=VALUE', dest='changes',
                        help="a parameter of follow_node, e.g. yaw_gain=2.0; see config's "
                        'follow.yaml')
    parser.add_argument('--output', type=Path, default=Path('simulation'), metavar='FOLDER',
                        help='for plot, figures and logs (default: simulation)')
    parser.add_argument('--domain-id', type=int, metavar='N', help='ROS_DOMAIN_ID, to watch '
                        'along with RViz; default: one of its own')


def run(args: argparse.Namespace) -> int:
    """Fly; returns 0, 1 (a limit broken, or it did not work), 2 (bad arguments), 130."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # stop the nodes then, too
    try:
        follower = {**FOLLOWER, **_changes(args.changes)}
        find_bundle(args.model or None)
        if not ros_is_there():
            raise ValueError('this Python finds no ROS 2 (rclpy, vision_msgs): run `make env` and '
                             'use .venv/bin/lorat, or source an installed ROS 2 first')
        args.output.mkdir(parents=True, exist_ok=True)
        for name in (FLIGHTS_NAME, FIGURES_NAME, PLOT_NAME):  # old results must not look new
            (args.output / name).unlink(missing_ok=True)
    except (ValueError, OSError) as error:
        print(f'lorat simulate: {error}', file=sys.stderr)
        return 2
    try:
        _fly(args, follower)
    except GraphError as error:
        print(f'lorat simulate: {error}', file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print('lorat simulate: interrupted; all nodes are stopped', file=sys.stderr)
        return 130
    return _conclude(args.output, load_flights(args.output / FLIGHTS_NAME))


def _changes(texts: list[str]) -> dict[str, object]:
    changes = {}
    for text in texts:
        name, equals, value = text.partition('=')
        if not equals or not name:
            raise ValueError(f'--set {text}: expected NAME=VALUE, for example yaw_gain=2.0')
        try:
            changes[name] = json.loads(value)
        except ValueError:
            changes[name] = value
    return changes


def _fly(args: argparse.Namespace, follower: Mapping[str, object]) -> None:
    """Run the graph until all flights are over."""
    names = args.scenario or list(SCENARIOS)
    with Graph(args.output / 'logs', args.domain_id) as graph:
        print(f'ROS_DOMAIN_ID={graph.domain_id}, topics under {graph.namespace}', flush=True)
        graph.start('tracker_node', {
            'model': args.model, 'engine': args.engine, 'use_sim_time': True,
            'image_reliability': 'reliable', 'target_width': TARGET_WIDTH})
        graph.start('follow_node', {'use_sim_time': True, **follower},
                    {'detections': 'lorat_tracker/detections'})
        world = graph.start('flight_simulator', {
            'scenarios': ','.join(names), 'output': str((args.output / FLIGHTS_NAME).absolute())})
        give_up, told = time.monotonic() + TIMEOUT, 0
        while world.status is None:
            graph.check()
            flying = [name for name in names if f'flight {name}' in world.text()]
            for name in flying[told:]:
                print(f'  {SCENARIOS[name].title}', flush=True)
            told = len(flying)
            if time.monotonic() > give_up:
                raise GraphError(f'the flights were not over after {TIMEOUT:.0f} s; the end of '
                                 f'the log:\n{world.tail()}')
            time.sleep(0.1)
        if world.status:
            raise GraphError(f'the simulator ended with status {world.status}:\n{world.tail()}')


def _conclude(output: Path, flights: Mapping[str, Flight]) -> int:
    """Print, write and judge the figures; returns the exit status."""
    table = {name: FIGURES[name](flight, DISTANCE) for name, flight in flights.items()}
    for name, figures in table.items():
        print(f'\n{SCENARIOS[name].title}')
        for figure in figures:
            print(f'  {_line(figure)}')
    # JSON knows no nan.
    (output / FIGURES_NAME).write_text(json.dumps({
        name: {f.name: {'value': f.value if math.isfinite(f.value) else None, 'unit': f.unit,
                        'most': f.most} for f in figures}
        for name, figures in table.items()}, indent=2) + '\n')
    print(f'\n  {_plot(output, flights)}, {output / FIGURES_NAME}')
    failed = [f'{name}: {figure.name}' for name, figures in table.items() for figure in figures
              if figure.fails]
    for line in failed:
        print(f'lorat simulate: FAILED: {line}', file=sys.stderr)
    return 1 if failed else 0


def _plot(output: Path, flights: Mapping[str, Flight]) -> str:
    if importlib.util.find_spec('matplotlib') is None:
        return 'no plot without matplotlib (pip install matplotlib)'
    from lorat_ros.tools.simulate_plots import write_plot
    write_plot(output / PLOT_NAME, flights, DISTANCE)
    return str(output / PLOT_NAME)


def _line(figure: Figure) -> str:
    value = f'{figure.value:.3f}' if math.isfinite(figure.value) else 'never'
    limit = '' if figure.most is None else f' (at most {figure.most:g})'
    return f'{figure.name:<46} {value:>8} {figure.unit}{limit}{"  FAILED" if figure.fails else ""}'
