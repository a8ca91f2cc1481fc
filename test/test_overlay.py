# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Drawing: colours say the status, sizes follow the image, odd boxes do no harm."""

from __future__ import annotations

import numpy as np
import pytest

from lorat_ros.overlay import contact_sheet, draw_overlay, STATUS_STYLES

GREY = np.full((480, 640, 3), 90, np.uint8)
BOX = (200.0, 150.0, 120.0, 80.0)


def share_of(colour: tuple[int, int, int], image: np.ndarray) -> float:
    """Share of the pixels that have exactly this colour."""
    return float((image == np.array(colour)).all(axis=-1).mean())


def test_the_image_itself_is_not_drawn_on() -> None:
    before = GREY.copy()
    drawn = draw_overlay(GREY, box=BOX, score=0.5)
    assert np.array_equal(GREY, before)
    assert drawn.shape == GREY.shape and drawn.dtype == np.uint8
    assert not np.array_equal(drawn, GREY)


@pytest.mark.parametrize('status', STATUS_STYLES)
def test_the_box_has_the_colour_of_the_status(status: str) -> None:
    drawn = draw_overlay(GREY, box=BOX, status=status)
    colours = {name: share_of(style.colour, drawn) for name, style in STATUS_STYLES.items()}
    assert max(colours, key=colours.get) == status
    assert colours[status] > 0.001


def test_an_unknown_status_is_drawn_all_the_same() -> None:
    assert not np.array_equal(draw_overlay(GREY, box=BOX, status='dreaming'), GREY)


def test_a_box_that_is_not_measured_is_dashed() -> None:
    top = slice(147, 153), slice(240, 280)  # of the upper side, between its corners
    coloured = {}
    for status in ('tracking', 'lost'):
        drawn = draw_overlay(GREY, box=BOX, status=status)[top]
        exact = (drawn == np.array(STATUS_STYLES[status].colour)).all(axis=-1)
        coloured[status] = int(exact.any(axis=0).sum())
    assert coloured['tracking'] == 40
    assert 5 < coloured['lost'] < 35


@pytest.mark.parametrize('box', [None, (np.nan,) * 4, (10, 10, 0, 5), (10, 10, -3, 5),
                                 (np.inf, 0, 5, 5)])
def test_no_box_is_no_box(box: object) -> None:
    assert np.array_equal(draw_overlay(GREY, box=box), draw_overlay(GREY))


@pytest.mark.parametrize('box', [
    (-1e9, -1e9, 2e9, 2e9), (1e7, 1e7, 50, 50), (-5000, 100, 60, 40), (639, 479, 500, 500),
    (-20, -20, 50, 50), (0.2, 0.3, 0.5, 0.5)])
def test_boxes_far_outside_and_tiny_ones_do_no_harm(box: tuple[float, ...]) -> None:
    drawn = draw_overlay(GREY, box=box, search_window=box, truth=box, score=0.3, name='target')
    assert drawn.shape == GREY.shape


def test_sides_lie_where_the_box_says() -> None:
    """Pixel i covers [i, i + 1): a box from 200 to 320 has its edge between 199 and 200."""
    drawn = draw_overlay(GREY, truth=(200.0, 150.0, 120.0, 80.0))
    columns = np.flatnonzero(drawn[190].astype(int).sum(axis=1) > 400)  # the line is white
    assert np.abs(columns[columns < 260].mean() - 199.5) <= 0.5
    assert np.abs(columns[columns > 260].mean() - 319.5) <= 0.5


def test_sizes_follow_the_image() -> None:
    """The same picture at any size has about the same share of drawn pixels."""
    shares = []
    for factor in (1, 2, 6):
        image = np.full((480 * factor, 640 * factor, 3), 90, np.uint8)
        drawn = draw_overlay(image, box=np.array(BOX) * factor, score=0.87, fps=30, name='target')
        shares.append(float((drawn != 90).any(axis=-1).mean()))
    assert max(shares) < 1.35 * min(shares)


def test_score_fps_and_name_are_written() -> None:
    plain = draw_overlay(GREY, box=BOX)
    for words in ({'score': 0.5}, {'fps': 29.97}, {'name': 'boat'}):
        assert not np.array_equal(draw_overlay(GREY, box=BOX, **words), plain), words
    assert np.array_equal(draw_overlay(GREY, box=BOX, score=float('nan')), plain)


@pytest.mark.parametrize('size', [(1, 1), (8, 6), (16, 640), (640, 16), (0, 10)])
def test_odd_sizes_do_no_harm(size: tuple[int, int]) -> None:
    image = np.zeros((*size, 3), np.uint8)
    drawn = draw_overlay(image, box=(0, 0, 4, 4), score=0.5, fps=30, name='t')
    assert drawn.shape == image.shape


def test_views_with_strides_can_be_drawn_on() -> None:
    wide = np.random.default_rng(0).integers(0, 255, (60, 120, 3), np.uint8)
    flipped = wide[:, ::2, ::-1]
    expected = draw_overlay(np.ascontiguousarray(flipped), box=(5, 5, 20, 20))
    assert np.array_equal(draw_overlay(flipped, box=(5, 5, 20, 20)), expected)


@pytest.mark.parametrize('image', [np.zeros((4, 4), np.uint8), np.zeros((4, 4, 4), np.uint8),
                                   np.zeros((4, 4, 3), np.float32), None])
def test_what_is_no_bgr_image_is_refused(image: object) -> None:
    with pytest.raises(ValueError, match='expected uint8'):
        draw_overlay(image, box=BOX)


def test_contact_sheet_shows_every_image_in_reading_order() -> None:
    colours = [(200, 30, 30), (30, 200, 30), (30, 30, 200), (200, 200, 30), (30, 200, 200)]
    images = [np.full((60, 80, 3), colour, np.uint8) for colour in colours]
    sheet = contact_sheet(images, columns=3, width=660, captions=['a', 'b'])
    assert sheet.shape[1] == 660 and sheet.dtype == np.uint8
    places = []
    for colour in colours:
        rows, columns = np.nonzero((np.abs(sheet.astype(int) - colour) < 4).all(axis=-1))
        assert rows.size > 1000
        places.append((round(rows.mean()), round(columns.mean())))
    assert places[:3] == sorted(places[:3], key=lambda place: place[1])
    assert len({row for row, _ in places[:3]}) == 1
    assert places[3][0] == places[4][0] > places[0][0]


def test_contact_sheet_keeps_shapes_apart() -> None:
    wide, high = np.full((20, 80, 3), 250, np.uint8), np.full((80, 20, 3), 120, np.uint8)
    sheet = contact_sheet([wide, high], columns=2, width=400)
    for value, ratio in ((250, 4.0), (120, 0.25)):
        rows, columns = np.nonzero((sheet == value).all(axis=-1))
        assert np.ptp(columns) / np.ptp(rows) == pytest.approx(ratio, rel=0.1)


@pytest.mark.parametrize(('images', 'columns', 'width', 'complaint'), [
    ([], 4, 800, 'no image'), ([GREY], 0, 800, 'columns=0'), ([GREY] * 50, 50, 100, 'width=100')])
def test_contact_sheet_refuses(images: list, columns: int, width: int, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        contact_sheet(images, columns, width)
