# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Camera faults keep shape and type, and do what their names say."""
from __future__ import annotations

import numpy as np
import pytest
from support.pools import scene

from lorat_ros.training import augment


@pytest.fixture
def image():
    return scene(np.random.default_rng(2), (96, 96))


def sharpness(image: np.ndarray) -> float:
    return float(np.abs(np.diff(image.astype(float), axis=1)).mean())


@pytest.mark.parametrize('strength', [0.0, 1.0, 4.0])
def test_the_camera_keeps_shape_and_type(image, strength):
    for seed in range(25):
        out = augment.camera(image, np.random.default_rng(seed), strength)
        assert out.shape == image.shape and out.dtype == np.uint8


def test_faults_do_what_they_are_named_after(image):
    rng = np.random.default_rng(0)
    assert sharpness(augment.motion_blur(image, 15, 0.0)) < 0.7 * sharpness(image)
    assert sharpness(augment.low_resolution(image, 5.0, rng)) < 0.9 * sharpness(image)
    assert augment.low_light(image, rng).mean() < 0.8 * image.mean()
    assert np.ptp(augment.grey(image), axis=2).max() == 0
    assert np.abs(augment.compressed(image, 12).astype(int) - image).mean() > 1


@pytest.mark.parametrize('angle', [0.0, 0.7, np.pi / 2])
def test_motion_blur_keeps_the_light(image, angle):
    assert augment.motion_blur(image, 9, angle).mean() == pytest.approx(image.mean(), abs=1.5)
