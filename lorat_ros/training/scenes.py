# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What is done to frames of labelled clips to see how a tracker takes it."""
from __future__ import annotations

import cv2
import numpy as np

from lorat_ros.boxes import Box
from lorat_ros.training.items import Item


def cover(image: np.ndarray, box: Box) -> np.ndarray:
    """Hide a box (and a little around it) behind a piece of the same image from elsewhere."""
    height, width = image.shape[:2]
    x, y, w, h = box
    x1, y1 = max(int(x - 0.15 * w), 0), max(int(y - 0.15 * h), 0)
    x2, y2 = min(int(x + 1.15 * w) + 1, width), min(int(y + 1.15 * h) + 1, height)
    # The border that is farthest from the target is the least likely to show it.
    left = width - (x2 - x1) if x + w / 2 < width / 2 else 0
    top = height - (y2 - y1) if y + h / 2 < height / 2 else 0
    apart = abs(left - x1) >= x2 - x1 or abs(top - y1) >= y2 - y1
    hidden = image.copy()
    hidden[y1:y2, x1:x2] = image[top:top + y2 - y1, left:left + x2 - x1] if apart \
        else image.mean((0, 1))
    return hidden


def twin_box(item: Item, side: int) -> Box | None:
    """
    Where a look-alike stands: one and a half widths beside the target, if the image reaches there.

    :param side: -1: to the left, 1: to the right.
    """
    x, y, w, h = item.box
    place = x + side * 1.5 * w
    return (place, y, w, h) if place >= 0 and place + w <= item.image.shape[1] else None


def with_twin(image: np.ndarray, item: Item, side: int, gain: float = 0.85) -> np.ndarray:
    """
    Put a look-alike beside the target: its own pixels, somewhat darker.

    :param image: frame to put it in, (height, width, 3) uint8.
    :param item: the target, from whose image the pixels are.
    :param gain: of the look-alike's brightness.
    :returns: a new image; without a look-alike where there is no room for one.
    """
    box = twin_box(item, side)
    if box is None:
        return image
    size = image.shape[1::-1]
    mask = item.mask
    if mask is None:
        mask = np.zeros(image.shape[:2], np.uint8)
        x, y, w, h = (round(v) for v in item.box)
        mask[max(y, 0):y + h, max(x, 0):x + w] = 255
    shift = np.array([[1, 0, box[0] - item.box[0]], [0, 1, 0]], np.float32)
    there = cv2.warpAffine(mask, shift, size) > 127
    pixels = cv2.warpAffine(item.image, shift, size)[there] * gain
    both = image.copy()
    both[there] = np.clip(pixels, 0, 255).astype(np.uint8)
    return both
