# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A picture with a target in it, for tests with and without a graph."""
from __future__ import annotations

import numpy as np

WIDTH, HEIGHT = 320, 240
TARGET = (120.0, 90.0, 48.0, 40.0)


def picture(width: int = WIDTH, height: int = HEIGHT) -> np.ndarray:
    """Return a textured scene with a red target at TARGET, uint8 (height, width, 3) BGR."""
    noise = np.random.default_rng(1).integers(60, 120, (height // 8 + 1, width // 8 + 1, 1))
    scene = np.repeat(np.repeat(noise, 8, 0), 8, 1)[:height, :width].repeat(3, 2).astype(np.uint8)
    x, y, w, h = (int(v) for v in TARGET)
    scene[y:y + h, x:x + w] = (30, 30, 220)
    scene[y + 10:y + h - 10, x + 12:x + w - 12] = (240, 240, 240)
    return scene
