# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What cameras do to images: light, colour, blur, low resolution, compression, noise."""
from __future__ import annotations

import cv2
import numpy as np


def colours(image: np.ndarray, rng: np.random.Generator, strength: float = 1.0) -> np.ndarray:
    """Change light, contrast, gamma and colour balance of a BGR uint8 image."""
    gain = np.exp(rng.normal(0, 0.18 * strength)) * np.exp(rng.normal(0, 0.06 * strength, 3))
    shift = rng.normal(0, 14 * strength)
    gamma = np.exp(rng.normal(0, 0.18 * strength))
    ramp = (np.arange(256) / 255.0) ** gamma * 255.0
    table = np.clip((ramp[:, None] - 127) * gain + 127 + shift, 0, 255).astype(np.uint8)
    return cv2.LUT(image, table.reshape(256, 1, 3))


def grey(image: np.ndarray) -> np.ndarray:
    """Take the colour away; the image keeps three channels."""
    return cv2.cvtColor(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY), cv2.COLOR_GRAY2BGR)


def motion_blur(image: np.ndarray, length: float, angle: float) -> np.ndarray:
    """Smear an image over ``length`` pixels in the direction ``angle`` (radians)."""
    side = max(3, int(np.ceil(length)) | 1)
    kernel = np.zeros((side, side), np.float32)
    middle, reach = side / 2, length / 2
    ends = [(int(16 * (middle - 0.5 + s * reach * np.cos(angle))),
             int(16 * (middle - 0.5 + s * reach * np.sin(angle)))) for s in (-1, 1)]
    cv2.line(kernel, ends[0], ends[1], 1.0, 1, cv2.LINE_AA, 4)
    total = kernel.sum()
    return image if total <= 0 else cv2.filter2D(image, -1, kernel / total)


def low_resolution(image: np.ndarray, factor: float, rng: np.random.Generator) -> np.ndarray:
    """Throw away resolution by ``factor`` and enlarge again, as a crop of a far target is."""
    height, width = image.shape[:2]
    small = (max(4, round(width / factor)), max(4, round(height / factor)))
    down = cv2.resize(image, small, interpolation=cv2.INTER_AREA)
    up = cv2.INTER_LINEAR if rng.random() < 0.7 else cv2.INTER_CUBIC
    return cv2.resize(down, (width, height), interpolation=up)


def compressed(image: np.ndarray, quality: int) -> np.ndarray:
    """Send an image through JPEG of this quality (1 to 100)."""
    _, data = cv2.imencode('.jpg', image, (cv2.IMWRITE_JPEG_QUALITY, quality))
    return cv2.imdecode(data, cv2.IMREAD_COLOR)


def low_light(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Darken an image and add the noise of a sensor at high gain."""
    dark = image.astype(np.float32) * rng.uniform(0.2, 0.7) + rng.uniform(0, 12)
    dark += rng.standard_normal(image.shape, np.float32) * rng.uniform(2, 10)
    return np.clip(dark, 0, 255).astype(np.uint8)


def noise(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Add sensor noise."""
    grain = rng.standard_normal(image.shape, np.float32) * rng.uniform(2, 12)
    return np.clip(image + grain, 0, 255).astype(np.uint8)


def light_change(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Lay a slope of light over an image, as a shadow or a lamp to one side does."""
    height, width = image.shape[:2]
    angle, depth = rng.uniform(0, 2 * np.pi), rng.uniform(0.2, 0.6)
    x = np.linspace(-1, 1, width, dtype=np.float32)[None]
    y = np.linspace(-1, 1, height, dtype=np.float32)[:, None]
    slope = 1 + depth * np.clip(3 * (x * np.cos(angle) + y * np.sin(angle)), -1, 1)
    return np.clip(image * slope[..., None].astype(np.float32), 0, 255).astype(np.uint8)


def camera(image: np.ndarray, rng: np.random.Generator, strength: float) -> np.ndarray:
    """
    Degrade a crop as cameras do; several faults may meet.

    :param image: (S, S, 3) uint8 BGR.
    :param strength: chance of each fault is proportional to it; 0 changes the colours only.
    """
    image = colours(image, rng)
    size = image.shape[0] / 160.0
    chance = rng.random(6) / max(strength, 1e-6)
    if chance[0] < 0.25:
        image = low_resolution(image, rng.uniform(1.5, 5.0), rng)
    if chance[1] < 0.25:
        image = motion_blur(image, size * rng.uniform(3, 22), rng.uniform(0, np.pi))
    elif chance[1] < 0.35:
        image = cv2.GaussianBlur(image, (0, 0), size * rng.uniform(0.5, 2.5))
    if chance[2] < 0.10:
        image = light_change(image, rng)
    if chance[3] < 0.12:
        image = low_light(image, rng)
    elif chance[3] < 0.25:
        image = noise(image, rng)
    if chance[4] < 0.25:
        image = compressed(image, int(rng.integers(12, 60)))
    return image
