# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The demo's clip: its truth is where the pixels are, and it is as hard as it says."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from lorat_ros.tools import scene, scene_motion
from lorat_ros.tools.scene import cached_scene, Studio

BOXES, VISIBILITY = scene_motion.scene_truth()
HIDDEN = np.flatnonzero(VISIBILITY == 0)


@pytest.fixture(scope='module')
def studio() -> Studio:
    return Studio()


@pytest.fixture
def painted(studio: Studio, monkeypatch: pytest.MonkeyPatch) -> None:
    """The scenery need not be painted again for every cache: it is the same every time."""
    monkeypatch.setattr(scene, 'Studio', lambda: studio)


def orange(image: np.ndarray) -> np.ndarray:
    """Mask (height, width) of the target's paint, which nothing else in the scene has."""
    hue, saturation, value = cv2.split(cv2.cvtColor(image, cv2.COLOR_BGR2HSV))
    mask = ((hue < 11) & (saturation > 165) & (value > 110)).astype(np.uint8)
    return cv2.morphologyEx(mask, cv2.MORPH_OPEN, np.ones((2, 2), np.uint8)) > 0


@pytest.mark.parametrize('index', [0, 30, 77, 110, 140, 165, 245, 252, 275, 299])
def test_the_truth_is_where_the_pixels_are(studio: Studio, index: int) -> None:
    x, y, w, h = BOXES[index]
    rows, columns = np.nonzero(orange(studio.frame(index)))
    assert columns.size > 100
    inside = (columns > x - 2) & (columns < x + w + 1) & (rows > y - 2) & (rows < y + h + 1)
    assert inside.mean() > 0.97  # red roofs and tail lights are small
    found = columns[inside].min(), rows[inside].min(), columns[inside].max() + 1, \
        rows[inside].max() + 1
    # The car's ends are shaded, its lights and stripes are not orange: a few pixels are missing.
    assert np.allclose(found, (x, y, x + w, y + h), atol=2 + 0.09 * w)


def test_frames_are_the_same_every_time(studio: Studio) -> None:
    again = Studio()
    for index in (5, 200):
        assert np.array_equal(studio.frame(index), again.frame(index))
        assert np.array_equal(studio.frame(index), studio.frame(index))


def test_neighbours_differ_by_noise_and_motion(studio: Studio) -> None:
    a, b = studio.frame(10).astype(int), studio.frame(11).astype(int)
    assert a.shape == (480, 640, 3)
    assert np.abs(a - b).mean() > 2


def test_one_full_occlusion_in_one_piece() -> None:
    assert 15 <= HIDDEN.size <= 35
    assert np.array_equal(HIDDEN, np.arange(HIDDEN[0], HIDDEN[-1] + 1))
    assert HIDDEN[0] > 100 and HIDDEN[-1] < 250  # enough to see before and after
    assert np.isnan(BOXES[HIDDEN]).all()
    assert np.isfinite(np.delete(BOXES, HIDDEN, axis=0)).all()


def test_nothing_of_the_target_shows_while_it_is_hidden(studio: Studio) -> None:
    for index in HIDDEN[::7]:
        before, after = BOXES[HIDDEN[0] - 1], BOXES[HIDDEN[-1] + 1]
        x0, y0 = np.minimum(before[:2], after[:2]).astype(int)
        x1, y1 = np.maximum(before[:2] + before[2:], after[:2] + after[2:]).astype(int)
        assert orange(studio.frame(index))[y0:y1, x0:x1].mean() < 0.002


def test_it_comes_out_near_where_it_went_in() -> None:
    before, after = BOXES[HIDDEN[0] - 1], BOXES[HIDDEN[-1] + 1]
    move = np.hypot(*(before[:2] + before[2:] / 2 - after[:2] - after[2:] / 2))
    assert move < 1.5 * np.sqrt(before[2] * before[3])  # inside a search region four times as wide


def test_visibility_goes_down_and_up_again() -> None:
    assert (VISIBILITY[:100] == 1).all() and (VISIBILITY[-40:] == 1).all()
    down, up = VISIBILITY[100:HIDDEN[0] + 1], VISIBILITY[HIDDEN[-1]:]
    assert (np.diff(down) <= 1e-6).all() and (np.diff(up) >= -1e-6).all()


def test_size_and_place_change_but_stay_in_view() -> None:
    boxes = BOXES[np.isfinite(BOXES[:, 0])]
    size = np.sqrt(boxes[:, 2] * boxes[:, 3])
    assert size.min() < 0.8 * size[0] and size.max() > 1.6 * size[0]
    assert (boxes[:, :2] > 0).all()
    assert (boxes[:, 0] + boxes[:, 2] < 640).all() and (boxes[:, 1] + boxes[:, 3] < 480).all()


def test_look_alikes_come_close() -> None:
    """Every other livery passes within the search region, and at least two nearly touch."""
    closest = {}
    for t in range(scene_motion.LENGTH):
        cars = scene_motion.traffic(t)
        target = cars[-1][1][:2, 2]
        for livery, pose in cars[:-1]:
            distance = float(np.hypot(*(pose[:2, 2] - target)))
            closest[livery] = min(closest.get(livery, np.inf), distance)
    assert len(closest) >= 4
    assert all(distance < 160 for distance in closest.values()), closest
    assert sum(distance < 50 for distance in closest.values()) >= 2, closest


@pytest.mark.usefixtures('painted')
def test_the_cache_is_filled_once_and_repaired(tmp_path: Path,
                                               monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scene_motion, 'LENGTH', 3)  # the rest of the clip is not needed here
    first = cached_scene(tmp_path / 'clip')
    assert len(list(first.images.glob('*.jpg'))) == 3
    assert np.allclose(first.boxes, BOXES[:3], atol=1e-3)
    assert first.visibility.tolist() == [1, 1, 1]
    stamp = (first.images / '000000.jpg').stat().st_mtime_ns
    assert (cached_scene(tmp_path / 'clip').images / '000000.jpg').stat().st_mtime_ns == stamp
    (first.images / '000001.jpg').unlink()
    assert len(list(cached_scene(tmp_path / 'clip').images.glob('*.jpg'))) == 3
    assert not list(tmp_path.glob('.scene-*'))


@pytest.mark.usefixtures('painted')
def test_the_cache_lies_where_xdg_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path))
    monkeypatch.setattr(scene_motion, 'LENGTH', 1)
    assert cached_scene().images.is_relative_to(tmp_path / 'lorat_ros')


@pytest.mark.usefixtures('painted')
def test_a_clip_of_another_version_is_replaced(tmp_path: Path,
                                               monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scene_motion, 'LENGTH', 1)
    cached_scene(tmp_path / 'clip')
    note = tmp_path / 'clip' / 'scene.json'
    note.write_text(note.read_text().replace(scene._version(), 'older'))
    cached_scene(tmp_path / 'clip')
    assert scene._version() in note.read_text()
