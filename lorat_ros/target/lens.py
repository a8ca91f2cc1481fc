# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
What a lens does to directions: the distortion models of sensor_msgs/CameraInfo, both ways.

A plane point (x, y) is a pixel with the intrinsics taken off: without distortion it looks along
(x, y, 1). The formulas are those of OpenCV's documentation (calib3d and fisheye), from which ROS
takes its models; inverting them is Newton's method, here to rounding error.
"""
from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Protocol

import numpy as np

CLOSE = 1e-9   # plane units: a thousandth of a thousandth of a pixel
ROUNDS = 60    # of Newton's method; it needs a handful where the lens is described at all


class LensError(ValueError):
    """A lens that is not understood, or a point outside of what it describes."""


class Lens(Protocol):
    """Both ways between directions and plane points."""

    def project(self, rays: np.ndarray) -> np.ndarray:
        """(n, 3) directions of any length -> (n, 2) plane points."""

    def rays(self, points: np.ndarray) -> np.ndarray:
        """(n, 2) plane points -> (n, 3) unit vectors; LensError where there is none."""


class Polynomial:
    """Brown's distortion with OpenCV's extensions; without coefficients a pinhole.

    :param d: up to k1 k2 p1 p2 k3 k4 k5 k6 s1 s2 s3 s4.
    """

    def __init__(self, d: Sequence[float]) -> None:
        self._d = np.zeros(12)
        self._d[:len(d)] = d

    def project(self, rays: np.ndarray) -> np.ndarray:
        """(n, 3) directions in front of the camera -> (n, 2) plane points."""
        return self._bend(rays[:, :2] / rays[:, 2:])

    def rays(self, points: np.ndarray) -> np.ndarray:
        """(n, 2) plane points -> (n, 3) unit vectors."""
        straight = self._straighten(points)
        rays = np.column_stack((straight, np.ones(len(points))))
        return rays / np.linalg.norm(rays, axis=1, keepdims=True)

    def _bend(self, points: np.ndarray) -> np.ndarray:
        k1, k2, p1, p2, k3, k4, k5, k6, s1, s2, s3, s4 = self._d
        x, y = points.T
        r2 = x * x + y * y
        radial = (1 + r2 * (k1 + r2 * (k2 + r2 * k3))) / (1 + r2 * (k4 + r2 * (k5 + r2 * k6)))
        return np.stack((
            x * radial + 2 * p1 * x * y + p2 * (r2 + 2 * x * x) + r2 * (s1 + r2 * s2),
            y * radial + p1 * (r2 + 2 * y * y) + 2 * p2 * x * y + r2 * (s3 + r2 * s4)), axis=1)

    def _straighten(self, points: np.ndarray) -> np.ndarray:
        """Return what is bent to ``points``, on the branch that begins in the image's middle."""
        if not self._d.any():
            return points
        # First half of the way: so Newton's method stays on the branch of the real lens, and
        # does not jump over the fold of a polynomial.
        halfway = self._newton(np.zeros_like(points), points / 2)
        return self._newton(2 * halfway, points)

    def _newton(self, start: np.ndarray, aims: np.ndarray) -> np.ndarray:
        found = start
        for _ in range(ROUNDS):
            miss = self._bend(found) - aims
            ((a, b), (c, d)) = self._slope(found)
            size = a * d - b * c
            if not np.isfinite(miss).all() or not (size > 0).all():
                break
            if np.abs(miss).max() < CLOSE:
                return found
            u, v = miss.T
            found = found - np.stack((d * u - b * v, a * v - c * u), axis=1) / size[:, None]
        raise LensError(
            f'no direction is bent by the distortion {self._d.tolist()} to the plane points '
            f'{np.round(aims, 3).tolist()}: one lies outside of what was calibrated; calibrate '
            'with the board also near the corners, or with the model equidistant for a fisheye')

    def _slope(self, points: np.ndarray) -> np.ndarray:
        """Return the derivative of the bending at (n, 2) points, (2, 2, n)."""
        step = 1e-6
        across, down = np.array((step, 0.0)), np.array((0.0, step))
        by_x = self._bend(points + across) - self._bend(points - across)
        by_y = self._bend(points + down) - self._bend(points - down)
        return np.stack((by_x.T, by_y.T), axis=1) / (2 * step)


