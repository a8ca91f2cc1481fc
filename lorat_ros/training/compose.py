# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Composed crops: backdrops, pasted objects, look-alikes of the target, occluders, dyes."""
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from lorat_ros.training import augment
from lorat_ros.training.pool import Item
from lorat_ros.training.store import TRIES


def warp_pixels(image: np.ndarray, warp: np.ndarray, size: int, border: int = cv2.BORDER_REPLICATE,
                fill: tuple[float, ...] = ()) -> np.ndarray:
    """
    Warp an image into a square crop of ``size`` pixels.

    :param warp: (2, 3), between continuous coordinates in which pixel i covers [i, i + 1), as
        boxes have them. OpenCV counts from the centres of pixels: half a pixel of the image is
        not half a pixel of the crop, and a small target's label would lie beside it.
    :param border: OpenCV's border mode; ``fill`` is the colour of BORDER_CONSTANT.
    """
    centres = warp.copy()
    centres[:, 2] += 0.5 * (warp[:, :2].sum(1) - 1)
    return cv2.warpAffine(image, centres, (size, size), flags=cv2.INTER_LINEAR,
                          borderMode=border, borderValue=fill or 0)


def backdrop(image: np.ndarray, size: int, rng: np.random.Generator) -> np.ndarray:
    """Cut a random square of an image, (size, size, 3)."""
    height, width = image.shape[:2]
    side = min(height, width) * rng.uniform(0.35, 1.0)
    x, y = rng.uniform(0, width - side), rng.uniform(0, height - side)
    cut = image[int(y):int(y + side), int(x):int(x + side)]
    method = cv2.INTER_AREA if side > size else cv2.INTER_LINEAR
    return cv2.resize(cut, (size, size), interpolation=method)


def _blend(crop: np.ndarray, layer: np.ndarray, alpha: np.ndarray) -> None:
    """Lay ``layer`` over ``crop`` in place where ``alpha`` (S, S) uint8 says so."""
    share = alpha.astype(np.float32)[..., None] * (1 / 255)
    crop[:] = (crop + (layer.astype(np.float32) - crop) * share).astype(np.uint8)


def silhouette(item: Item, warp: np.ndarray, size: int) -> np.ndarray:
    """Warp an object's mask, (size, size) uint8; ``warp`` (2, 3) leads from its image there."""
    if item.mask is None:
        raise ValueError('an object without a mask cannot be cut out: take one that has one')
    return warp_pixels(item.mask, warp, size, cv2.BORDER_CONSTANT)


def paste(crop: np.ndarray, item: Item, warp: np.ndarray, rng: np.random.Generator) -> None:
    """Paste a masked object into a crop, in place; ``warp`` (2, 3) leads from its image there."""
    alpha = silhouette(item, warp, crop.shape[0])
    layer = warp_pixels(item.image, warp, crop.shape[0])
    if rng.random() < 0.7:       # soft edges, else the seam gives the object away
        alpha = cv2.GaussianBlur(alpha, (0, 0), rng.uniform(0.5, 1.2))
    _blend(crop, layer, alpha)


def _place_elsewhere(box: np.ndarray, size: int, rng: np.random.Generator) -> np.ndarray:
    """Draw a point (x, y) in the crop that lies off the box (x1, y1, x2, y2)."""
    middle, half = (box[:2] + box[2:]) / 2, (box[2:] - box[:2]) / 2
    for _ in range(6):
        point = rng.uniform(0, size, 2)
        if np.any(np.abs(point - middle) > 1.5 * half):
            return point
    return np.where(middle > size / 2, 0.1, 0.9) * size


def _pose(scale: float, rng: np.random.Generator, turn: float) -> np.ndarray:
    angle = rng.normal(0, turn)
    pose = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]) * scale
    return pose * (rng.choice((-1.0, 1.0)), 1.0)


@dataclass(frozen=True)
class Dye:
    """
    Other colours for an object, its shading kept.

    :param change: (3, 4) an affine map of OpenCV's 8-bit L, a, b.
    """

    change: np.ndarray
    STRANGE = 18.0      # mean distance in a, b of 8 bit from which it counts as another colour

    @classmethod
    def drawn(cls, rng: np.random.Generator) -> Dye:
        """Turn the hues; in a third of the cases take them away; often lay one colour over all."""
        angle = rng.uniform(np.pi / 3, 5 * np.pi / 3)
        richness = 0.0 if rng.random() < 0.35 else rng.uniform(0.5, 1.3)
        tone, depth = rng.uniform(0, 2 * np.pi), 0.0
        if rng.random() < 0.5:
            depth = rng.uniform(15, 55)
        light = np.exp(rng.normal(0, 0.4))
        change = np.zeros((3, 4))
        change[0] = light, 0, 0, (1 - light) * rng.uniform(0, 120)
        change[1:, 1:3] = richness * np.array([[np.cos(angle), -np.sin(angle)],
                                               [np.sin(angle), np.cos(angle)]])
        change[1:, 3] = 128 - change[1:, 1:3].sum(1) * 128 + depth * np.array((np.cos(tone),
                                                                              np.sin(tone)))
        return cls(change)

    def on(self, crop: np.ndarray, alpha: np.ndarray) -> tuple[np.ndarray, float]:
        """
        Dye a crop (S, S, 3) where ``alpha`` (S, S) uint8 says so.

        :returns: the dyed crop, and how far it lies from the first in a, b on the mean.
        """
        lab = cv2.cvtColor(crop, cv2.COLOR_BGR2LAB)
        dyed = crop.copy()
        _blend(dyed, cv2.cvtColor(cv2.transform(lab, self.change), cv2.COLOR_LAB2BGR), alpha)
        # Of the result: very dark and very bright pixels cannot take much colour.
        moved = (cv2.cvtColor(dyed, cv2.COLOR_BGR2LAB).astype(np.float32) - lab)[..., 1:]
        share = alpha / max(float(alpha.sum()), 1.0)
        return dyed, float((np.hypot(moved[..., 0], moved[..., 1]) * share).sum())


