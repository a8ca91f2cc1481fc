# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
From a box in the image to a direction in space, and to a distance where the width is known.

Directions are unit vectors (x, y, z) in the camera's optical frame (REP-103: z forward, x right,
y down), as all of ROS understands a calibration's frame: the rectified one. For a single camera,
whose R is the identity, there is no difference.

Two conventions of pixels meet here. A box is continuous, pixel i covers [i, i + 1); a
calibration counts centres of pixels, pixel i lies at i. And a box belongs to the image that was
sent, a calibration to the sensor's full resolution: binning and region of interest (REP-104) lie
between them.
"""
from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Optional

import numpy as np

from lorat_ros.boxes import Box
from lorat_ros.target.lens import lens_of, Lens, LensError

IDENTITY = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)
NO_MATRIX = (0.0,) * 9
HALF = 0.5  # of a pixel: from its border to its centre
BORDER = 1.0  # pixels: a box that comes so near to the image's side may go on behind it


class CameraError(ValueError):
    """A calibration that cannot be used; the message names value, expectation and cure."""


@dataclass(frozen=True)
class Calibration:
    """What a sensor_msgs/CameraInfo says; matrices row by row.

    :param image_wh: of the full resolution, in pixels; zeros where it is not said.
    :param model: plumb_bob, rational_polynomial, equidistant, fisheye; empty with an empty ``d``.
    :param k: 3 x 3 intrinsics of the raw image.
    :param d: coefficients of the distortion.
    :param r: 3 x 3 rotation into the rectified frame; all zeros stand for the identity.
    :param p: 3 x 4 projection of the rectified image.
    :param binning_xy: pixels of the sensor per pixel of the image; 0 is 1.
    :param roi: (x, y, width, height) in pixels of the sensor; all zeros = everything.
    """

    image_wh: tuple[int, int]
    k: tuple[float, ...]
    model: str = 'plumb_bob'
    d: tuple[float, ...] = ()
    r: tuple[float, ...] = IDENTITY
    p: tuple[float, ...] = (0.0,) * 12
    binning_xy: tuple[int, int] = (0, 0)
    roi: tuple[int, int, int, int] = (0, 0, 0, 0)


class Bearing(NamedTuple):
    """Where a target is seen.

    ``ray`` is the unit vector to the centre of its box. ``width`` is the angle between the left
    and the right side of the box, in radians; None where the box reaches the left or right
    border of the image, behind which the target may go on.
    """

    ray: np.ndarray
    width: Optional[float]

    def range(self, target_width: float) -> Optional[float]:
        """Distance in metres of a target that is ``target_width`` metres wide, None if unknown."""
        if not self.width or not target_width > 0:
            return None
        return target_width / 2 / math.tan(self.width / 2)


class Camera:
    """A calibration that was found usable.

    :param calibration: of the camera.
    :param rectified: whether the boxes are of rectified images (then P counts) or of raw ones
        (then K, D and R do).
    :raises CameraError: it is not calibrated, or in a way that is not understood.
    """

    def __init__(self, calibration: Calibration, rectified: bool = False) -> None:
        self._calibration = calibration
        matrix, name = (calibration.p, 'P') if rectified else (calibration.k, 'K')
        intrinsics = np.asarray(matrix, float).reshape(3, -1)[:, :3]
        _check_intrinsics(intrinsics, name)
        self._focal = np.array((intrinsics[0, 0], intrinsics[1, 1]))
        self._centre, self._skew = intrinsics[:2, 2], intrinsics[0, 1]
        self._turn = np.eye(3) if rectified else _rotation(calibration.r)
        try:
            self._lens: Lens = lens_of('', ()) if rectified else lens_of(calibration.model,
                                                                         calibration.d)
        except LensError as error:
            raise CameraError(str(error)) from None
        self._step = np.maximum(np.array(calibration.binning_xy, float), 1)
        self._corner = np.array(calibration.roi[:2], float)

    @property
    def image_wh(self) -> tuple[int, int]:
        """Size in pixels of the images that are sent; zeros where it is not known."""
        full, roi = self._calibration.image_wh, self._calibration.roi[2:]
        shown = [part or whole for part, whole in zip(roi, full)]
        width, height = (int(size // step) for size, step in zip(shown, self._step))
        return width, height

    def check_image(self, image_wh: tuple[int, int]) -> None:
        """
        Check that the calibration is of images of this size.

        :raises CameraError: it is not; directions would be wrong.
        """
        known = self.image_wh
        # A last row or column that fills no whole bin is kept by some drivers.
        if all(known) and any(not 0 <= size - own <= 1 for size, own in zip(image_wh, known)):
            raise CameraError(
                f'camera_info is of images of {known[0]}x{known[1]} pixels, the image has '
                f'{image_wh[0]}x{image_wh[1]}: calibrate at the resolution that is used, or take '
                'the camera_info that belongs to these images')

    def rays(self, points: np.ndarray) -> np.ndarray:
        """
        Return the directions in which pixels look.

        :param points: (n, 2), continuous pixels of the image that is sent.
        :returns: (n, 3) unit vectors.
        :raises CameraError: a point lies where the lens is not described any more.
        """
        sensor = np.asarray(points, float) * self._step + self._corner - HALF
        y = (sensor[:, 1] - self._centre[1]) / self._focal[1]
        x = (sensor[:, 0] - self._centre[0] - self._skew * y) / self._focal[0]
        try:
            rays = self._lens.rays(np.stack((x, y), axis=1))
        except LensError as error:
            raise CameraError(str(error)) from None
        return rays @ self._turn.T

    def project(self, rays: np.ndarray) -> np.ndarray:
        """
        Return where directions are seen: the inverse of :meth:`rays`.

        :param rays: (n, 3), of any length, in front of the camera.
        :returns: (n, 2), continuous pixels of the image that is sent, perhaps outside of it.
        """
        x, y = self._lens.project(np.asarray(rays, float) @ self._turn).T
        sensor = np.stack((x * self._focal[0] + self._skew * y + self._centre[0],
                           y * self._focal[1] + self._centre[1]), axis=1)
        return (sensor + HALF - self._corner) / self._step

    def bearing(self, box: Box) -> Bearing:
        """
        Return where the target in a box is seen.

        :param box: (x, y, w, h) in pixels of the image.
        :raises CameraError: it lies where the lens is not described any more.
        """
        x, y, w, h = box
        if not all(map(math.isfinite, box)) or w <= 0 or h <= 0:
            raise CameraError(f'box {tuple(box)} has no direction: expected four finite numbers '
                              'x, y, w, h with a size above 0')
        middle, image_width = y + h / 2, self.image_wh[0]
        points = [(x + w / 2, middle)]
        if x >= BORDER and not (image_width and x + w > image_width - BORDER):
            points += [(x, middle), (x + w, middle)]
        ray, *sides = self.rays(np.array(points))
        return Bearing(ray, _angle(*sides) if sides else None)


def _angle(a: np.ndarray, b: np.ndarray) -> float:
    """Angle in radians between two vectors (3,); exact for small ones too."""
    return float(math.atan2(np.linalg.norm(np.cross(a, b)), a @ b))


def _check_intrinsics(intrinsics: np.ndarray, name: str) -> None:
    if not intrinsics.any():
        raise CameraError(
            f'camera_info is not calibrated ({name} is zero), expected focal lengths and centre: '
            'calibrate the camera (ros2 run camera_calibration cameracalibrator) and give its '
            'driver the file (camera_info_url)')
    if not np.isfinite(intrinsics).all() or not (np.diag(intrinsics) > 0).all():
        raise CameraError(f'camera_info has {name} {intrinsics.tolist()}, expected finite numbers '
                          'with positive focal lengths: calibrate the camera anew')


def _rotation(r: Sequence[float]) -> np.ndarray:
    if tuple(r) == NO_MATRIX:
        return np.eye(3)
    matrix = np.asarray(r, float).reshape(3, 3)
    if not np.allclose(matrix @ matrix.T, np.eye(3), atol=1e-3):
        raise CameraError(f'camera_info has R {matrix.tolist()}, expected a rotation: calibrate '
                          'the camera anew')
    return matrix
