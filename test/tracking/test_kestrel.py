# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Kestrel's pre- and post-processing against plain arithmetic."""
from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, strategies as st

from lorat_ros.models.bundle import Bundle
from lorat_ros.models.catalog import find_bundle
from lorat_ros.tracking.kestrel import cover_of_cells, IMAGE_MEAN, KestrelFamily, normalise


@given(st.tuples(*[st.floats(0, 40)] * 2, *[st.floats(0.1, 40)] * 2))
def test_covered_cells_add_up_to_the_box(box):
    cover = cover_of_cells(box, 5, 80)
    assert cover.shape == (5, 5) and cover.dtype == np.float32
    assert cover.min() >= 0 and cover.max() <= 1 + 1e-6
    assert cover.sum() * 16 * 16 == pytest.approx(box[2] * box[3], rel=1e-3, abs=0.1)


def test_rows_of_cells_are_y():
    cover = cover_of_cells((0, 32, 80, 16), 5, 80)
    np.testing.assert_allclose(cover[2], 1)
    assert cover.sum() == pytest.approx(5)


def test_normalising_swaps_to_rgb_and_centres():
    crop = np.broadcast_to(IMAGE_MEAN, (4, 4, 3)).round().astype(np.uint8)
    assert np.abs(normalise(crop)).max() < 0.01
    blue = np.zeros((4, 4, 3), np.uint8)
    blue[..., 0] = 255
    tensor = normalise(blue)
    assert tensor.shape == (1, 3, 4, 4) and tensor.dtype == np.float32
    assert tensor[0, 2].min() > 0 > tensor[0, 0].max()
    crop = np.random.default_rng(0).integers(0, 256, (8, 8, 3), np.uint8)
    expected = ((crop - IMAGE_MEAN) / 58)[..., ::-1].transpose(2, 0, 1)[None]
    np.testing.assert_allclose(normalise(crop), expected, atol=1e-6)


def bundle_without_evidence() -> Bundle:
    """The shipped model as older bundles are: the network's word is the score."""
    bundle = find_bundle()
    manifest = {name: value for name, value in bundle.manifest.items() if name != 'evidence'}
    return replace(bundle, manifest=manifest)


def answer_with(logits: np.ndarray, boxes: np.ndarray) -> tuple[KestrelFamily, object]:
    family = KestrelFamily(bundle_without_evidence())
    image = np.full((480, 640, 3), 90, np.uint8)
    family.start(image, (300.0, 220.0, 40.0, 40.0))
    family.remember({})
    family.look(image)
    return family, family.answer({'score': logits[None], 'boxes': boxes[None]})


def cells(row: int, column: int, score: float) -> tuple[np.ndarray, np.ndarray]:
    """One cell is sure; every cell sees a box of a quarter of the region around itself."""
    logits = np.full((10, 10), -8.0, np.float32)
    logits[row, column] = score
    axis = (np.arange(10) + 0.5) / 10
    x, y = np.meshgrid(axis, axis)
    boxes = np.stack([x - 0.125, y - 0.125, x + 0.125, y + 0.125]).astype(np.float32)
    return logits, boxes


@pytest.mark.parametrize(('row', 'column'), [(4, 4), (2, 6), (9, 0)])
def test_the_sure_cell_gives_the_box(row, column):
    _, answer = answer_with(*cells(row, column, 6.0))
    # The region spans 160 pixels around (320, 240): cell (row, column) lies 16 pixels a step on.
    x, y = 240 + 16 * (column + 0.5), 160 + 16 * (row + 0.5)
    assert answer.box == pytest.approx((x - 20, y - 20, 40, 40), abs=0.5)
    assert answer.score == pytest.approx(1 / (1 + np.exp(-6)), abs=1e-4)


def test_a_hopeless_score_does_not_move_the_search_window():
    image = np.full((480, 640, 3), 90, np.uint8)
    for score, moves in ((-6.0, False), (3.0, True)):
        family, answer = answer_with(*cells(2, 7, score))
        before = answer.search_window
        family.look(image)
        _, later = family, family.answer({'score': np.full((1, 10, 10), -8.0, np.float32),
                                          'boxes': cells(0, 0, 0)[1][None]})
        assert (later.search_window != pytest.approx(before, abs=1)) == moves


def test_the_answer_never_leaves_the_image_nor_dwindles():
    logits, boxes = cells(0, 0, 6.0)
    boxes[:] = np.array([-0.9, -0.9, -0.9, -0.9], np.float32)[:, None, None]
    _, answer = answer_with(logits, boxes)
    assert np.isfinite(answer.box).all()
    assert answer.box[2] >= 1 and answer.box[3] >= 1


def look_for_nothing(frames: int) -> list[float]:
    """Widths of the search window over frames in which the target is not seen."""
    family = KestrelFamily(bundle_without_evidence())
    image = np.full((480, 640, 3), 90, np.uint8)
    family.start(image, (300.0, 220.0, 40.0, 40.0))
    family.remember({})
    nothing = {'score': np.full((1, 10, 10), -8.0, np.float32),
               'boxes': cells(0, 0, 0)[1][None]}
    widths = []
    for _ in range(frames):
        family.look(image)
        widths.append(family.answer(nothing).search_window[2])
    return widths


def test_the_search_window_widens_only_after_a_while_and_not_for_ever():
    widths = look_for_nothing(80)
    assert widths[:5] == pytest.approx([160] * 5, abs=1)
    assert widths[30] > 1.5 * widths[0]
    assert widths[-1] == pytest.approx(widths[-2], abs=1) and widths[-1] < 2.1 * 160


