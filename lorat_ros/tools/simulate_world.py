# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
The world of `lorat simulate`: a point-mass drone with a camera above a plain, and a round target.

Lengths are metres, angles radians. The world is REP-103's: x and y on the ground, z up. The
target is a disc on the ground: it looks equally wide from all sides, so its distance is known
from its width. Nothing here is random but the painting of the ground, which is seeded.
"""
from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from types import MappingProxyType
from typing import Optional

import cv2
import numpy as np

from lorat_ros.boxes import Box
from lorat_ros.target.bearing import Calibration, Camera
from lorat_ros.target.follow import Command, OPTICAL_TO_BODY, rotation_of, STOP
from lorat_ros.tools.scenery import smooth_noise

FPS = 30.0
SIZE_WH = (640, 480)
FOCAL = 554.0  # pixels: 60 degrees wide
CALIBRATION = Calibration(SIZE_WH, (FOCAL, 0.0, 319.5, 0.0, FOCAL, 239.5, 0.0, 0.0, 1.0))
CAMERA_RPY = (0.0, 0.45, 0.0)  # it looks down
HEIGHT = 12.0
TARGET_WIDTH = 4.0
DISTANCE = 25.0  # to keep
DELAY = 2  # frames from a command to the motors
LAG_VELOCITY, LAG_YAW = 0.3, 0.12  # seconds: time constants of the vehicle
DENSITY = 8.0  # pixels of the painted ground per metre
GROUND_WH = (1200, 1200)
NOISE = 2.0  # the sensor's, standard deviation in grey levels


@dataclass(frozen=True)
class Scenario:
    """One flight. ``path`` gives the target's x and y at a time in seconds.

    From ``gone_after`` seconds on the target is not there any more, from ``silent_after`` on the
    camera sends nothing.
    """

    title: str
    seconds: float
    path: Callable[[float], tuple[float, float]]
    gone_after: Optional[float] = None
    silent_after: Optional[float] = None


def _aside(t: float) -> tuple[float, float]:
    return 35.0 * math.cos(0.38), 35.0 * math.sin(0.38)


def _winding(t: float) -> tuple[float, float]:
    return 24.0 + 3.0 * t, 6.0 * math.sin(0.7 * t)


SCENARIOS = MappingProxyType({
    'step': Scenario('step response: the target stands aside and too far', 9.0, _aside),
    'moving': Scenario('a target that drives in curves', 10.0, _winding),
    'loss': Scenario('loss in mid-flight: the target is gone', 5.0, _winding, gone_after=3.5),
    'silence': Scenario('silence in mid-flight: no image any more', 4.0, _winding,
                        silent_after=3.5),
})


class Vehicle:
    """A point mass that reaches what it is commanded with a lag."""

    def __init__(self) -> None:
        self.position = np.array((0.0, 0.0, HEIGHT))
        self.yaw = self.forward = self.up = self.yaw_rate = 0.0
        self._queue = [STOP] * DELAY

    def step(self, command: Command, seconds: float) -> None:
        """Fly on; the command takes effect ``DELAY`` steps later."""
        self._queue.append(command)
        command = self._queue.pop(0)
        smooth, quick = (1 - math.exp(-seconds / lag) for lag in (LAG_VELOCITY, LAG_YAW))
        self.forward += smooth * (command.forward - self.forward)
        self.up += smooth * (command.up - self.up)
        self.yaw_rate += quick * (command.yaw_rate - self.yaw_rate)
        self.yaw += self.yaw_rate * seconds
        self.position += seconds * np.array((self.forward * math.cos(self.yaw),
                                             self.forward * math.sin(self.yaw), self.up))

    def azimuth(self, point: np.ndarray) -> float:
        """Angle to a point (3,), to the left of where the vehicle looks."""
        x, y, _ = point - self.position
        return (math.atan2(y, x) - self.yaw + math.pi) % (2 * math.pi) - math.pi

    @property
    def view(self) -> np.ndarray:
        """Rotation (3, 3) from the world to the camera's optical frame."""
        turn = rotation_of((0.0, 0.0, self.yaw)) @ rotation_of(CAMERA_RPY)
        return (turn @ OPTICAL_TO_BODY).T


