# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Directions from boxes: against OpenCV, back and forth, and through binning and regions."""
from __future__ import annotations

import math

import cv2
import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from lorat_ros.target.bearing import Bearing, Calibration, Camera, CameraError

WH = (640, 480)
FOCAL_X, FOCAL_Y, CENTRE_X, CENTRE_Y = 420.0, 410.0, 322.5, 236.0
K = (FOCAL_X, 0.0, CENTRE_X, 0.0, FOCAL_Y, CENTRE_Y, 0.0, 0.0, 1.0)
P = (400.0, 0.0, 318.0, -40.0, 0.0, 400.0, 241.0, 0.0, 0.0, 0.0, 1.0, 0.0)
MODELS = {
    'plumb_bob': (-0.28, 0.07, 0.0006, -0.0004, 0.001),
    'rational_polynomial': (0.6, 0.2, 0.0005, -0.0003, 0.01, 0.9, 0.35, 0.04),
    'equidistant': (-0.02, 0.004, -0.003, 0.0006),
    'fisheye': (0.05, 0.01, 0.0, 0.0),
    '': (),
}
TURN = cv2.Rodrigues(np.array((0.02, -0.05, 0.01)))[0]
pixels = st.tuples(st.floats(0, WH[0]), st.floats(0, WH[1]))
models = st.sampled_from(sorted(MODELS))


def calibration(model: str = 'plumb_bob', **changes: object) -> Calibration:
    return Calibration(**{'image_wh': WH, 'k': K, 'model': model, 'd': MODELS.get(model, ()),
                          'p': P, **changes})


def opencv(model: str, rays: np.ndarray) -> np.ndarray:
    """Where OpenCV sees directions, in its own pixels, whose centres are whole numbers."""
    matrix, zero, points = np.reshape(K, (3, 3)), np.zeros(3), rays[:, None]
    if model in ('equidistant', 'fisheye'):
        return cv2.fisheye.projectPoints(points, zero, zero, matrix, np.array(MODELS[model]))[0][
            :, 0]
    return cv2.projectPoints(points, zero, zero, matrix, np.array(MODELS[model]))[0][:, 0]


@pytest.mark.parametrize('model', MODELS)
def test_directions_are_seen_where_opencv_sees_them(model: str) -> None:
    rays = np.random.default_rng(3).uniform((-0.7, -0.5, 1), (0.7, 0.5, 1), (50, 3))
    ours = Camera(calibration(model)).project(rays)
    assert ours - 0.5 == pytest.approx(opencv(model, rays), abs=1e-6)


@given(pixels, models, st.booleans(), st.sampled_from((np.eye(3), TURN)))
@settings(max_examples=60, deadline=None)
def test_back_to_the_pixel(point: tuple, model: str, rectified: bool, turn: np.ndarray) -> None:
    camera = Camera(calibration(model, r=tuple(turn.ravel())), rectified)
    [ray] = camera.rays(np.array((point,)))
    assert np.linalg.norm(ray) == pytest.approx(1)
    assert camera.project(ray[None])[0] == pytest.approx(point, abs=1e-4)


@given(pixels, models, st.integers(0, 4), st.integers(0, 4), st.integers(0, 300),
       st.integers(0, 200))
