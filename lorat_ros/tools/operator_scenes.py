# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Which moments of a recorded run become the pictures of docs/operator.md, and how they look."""
from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Optional

import cv2
import numpy as np

from lorat_ros.boxes import Box
from lorat_ros.overlay import contact_sheet
from lorat_ros.tools.recording import load_recording, Recording, VIDEO_NAME

HEARD_NAME, POINTED_NAME = 'heard.json', 'pointed_{}.png'
WIDTH, JPEG_QUALITY = 1200, 80
HAND = (60, 220, 255)  # BGR of what a hand has drawn
AFTER = 8  # frames after a change of state, so that the picture shows the state and not the change


class Run(NamedTuple):
    """What a run left in its folder."""

    folder: Path
    recording: Recording
    heard: Mapping[str, Any]
    pictures: Mapping[int, np.ndarray]  # debug images by stamp


def load_run(folder: Path) -> Run:
    """
    Read what recorder and operator_hand wrote.

    :raises OSError, ValueError: it is not there, or cannot be read.
    """
    recording = load_recording(folder)
    heard = json.loads((folder / HEARD_NAME).read_text())
    capture = cv2.VideoCapture(str(folder / VIDEO_NAME))
    pictures: dict[int, np.ndarray] = {}
    try:
        for stamp in recording.pictures:
            good, image = capture.read()
            if not good:
                raise ValueError(f'{folder / VIDEO_NAME} ends after {len(pictures)} pictures, '
                                 f'expected {len(recording.pictures)}')
            pictures[stamp] = image
    finally:
        capture.release()
    return Run(folder, recording, heard, pictures)


def moments(run: Run) -> dict[str, int]:
    """
    Return the stamps of the moments that are shown, by name.

    :raises ValueError: one of them did not happen in this run.
    """
    frames = run.recording.with_status()
    stamps = [frame.stamp for frame in frames]
    clicked, sent = run.heard['stamps']['click'], run.heard['stamps']['sent']

    def first(status: str, after: int, later: int = 0) -> int:
        """The stamp of the first frame with this status, or of one some frames later."""
        places = [index for index, frame in enumerate(frames)
                  if frame.status == status and frame.stamp > after]
        if not places:
            raise ValueError(f'no frame is {status} after {after}: the run did not go as it '
                             'should; look at annotated.mp4')
        place = places[0] + later
        return stamps[place if place < len(stamps) and frames[place].status == status
                      else places[0]]

    started = first('tracking', clicked)
    coasting = first('coasting', started, AFTER)
    lost = first('lost', coasting, 2)
    return {'idle': max(s for s in stamps if s <= clicked), 'started': started,
            'tracking': first('tracking', started, 3 * AFTER), 'coasting': coasting,
            'lost': lost, 'found': first('tracking', lost, 2), 'again': first('tracking', sent)}


def start_sheet(run: Run, at: Mapping[str, int], box: Box) -> np.ndarray:
    """Return: nothing is tracked; the two clicks; the first frame after them."""
    click = _read(run, 'click')
    x, y, w, h = box
    for corner in ((x, y), (x + w, y + h)):
        cv2.drawMarker(click, (round(corner[0]), round(corner[1])), HAND, cv2.MARKER_CROSS, 22, 2,
                       cv2.LINE_AA)
    return contact_sheet([_shown(run, at['idle']), click, _shown(run, at['started'])], 3, WIDTH,
                         ['~/debug_image before', 'two clicks on the image',
                          '~/debug_image of the next frame'])


def life_sheet(run: Run, at: Mapping[str, int]) -> np.ndarray:
    """Return: tracking, coasting with the prediction, lost, found again."""
    names = ('tracking', 'coasting', 'lost', 'found')
    start = at['started']
    return contact_sheet([_shown(run, at[name]) for name in names], 4, WIDTH,
                         [f'{(at[name] - start) / 1e9:.1f} s: {name}' for name in names])


def stamped_sheet(run: Run, at: Mapping[str, int], box: Box) -> np.ndarray:
    """Return: the image a box was drawn on; the image when it was sent; the first answer."""
    drawn, sent = _read(run, 'box'), _read(run, 'sent')
    for image in (drawn, sent):
        x, y, w, h = (round(v) for v in box)
        cv2.rectangle(image, (x, y), (x + w, y + h), HAND, 2, cv2.LINE_AA)
    stamps = run.heard['stamps']
    late = (stamps['sent'] - stamps['box']) / 1e9
    return contact_sheet([drawn, sent, _shown(run, at['again'])], 3, WIDTH,
                         ['drawn on this image', f'sent {late:.1f} s later: the target has moved',
                          '~/debug_image: followed up to here'])


def ray_sheet(run: Run, at: Mapping[str, int]) -> np.ndarray:
    """Return: the debug image, and `~/marker` of the same frame in the camera's optical frame."""
    stamp = at['tracking']
    points = run.heard['markers'].get(str(stamp))
    if points is None:
        raise ValueError(f'no marker was heard for the frame {stamp}')
    return contact_sheet([_shown(run, stamp), _ray(points, run.heard['k'], run.heard['size'])],
                         2, 900, ['~/debug_image', '~/marker of the same frame'])


def _ray(points: Sequence[Sequence[float]], k: Sequence[float],
         size_wh: Sequence[int]) -> np.ndarray:
    """Return the arrow and the camera's field of view; REP-103: z forward, x right, y down."""
    import matplotlib
    matplotlib.use('Agg')
    from matplotlib import pyplot
    tip = np.array(points[1])
    width, height = size_wh
    u, v = np.array([0, width, width, 0, 0]), np.array([0, 0, height, height, 0])
    depth = float(tip[2])
    corners = np.stack([(u - k[2]) / k[0] * depth, (v - k[5]) / k[4] * depth,
                        np.full(5, depth)], 1)
    figure = pyplot.figure(figsize=(6.4, 4.8), dpi=100)
    canvas: Any = figure.canvas  # Agg's, which has pixels
    axes = figure.add_subplot(projection='3d')
    # Plotted as (z, x, -y), so that forward leads away from whoever looks and up is up.
    axes.plot(corners[:, 2], corners[:, 0], -corners[:, 1], color='#888888', lw=1)
    for x, y, z in corners[:4]:
        axes.plot([0, z], [0, x], [0, -y], color='#888888', lw=0.6)
    axes.quiver(0, 0, 0, tip[2], tip[0], -tip[1], color='#D55E00', lw=2.5,
                arrow_length_ratio=0.08)
    axes.set(xlabel='z, m', ylabel='x, m', zlabel='-y, m')
    axes.set_box_aspect((1.3, 1.2, 0.9), zoom=1.25)
    axes.set_position((0, 0.04, 1, 0.96))
    axes.locator_params(nbins=4)
    axes.view_init(elev=18, azim=-155)
    axes.invert_yaxis()
    canvas.draw()
    image = np.asarray(canvas.buffer_rgba())[..., 2::-1].copy()
    pyplot.close(figure)
    return image


def _shown(run: Run, stamp: int) -> np.ndarray:
    """Return the debug image of a frame, or of the nearest one that was drawn."""
    nearest: Optional[int] = min(run.pictures, key=lambda other: abs(other - stamp), default=None)
    if nearest is None or abs(nearest - stamp) > 2e8:
        raise ValueError(f'no debug image was recorded near the frame {stamp}')
    return run.pictures[nearest]


def _read(run: Run, name: str) -> np.ndarray:
    path = run.folder / POINTED_NAME.format(name)
    image = cv2.imread(str(path))
    if image is None:
        raise ValueError(f'{path} cannot be read')
    return image
