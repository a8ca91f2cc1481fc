# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Rows for the table of Jetsons, and what is known of a Jetson."""
from __future__ import annotations

import json
from pathlib import Path

import pytest

from lorat_ros.tools.benchmark_machine import describe_jetson
from lorat_ros.tools.benchmark_table import main

FOUND = {'stages_ms': {'total': {'p50': 8.0, 'p95': 9.5}}, 'fps': 125.0, 'share_of_roofline': 0.4}
REPORT = {
    'machine': {'cpu': 'ARMv8', 'gpu': 'Orin 8.7', 'versions': {'tensorrt': '10.3.0'},
                'jetson': {'board': 'Jetson Orin NX', 'l4t': 'R36.4.3', 'power_mode': 'MAXN'}},
    'models': [{'name': 'litetrack-b4', 'engines': {
        'tensorrt:fp16': FOUND, 'onnx': {**FOUND, 'share_of_roofline': None}}}]}


def test_a_report_becomes_rows(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    path = tmp_path / 'one.json'
    path.write_text(json.dumps(REPORT))
    assert main([str(path), str(path)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2 + 4 and lines[0].startswith('| board | L4T | power mode | TensorRT |')
    assert lines[2] == ('| Jetson Orin NX | R36.4.3 | MAXN | 10.3.0 | litetrack-b4 | '
                        'tensorrt:fp16 | 8.00 / 9.50 | 125 | 40 % |')
    assert lines[3].endswith('| onnx | 8.00 / 9.50 | 125 | - |')


@pytest.mark.parametrize('text', ['', '{}', '[]', '{"machine": {}}'])
def test_what_is_no_report_is_named(text: str, tmp_path: Path,
                                    capsys: pytest.CaptureFixture) -> None:
    path = tmp_path / 'other.json'
    path.write_text(text)
    assert main([str(path)]) == 2
    error = capsys.readouterr().err
    assert str(path) in error and 'measure again' in error and len(error.splitlines()) == 1


def test_a_jetson_tells_release_board_and_power_mode(tmp_path: Path) -> None:
    release, board = tmp_path / 'release', tmp_path / 'model'
    release.write_text('# R36 (release), REVISION: 4.3, GCID: 1, BOARD: generic, EABI: aarch64\n')
    board.write_bytes(b'NVIDIA Jetson Orin Nano\0')
    ask = ('echo', 'NV Power Mode: 15W\n0')
    assert describe_jetson(release, board, ask) == {
        'board': 'NVIDIA Jetson Orin Nano', 'l4t': 'R36.4.3', 'power_mode': '15W'}
    assert describe_jetson(release, tmp_path / 'none', ('/nowhere/nvpmodel',)) == {
        'board': None, 'l4t': 'R36.4.3', 'power_mode': None}


def test_another_machine_is_no_jetson(tmp_path: Path) -> None:
    assert describe_jetson(tmp_path / 'none') is None
