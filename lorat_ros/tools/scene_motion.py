# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Where everything in the demo's scene is at a time, and the truth that follows from it.

Times are in frames (30 a second), lengths in units (one pixel at zoom 1), transforms are 3 x 3
matrices that act on columns (x, y, 1). Nothing is random here, nothing is drawn.
"""
from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np

from lorat_ros.tools.scenery import car_outline, DECK_WH, LAND_WH, LIGHT, road_heading, road_y

SIZE_WH = (640, 480)
LENGTH = 300
HIDDEN = 0.02  # less of the target than this in view counts as fully hidden

DECK_HEIGHT = 1.05  # the bridge is nearer to the camera than the ground, so it looks larger
BRIDGE_FRAME = 205.0  # when the target is under the middle of the bridge
BRIDGE_TURN = -0.16  # radians away from a right angle to the road
TARGET_START = 360.0  # along the road
TARGET_SPEED = 4.2
ZOOM_KEYS = np.array(((0, 1.05), (45, 1.3), (110, 0.68), (165, 1.05), (225, 1.1), (300, 1.75)))

_ROAD_X = np.arange(LAND_WH[0] + 1.0)
_ROAD_S = np.concatenate(([0.0], np.cumsum(np.hypot(1.0, np.diff(road_y(_ROAD_X))))))


class Passer(NamedTuple):
    """A look-alike: `ahead` units before the target at frame `meets`; negative speed: oncoming."""

    livery: str
    lane: float
    speed: float
    meets: float
    ahead: float = 0.0


PASSERS = (
    Passer('white', -21, -4.0, 30),
    Passer('blue', 21, 5.6, 80),
    Passer('green', -60, -3.6, 122),
    Passer('grey', 60, 4.2, 205, 150.0),
    Passer('yellow', -21, -4.2, 252),
)


def target_pose(t: float) -> np.ndarray:
    """Pose of the target on the land; it changes lanes between frames 145 and 175."""
    return _on_road(_target_way(t), 60 - 39 * _ease((t - 145) / 30))


def traffic(t: float) -> list[tuple[str, np.ndarray]]:
    """Every car's livery and pose, the target last."""
    poses = []
    for car in PASSERS:
        way = _target_way(car.meets) + car.ahead + car.speed * (t - car.meets)
        if 0 < way < _ROAD_S[-1]:
            pose = _on_road(way, car.lane)
            poses.append((car.livery, pose @ turn(np.pi) if car.speed < 0 else pose))
    return [*poses, ('target', target_pose(t))]


def _target_way(t: float) -> float:
    return TARGET_START + TARGET_SPEED * t + 9.0 * np.sin(t / 23.0)


def _on_road(way: float, lane: float) -> np.ndarray:
    x = float(np.interp(way, _ROAD_S, _ROAD_X))
    return shift(x, float(road_y(x))) @ turn(float(road_heading(x))) @ shift(0, lane)


def bridge_pose() -> np.ndarray:
    """Pose of the deck's middle on the land; the deck runs along its y axis."""
    x, y = target_pose(BRIDGE_FRAME)[:2, 2]
    return shift(x, y) @ turn(float(road_heading(x)) + BRIDGE_TURN)


def deck_corners() -> np.ndarray:
    """Corners (4, 2) of the deck on the land, in units."""
    w, h = np.array(DECK_WH) / 2
    return apply(bridge_pose(), np.array(((-w, -h), (w, -h), (w, h), (-w, h))))


def deck_shadow() -> np.ndarray:
    """Corners (4, 2) of the deck's shadow on the land."""
    return deck_corners() + LIGHT * 26


