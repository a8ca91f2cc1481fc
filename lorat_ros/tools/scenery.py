# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What the demo's scene is painted from: land seen from above, a road, cars, a railway bridge.

Lengths are in units: one unit is one pixel of the rendered picture at zoom 1. `Land.image` and
the sprites have DENSITY and SPRITE_DENSITY pixels per unit. Colours are BGR. Everything comes
from one seeded RandomState (whose numbers NumPy guarantees for good), so it never changes.
"""
from __future__ import annotations

from collections.abc import Sequence
from types import MappingProxyType
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import ArrayLike

LAND_WH = (2240, 1320)
DENSITY = 1.4
SPRITE_DENSITY = 6
CAR_WH = (76.0, 34.0)  # length and width of every car
SPRITE_WH = (96, 52)  # a sprite's canvas around it
LANE = 40.0
ROAD_HALF = 2 * LANE + 8
DECK_WH = (160, 1400)  # the bridge's deck across and along, with its parapets
LIGHT = np.array([0.62, 0.78])  # shadows fall to the lower right


class Livery(NamedTuple):
    """A car's paint: body, stripes along it, roof."""

    body: tuple[int, int, int]
    stripe: tuple[int, int, int]
    roof: tuple[int, int, int]


class Pyramid:
    """A layer of a sprite, float32 (h, w, 4): BGR multiplied by alpha, and alpha in [0, 1]."""

    def __init__(self, layer: np.ndarray) -> None:
        self._layer = layer
        self._shrunk: dict[float, np.ndarray] = {}

    def at(self, zoom: float) -> np.ndarray:
        """Return the layer shrunk by area to just above `zoom` pixels per unit: no aliasing."""
        density = min(float(SPRITE_DENSITY), np.ceil(zoom * 12) / 8)
        if density not in self._shrunk:
            size = (round(SPRITE_WH[0] * density), round(SPRITE_WH[1] * density))
            self._shrunk[density] = cv2.resize(self._layer, size, interpolation=cv2.INTER_AREA)
        return self._shrunk[density]


class Sprite(NamedTuple):
    """A car seen from above, and the shadow that lies under it."""

    body: Pyramid
    shadow: Pyramid


LIVERIES = MappingProxyType({
    'target': Livery((38, 92, 232), (226, 240, 246), (34, 84, 214)),
    'white': Livery((226, 230, 230), (150, 84, 40), (214, 218, 220)),
    'blue': Livery((166, 92, 34), (226, 232, 236), (150, 82, 30)),
    'yellow': Livery((60, 196, 232), (40, 40, 44), (54, 182, 220)),
    'grey': Livery((92, 88, 84), (120, 196, 236), (80, 76, 72)),
    'green': Livery((84, 128, 52), (226, 232, 236), (76, 116, 46)),
})


def road_y(x: np.ndarray | float) -> np.ndarray:
    """Middle of the road at x, in units."""
    x = np.asarray(x, float)
    return 660 + 110 * np.sin(x / 330.0 - 0.9) + 28 * np.sin(x / 127.0 + 0.4)


def road_heading(x: np.ndarray | float) -> np.ndarray:
    """Direction of the road at x: radians, clockwise in the picture from the x axis."""
    x = np.asarray(x, float)
    return np.arctan(110 / 330.0 * np.cos(x / 330.0 - 0.9) + 28 / 127.0 * np.cos(x / 127.0 + 0.4))


def smooth_noise(rng: np.random.RandomState, size_wh: tuple[int, int], cell: float) -> np.ndarray:
    """Noise of mean 0 and about unit deviation whose blobs are `cell` pixels wide; float32."""
    width, height = size_wh
    grid = rng.standard_normal((int(height / cell) + 4, int(width / cell) + 4))
    big = cv2.resize(grid.astype(np.float32), None, fx=cell, fy=cell,
                     interpolation=cv2.INTER_CUBIC)
    return big[:height, :width] * 1.25


