# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""How the cost grows: several trackers really run at a time, and the tables say what was found."""
from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from lorat_ros.tools import benchmark, benchmark_instances, benchmark_scaling
from lorat_ros.tools.benchmark_instances import measure_instances, measure_threads, Work
from lorat_ros.tools.cli import main

NO_PLOTS = 'matplotlib is not installed: make env'
MACHINE = {'cpu': 'Some CPU', 'cores': 2, 'load': 0.1}
STAGES = {**dict.fromkeys(('camera', 'transport', 'take', 'waited', 'convert', 'crop', 'network',
                           'decode', 'publish'), [1.0, 2.0]),
          'frame': [10.0, 11.0], 'age': [16.0, 18.0], 'network_cpu mean': [8.0],
          'age beside network': [8.0, 9.0]}
PHASE = {'cpu_ms': 12.5, 'beside_network_ms': 4.5, 'answered': 300, 'shown': 300, 'stages': STAGES,
         'memory_mb': {'resident': 250.0, 'private': 150.0}, 'threads_ms': {'tracking': 9.0}}
REPORT = {
    'machine': MACHINE, 'image_wh': [640, 480],
    'instances': [{'instances': count, 'how': how, 'fps': 60.0 + count, 'p50': 9.0 * count,
                   'p95': 10.0 * count, 'cpu_ms': 8.5}
                  for count in (1, 2) for how in benchmark_scaling.HOW],
    'threads': [{'threads': count, 'p50': 9.0 / count, 'p95': 10.0, 'cpu_ms': 9.5}
                for count in (1, 2)],
    'sizes': {'machine': MACHINE, 'rate': 30.0, 'cases': [
        {'case': f'{width}x480 {transport}', 'width': width, 'height': 480,
         'transport': transport, 'alone': PHASE, 'with_debug_image': PHASE,
         'paused_cpu_percent': 0.5, 'start_seconds': 0.75,
         'runs': [{'alone': PHASE, 'with_debug_image': PHASE}]}
        for width in (640, 1280) for transport in ('raw', 'compressed')]}}


@pytest.fixture
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Work:
    """A clip of five frames, a tenth of a second long each measurement."""
    monkeypatch.setattr(benchmark_instances, 'TURNS', 1)
    for pool in benchmark.POOLS:
        monkeypatch.setenv(pool, '1')
    folder = tmp_path / 'clip'
    folder.mkdir()
    image = np.random.default_rng(0).integers(0, 255, (120, 160, 3), np.uint8)
    for number in range(5):
        cv2.imwrite(str(folder / f'{number}.png'), np.roll(image, number, axis=1))
    return Work(None, 'onnx', str(folder), '60,40,40,30', 0.1)


def check(one: dict) -> None:
    assert 0 < one['p50'] <= one['p95']
    assert one['cpu_ms'] > 0


@pytest.mark.parametrize('how', benchmark_scaling.HOW)
def test_trackers_run_at_a_time(work: Work, how: str) -> None:
    two = measure_instances(work, 2, how)
    assert (two['instances'], two['how']) == (2, how)
    assert two['fps'] > 0
    check(two)


def test_threads_take_turns(work: Work) -> None:
    for count, one in zip((1, 2), measure_threads(work, (1, 2))):
        assert one['threads'] == count
        check(one)


def test_without_ros_the_rest_is_measured(work: Work, monkeypatch: pytest.MonkeyPatch,
                                          tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    pytest.importorskip('matplotlib', reason=NO_PLOTS)
    monkeypatch.setattr(benchmark_scaling, 'ros_is_there', lambda: False)
    monkeypatch.setattr(benchmark_scaling, 'INSTANCES', (1,))
    monkeypatch.setattr(benchmark_scaling, 'THREADS', (1,))
    file, plot = tmp_path / 'scaling.json', tmp_path / 'scaling.png'
    assert main(['benchmark', '--scaling', '--engine', 'onnx', '--frames', work.frames, '--init',
                 work.init, '--seconds', '1', '--json', str(file), '--plot', str(plot)]) == 1
    report = json.loads(file.read_text())
    assert report['sizes'] is None and report['image_wh'] == [160, 120]
    assert [one['how'] for one in report['instances']] == list(benchmark_scaling.HOW)
    printed = capsys.readouterr()
    assert '1 in processes' in printed.out
    assert 'without ROS 2 nothing is measured' in printed.err
    assert cv2.imread(str(plot)) is not None


def test_the_tables_hold_every_figure(tmp_path: Path) -> None:
    pytest.importorskip('matplotlib', reason=NO_PLOTS)
    text = benchmark_scaling.text_of(REPORT)
    lines = {line.split('  ')[0]: line.split() for line in text.splitlines() if line}
    assert text.startswith('Some CPU, 2 cores, load 0.1 when it began\n')
    assert lines['2 in processes'][-4:] == ['62', '18.0', '20.0', '8.5']
    assert lines['2'][1:] == ['4.5', '10.0', '9.5']
    assert '| 1280x480 raw | 300 of 300 | 12.5 | 4.50 | 12.5 | 250, 150 | 250, 150 | 0.5 % | '\
        '0.8 s |' in text
    benchmark_scaling.write_plot(tmp_path / 'plot.png', REPORT)
    assert cv2.imread(str(tmp_path / 'plot.png')).shape[1] > 600


@pytest.mark.parametrize(('arguments', 'said'), [
    (['--size', '7'], '--size 7: expected WIDTHxHEIGHT'),
    (['--json', '/nowhere/scaling.json'], 'the folder /nowhere does not exist'),
    (['--init', '1,2,3,4'], '--init belongs to --frames')])
def test_what_cannot_be_done_is_named(arguments: list[str], said: str,
                                      monkeypatch: pytest.MonkeyPatch,
                                      capsys: pytest.CaptureFixture) -> None:
    for pool in benchmark.POOLS:
        monkeypatch.setenv(pool, '1')
    assert main(['benchmark', '--scaling', *arguments]) == 2
    assert said in capsys.readouterr().err
