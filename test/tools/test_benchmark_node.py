# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Where the milliseconds go: sums that must add up, and one short run of the real graph."""
from __future__ import annotations

import json

import pytest
from lorat_ros.tools import cli
from lorat_ros.tools.benchmark_node import cases_of, text_of, transport_of


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
              'waited': [1.0, 19.0]}
    assert (transport_of(stages, 0), transport_of(stages, 1)) == (8.0, 0.0)


def test_a_short_run_of_the_real_graph(cache, monkeypatch, tmp_path, capsys):
    monkeypatch.setenv('XDG_CACHE_HOME', str(cache))
    monkeypatch.setattr('lorat_ros.tools.benchmark_node.TRANSPORTS', ('compressed',))
    file = tmp_path / 'node.json'
    assert cli.main(['benchmark', '--node', '--size', '320x240', '--rate', '60', '--json',
                     str(file)]) == 0
    report = json.loads(file.read_text())
    (case,) = report['cases']
    for phase in ('alone', 'with_debug_image'):
        assert 0 < case[phase]['answered'] <= case[phase]['shown'] + 1
        stages = case[phase]['stages']
        assert stages['frame'][0] >= stages['network'][0] > 0
        assert stages['network_cpu mean'][0] > 0 and stages['camera'][0] > 0
        assert stages['age'][1] >= stages['age beside network'][1] > 0
        held = case[phase]['memory_mb']
        assert 20 < held['private'] < held['resident'] < 2000
        assert stages['age'][0] >= stages['frame'][0]
    assert case['alone']['cpu_ms'] > 0 and case['debug_images'] > 0
    assert 0 <= case['paused_cpu_percent'] <= 100
    printed = capsys.readouterr().out
    assert '| 320x240 compressed |' in printed and text_of(report) in printed
