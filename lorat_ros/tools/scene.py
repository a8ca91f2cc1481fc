# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
The demo's clip, rendered by this package: a drone follows a rally car.

640 x 480, 30 frames a second, ten seconds. The camera pans, shakes, rolls and changes height;
cars of the same shape in other colours pass close by; the target drives under a railway bridge,
is fully hidden for about twenty frames, and comes out again. The truth is exact: it comes from
the same geometry that places the pixels.
"""
from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from pathlib import Path
from typing import NamedTuple, Optional

import cv2
import numpy as np
from tqdm import tqdm

from lorat_ros.tools import scene_motion as motion
from lorat_ros.tools import scenery
from lorat_ros.tools.frames import read_boxes, TRUTH_NAME

FPS = 30.0
SEED = 7
EXPOSURE = 0.4  # of the time between two frames: what moves is blurred
SAMPLES = 3  # moments of one exposure that are averaged
NOISE = 3.0  # the sensor's, standard deviation in grey levels


class Scene(NamedTuple):
    """A rendered clip: its folder of frames, its truth file, and the truth itself."""

    images: Path
    truth_path: Path
    boxes: np.ndarray  # (n, 4) xywh, the whole target also while partly hidden; nan when hidden
    visibility: np.ndarray  # (n,) share of the target that nothing covers


def cached_scene(folder: Optional[Path] = None) -> Scene:
    """
    Render the clip, or take it from `folder` if it was rendered there before.

    :param folder: where it is kept; default ``lorat_ros/scene`` in the user's cache folder
        (``XDG_CACHE_HOME``). A clip made by another version of this package is replaced.
    """
    folder = Path(folder) if folder else _cache_folder()
    if not _is_complete(folder):
        folder.parent.mkdir(parents=True, exist_ok=True)
        scratch = Path(tempfile.mkdtemp(prefix='.scene-', dir=folder.parent))
        try:
            _render_into(scratch)
            _move(scratch, folder)
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
    truth = folder / TRUTH_NAME
    visibility = np.loadtxt(folder / 'visibility.txt', ndmin=1)
    return Scene(folder / 'img', truth, read_boxes(truth), visibility)


def _cache_folder() -> Path:
    root = os.environ.get('XDG_CACHE_HOME') or Path.home() / '.cache'
    return Path(root) / 'lorat_ros' / 'scene'


def _version() -> str:
    """Return what changes with every change of what makes the clip."""
    sources = (__file__, motion.__file__, scenery.__file__)
    return hashlib.sha256(b''.join(Path(s).read_bytes() for s in sources)).hexdigest()[:16]


def _is_complete(folder: Path) -> bool:
    try:
        note = json.loads((folder / 'scene.json').read_text())
    except (OSError, ValueError):
        return False
    return (note.get('version') == _version()
            and len(list((folder / 'img').glob('*.jpg'))) == motion.LENGTH)


def _move(fresh: Path, folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    try:
        fresh.rename(folder)
    except OSError:  # another process rendered it at the same time: its clip is as good
        if not _is_complete(folder):
            raise


def _render_into(folder: Path) -> None:
    (folder / 'img').mkdir()
    studio = Studio()
    frames = tqdm(range(motion.LENGTH), 'rendering the clip', unit='frame', mininterval=0.3)
    for frame in frames:
        file = folder / 'img' / f'{frame:06d}.jpg'
        if not cv2.imwrite(str(file), studio.frame(frame), (cv2.IMWRITE_JPEG_QUALITY, 94)):
            raise OSError(f'cannot write {file}: is the disk full?')
    boxes, visibility = motion.scene_truth()
    np.savetxt(folder / TRUTH_NAME, boxes, '%.3f', ',')
    np.savetxt(folder / 'visibility.txt', visibility, '%.4f')
    (folder / 'scene.json').write_text(json.dumps({'version': _version(), 'fps': FPS}) + '\n')


class Studio:
    """Paints the scenery once, and then any frame of the clip."""

    def __init__(self) -> None:
        rng = np.random.RandomState(SEED)
        width, height = motion.SIZE_WH
        self._land = scenery.paint_land(rng)
        scenery.darken(self._land, motion.deck_shadow())
        self._deck = scenery.paint_deck(rng)
        self._cars = {name: scenery.paint_car(livery)
                      for name, livery in scenery.LIVERIES.items()}
        self._noise = (rng.standard_normal((4, height + 64, width + 64, 3)) * NOISE).astype('f4')
        self._noise_at = rng.randint(0, 64, (motion.LENGTH, 2))
        ys, xs = np.mgrid[-1:1:height * 1j, -1:1:width * 1j]
        self._vignette = (1 - 0.1 * (xs ** 2 + ys ** 2))[..., None].astype(np.float32)

    def frame(self, index: int) -> np.ndarray:
        """Return frame `index` of the clip, uint8 (480, 640, 3) BGR."""
        moments = index + np.linspace(-EXPOSURE / 2, EXPOSURE / 2, SAMPLES)
        width, height = motion.SIZE_WH
        picture = np.zeros((height, width, 3), np.float32)
        for t in moments:
            cv2.accumulate(self._moment(t), picture)
        picture *= self._vignette / SAMPLES
        picture *= 1 + 0.05 * np.sin(index / 41.0)  # clouds
        dx, dy = self._noise_at[index]
        picture += self._noise[index % 4, dy:dy + height, dx:dx + width]
        return np.clip(picture, 0, 255).astype(np.uint8)

    def _moment(self, t: float) -> np.ndarray:
        """Return the picture at one instant, uint8."""
        unit = motion.scale(1 / scenery.DENSITY)
        view = motion.view(t)
        canvas = _warp(self._land, view @ unit)
        for livery, pose in motion.traffic(t):
            car = self._cars[livery]
            _blend(canvas, car.shadow, view @ motion.shift(*scenery.LIGHT * 7) @ pose)
            _blend(canvas, car.body, view @ pose)
        over = motion.view(t, motion.DECK_HEIGHT)
        cover = np.zeros(canvas.shape[:2], np.uint8)
        scenery.polygon(cover, motion.apply(over, motion.deck_corners()), (255,))
        if cover.any():
            corner = motion.shift(-scenery.DECK_WH[0] / 2, -scenery.DECK_WH[1] / 2)
            deck = _warp(self._deck, over @ motion.bridge_pose() @ corner @ unit)
            cv2.copyTo(deck, cover, canvas)
        return canvas


def _warp(image: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """Sample `image` into the picture; positions mean pixel borders, as in the truth."""
    half = motion.shift(-0.5, -0.5) @ matrix @ motion.shift(0.5, 0.5)
    return cv2.warpAffine(image, half[:2], motion.SIZE_WH, flags=cv2.INTER_LINEAR,
                          borderMode=cv2.BORDER_REFLECT)


def _blend(canvas: np.ndarray, pyramid: scenery.Pyramid, matrix: np.ndarray) -> None:
    """
    Blend a sprite into `canvas` (uint8), touching only the pixels around it.

    :param matrix: from the sprite's units, the origin in its middle, to the picture.
    """
    w, h = np.array(scenery.SPRITE_WH) / 2
    corners = motion.apply(matrix, np.array(((-w, -h), (w, -h), (w, h), (-w, h))))
    low = np.maximum(np.floor(corners.min(axis=0)), 0).astype(int)
    high = np.minimum(np.ceil(corners.max(axis=0)), motion.SIZE_WH).astype(int)
    if (high <= low).any():
        return
    layer = pyramid.at(float(np.hypot(matrix[0, 0], matrix[1, 0])))
    to_pixels = (motion.shift(-0.5 - low[0], -0.5 - low[1]) @ matrix @ motion.shift(-w, -h)
                 @ np.diag((2 * w / layer.shape[1], 2 * h / layer.shape[0], 1))
                 @ motion.shift(0.5, 0.5))
    patch = cv2.warpAffine(layer, to_pixels[:2], tuple(int(v) for v in high - low),
                           flags=cv2.INTER_LINEAR)
    region = canvas[low[1]:high[1], low[0]:high[0]]
    region[:] = region * (1 - patch[..., 3:]) + (patch[..., :3] + 0.5)