def paint_land(rng: np.random.RandomState) -> np.ndarray:
    """Return the land, uint8 (height, width, 3), DENSITY pixels per unit."""
    size = (round(LAND_WH[0] * DENSITY), round(LAND_WH[1] * DENSITY))
    land = _fields(rng, size)
    noise = sum((smooth_noise(rng, size, cell) * strength
                 for cell, strength in ((2.0, 5.0), (7.0, 6.0), (40.0, 7.0))),
                start=np.zeros((size[1], size[0]), np.float32))
    land += noise[..., None]
    _road(rng, land)
    land = np.clip(land, 0, 255).astype(np.uint8)
    _houses(rng, land)
    _trees(rng, land)
    return cv2.GaussianBlur(land, (0, 0), 0.7)


def _fields(rng: np.random.RandomState, size_wh: tuple[int, int]) -> np.ndarray:
    """Return a patchwork of fields with furrows and hedges between them, float32."""
    colours = np.array(((62, 118, 104), (58, 128, 126), (92, 158, 176), (70, 112, 92),
                        (88, 128, 148), (64, 138, 118), (104, 164, 168), (50, 100, 84)),
                       np.float32)
    step = 2.0  # units: fields have no finer detail
    xs, ys = np.meshgrid(np.arange(0, LAND_WH[0], step, dtype=np.float32),
                         np.arange(0, LAND_WH[1], step, dtype=np.float32))
    seeds = [(x + rng.uniform(-90, 90), y + rng.uniform(-80, 80))
             for x in np.arange(80, LAND_WH[0], 310) for y in np.arange(90, LAND_WH[1], 290)]
    nearest = np.full(xs.shape, np.inf, np.float32)
    second = nearest.copy()
    owner = np.zeros(xs.shape, np.int32)
    for index, (x, y) in enumerate(seeds):
        distance = np.abs(xs - x) * 0.9 + np.abs(ys - y + 0.25 * (xs - x))
        closer = distance < nearest
        second = np.where(closer, nearest, np.minimum(second, distance))
        nearest = np.where(closer, distance, nearest)
        owner[closer] = index
    paint = colours[rng.randint(0, len(colours), len(seeds))]
    paint += rng.uniform(-10, 10, (len(seeds), 3)).astype(np.float32)
    angle, period = rng.uniform(0, np.pi, len(seeds)), rng.uniform(9, 17, len(seeds))
    depth = rng.uniform(1, 9, len(seeds))
    phase = (xs * np.cos(angle)[owner] + ys * np.sin(angle)[owner]) / period[owner]
    fields = paint[owner] + (np.sin(2 * np.pi * phase) * depth[owner])[..., None]
    fields[second - nearest < 9] *= 0.45
    fields[second - nearest < 9] += np.array((16, 34, 24), np.float32)
    return cv2.resize(fields.astype(np.float32), size_wh, interpolation=cv2.INTER_LINEAR)


def _road(rng: np.random.RandomState, land: np.ndarray) -> None:
    """Paint four lanes of worn asphalt with verges and markings over `land` (float32)."""
    x = np.arange(land.shape[1], dtype=np.float32) / DENSITY
    top = int((road_y(x).min() - 130) * DENSITY)
    land = land[top:int((road_y(x).max() + 130) * DENSITY)]
    y = (np.arange(land.shape[0], dtype=np.float32)[:, None] + top) / DENSITY
    # Distances from the road's middle and along it, right to a few per mille.
    across = ((y - road_y(x)) * np.cos(road_heading(x))).astype(np.float32)
    along = _arc_length(x) + across * np.sin(road_heading(x)).astype(np.float32)
    reach = np.abs(across)
    size = (land.shape[1], land.shape[0])
    verge = reach < ROAD_HALF + 16
    land[verge] = land[verge] * 0.35 + np.array((92, 124, 138), np.float32) * 0.65
    grain = 92 + smooth_noise(rng, size, 1.6) * 6 + smooth_noise(rng, size, 60) * 6
    grain -= 7 * np.exp(-((reach % LANE - LANE / 2) / 8) ** 2)  # oil along the lanes
    asphalt = reach < ROAD_HALF
    land[asphalt] = grain[asphalt][:, None] * np.array((1.03, 1.0, 0.98), np.float32)
    worn = smooth_noise(rng, size, 5) > -1.3
    dashed = (np.abs(reach - LANE) < 1.6) & (along % 64 < 30)
    edges = np.abs(reach - 2 * LANE) < 1.6
    middle = reach < 2.0
    land[(dashed | edges | middle) & worn] = (206, 210, 210)