def view(t: float, height: float = 1.0) -> np.ndarray:
    """
    Transform from the land to the picture: the camera follows, drifts, shakes, rolls, climbs.

    :param height: how much nearer to the camera than the ground (1) the thing lies.
    """
    x, y = target_pose(t)[:2, 2]
    # Where the operator keeps the target: nearly still while it is under the bridge.
    drift_x = 95 * np.cos(2 * np.pi * (t - BRIDGE_FRAME) / 150)
    drift_y = 46 * np.cos(2 * np.pi * (t - BRIDGE_FRAME) / 190)
    gust = 1.2 + 7.0 * np.exp(-((t - 138) / 13) ** 2)
    shake_x = gust * (np.sin(0.71 * t) + 0.6 * np.sin(1.37 * t + 1.0))
    shake_y = gust * (np.sin(0.83 * t + 2.0) + 0.6 * np.sin(1.21 * t))
    roll = 0.07 * np.sin(t / 47.0) + 0.0035 * gust * np.sin(0.57 * t)
    zoom = float(np.exp(_eased_keys(t, ZOOM_KEYS[:, 0], np.log(ZOOM_KEYS[:, 1]))))
    eye = shift(-x, -y)
    # The drift belongs to where the camera is, not to the picture: the deck's parallax sees it.
    eye = shift(drift_x / zoom, drift_y / zoom) @ eye
    middle = shift(SIZE_WH[0] / 2 + shake_x, SIZE_WH[1] / 2 + shake_y)
    return middle @ turn(roll) @ scale(zoom * height) @ eye


def _ease(share: float) -> float:
    share = min(max(share, 0.0), 1.0)
    return share * share * (3 - 2 * share)


def _eased_keys(t: float, times: np.ndarray, values: np.ndarray) -> float:
    after = int(np.clip(np.searchsorted(times, t), 1, len(times) - 1))
    start, end = times[after - 1], times[after]
    return values[after - 1] + (values[after] - values[after - 1]) * _ease(
        (t - start) / (end - start))


def scene_truth() -> tuple[np.ndarray, np.ndarray]:
    """
    Return the truth of every frame, at the middle of its exposure.

    :returns: boxes xywh (LENGTH, 4), around the whole car (its shadow apart) also while a part
        is hidden, nan where it is fully hidden; and the visible share (LENGTH,) in [0, 1].
    """
    outlines = [apply(view(t) @ target_pose(t), car_outline()) for t in range(LENGTH)]
    low = np.array([o.min(axis=0) for o in outlines])
    high = np.array([o.max(axis=0) for o in outlines])
    boxes = np.hstack((low, high - low))
    visibility = np.array([_visible(outline, t) for t, outline in enumerate(outlines)])
    boxes[visibility == 0] = np.nan
    return boxes, visibility


def _visible(outline: np.ndarray, t: float) -> float:
    """Share of the target's outline (n, 2) in the picture that the deck leaves free."""
    deck = apply(view(t, DECK_HEIGHT), deck_corners())
    picture = np.array(((0, 0), (SIZE_WH[0], 0), SIZE_WH, (0, SIZE_WH[1])))
    whole = _common_area(outline, outline)
    share = (_common_area(outline, picture) - _common_area(outline, deck)) / whole
    return 0.0 if share < HIDDEN else min(share, 1.0)


def _common_area(a: np.ndarray, b: np.ndarray) -> float:
    return float(cv2.intersectConvexConvex(a.astype(np.float32), b.astype(np.float32))[0])


def apply(matrix: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Transform points (n, 2)."""
    return points @ matrix[:2, :2].T + matrix[:2, 2]


def shift(x: float, y: float) -> np.ndarray:
    return np.array(((1.0, 0.0, float(x)), (0.0, 1.0, float(y)), (0.0, 0.0, 1.0)))


def turn(angle: float) -> np.ndarray:
    """Rotation by `angle` radians, clockwise in the picture."""
    c, s = np.cos(angle), np.sin(angle)
    return np.array(((c, -s, 0.0), (s, c, 0.0), (0.0, 0.0, 1.0)))


def scale(factor: float) -> np.ndarray:
    return np.diag((factor, factor, 1.0))
