# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A sheet of small pictures that shows what was understood of a data set."""
from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from lorat_ros.training.footage import Notes
from lorat_ros.training.items import Item, Shelf
from lorat_ros.training.pool import pool_clip, pool_stills
from lorat_ros.training.store import Pictures, Store

TILE, TEXT, GAP = 168, 16, 4                          # pixels
BOX, MASK, NOTHING = (0, 255, 0), (255, 160, 0), (0, 0, 255)      # BGR
PAPER, INK = 32, (230, 230, 230)


def tile(image: np.ndarray, items: Sequence[Item]) -> np.ndarray:
    """One picture, (TILE, TILE, 3), with boxes and outlines; a red frame where there is none."""
    factor = TILE / max(image.shape[:2])
    small = cv2.resize(image, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
    for item in items:
        if item.mask is not None:
            mask = cv2.resize(item.mask, small.shape[1::-1], interpolation=cv2.INTER_AREA)
            edges, _ = cv2.findContours((mask > 127).astype(np.uint8), cv2.RETR_EXTERNAL,
                                        cv2.CHAIN_APPROX_NONE)
            cv2.drawContours(small, edges, -1, MASK, 1)
        x, y, w, h = (round(v * factor) for v in item.box)
        cv2.rectangle(small, (x, y), (x + w, y + h), BOX, 1)
    if not items:
        cv2.rectangle(small, (0, 0), (small.shape[1] - 1, small.shape[0] - 1), NOTHING, 2)
    paper = np.full((TILE, TILE, 3), PAPER, np.uint8)
    paper[:small.shape[0], :small.shape[1]] = small[:TILE, :TILE]
    return paper


def _row(text: str, tiles: Sequence[np.ndarray], columns: int) -> np.ndarray:
    width = columns * (TILE + GAP)
    row = np.full((TEXT + TILE + GAP, width, 3), PAPER, np.uint8)
    cv2.putText(row, text, (2, TEXT - 4), cv2.FONT_HERSHEY_SIMPLEX, 0.4, INK, 1, cv2.LINE_AA)
    for number, one in enumerate(tiles):
        row[TEXT:TEXT + TILE, number * (TILE + GAP):number * (TILE + GAP) + TILE] = one
    return row


def _tiles(pictures: Pictures, shelf: Shelf, numbers: Sequence[int]) -> list[np.ndarray]:
    owners = shelf.owner[shelf.rows]
    return [tile(pictures[n], [shelf[int(k)] for k in np.flatnonzero(owners == n)])
            for n in numbers]


def _summary(folder: Path, pictures: Pictures, shelf: Shelf) -> str:
    of = f'{len(pictures)} frames, {len(shelf)} boxes' if folder.parent.name == 'clips' else \
        f'{len(pictures)} stills, {len(shelf)} objects'
    masks = int(shelf.masked[shelf.rows].sum())
    return f'{folder.name}: {of}' + (f', {masks} masks' if masks else '')


def draw_contact(folders: Sequence[Path], path: Path, rows: int = 24, columns: int = 7) -> None:
    """
    Write a sheet of folders of a pool as PNG: a row each, pictures from its first to its last.

    :param folders: ``clips/NAME`` or ``stills/NAME``; of very many, some from first to last.
    """
    store, notes, sheet = Store(200), Notes(), []
    chosen = np.unique(np.linspace(0, len(folders) - 1, min(rows, len(folders))).round())
    for number in chosen.astype(int):
        folder = folders[number]
        read = pool_stills if folder.parent.name == 'stills' else pool_clip
        found = read(folder, store, notes)
        count = len(found.pictures)
        numbers = np.unique(np.linspace(0, count - 1, min(columns, count)).round().astype(int))
        shelf = found.shelf()
        sheet.append(_row(_summary(folder, found.pictures, shelf),
                          _tiles(found.pictures, shelf, numbers.tolist()), columns))
    path.write_bytes(cv2.imencode('.png', np.vstack(sheet))[1].tobytes())