def _arc_length(x: np.ndarray) -> np.ndarray:
    steps = np.hypot(np.diff(x), np.diff(road_y(x)))
    return np.concatenate(([0.0], np.cumsum(steps))).astype(np.float32)


def _off_road(x: float, y: float, room: float) -> bool:
    return abs(y - float(road_y(x))) * float(np.cos(road_heading(x))) > ROAD_HALF + room


def _houses(rng: np.random.RandomState, land: np.ndarray) -> None:
    roofs = ((70, 86, 150), (84, 98, 128), (96, 92, 92), (66, 74, 120))
    for index in range(26):
        x, y = rng.uniform(60, LAND_WH[0] - 60), rng.uniform(60, LAND_WH[1] - 60)
        w, h, turn = rng.uniform(44, 84), rng.uniform(34, 52), rng.uniform(0, np.pi)
        if not _off_road(x, y, 70):
            continue
        colour = np.array(roofs[index % len(roofs)], float)
        for part, (dx, dy, ww, hh) in {
                'shadow': (LIGHT[0] * 14, LIGHT[1] * 14, w, h), 'roof': (0, 0, w, h),
                'far side': (-np.sin(turn) * h / 4, np.cos(turn) * h / 4, w, h / 2)}.items():
            corners = cv2.boxPoints(((x + dx, y + dy), (ww, hh), float(np.degrees(turn))))
            paint = {'shadow': np.array((30, 44, 40)), 'roof': colour * 1.12,
                     'far side': colour * 0.8}
            polygon(land, corners * DENSITY, paint[part].tolist())


def _trees(rng: np.random.RandomState, land: np.ndarray) -> None:
    groves = rng.uniform((0, 0), LAND_WH, (34, 2))
    for index in range(520):
        x, y = groves[index % len(groves)] + rng.standard_normal(2) * 42
        radius = rng.uniform(9, 21)
        if not _off_road(x, y, radius + 10):
            continue
        light = np.array((46, 104, 76), float) * rng.uniform(0.75, 1.15)
        _crown(rng, land, np.array((x, y)) + LIGHT * radius * 0.7, radius, (22, 38, 32))
        _crown(rng, land, np.array((x, y)), radius, tuple(light * 0.62))
        for _ in range(7):
            spot = np.array((x, y)) - LIGHT * radius * 0.22 + rng.standard_normal(2) * radius * 0.3
            _crown(rng, land, spot, radius * rng.uniform(0.25, 0.45),
                   tuple(light * rng.uniform(0.8, 1.25)))


def _crown(rng: np.random.RandomState, land: np.ndarray, centre: np.ndarray, radius: float,
           colour: Sequence[float]) -> None:
    angles = np.arange(14) * (2 * np.pi / 14)
    reach = radius * (1 + 0.13 * rng.standard_normal(14))
    rim = centre + np.stack((np.cos(angles), np.sin(angles)), 1) * reach[:, None]
    polygon(land, rim * DENSITY, colour)


def polygon(canvas: np.ndarray, points: np.ndarray, colour: Sequence[float]) -> None:
    """Fill a polygon (n, 2), in pixels, with a smooth rim."""
    cv2.fillPoly(canvas, [np.round(points * 16).astype(np.int32)],
                 tuple(float(c) for c in colour), cv2.LINE_AA, 4)


def darken(land: np.ndarray, corners: np.ndarray) -> None:
    """Lay a soft shadow with these `corners` (n, 2), in units, over `land`, in place."""
    mask = np.zeros(land.shape[:2], np.uint8)
    polygon(mask, corners * DENSITY, (255,))
    mask = cv2.GaussianBlur(mask, (0, 0), 4.0).astype(np.float32)
    land[:] = (land * (1 - 0.55 / 255 * mask[..., None])).astype(np.uint8)


def car_outline() -> np.ndarray:
    """Outline of every car's body in units, (n, 2), centred, driving towards +x."""
    length, width = CAR_WH
    angles = np.arange(48) * (2 * np.pi / 48)
    # A superellipse: round corners, slightly bulging sides.
    x, y = np.cos(angles), np.sin(angles)
    return np.stack((np.sign(x) * np.abs(x) ** 0.38 * length / 2,
                     np.sign(y) * np.abs(y) ** 0.42 * width / 2), 1)


