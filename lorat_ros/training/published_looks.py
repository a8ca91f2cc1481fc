# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
How LoRAT (ECCV 2024) changes the looks of crops in training, on (S, S, 3) uint8 BGR images.

The colours jitter for each crop by itself; then one of three things is done to template and
search crop alike, as DeiT III (Touvron et al., ECCV 2022) does it to images.
"""
from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np

from lorat_ros.training import augment

SOLARISED_FROM = 128             # brighter values are turned round
BLUR = 0.1, 2.0                  # radius in pixels, least and most

Look = Callable[[np.ndarray], np.ndarray]


def _blend(image: np.ndarray, other: np.ndarray | float, share: float) -> np.ndarray:
    """``share`` of the image and the rest of the other; over 1 it leads away from the other."""
    mixed = image.astype(np.float32) * share + np.float32(1 - share) * other
    return np.clip(mixed, 0, 255).round().astype(np.uint8)


def brightness(image: np.ndarray, factor: float) -> np.ndarray:
    """Multiply the light."""
    return _blend(image, 0.0, factor)


def contrast(image: np.ndarray, factor: float) -> np.ndarray:
    """Multiply the distance to the mean light of the image."""
    return _blend(image, float(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY).mean()), factor)


def saturation(image: np.ndarray, factor: float) -> np.ndarray:
    """Multiply the distance to the image without colour."""
    return _blend(image, augment.grey(image), factor)


JITTERS = (brightness, contrast, saturation)


def jittered(image: np.ndarray, strength: float, rng: np.random.Generator) -> np.ndarray:
    """Brightness, contrast and saturation by a factor of 1 ± strength each, in any order."""
    for place in rng.permutation(len(JITTERS)):
        image = JITTERS[place](image, float(rng.uniform(1 - strength, 1 + strength)))
    return image


def solarised(image: np.ndarray) -> np.ndarray:
    """Turn bright values round."""
    return np.where(image >= SOLARISED_FROM, 255 - image, image)


def one_look(rng: np.random.Generator) -> Look:
    """Choose what is done to both crops: no colour, bright values turned round, or a blur."""
    radius = float(rng.uniform(*BLUR))
    return (augment.grey, solarised,
            lambda image: cv2.GaussianBlur(image, (0, 0), radius))[int(rng.integers(3))]
