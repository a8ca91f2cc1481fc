# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Frames and words of status belong together by their stamps."""

from __future__ import annotations

from pathlib import Path

import pytest

from lorat_ros.tools.recording import FrameRecord, load_recording, Recording, StatusRecord

BOX = (1.0, 2.0, 3.0, 4.0)


def frame(stamp: int, found: bool) -> FrameRecord:
    return FrameRecord(stamp, BOX if found else None, 0.5 if found else None)


@pytest.mark.parametrize(('found', 'said', 'expected'), [
    ('', [], []),
    ('1', [], ['tracking']),
    ('0', [], ['idle']),
    # A status is said a little after the frame that led to it, and before the next one.
    ('0110', [(5, 'idle'), (15, 'tracking'), (35, 'lost')],
     ['idle', 'tracking', 'tracking', 'lost']),
    # An empty answer is no word: what was not said to be lost is not called so.
    ('110', [(5, 'tracking')], ['tracking', 'tracking', 'no box']),
    ('100', [(5, 'tracking'), (15, 'lost'), (25, 'idle')], ['tracking', 'lost', 'idle']),
    ('101', [(5, 'tracking'), (15, 'coasting')], ['tracking', 'coasting', 'tracking']),
])
def test_status_of_frames(found: str, said: list[tuple[int, str]], expected: list[str]) -> None:
    frames = [frame(10 * index, flag == '1') for index, flag in enumerate(found)]
    recording = Recording(frames[::-1], [StatusRecord(*word) for word in said[::-1]])
    assert [f.status for f in recording.with_status()] == expected
    assert [f.stamp for f in recording.with_status()] == [10 * i for i in range(len(found))]


@pytest.mark.parametrize(('start', 'end', 'expected'), [
    (0, 5, set()), (0, 11, {'idle'}), (10, 20, {'idle'}), (12, 18, {'idle'}),
    (12, 21, {'idle', 'tracking'}), (25, 99, {'tracking', 'lost'}), (40, 99, {'lost'})])
def test_what_was_said_of_a_time(start: int, end: int, expected: set[str]) -> None:
    said = [StatusRecord(30, 'lost'), StatusRecord(10, 'idle'), StatusRecord(20, 'tracking')]
    assert Recording(statuses=said).states_between(start, end) == expected


def test_history_has_only_changes() -> None:
    said = [StatusRecord(i, s) for i, s in enumerate(['idle', 'idle', 'tracking', 'lost', 'lost'])]
    assert [(s.stamp, s.state) for s in Recording(statuses=said).history()] == [
        (0, 'idle'), (2, 'tracking'), (3, 'lost')]
    assert Recording().history() == []


def test_what_is_saved_can_be_loaded(tmp_path: Path) -> None:
    recording = Recording([frame(10, True), frame(20, False)],
                          [StatusRecord(12, 'tracking', {'id': '1'}), StatusRecord(22, 'lost')],
                          {'engine': {'level': 0, 'message': 'ready', 'values': {'a': 'b'}}}, [10])
    recording.save(tmp_path)
    loaded = load_recording(tmp_path)
    assert loaded.with_status() == recording.with_status()
    assert loaded.statuses == recording.statuses
    assert (loaded.diagnostics, loaded.pictures) == (recording.diagnostics, [10])
    lines = (tmp_path / 'boxes.txt').read_text().splitlines()
    assert lines[1:] == ['10,1.000,2.000,3.000,4.000,0.5000,tracking',
                         '20,nan,nan,nan,nan,nan,lost']