def paint_car(livery: Livery) -> Sprite:
    """Return a car from above, SPRITE_DENSITY pixels per unit, driving towards +x."""
    canvas = np.zeros((SPRITE_WH[1] * SPRITE_DENSITY, SPRITE_WH[0] * SPRITE_DENSITY, 3), np.uint8)
    canvas[:] = livery.body
    mask = np.zeros(canvas.shape[:2], np.uint8)
    middle = np.array(SPRITE_WH) / 2

    def put(points: ArrayLike, colour: Sequence[float]) -> None:
        polygon(canvas, (np.asarray(points, float) + middle) * SPRITE_DENSITY, colour)

    def both_sides(points: ArrayLike, colour: Sequence[float]) -> None:
        put(points, colour)
        put(np.asarray(points, float) * (1, -1), colour)

    both_sides([(-40, 2.5), (40, 2.5), (40, 7), (-40, 7)], livery.stripe)
    glass = (72, 58, 48)
    put([(18, -13), (18, 13), (8, 11), (8, -11)], glass)  # windscreen
    put([(18, -13), (18, -3), (8, -2), (8, -11)], (128, 108, 90))  # the sky in it
    put([(-27, -12.5), (-27, 12.5), (-19, 11), (-19, -11)], glass)
    both_sides([(13, 14.4), (-22, 14.4), (-18, 12.2), (8, 12.2)], glass)
    put([(8, -11.2), (8, 11.2), (-19, 11.2), (-19, -11.2)], livery.roof)
    both_sides([(8, 2.5), (8, 7), (-19, 7), (-19, 2.5)], livery.stripe)
    both_sides([(33, 9), (37.5, 8), (36, 15), (32, 15)], (214, 244, 250))  # head lights
    both_sides([(-37.5, 8), (-34.5, 8), (-34.5, 15), (-37, 15)], (40, 32, 196))
    both_sides([(19, 1.2), (35, 1.2), (35, 1.6), (19, 1.6)], tuple(0.6 * c for c in livery.body))
    polygon(mask, (car_outline() + middle) * SPRITE_DENSITY, (255,))
    # A rounded body: light from the upper left, dark towards the sides and the ends.
    inside = cv2.GaussianBlur(mask, (0, 0), 2.6 * SPRITE_DENSITY).astype(np.float32) / 255
    shade = 0.58 + 0.5 * np.clip((inside - 0.45) / 0.5, 0, 1)
    colour = cv2.GaussianBlur(canvas, (0, 0), 1.5).astype(np.float32) * shade[..., None]
    alpha = mask[..., None].astype(np.float32) / 255
    soft = cv2.GaussianBlur(mask, (0, 0), 1.4 * SPRITE_DENSITY).astype(np.float32) / 255
    shadow = np.dstack((np.zeros_like(colour), soft * 0.55))
    body = np.dstack((np.clip(colour, 0, 255) * alpha, alpha))
    return Sprite(Pyramid(body), Pyramid(shadow))


def paint_deck(rng: np.random.RandomState) -> np.ndarray:
    """Return the bridge's deck, uint8 (h, w, 3), DENSITY pixels per unit, running along y."""
    size = (round(DECK_WH[0] * DENSITY), round(DECK_WH[1] * DENSITY))
    deck = np.tile(np.array((98, 104, 110), np.float32), (size[1], size[0], 1))
    for cell, strength in ((1.5, 17.0), (6.0, 8.0), (50.0, 6.0)):
        deck += smooth_noise(rng, size, cell)[..., None] * strength
    xs, ys = np.meshgrid(np.arange(size[0]) / DENSITY, np.arange(size[1]) / DENSITY)
    for track in (DECK_WH[0] * 0.29, DECK_WH[0] * 0.71):
        offset = np.abs(xs - track)
        deck[(offset < 25) & (ys % 13 < 5.5)] *= 0.55  # sleepers
        deck[np.abs(offset - 16) < 2.4] = (70, 86, 104)
        deck[np.abs(offset - 16) < 1.0] = (186, 190, 194)
    edge = np.minimum(xs, DECK_WH[0] - xs)
    deck[edge < 9] = np.array((150, 160, 164), np.float32) + (ys % 48 < 2)[edge < 9][:, None] * -50
    deck[(edge > 9) & (edge < 11)] *= 0.6
    return np.clip(deck, 0, 255).astype(np.uint8)