def dye(crops: list[np.ndarray], shapes: Sequence[np.ndarray], rng: np.random.Generator,
        once: bool) -> bool:
    """
    Give a target other colours in one of two crops, or in both; the list is changed.

    :param shapes: masks of the target in them, as ``silhouette`` makes them.
    :param once: in one of them only, so strongly that it is another thing, if any dye can do that.
    :returns: whether the two crops show different things now, as two cars of one make are. What is
        dyed alike in both stays a positive, else the tracker would learn what dyes look like
        instead of comparing.
    """
    if not once:
        drawn = Dye.drawn(rng)
        crops[:] = [drawn.on(crop, shape)[0] for crop, shape in zip(crops, shapes)]
        return False
    which = int(rng.integers(2))
    for _ in range(TRIES):
        dyed, distance = Dye.drawn(rng).on(crops[which], shapes[which])
        if distance > Dye.STRANGE:
            crops[which] = dyed
            return True
    return False


def paste_elsewhere(crop: np.ndarray, item: Item, box: np.ndarray, rng: np.random.Generator
                    ) -> None:
    """Paste another object, about as large as the target, off the target's box; in place."""
    target = np.sqrt(np.prod(box[2:] - box[:2]))
    own = np.sqrt(item.box[2] * item.box[3])
    pose = _pose(target / own * np.exp(rng.normal(0, 0.3)), rng, 0.5)
    point = _place_elsewhere(box, crop.shape[0], rng)
    centre = np.array([item.box[0] + item.box[2] / 2, item.box[1] + item.box[3] / 2])
    paste(crop, item, np.hstack([pose, (point - pose @ centre)[:, None]]), rng)


def look_alike(crop: np.ndarray, box: np.ndarray, rng: np.random.Generator) -> None:
    """
    Copy the target to another place of the crop, changed a little; in place.

    The copy has other colours, another pose or another size, so that the true target remains
    the better match: what a tracker must learn is to prefer it.
    """
    size = crop.shape[0]
    pose = _pose(np.exp(rng.normal(0, 0.2)), rng, 0.4)
    centre = (box[:2] + box[2:]) / 2
    point = _place_elsewhere(box, size, rng)
    warp = np.hstack([pose, (point - pose @ centre)[:, None]])
    shape = np.zeros((size, size), np.uint8)
    axes = np.maximum((box[2:] - box[:2]) * 0.5, 1)
    cv2.ellipse(shape, (tuple(centre.tolist()), tuple((2 * axes).tolist()), 0.0), 255, -1)
    layer = warp_pixels(crop, warp, size, cv2.BORDER_REFLECT_101)
    alpha = cv2.GaussianBlur(warp_pixels(shape, warp, size, cv2.BORDER_CONSTANT), (0, 0), 1.0)
    # The true target stays on top.
    x1, y1, x2, y2 = np.clip(np.round(box), 0, size).astype(int)
    alpha[y1:y2, x1:x2] = 0
    _blend(crop, augment.colours(layer, rng, rng.uniform(0.5, 2.5)), alpha)


def occlude(crop: np.ndarray, box: np.ndarray, image: np.ndarray, rng: np.random.Generator
            ) -> float:
    """
    Cover part of the target, or all of it, with a piece of another image or of the scene itself.

    :param crop: (S, S, 3), changed in place.
    :param box: (4,) the target's x1, y1, x2, y2 in pixels of the crop.
    :returns: the share of the box that is covered.
    """
    size, wh = crop.shape[0], box[2:] - box[:2]
    if rng.random() < 0.5:       # gone behind something
        low = box[:2] - rng.uniform(0.05, 0.6, 2) * wh
        high = box[2:] + rng.uniform(0.05, 0.6, 2) * wh
    else:
        low = box[:2] + rng.uniform(-0.3, 0.8, 2) * wh
        high = low + rng.uniform(0.3, 0.8, 2) * wh
    a, b = (np.clip(np.round(corner), 0, size).astype(int) for corner in (low, high))
    if np.any(b - a < 2):
        return 0.0
    patch = _occluder(crop, a, b, image, rng)
    region = crop[a[1]:b[1], a[0]:b[0]]
    if rng.random() < 0.4:       # round, as trees and heads are; its corners cover nothing
        shape = np.zeros(region.shape[:2], np.uint8)
        middle = ((b[0] - a[0]) / 2, (b[1] - a[1]) / 2)
        cv2.ellipse(shape, (middle, (1.25 * 2 * middle[0], 1.25 * 2 * middle[1]), 0.0), 255, -1)
        _blend(region, patch, shape)
    else:
        region[:] = patch
    inside = np.clip(np.minimum(b, box[2:]) - np.maximum(a, box[:2]), 0, None)
    return float(np.prod(inside) / max(np.prod(wh), 1e-6))


def _occluder(crop: np.ndarray, low: np.ndarray, high: np.ndarray, image: np.ndarray,
              rng: np.random.Generator) -> np.ndarray:
    """Something to cover the rectangle ``low`` to ``high`` (x, y) with."""
    w, h = high - low
    if rng.random() < 0.5:
        return backdrop(image, int(max(w, h)), rng)[:h, :w]
    # The same scene from farther off: no seam of light or colour gives the occlusion away.
    space = crop.shape[0] - np.array([w, h])
    x, y = np.where(low + high < crop.shape[0], space, 0)
    return crop[y:y + h, x:x + w].copy()
