# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Where the milliseconds go: sums that must add up, and one short run of the real graph."""
from __future__ import annotations

import json

import pytest
from lorat_ros.tools import cli
from lorat_ros.tools.benchmark_node import (cases_of, median_of, OTHERS, STAGES, text_of,
                                            transport_of)


def test_every_size_is_measured_raw_and_compressed():
    assert [str(case) for case in cases_of(['640x480', '1920X1080'])] == [
        '640x480 raw', '640x480 compressed', '1920x1080 raw', '1920x1080 compressed']


@pytest.mark.parametrize('size', ['640', '640x', 'axb', '640x480x3', '10x480', '-640x480'])
def test_a_size_that_is_none_is_named(size, capsys):
    assert cli.main(['benchmark', '--node', f'--size={size}']) == 2
    said = capsys.readouterr().err
    assert f'--size {size}: expected WIDTHxHEIGHT' in said and said.count('\n') == 1


def test_transport_is_what_is_left_of_the_age():
    stages = {'age': [20.0, 30.0], 'camera': [2.0, 3.0], 'frame': [9.0, 12.0],
              'waited': [1.0, 19.0], 'take': [0.5, 0.5]}
    assert (transport_of(stages, 0), transport_of(stages, 1)) == (7.5, 0.0)


def test_medians_are_taken_of_all_that_are_numbers():
    runs = [{'alone': {'cpu_ms': cpu, 'stages': {'age': [cpu, 2 * cpu], **more}}, 'case': 'x'}
            for cpu, more in ((3.0, {}), (1.0, {'rare': [7.0]}), (2.0, {}))]
    assert median_of(runs) == {'alone': {'cpu_ms': 2.0, 'stages': {'age': [2.0, 4.0]}},
                               'case': 'x'}


def test_cases_take_turns_and_what_is_printed_are_medians(cache, monkeypatch, tmp_path, capsys):
    monkeypatch.setenv('XDG_CACHE_HOME', str(cache))
    shown = []

    def one(case, *_):
        shown.append(str(case))
        cpu = 10.0 + len(shown)
        stages = dict.fromkeys((*STAGES, *OTHERS), [1.0, 2.0])
        phase = {'cpu_ms': cpu, 'stages': {**stages, 'network_cpu mean': [8.0]},
                 'shown': 300, 'answered': 300, 'memory_mb': {'resident': 9.0, 'private': 5.0},
                 'threads_ms': {'tracking': cpu - 1, 'dds.shm': 0.7, 'debug image': 0.01,
                                'idle': 0.001}}
        return {'alone': phase, 'with_debug_image': phase, 'paused_cpu_percent': 0.5,
                'start_seconds': 0.75}

    monkeypatch.setattr('lorat_ros.tools.benchmark_node._one', one)
    file = tmp_path / 'node.json'
    assert cli.main(['benchmark', '--node', '--size', '64x64', '--size', '80x64', '--transport',
                     'raw', '--repeat', '3', '--json', str(file)]) == 0
    assert shown == ['64x64 raw', '80x64 raw'] * 3
    printed = capsys.readouterr().out
    assert 'medians of 3 runs' in printed
    assert '| 300 of 300 | 13.0 | 5.00 (3.00 to 7.00) |' in printed     # 64x64
    assert '| 300 of 300 | 14.0 | 6.00 (4.00 to 8.00) |' in printed
    assert printed.endswith('CPU ms a frame by thread:\n\n| images | tracking | dds.shm |\n'
                            '|---|---|---|\n| 64x64 raw | 12.00 | 0.70 |\n'
                            '| 80x64 raw | 13.00 | 0.70 |\n')
    assert [run['alone']['cpu_ms'] for run in json.loads(file.read_text())['cases'][0]['runs']
            ] == [11.0, 13.0, 15.0]


def test_a_short_run_of_the_real_graph(cache, monkeypatch, tmp_path, capsys):
    monkeypatch.setenv('XDG_CACHE_HOME', str(cache))
    file = tmp_path / 'node.json'
    assert cli.main(['benchmark', '--node', '--size', '320x240', '--transport', 'compressed',
                     '--rate', '60', '--json', str(file)]) == 0
    report = json.loads(file.read_text())
    (case,) = report['cases']
    for phase in ('alone', 'with_debug_image'):
        assert 0 < case[phase]['answered'] <= case[phase]['shown'] + 1
        stages = case[phase]['stages']
        assert stages['frame'][0] >= stages['network'][0] > 0
        assert stages['network_cpu mean'][0] > 0 and stages['camera'][0] > 0
        assert stages['age'][1] >= stages['age beside network'][1] > 0
        threads = case[phase]['threads_ms']
        assert max(threads, key=threads.get) == 'tracking'
        assert threads['images'] > 0 and threads['watch'] > 0 and 'executor' in threads
        held = case[phase]['memory_mb']
        assert 20 < held['private'] < held['resident'] < 2000
        assert stages['age'][0] >= stages['frame'][0]
    assert case['alone']['cpu_ms'] > 0 and case['debug_images'] > 0
    assert 0 < case['alone']['stages']['normalise'][0] < case['alone']['stages']['crop'][0]
    assert case['with_debug_image']['stages']['debug image'][1] > 0
    assert case['with_debug_image']['threads_ms']['debug image'] > 0
    assert 0 <= case['paused_cpu_percent'] <= 100
    printed = capsys.readouterr().out
    assert '| 320x240 compressed |' in printed and text_of(report) in printed