class Studio:
    """Paints the ground once, and then what the camera sees from anywhere."""

    def __init__(self) -> None:
        rng = np.random.RandomState(5)
        self._ground = _paint_ground(rng)
        self._target = _paint_target()
        self._noise = (rng.standard_normal((SIZE_WH[1] + 64, SIZE_WH[0] + 64, 3)) * NOISE
                       ).astype(np.float32)
        self._camera = Camera(CALIBRATION)

    def frame(self, vehicle: Vehicle, target_xy: Optional[tuple[float, float]],
              index: int) -> np.ndarray:
        """Return the image, uint8 (480, 640, 3) BGR; None: the target is not there."""
        width, height = GROUND_WH
        whole = np.array(((1 / DENSITY, 0, (0.5 - width / 2) / DENSITY + 30),
                          (0, 1 / DENSITY, (0.5 - height / 2) / DENSITY), (0, 0, 1)))
        picture = cv2.warpPerspective(self._ground, _ground_to_pixels(vehicle) @ whole, SIZE_WH,
                                      flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)
        picture = picture.astype(np.float32)
        if target_xy is not None:
            size = self._target.shape[0]
            unit = TARGET_WIDTH / size
            place = np.array(((unit, 0, target_xy[0] + (0.5 - size / 2) * unit),
                              (0, unit, target_xy[1] + (0.5 - size / 2) * unit), (0, 0, 1)))
            layer = cv2.warpPerspective(self._target, _ground_to_pixels(vehicle) @ place, SIZE_WH,
                                        flags=cv2.INTER_AREA)
            picture = picture * (1 - layer[..., 3:]) + layer[..., :3]
        dx, dy = (17 * index) % 64, (29 * index) % 64
        picture += self._noise[dy:dy + SIZE_WH[1], dx:dx + SIZE_WH[0]]
        return np.clip(picture, 0, 255).astype(np.uint8)

    def true_box(self, vehicle: Vehicle, target_xy: tuple[float, float]) -> Box:
        """Return the box around the target, (x, y, w, h) in pixels."""
        around = np.linspace(0, 2 * np.pi, 65)
        rim = np.column_stack((target_xy[0] + TARGET_WIDTH / 2 * np.cos(around),
                               target_xy[1] + TARGET_WIDTH / 2 * np.sin(around),
                               np.zeros(65)))
        seen = self._camera.project((rim - vehicle.position) @ vehicle.view.T)
        low, high = seen.min(axis=0), seen.max(axis=0)
        x, y, w, h = (float(v) for v in (*low, *(high - low)))
        return x, y, w, h


def _ground_to_pixels(vehicle: Vehicle) -> np.ndarray:
    """Return the homography (3, 3) from metres on the ground to pixels, by their centres."""
    view = vehicle.view
    return np.reshape(CALIBRATION.k, (3, 3)) @ np.column_stack(
        (view[:, 0], view[:, 1], -view @ vehicle.position))


def _paint_ground(rng: np.random.RandomState) -> np.ndarray:
    """Meadows with patches and tracks, uint8 (h, w, 3)."""
    ground = np.full((*GROUND_WH[::-1], 3), (70, 120, 100), np.float32)
    for cell, strength in ((3.0, 9.0), (12.0, 9.0), (60.0, 14.0)):
        ground += smooth_noise(rng, GROUND_WH, cell)[..., None] * strength
    for _ in range(60):
        corners = cv2.boxPoints((tuple(float(v) for v in rng.uniform(0, GROUND_WH)),
                                 tuple(float(v) for v in rng.uniform(15, 110, 2)),
                                 float(rng.uniform(0, 180))))
        colour = np.array(((86, 140, 150), (60, 96, 72), (98, 110, 118))[rng.randint(3)], float)
        cv2.fillPoly(ground, [corners.astype(np.int32)], colour * rng.uniform(0.8, 1.15))
    return np.clip(cv2.GaussianBlur(ground, (0, 0), 1.0), 0, 255).astype(np.uint8)


def _paint_target() -> np.ndarray:
    """A raft seen from above: BGR multiplied by alpha, and alpha; float32 (256, 256, 4)."""
    canvas, mask = np.zeros((256, 256, 3), np.uint8), np.zeros((256, 256), np.uint8)
    for sector in range(6):
        cv2.ellipse(canvas, (128, 128), (124, 124), 0, 60 * sector, 60 * sector + 60,
                    (40, 70, 235) if sector % 2 else (235, 240, 240), -1, cv2.LINE_AA)
    cv2.circle(canvas, (128, 128), 46, (40, 40, 40), -1, cv2.LINE_AA)
    cv2.circle(mask, (128, 128), 126, 255, -1, cv2.LINE_AA)
    alpha = mask[..., None].astype(np.float32) / 255
    return np.dstack((canvas * alpha, alpha))
