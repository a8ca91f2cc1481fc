# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Which moments of a run are shown, read from a folder as the nodes leave it."""
from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from lorat_ros.tools.operator_scenes import (HEARD_NAME, life_sheet, load_run, moments,
                                             POINTED_NAME, ray_sheet, stamped_sheet, start_sheet)
from lorat_ros.tools.recording import FrameRecord, Recording, StatusRecord, VIDEO_NAME

SECOND = 10**9
BOX = (100.0, 80.0, 40.0, 30.0)
#: State of every frame, thirty a second: as the clip goes.
LIFE = ['idle'] * 11 + ['tracking'] * 60 + ['coasting'] * 15 + ['lost'] * 20 + ['tracking'] * 60


def stamp(index: int) -> int:
    return SECOND + index * SECOND // 30


def write_run(folder: Path, life: list[str]) -> None:
    """Write what recorder and hand would: every frame's picture has the frame's grey."""
    recording = Recording()
    for index, state in enumerate(life):
        seen = state == 'tracking'
        recording.frames.append(FrameRecord(stamp(index), BOX if seen else None,
                                            0.9 if seen else None))
        recording.statuses.append(StatusRecord(stamp(index), state, {'id': '1'}))
        recording.pictures.append(stamp(index))
    recording.save(folder)
    video = cv2.VideoWriter(str(folder / VIDEO_NAME), cv2.VideoWriter_fourcc(*'mp4v'), 30,
                            (320, 240))
    for index in range(len(life)):
        video.write(np.full((240, 320, 3), index, np.uint8))
    video.release()
    for name in ('click', 'box', 'sent'):
        cv2.imwrite(str(folder / POINTED_NAME.format(name)), np.zeros((240, 320, 3), np.uint8))
    markers = {str(stamp(index)): [[0, 0, 0], [0.3, 0.2, 2.9]] for index in range(len(life))}
    (folder / HEARD_NAME).write_text(json.dumps({
        'stamps': {'click': stamp(10), 'box': stamp(120), 'sent': stamp(150)},
        'markers': markers, 'k': [277, 0, 160, 0, 277, 120, 0, 0, 1], 'size': [320, 240]}))


def test_the_moments_are_those_of_the_states(tmp_path: Path) -> None:
    write_run(tmp_path, LIFE)
    at = moments(load_run(tmp_path))
    states = {name: LIFE[round((at[name] - SECOND) * 30 / SECOND)] for name in at}
    assert states == {'idle': 'idle', 'started': 'tracking', 'tracking': 'tracking',
                      'coasting': 'coasting', 'lost': 'lost', 'found': 'tracking',
                      'again': 'tracking'}
    assert at['idle'] == stamp(10) and at['started'] == stamp(11)
    assert at['started'] < at['tracking'] < at['coasting'] < at['lost'] < at['found']
    assert at['again'] == stamp(151)


def test_the_sheets_show_those_frames(tmp_path: Path) -> None:
    write_run(tmp_path, LIFE)
    run = load_run(tmp_path)
    at = moments(run)
    sheet = life_sheet(run, at)
    width = sheet.shape[1] // 4
    shown = [np.median(sheet[40:150, k * width + 40:(k + 1) * width - 40]) for k in range(4)]
    expected = [round((at[name] - SECOND) * 30 / SECOND)
                for name in ('tracking', 'coasting', 'lost', 'found')]
    assert np.abs(np.array(shown) - expected).max() <= 5  # what the video's codec costs
    assert start_sheet(run, at, BOX).shape[1] == stamped_sheet(run, at, BOX).shape[1] == 1200
    # What a hand has drawn is there: the click's picture is black without it.
    assert start_sheet(run, at, BOX)[20:250, 420:780].max() > 200


def test_the_ray_is_drawn_where_it_points(tmp_path: Path) -> None:
    pytest.importorskip('matplotlib', reason='matplotlib draws the ray: it is an extra')
    write_run(tmp_path, LIFE)
    run = load_run(tmp_path)
    sheet = ray_sheet(run, moments(run)).astype(int)
    b, g, r = sheet[..., 0], sheet[..., 1], sheet[..., 2]
    orange = (r - b > 120) & (r - g > 60)
    assert orange[:, 450:].sum() > 200 and orange[:, :440].sum() == 0


@pytest.mark.parametrize(('life', 'said'), [
    (['idle'] * 11 + ['tracking'] * 160, 'no frame is coasting'),
    (['idle'] * 170, 'no frame is tracking'),
])
def test_a_run_that_went_otherwise_is_refused(tmp_path: Path, life: list, said: str) -> None:
    write_run(tmp_path, life)
    with pytest.raises(ValueError, match=said):
        moments(load_run(tmp_path))


def test_a_video_that_ends_early_is_refused(tmp_path: Path) -> None:
    write_run(tmp_path, LIFE)
    text = json.loads((tmp_path / 'recording.json').read_text())
    text['pictures'].append(stamp(999))
    (tmp_path / 'recording.json').write_text(json.dumps(text))
    with pytest.raises(ValueError, match='expected 167'):
        load_run(tmp_path)
