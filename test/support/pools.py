# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A small training pool of drawn images, in the layout that ``lorat train`` reads."""
from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np


def scene(rng: np.random.Generator, size: tuple[int, int] = (120, 160)) -> np.ndarray:
    """Texture in two scales, (height, width, 3)."""
    fine = cv2.GaussianBlur(rng.integers(0, 255, (*size, 3), np.uint8), (0, 0), 2)
    coarse = cv2.resize(rng.integers(0, 255, (6, 8, 3), np.uint8), size[::-1])
    return cv2.addWeighted(fine, 0.5, coarse, 0.5, 0)


def disc(image: np.ndarray, x: int, y: int, radius: int, colour: tuple[int, int, int]
         ) -> np.ndarray:
    """Draw a disc with a stripe; returns its mask, (height, width) uint8."""
    mask = np.zeros(image.shape[:2], np.uint8)
    cv2.circle(mask, (x, y), radius, 255, -1)
    image[mask > 0] = colour
    cv2.line(image, (x - radius // 2, y), (x + radius // 2, y), (0, 0, 0), 3)
    return mask


def write_pool(folder: Path, stills: int = 6, frames: int = 8) -> Path:
    """Write stills with masks, a labelled clip 'moving' and an unlabelled clip 'plain'."""
    rng = np.random.default_rng(5)
    source = folder / 'stills' / 'discs'
    source.mkdir(parents=True)
    rows = ['file,label,class,x,y,w,h']
    for number in range(stills):
        image, radius = scene(rng), int(rng.integers(12, 25))
        x, y = int(rng.integers(40, 120)), int(rng.integers(40, 80))
        mask = disc(image, x, y, radius, tuple(int(v) for v in rng.integers(0, 255, 3)))
        cv2.imwrite(str(source / f'{number:05d}.jpg'), image)
        cv2.imwrite(str(source / f'{number:05d}.png'), (mask > 0).astype(np.uint8))
        side = 2 * radius + 1
        rows.append(f'{number:05d}.jpg,1,mask,{x - radius},{y - radius},{side},{side}')
    (source / 'boxes.csv').write_text('\n'.join(rows) + '\n')
    for name, labelled in (('moving', True), ('plain', False)):
        clip = folder / 'clips' / name
        (clip / 'masks').mkdir(parents=True)
        ground, boxes = scene(rng), []
        for number in range(frames):
            image = ground.copy()
            x, y = 40 + 6 * number, 60
            mask = disc(image, x, y, 15, (40, 200, 240))
            cv2.imwrite(str(clip / f'{number:05d}.jpg'), image)
            if labelled:
                cv2.imwrite(str(clip / 'masks' / f'{number:05d}.png'), mask)
                boxes.append(f'{x - 15},{y - 15},31,31')
        if labelled:
            (clip / 'boxes.csv').write_text('\n'.join(boxes) + '\n')
    return folder
