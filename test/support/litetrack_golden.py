# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Values and pictures behind LiteTrack's golden files: normal numbers that are a function of a name.

Another stream than ``support.generator``: these files were made with NumPy's PCG64.
"""
from __future__ import annotations

import zlib

import numpy as np

VARIANTS = ('litetrack-b4', 'litetrack-b6', 'litetrack-b8', 'litetrack-b9')
INIT_BOX = (60.0, 70.0, 48.0, 40.0)           # of frame 0, xywh
EDGE_BOX = (275.0, 205.0, 50.0, 40.0)         # of frame 0, its crops leave the image
WIDTH, HEIGHT = 320, 240


def stream(name: str) -> np.random.Generator:
    """Random numbers of a name."""
    return np.random.Generator(np.random.PCG64(zlib.crc32(name.encode())))


def network_input(name: str, shape: tuple[int, ...]) -> np.ndarray:
    """Normalised pixels: float32, standard normal."""
    return stream('input:' + name).standard_normal(shape).astype(np.float32)


def frame(index: int) -> np.ndarray:
    """RGB image (240, 320, 3) uint8: an object of coarse pixels moves over coarser ones."""
    background, target = (stream(f'synth:{name}').integers(0, 256, (*shape, 3)).astype(np.uint8)
                          for name, shape in (('bg', (15, 20)), ('obj', (5, 6))))
    image = np.kron(background, np.ones((16, 16, 1), np.uint8))
    x, y = 60 + 9 * index, 70 + 6 * index
    image[y:y + 40, x:x + 48] = np.kron(target, np.ones((8, 8, 1), np.uint8))
    return np.ascontiguousarray(image)


def bgr_frame(index: int) -> np.ndarray:
    """The same frame as this package takes images."""
    return np.ascontiguousarray(frame(index)[..., ::-1])


def checksum(values: np.ndarray) -> int:
    """CRC-32 of an array's bytes."""
    return zlib.crc32(np.ascontiguousarray(values).tobytes())
