# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Drawing: what a tracker sees, on a copy of the image, and contact sheets of such pictures.

Every size follows the image (a 320 x 240 picture and a 4K one look alike), every colour follows
the status. Boxes are (x, y, w, h) in pixels; None or a box with a nan is simply not drawn.
"""
from __future__ import annotations

from collections.abc import Sequence
from types import MappingProxyType
from typing import NamedTuple, Optional, TypeGuard

import cv2
import numpy as np

from lorat_ros.boxes import Box

Colour = tuple[int, int, int]


class Style(NamedTuple):
    """How a status looks: colour (BGR) of box and plate, and whether the box is dashed."""

    colour: Colour
    dashed: bool


#: A dashed box says "this is not a measured target".
STATUS_STYLES = MappingProxyType({
    'tracking': Style((112, 214, 64), False),
    'coasting': Style((48, 184, 255), True),
    'lost': Style((72, 72, 244), True),
    'idle': Style((176, 168, 160), True),
    'building_engine': Style((236, 164, 72), True),
})
UNKNOWN_STYLE = Style((200, 120, 200), True)

TRUTH_COLOUR: Colour = (250, 250, 250)
SEARCH_COLOUR: Colour = (255, 236, 200)
INK: Colour = (24, 22, 20)
PAPER: Colour = (245, 245, 242)
SHEET_BACKGROUND: Colour = (30, 27, 25)
SHEET_CAPTION: Colour = (226, 222, 218)

_FONT = cv2.FONT_HERSHEY_SIMPLEX
_SHIFT = 4  # fractional bits of OpenCV's drawing coordinates: boxes are placed to 1/16 pixel
_CAP_HEIGHT = 22.0  # height of a capital of _FONT at scale 1, pixels


class _Pen(NamedTuple):
    """Sizes for one image, all in pixels except `font` (OpenCV's scale)."""

    line: int
    font: float
    stroke: int
    text: int
    pad: int
    dash: float


def draw_overlay(
    image: np.ndarray,
    *,
    box: Optional[Box] = None,
    search_window: Optional[Box] = None,
    truth: Optional[Box] = None,
    score: Optional[float] = None,
    status: str = 'tracking',
    fps: Optional[float] = None,
    name: str = '',
) -> np.ndarray:
    """
    Return a copy of `image` with the tracker's state drawn on it.

    :param image: uint8 (height, width, 3), BGR, any strides; it is not written to.
    :param box: the target, (x, y, w, h) in pixels; solid while tracking, dashed otherwise.
    :param search_window: the region the tracker looked at, (x, y, w, h).
    :param truth: the known box, drawn thin and white.
    :param score: in [0, 1], shown on the box's label and on the plate.
    :param status: tracking, coasting, lost, idle or building_engine; it picks the colour.
    :param fps: frames per second, shown on the plate.
    :param name: what the target is called, shown on the box's label.
    :raises ValueError: the image is not uint8 (height, width, 3).
    """
    canvas = _copy_of(image)
    if canvas.size == 0:
        return canvas
    pen = _pen_for(canvas)
    style = STATUS_STYLES.get(status, UNKNOWN_STYLE)
    if _drawable(search_window):
        _region(canvas, search_window, max(1, pen.line // 2), pen.dash)
    if _drawable(truth):
        _outline(canvas, truth, TRUTH_COLOUR, max(1, pen.line // 2), 0.0)
    if _drawable(box):
        _outline(canvas, box, style.colour, pen.line, pen.dash if style.dashed else 0.0,
                 arm=2 * pen.line)
        _label(canvas, box, _words(name, _number(score)), style.colour, pen)
    words = (status.upper().replace('_', ' '), _number(score), '' if fps is None else
             f'{fps:.0f} fps')
    _plate(canvas, _words(*words), style.colour, pen)
    return canvas


def contact_sheet(
    images: Sequence[np.ndarray],
    columns: int = 4,
    width: int = 1600,
    captions: Sequence[str] = (),
) -> np.ndarray:
    """
    Return one picture with all `images` in reading order.

    :param images: uint8 (height, width, 3) BGR each; sizes may differ, each is fitted into its
        tile.
    :param columns: tiles in a row, at least 1 (no more are used than there are images).
    :param width: of the whole sheet, pixels.
    :param captions: one line under each image, may be shorter than `images`.
    :raises ValueError: no image at all, columns below 1, or a width too small for the columns.
    """
    if not images:
        raise ValueError('contact_sheet got no image, expected at least one')
    if columns < 1:
        raise ValueError(f'contact_sheet got columns={columns}, expected 1 or more')
    columns = min(columns, len(images))
    gap = max(2, width // 160)
    tile_w = (width - gap * (columns + 1)) // columns
    if tile_w < 16:
        raise ValueError(f'contact_sheet got width={width} for {columns} columns, expected at '
                         f'least {16 * columns + gap * (columns + 1)}: use fewer columns')
    tile_h = max(1, round(max(tile_w * i.shape[0] / i.shape[1] for i in images)))
    text_h = max(9, round(tile_w / 26))
    line_h = round(text_h * 2.3) if any(captions) else 0
    rows = -(-len(images) // columns)
    sheet = np.empty((gap + rows * (tile_h + line_h + gap), width, 3), np.uint8)
    sheet[:] = SHEET_BACKGROUND
    for index, image in enumerate(images):
        top = gap + (index // columns) * (tile_h + line_h + gap)
        left = gap + (index % columns) * (tile_w + gap)
        _place(sheet, _copy_of(image), (left, top, tile_w, tile_h))
        if index < len(captions) and captions[index]:
            _text(sheet, captions[index], (left + text_h // 3, top + tile_h + round(text_h * 1.6)),
                  text_h, SHEET_CAPTION, tile_w - text_h // 2)
    return sheet


def _copy_of(image: np.ndarray) -> np.ndarray:
    if getattr(image, 'dtype', None) != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
        found = f'{getattr(image, "dtype", type(image).__name__)} {getattr(image, "shape", "")}'
        raise ValueError(f'cannot draw on {found}, expected uint8 (height, width, 3), BGR: '
                         'convert it with cv2.cvtColor first')
    return np.array(image, order='C', copy=True)


def _pen_for(canvas: np.ndarray) -> _Pen:
    unit = float(np.sqrt(canvas.shape[0] * canvas.shape[1])) / 554.0  # 1 at 640 x 480
    font = max(0.36, 0.5 * unit)
    text = round(font * _CAP_HEIGHT)
    return _Pen(line=max(1, round(2.0 * unit)), font=font, stroke=max(1, round(1.1 * unit)),
                text=text, pad=max(3, round(text * 0.6)), dash=max(5.0, 10.0 * unit))


def _drawable(box: Optional[Box]) -> TypeGuard[Box]:
    return box is not None and bool(np.all(np.isfinite(np.asarray(box, float)))) \
        and box[2] > 0 and box[3] > 0


def _number(score: Optional[float]) -> str:
    return '' if score is None or not np.isfinite(score) else f'{score:.2f}'


def _words(*parts: str) -> str:
    return '  '.join(part for part in parts if part)


def _corner_points(canvas: np.ndarray, box: Box) -> np.ndarray:
    """
    Corners (4, 2) clockwise from the top left, pulled in to just outside the image.

    OpenCV's fixed-point coordinates overflow far outside; what lies there is not seen anyway.
    """
    height, width = canvas.shape[:2]
    far = 2.0 * max(height, width)
    x0, y0, w, h = (float(v) for v in box)
    xs = np.clip((x0, x0 + w), -far, width + far)
    ys = np.clip((y0, y0 + h), -far, height + far)
    # A pixel's centre is a whole number for OpenCV, its border is half a pixel before that.
    return np.array([(xs[0], ys[0]), (xs[1], ys[0]), (xs[1], ys[1]), (xs[0], ys[1])]) - 0.5


def _lines(canvas: np.ndarray, lines: Sequence[np.ndarray], colour: Colour, thickness: int,
           closed: bool) -> None:
    fixed = [np.round(line * (1 << _SHIFT)).astype(np.int32) for line in lines]
    if not fixed:
        return
    cv2.polylines(canvas, fixed, closed, colour, thickness, cv2.LINE_AA, _SHIFT)


def _outline(canvas: np.ndarray, box: Box, colour: Colour, thickness: int, dash: float,
             arm: int = 0) -> None:
    """
    A rectangle, dashed if `dash` is not 0, its corners `arm` pixels thick if `arm` is not 0.

    A dark rim under all of it keeps it visible on any background.
    """
    corners = _corner_points(canvas, box)
    sides, closed = (_dashes(corners, dash), False) if dash else ([corners], True)
    arms = _arms(corners, 0.22 * float(np.min(corners[2] - corners[0]))) if arm else []
    rim = max(2, round(thickness * 0.8))
    for ink, extra in ((INK, rim), (colour, 0)):
        _lines(canvas, sides, ink, thickness + extra, closed)
        _lines(canvas, arms, ink, arm + extra, False)


def _region(canvas: np.ndarray, box: Box, thickness: int, dash: float) -> None:
    """A thin rectangle, light and dark by turns: seen on any background, yet in nobody's way."""
    corners = _corner_points(canvas, box)
    _lines(canvas, [corners], INK, thickness, True)
    _lines(canvas, _dashes(corners, dash), SEARCH_COLOUR, thickness, False)


def _dashes(corners: np.ndarray, dash: float) -> list[np.ndarray]:
    """Cut the four sides into dashes of about `dash` pixels, whole ones at every corner."""
    pieces = []
    for start, end in zip(corners, np.roll(corners, -1, axis=0)):
        count = 2 * max(1, int(np.hypot(*(end - start)) / (2 * dash))) + 1
        marks = np.linspace(start, end, count + 1)
        pieces += [marks[i:i + 2] for i in range(0, count, 2)]
    return pieces


def _arms(corners: np.ndarray, reach: float) -> list[np.ndarray]:
    """The corners' arms, `reach` pixels long: they show the extent also of a dashed box."""
    if reach < 4:  # on a tiny box they would fill it
        return []
    return [np.array([corner + _unit(before - corner) * reach, corner,
                      corner + _unit(after - corner) * reach])
            for before, corner, after in zip(np.roll(corners, 1, 0), corners,
                                             np.roll(corners, -1, 0))]


def _unit(vector: np.ndarray) -> np.ndarray:
    return vector / max(float(np.hypot(*vector)), 1e-9)


def _label(canvas: np.ndarray, box: Box, words: str, colour: Colour, pen: _Pen) -> None:
    """A plate in the box's colour above it, or below, or inside: where it fits."""
    if not words:
        return
    height, width = canvas.shape[:2]
    (text_w, _), _ = cv2.getTextSize(words, _FONT, pen.font, pen.stroke)
    plate_w, plate_h = text_w + 2 * pen.pad, pen.text + 2 * pen.pad
    rim = pen.line + 1
    wanted = (float(box[1]) - plate_h - rim, float(box[1]) + float(box[3]) + rim,
              float(box[1]) + rim)
    top = next((t for t in wanted if 0 <= t <= height - plate_h), wanted[-1])
    top = int(np.clip(round(top), 0, max(0, height - plate_h)))
    left = int(np.clip(round(float(box[0]) - pen.line / 2), 0, max(0, width - plate_w)))
    cv2.rectangle(canvas, (left, top), (left + plate_w, top + plate_h), colour, cv2.FILLED)
    cv2.putText(canvas, words, (left + pen.pad, top + pen.pad + pen.text), _FONT, pen.font, INK,
                pen.stroke, cv2.LINE_AA)


def _plate(canvas: np.ndarray, words: str, colour: Colour, pen: _Pen) -> None:
    """The status in the top left corner: a lamp and light words on a darkened strip."""
    lamp = max(2, round(pen.text * 0.42))
    (text_w, _), _ = cv2.getTextSize(words, _FONT, pen.font, pen.stroke)
    plate_h, plate_w = pen.text + 2 * pen.pad, text_w + 2 * lamp + 3 * pen.pad
    strip = canvas[pen.pad:pen.pad + plate_h, pen.pad:pen.pad + plate_w]
    if strip.size == 0:
        return
    strip[:] = (strip * 0.28 + np.array(INK) * 0.72).astype(np.uint8)
    middle = 2 * pen.pad + pen.text // 2
    cv2.circle(canvas, (2 * pen.pad + lamp, middle), lamp, colour, cv2.FILLED, cv2.LINE_AA)
    cv2.putText(canvas, words, (3 * pen.pad + 2 * lamp, 2 * pen.pad + pen.text), _FONT, pen.font,
                PAPER, pen.stroke, cv2.LINE_AA)


def _text(canvas: np.ndarray, words: str, origin: tuple[int, int], height: float, colour: Colour,
          room: int) -> None:
    """Write one line, `height` pixels high or smaller so that it fits into `room` pixels."""
    scale = height / _CAP_HEIGHT
    (text_w, _), _ = cv2.getTextSize(words, _FONT, scale, 1)
    scale *= min(1.0, room / max(text_w, 1))
    cv2.putText(canvas, words, origin, _FONT, scale, colour, max(1, round(scale * 2.2)),
                cv2.LINE_AA)


def _place(sheet: np.ndarray, image: np.ndarray, tile: tuple[int, int, int, int]) -> None:
    """Fit `image` into the tile (left, top, width, height), centred, its shape kept."""
    left, top, tile_w, tile_h = tile
    factor = min(tile_w / image.shape[1], tile_h / image.shape[0])
    size = (max(1, round(image.shape[1] * factor)), max(1, round(image.shape[0] * factor)))
    small = cv2.resize(image, size, interpolation=cv2.INTER_AREA if factor < 1 else
                       cv2.INTER_CUBIC)
    x, y = left + (tile_w - size[0]) // 2, top + (tile_h - size[1]) // 2
    sheet[y:y + size[1], x:x + size[0]] = small
