# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Small data sets of drawn images in the layouts of the public ones."""
from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from support.pools import disc, scene

SIZE = (120, 160)                          # height and width of every picture


def true_box(number: int) -> tuple[float, float, float, float]:
    """Where the disc is in a frame, counted from pixel 0."""
    return (25.0 + 5 * number, 45.0, 31.0, 31.0)


def write_frames(folder: Path, names: Sequence[str], size: tuple[int, int] = SIZE) -> None:
    """Draw a moving disc; the k-th name shows it at ``true_box(k)``."""
    folder.mkdir(parents=True, exist_ok=True)
    ground = scene(np.random.default_rng(5), size)
    for number, name in enumerate(names):
        image = ground.copy()
        disc(image, 40 + 5 * number, 60, 15, (40, 200, 240))
        cv2.imwrite(str(folder / name), image)


def lines(boxes: Sequence[Sequence[float]]) -> str:
    """Boxes as a text file has them."""
    return '\n'.join(','.join(f'{v:g}' for v in box) for box in boxes) + '\n'


def write_got10k(root: Path, frames: int = 8, absent: Sequence[int] = ()) -> Path:
    """One sequence of GOT-10k; returns its folder."""
    folder = root / 'train' / 'GOT-10k_Train_000001'
    write_frames(folder, [f'{n + 1:08d}.jpg' for n in range(frames)])
    (folder / 'groundtruth.txt').write_text(lines([true_box(n) for n in range(frames)]))
    (folder / 'absence.label').write_text(''.join(f'{int(n in absent)}\n'
                                                  for n in range(frames)))
    (folder / 'cover.label').write_text('8\n' * (frames - 1) + '0\n')
    (folder / 'meta_info.ini').write_text('[METAINFO]\nresolution: (160, 120)\n')
    return folder


def write_lasot(root: Path, frames: int = 8) -> Path:
    """One sequence of LaSOT, whose boxes count from 1; returns its folder."""
    folder = root / 'disc' / 'disc-1'
    write_frames(folder / 'img', [f'{n + 1:08d}.jpg' for n in range(frames)])
    boxes = [true_box(n) for n in range(frames)]
    (folder / 'groundtruth.txt').write_text(lines([(x + 1, y + 1, w, h) for x, y, w, h in boxes]))
    (folder / 'full_occlusion.txt').write_text(','.join('1' if n == 2 else '0'
                                                        for n in range(frames)))
    (folder / 'out_of_view.txt').write_text(','.join('1' if n == 5 else '0'
                                                     for n in range(frames)))
    return folder


def write_trackingnet(root: Path, frames: int = 12) -> Path:
    """One sequence of TrackingNet; returns its file of boxes."""
    part = root / 'TRAIN_0'
    write_frames(part / 'frames' / 'abc_0', [f'{n}.jpg' for n in range(frames)])
    (part / 'anno').mkdir()
    (part / 'anno' / 'abc_0.txt').write_text(lines([true_box(n) for n in range(frames)]))
    return part / 'anno' / 'abc_0.txt'


def write_plain(folder: Path, frames: int = 8, name: str = '{:05d}.png') -> Path:
    """A folder of frames with truth."""
    write_frames(folder, [name.format(n) for n in range(frames)])
    (folder / 'groundtruth.txt').write_text(lines([true_box(n) for n in range(frames)]))
    return folder


def write_coco(root: Path, pictures: int = 4) -> Path:
    """
    Stills of COCO; returns the file of annotations.

    Each has a square as a polygon, and a crowd; the first one also a rectangle as run lengths.
    """
    folder = root / 'train2017'
    write_frames(folder, [f'{n:012d}.jpg' for n in range(pictures)])
    notes = []
    for n in range(pictures):
        x, y, w, h = true_box(n)
        ring = [x, y, x + w, y, x + w, y + h, x, y + h]
        notes.append({'id': 10 * n, 'image_id': n, 'category_id': 1, 'bbox': [x, y, w, h],
                      'iscrowd': 0, 'segmentation': [ring]})
        notes.append({'id': 10 * n + 1, 'image_id': n, 'category_id': 1, 'iscrowd': 1,
                      'bbox': [0, 0, 160, 120], 'segmentation': {'size': SIZE, 'counts': []}})
    # 30 columns from the hundredth on, in each 20 rows from the eightieth on.
    runs = [120 * 100 + 80] + [20, 100] * 29 + [20, 20 + 120 * 30]
    notes.append({'id': 99, 'image_id': 0, 'category_id': 2, 'bbox': [100, 80, 30, 20],
                  'iscrowd': 0, 'segmentation': {'size': list(SIZE), 'counts': runs}})
    table = root / 'annotations' / 'instances_train2017.json'
    table.parent.mkdir()
    table.write_text(json.dumps({
        'images': [{'id': n, 'file_name': f'{n:012d}.jpg', 'width': SIZE[1], 'height': SIZE[0]}
                   for n in range(pictures)],
        'annotations': notes,
        'categories': [{'id': 1, 'name': 'disc'}, {'id': 2, 'name': 'plank'}]}))
    return table