@settings(max_examples=40, deadline=None)
def test_binning_and_region_show_the_same_world(point: tuple, model: str, bin_x: int, bin_y: int,
                                                left: int, top: int) -> None:
    whole = Camera(calibration(model))
    part = Camera(calibration(model, binning_xy=(bin_x, bin_y), roi=(left, top, 320, 240)))
    step = np.maximum((bin_x, bin_y), 1)
    there = (np.array(point) - (left, top)) / step
    assert part.rays(there[None]) == pytest.approx(whole.rays(np.array((point,))), abs=1e-9)
    assert part.image_wh == (320 // step[0], 240 // step[1])


def test_a_binned_camera_is_a_camera_of_half_the_size() -> None:
    k = (FOCAL_X / 2, 0, (CENTRE_X + 0.5) / 2 - 0.5, 0, FOCAL_Y / 2, (CENTRE_Y + 0.5) / 2 - 0.5,
         0, 0, 1)
    small = Camera(calibration(k=k, image_wh=(320, 240)))
    binned = Camera(calibration(binning_xy=(2, 2)))
    points = np.array(((10.0, 20.0), (160.0, 120.0), (300.0, 200.0)))
    assert binned.rays(points) == pytest.approx(small.rays(points), abs=1e-9)
    assert binned.image_wh == small.image_wh == (320, 240)


def test_the_middle_looks_ahead_right_is_x_and_down_is_y() -> None:
    camera = Camera(calibration())
    middle = (CENTRE_X + 0.5, CENTRE_Y + 0.5)
    ahead, right, down = camera.rays(np.array((
        middle, (middle[0] + 100, middle[1]), (middle[0], middle[1] + 100))))
    assert ahead == pytest.approx((0, 0, 1))
    assert right[0] > 0.1 and abs(right[1]) < 1e-3
    assert down[1] > 0.1 and abs(down[0]) < 1e-3


def test_raw_and_rectified_images_agree_on_a_direction() -> None:
    settings_ = {'r': tuple(TURN.ravel())}
    raw, flat = (Camera(calibration(**settings_), rectified) for rectified in (False, True))
    rays = np.array(((0.1, -0.2, 1.0), (-0.3, 0.1, 1.0)))
    rays /= np.linalg.norm(rays, axis=1, keepdims=True)
    assert raw.rays(raw.project(rays)) == pytest.approx(rays, abs=1e-8)
    assert flat.rays(flat.project(rays)) == pytest.approx(rays, abs=1e-8)
    # What rectifies is OpenCV's: the same point of the world, in both kinds of image.
    straight = cv2.undistortPoints((raw.project(rays) - 0.5)[:, None], np.reshape(K, (3, 3)),
                                   np.array(MODELS['plumb_bob']), None, TURN,
                                   np.reshape(P, (3, 4))[:, :3])[:, 0]
    assert flat.project(rays) - 0.5 == pytest.approx(straight, abs=0.05)


def test_a_fisheye_sees_what_is_beside_it() -> None:
    camera = Camera(calibration('equidistant', k=(100.0, 0, 319.5, 0, 100.0, 239.5, 0, 0, 1)))
    beside = np.array(((-1.0, 0.0, -0.2),))
    [ray] = camera.rays(camera.project(beside))
    assert ray == pytest.approx(beside[0] / np.linalg.norm(beside), abs=1e-6)


@given(st.floats(0.2, 3.0), st.floats(3.0, 80.0), models)
@settings(max_examples=30, deadline=None)
def test_range_from_a_known_width(width: float, distance: float, model: str) -> None:
    camera = Camera(calibration(model))
    half = width / 2
    (left, y), (right, _) = camera.project(np.array(((-half, 0.0, distance),
                                                     (half, 0.0, distance))))
    bearing = camera.bearing((left, y - 5, right - left, 10))
    assert bearing.range(width) == pytest.approx(distance, rel=0.01)
    assert bearing.range(0.0) is None


@pytest.mark.parametrize('box', [(0.0, 100, 50, 40), (-30.0, 100, 80, 40), (600.0, 100, 39.5, 40),
                                 (600.0, 100, 90, 40)])
def test_no_range_where_the_border_cuts_the_target(box: tuple) -> None:
    bearing = Camera(calibration()).bearing(box)
    assert bearing.width is None and bearing.range(2.0) is None
    assert np.linalg.norm(bearing.ray) == pytest.approx(1)


def test_a_width_of_nothing_gives_no_range() -> None:
    assert Bearing(np.array((0.0, 0.0, 1.0)), 0.0).range(1.0) is None


@pytest.mark.parametrize(('changes', 'rectified', 'words'), [
    ({'k': (0.0,) * 9}, False, 'not calibrated (K is zero)'),
    ({'p': (0.0,) * 12}, True, 'not calibrated (P is zero)'),
    ({'k': (-1.0, *K[1:])}, False, 'positive focal lengths'),
    ({'k': (math.nan, *K[1:])}, False, 'finite numbers'),
    ({'r': (2.0, *K[1:])}, False, 'expected a rotation'),
    ({'model': 'omnidirectional'}, False, 'equidistant'),
    ({'d': (0.1,)}, False, '0 or 4 or 5 finite numbers'),
    ({'d': (0.1, 0.1, math.nan, 0.0)}, False, 'finite numbers'),
])
def test_a_calibration_that_cannot_be_used_is_refused(changes: dict, rectified: bool,
                                                      words: str) -> None:
    with pytest.raises(CameraError) as error:
        Camera(calibration(**changes), rectified)
    assert words in str(error.value) and 'calibrate' in str(error.value)


def test_zeros_stand_for_what_was_left_out() -> None:
    plain = Camera(calibration())
    sparse = Camera(calibration(r=(0.0,) * 9, d=(*MODELS['plumb_bob'], 0.0, 0.0, 0.0)))
    points = np.array(((100.0, 50.0),))
    assert sparse.rays(points) == pytest.approx(plain.rays(points))


@pytest.mark.parametrize('model', ['plumb_bob', 'equidistant'])
def test_beyond_the_fold_there_is_no_direction(model: str) -> None:
    camera = Camera(calibration(model, d=(-0.5, 0.0, 0.0, 0.0)))
    with pytest.raises(CameraError, match='outside of what was calibrated'):
        camera.rays(np.array(((4000.0, 240.0),)))


@pytest.mark.parametrize('box', [(math.nan, 1, 2, 3), (1, 2, math.inf, 3), (1, 2, 0, 3)])
def test_what_is_no_box_has_no_direction(box: tuple) -> None:
    with pytest.raises(CameraError, match='expected four finite numbers'):
        Camera(calibration()).bearing(box)


def test_images_of_another_size_are_noticed() -> None:
    camera = Camera(calibration(binning_xy=(2, 2)))
    camera.check_image((320, 240))
    with pytest.raises(CameraError, match='320x240 pixels, the image has 640x480'):
        camera.check_image((640, 480))
    Camera(calibration(image_wh=(0, 0))).check_image((640, 480))  # it is not said