def test_a_vanished_target_is_looked_for_at_its_usual_size():
    family = KestrelFamily(bundle_without_evidence())
    image = np.full((480, 640, 3), 90, np.uint8)
    family.start(image, (300.0, 220.0, 40.0, 40.0))
    family.remember({})
    axis = (np.arange(10) + 0.5) / 10
    x, y = np.meshgrid(axis, axis)
    half = np.stack([x - 0.05, y - 0.05, x + 0.05, y + 0.05]).astype(np.float32)
    seen, gone = cells(5, 5, 5.0)[0], np.full((10, 10), -8.0, np.float32)
    for logits in [seen] * 4 + [gone] * 8:      # it shrinks behind an edge, then it is gone
        family.look(image)
        answer = family.answer({'score': logits[None], 'boxes': half[None]})
        if logits is seen:
            shrunk = answer.search_window[2]
    assert shrunk < 130 < answer.search_window[2]


@pytest.mark.parametrize('name', ['score', 'boxes'])
def test_an_answer_without_numbers_leaves_the_box_and_is_no_score(name):
    family = KestrelFamily(bundle_without_evidence())
    image = np.zeros((240, 320, 3), np.uint8)
    family.start(image, (100.0, 80.0, 40.0, 30.0))
    family.look(image)
    outputs = {'score': np.zeros((1, 10, 10), np.float32),
               'boxes': np.full((1, 4, 10, 10), 0.5, np.float32)}
    outputs[name][:] = np.nan
    answer = family.answer(outputs)
    assert answer.box == pytest.approx((100.0, 80.0, 40.0, 30.0)) and answer.score == 0.0


def scene(*peaks: tuple[int, int, float]) -> dict[str, np.ndarray]:
    """Outputs whose cells (row, column) have these scores; every box is 40 pixels wide."""
    logits, boxes = np.full((10, 10), -8.0, np.float32), cells(0, 0, 0)[1]
    for row, column, score in peaks:
        logits[row, column] = np.log(score / (1 - score))
    return {'score': logits[None], 'boxes': boxes[None]}


def test_a_look_alike_seen_beside_the_target_is_not_taken_for_it():
    family, image = KestrelFamily(bundle_without_evidence()), np.full((480, 640, 3), 90, np.uint8)
    family.start(image, (300.0, 220.0, 40.0, 40.0))
    family.remember({})
    for _ in range(6):
        family.look(image)
        here = family.answer(scene((4, 4, 0.8), (4, 8, 0.3))).box
    for _ in range(4):                       # the target is gone, the other shines
        family.look(image)
        answer = family.answer(scene((4, 8, 0.8)))
        assert answer.score < 0.18 and answer.box == pytest.approx(here, abs=1)
    family.look(image)
    back = family.answer(scene((4, 4, 0.7), (4, 8, 0.3)))
    assert back.score == pytest.approx(0.7, abs=0.01)


def test_without_a_rival_a_jump_is_believed():
    family, image = KestrelFamily(bundle_without_evidence()), np.full((480, 640, 3), 90, np.uint8)
    family.start(image, (300.0, 220.0, 40.0, 40.0))
    family.remember({})
    for _ in range(4):
        family.look(image)
        family.answer(scene((4, 4, 0.8)))
    family.look(image)
    assert family.answer(scene((4, 8, 0.8))).score == pytest.approx(0.8, abs=0.01)


def with_evidence(outputs: dict[str, np.ndarray], like_template: bool) -> dict[str, np.ndarray]:
    """Add what the cells look like: all like the target, or all like what surrounded it."""
    similarity = np.zeros((1, 100, 26), np.float32)
    similarity[..., 12 if like_template else 0] = 1.0      # cell 12 is the middle of 5 x 5
    return {**outputs, 'similarity': similarity, 'features': np.ones((1, 100, 192), np.float32)}


def believed(like_template: bool) -> tuple[float, tuple[float, ...]]:
    family, image = KestrelFamily(find_bundle()), np.full((480, 640, 3), 90, np.uint8)
    family.start(image, (300.0, 220.0, 40.0, 40.0))
    family.remember({})
    for _ in range(3):
        family.look(image)
        answer = family.answer(with_evidence(scene((4, 4, 0.8)), like_template))
    return answer.score, answer.box


def test_a_sure_peak_on_what_looks_like_the_surroundings_is_not_believed():
    target, box = believed(like_template=True)
    pillar, same = believed(like_template=False)
    assert pillar < find_bundle().score_lost < find_bundle().score_recover < target
    assert box == same      # how it goes on, the peak alone decides


def test_what_a_scout_learns_stays_with_it():
    family, image = KestrelFamily(find_bundle()), np.full((480, 640, 3), 90, np.uint8)
    family.start(image, (300.0, 220.0, 40.0, 40.0))
    family.remember({})
    seen = with_evidence(scene((4, 4, 0.8)), True)
    family.look(image)
    family.answer(seen)
    scout = family.around((300.0, 220.0, 40.0, 40.0))
    other = {**seen, 'features': seen['features'] * np.where(np.arange(192) % 2, 1, -1)}
    for _ in range(30):
        scout.look(image)
        scout.answer({**other, 'features': other['features'].astype(np.float32)})
    family.look(image)
    family.answer(seen)
    assert family.pieces.memory == pytest.approx(1.0, abs=1e-3)