class Fisheye:
    """Kannala and Brandt's model as OpenCV has it: r = t + k1 t^3 + k2 t^5 + k3 t^7 + k4 t^9.

    ``t`` is the angle to the optical axis; directions at the camera's side are seen as well.
    """

    def __init__(self, d: Sequence[float]) -> None:
        self._d = np.zeros(4)
        self._d[:len(d)] = d

    def project(self, rays: np.ndarray) -> np.ndarray:
        """(n, 3) directions -> (n, 2) plane points."""
        across = np.hypot(rays[:, 0], rays[:, 1])
        radius = self._radius(np.arctan2(across, rays[:, 2]))
        # In the very middle the direction around the axis is of no matter.
        share = np.divide(radius, across, out=np.zeros_like(radius), where=across > 0)
        return rays[:, :2] * share[:, None]

    def rays(self, points: np.ndarray) -> np.ndarray:
        """(n, 2) plane points -> (n, 3) unit vectors."""
        radius = np.hypot(points[:, 0], points[:, 1])
        angle = np.array([self._angle(r) for r in radius])
        share = np.divide(np.sin(angle), radius, out=np.zeros_like(radius), where=radius > 0)
        return np.column_stack((points * share[:, None], np.cos(angle)))

    def _radius(self, angle: np.ndarray) -> np.ndarray:
        k1, k2, k3, k4 = self._d
        a2 = angle * angle
        return angle * (1 + a2 * (k1 + a2 * (k2 + a2 * (k3 + a2 * k4))))

    def _angle(self, radius: float) -> float:
        """Return the smallest angle with this radius."""
        # Where the polynomial stops growing, there ends what it describes.
        a = np.linspace(0.0, math.pi, 721)
        reached = self._radius(a)
        end = int(np.argmax(np.append(np.diff(reached) <= 0, True))) + 1
        after = int(np.argmax(reached[:end] >= radius))
        if reached[after] < radius:
            raise LensError(
                f'no direction is bent by the fisheye distortion {self._d.tolist()} to the radius '
                f'{radius:.3f}: it lies outside of what was calibrated; calibrate with the board '
                'also near the corners')
        low, high = a[max(after - 1, 0)], a[after]
        for _ in range(ROUNDS):
            middle = (low + high) / 2
            low, high = (middle, high) if self._radius(middle) < radius else (low, middle)
        return (low + high) / 2


#: Makers by name of the model, with the numbers of coefficients it may have.
Maker = Callable[[Sequence[float]], Lens]
LENSES: Mapping[str, tuple[Maker, tuple[int, ...]]] = MappingProxyType({
    '': (Polynomial, (0,)),
    'none': (Polynomial, (0,)),
    'plumb_bob': (Polynomial, (0, 4, 5)),
    'rational_polynomial': (Polynomial, (0, 4, 5, 8, 12)),
    'equidistant': (Fisheye, (0, 4)),
    'fisheye': (Fisheye, (0, 4)),
})


def lens_of(model: str, d: Sequence[float]) -> Lens:
    """
    Return the lens of a distortion model by its name.

    :param d: its coefficients.
    :raises LensError: the model is not known, or its coefficients do not fit.
    """
    if model not in LENSES:
        raise LensError(f'distortion_model {model!r} is not known, expected one of '
                        f'{", ".join(name for name in LENSES if name)}: calibrate with one of '
                        'these, or use rectified images')
    maker, lengths = LENSES[model]
    d = tuple(d)
    while len(d) > max(lengths) and d[-1] == 0.0:  # OpenCV writes out what it leaves at zero
        d = d[:-1]
    if len(d) not in lengths and any(d) or not all(map(math.isfinite, d)):
        raise LensError(f'distortion_model {model!r} with D {list(d)}: expected '
                        f'{" or ".join(map(str, lengths))} finite numbers; calibrate the camera '
                        'anew, or use rectified images')
    return maker(d if any(d) else ())
