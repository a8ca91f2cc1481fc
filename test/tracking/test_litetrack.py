# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""LiteTrack before and after its network: the published geometry, decoding and state."""
from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from support import goldens
from support.litetrack_golden import bgr_frame, checksum, frame, HEIGHT, INIT_BOX, WIDTH

from lorat_ros.models.bundle import Bundle, BundleError
from lorat_ros.tracking.family import family_class
from lorat_ros.tracking.litetrack import best_cell, box_of_cell, hann_window, LiteTrackFamily
from lorat_ros.tracking.square_crop import (clip_box, normalise, sample_square, square_around,
                                            SquareCrop)
from lorat_ros.tracking.tracker import Tracker

GEOMETRY = 'litetrack/geometry.npz'
WHOLE = (1, 2, 3)      # search crops of which the file holds all pixels


def test_the_published_geometry():
    golden = goldens.read(GEOMETRY)
    image, boxes = frame(0), [tuple(box) for box in golden['boxes'].tolist()]
    found = {'frames_crc32': [checksum(frame(k)) for k in range(8)], 'template_bb_xyxy': [],
             'crop_crc32_zx': [], 'resize_factor_zx': [], 'hann16': hann_window(16)}
    for k, box in enumerate(boxes):
        plans = [square_around(box, factor, size) for factor, size in ((2.0, 128), (4.0, 256))]
        template, search = (sample_square(image, plan) for plan in plans)
        found[f'crop_z{k}'] = template
        found[f'crop_x{k}'] = search if k in WHOLE else search[::4, ::4]
        found['crop_crc32_zx'].append([checksum(template), checksum(search)])
        found['resize_factor_zx'].append([plan.scale for plan in plans])
        found['template_bb_xyxy'].append(plans[0].to_crop(box))
    # The package takes BGR images and gives the network RGB.
    pixels = normalise(found['crop_z1'][..., ::-1])
    found['norm_slice'] = pixels[0, :, 60:68, 60:68]
    found['norm_l2'] = [np.linalg.norm(pixels.astype(np.float64))]
    rows = []
    for row in golden['mapback_rows_state4_pred4_rf1_out4_clip4'].tolist():
        (x, y, w, h), pred, factor = row[:4], row[4:8], row[8]
        side = 256 / factor
        crop = SquareCrop((0, 0), side, 256, (x + w / 2, y + h / 2))
        box = crop.to_image(tuple(v / side for v in pred))
        rows.append([*row[:9], *box, *clip_box(box, (WIDTH, HEIGHT))])
    found['mapback_rows_state4_pred4_rf1_out4_clip4'] = rows
    found['clip_out_W320_H240_m10'] = [clip_box(tuple(box), (WIDTH, HEIGHT))
                                       for box in golden['clip_in'].tolist()]
    goldens.compare(GEOMETRY, {name: np.asarray(value) for name, value in found.items()},
                    {'hann16': 2e-7, 'norm_slice': 1e-6, 'norm_l2': 1e-6,
                     'template_bb_xyxy': 1e-6, '*': 1e-9},
                    {'boxes': goldens.INPUT, 'clip_in': goldens.INPUT})


def test_of_several_best_cells_the_first_counts():
    score = np.zeros((16, 16), np.float32)
    score[3, 9] = score[3, 11] = score[7, 2] = 0.5
    assert best_cell(score, np.ones((16, 16), np.float32)) == (3, 9)


def test_the_window_multiplies_and_leaves_the_border_eligible():
    window = hann_window(16)
    assert window.min() > 0.001 and window[7:9, 7:9].min() > 0.98
    score = np.zeros((16, 16), np.float32)
    score[0, 0], score[8, 8] = 1.0, 0.001
    assert best_cell(score, window) == (0, 0)
    score[0, 0], score[8, 8] = 0.9, 0.5
    assert best_cell(score, window) == (8, 8)


def test_x_comes_before_y_and_w_before_h():
    size, offset = np.zeros((2, 16, 16), np.float32), np.zeros((2, 16, 16), np.float32)
    size[:, 3, 10], offset[:, 3, 10] = (0.25, 0.125), (0.5, -0.25)
    assert box_of_cell((3, 10), size, offset) == (10.5 / 16, 2.75 / 16, 0.25, 0.125)


MANIFEST = {'name': 'made-here', 'family': 'litetrack', 'variant': 'b4',
            'graphs': {'template': {}, 'search': {}},
            'sizes': {'template': 128, 'search': 256, 'template_factor': 2.0,
                      'search_factor': 4.0}, 'postprocessing': {'margin': 10.0}}


def bundle(change: Callable[[dict], None] = lambda manifest: None) -> Bundle:
    manifest = {name: dict(value) if isinstance(value, dict) else value
                for name, value in MANIFEST.items()}
    change(manifest)
    return Bundle(Path('made-here'), manifest, {})


class Session:
    """Answers as a network would that sees the target in one cell; notes what it was asked."""

    engine = device = 'made here'

    def __init__(self, cell=(8, 8), wh=(0.25, 0.25), offset=(0.0, 0.0), score=0.8) -> None:
        self.asked: list[tuple[str, dict]] = []
        self.answer = SimpleNamespace(cell=cell, wh=wh, offset=offset, score=score)

    def run(self, role: str, inputs: dict) -> dict:
        self.asked.append((role, inputs))
        if role == 'template':
            return {'template_keys': 'keys', 'template_values': 'values'}
        maps = {'score': np.full((1, 16, 16), 0.01, np.float32),
                'size': np.full((1, 2, 16, 16), 0.1, np.float32),
                'offset': np.zeros((1, 2, 16, 16), np.float32)}
        row, column = self.answer.cell
        maps['score'][0, row, column] = self.answer.score
        maps['size'][0, :, row, column] = self.answer.wh
        maps['offset'][0, :, row, column] = self.answer.offset
        return maps

    def close(self) -> None:
        pass


def test_the_template_is_looked_at_once_and_its_memory_handed_on():
    session = Session()
    tracker = Tracker(bundle(), session)
    tracker.init(bgr_frame(0), INIT_BOX)
    for k in range(3):
        tracker.update(bgr_frame(k))
    roles = [role for role, _ in session.asked]
    assert roles == ['template', 'search', 'search', 'search']
    template, search = session.asked[0][1], session.asked[1][1]
    assert template['image'].shape == (1, 3, 128, 128)
    assert template['target_box'].dtype == np.float32
    np.testing.assert_allclose(template['target_box'], goldens.read(GEOMETRY)['template_bb_xyxy']
                               [:1], atol=1e-6)
    assert search['image'].shape == (1, 3, 256, 256)
    assert (search['template_keys'], search['template_values']) == ('keys', 'values')


def test_the_target_box_goes_to_the_network_as_it_is_even_beyond_its_crop():
    session = Session()
    Tracker(bundle(), session).init(bgr_frame(0), (100.0, 100.0, 100.0, 2.0))
    crop_side = np.ceil(2 * np.sqrt(200))
    half = np.array([50, 1]) / crop_side
    np.testing.assert_allclose(session.asked[0][1]['target_box'],
                               [[*(63.5 / 128 - half), *(63.5 / 128 + half)]], atol=1e-6)
    assert half[0] > 1


def test_the_network_sees_rgb():
    session = Session()
    Tracker(bundle(), session).init(np.full((240, 320, 3), (255, 128, 0), np.uint8), INIT_BOX)
    red, green, blue = session.asked[0][1]['image'][0, :, 64, 64]
    assert (red, green, blue) == pytest.approx(((0 - 0.485) / 0.229, (128 / 255 - 0.456) / 0.224,
                                                (1 - 0.406) / 0.225), abs=1e-6)


def test_the_box_is_that_of_the_cell_and_becomes_the_next_search_region():
    session = Session(cell=(8, 10), offset=(0.5, 0.0), wh=(0.25, 0.2))
    tracker = Tracker(bundle(), session)
    tracker.init(bgr_frame(0), (130.0, 90.0, 40.0, 40.0))
    found = tracker.update(bgr_frame(0))
    # Crop of 160 pixels around (150, 110): cell (8, 10) + 0.5 is 105 pixels right, 80 down.
    assert found.box == pytest.approx((70 + 105 - 20, 30 + 80 - 16, 40, 32))
    assert found.score == pytest.approx(0.8)
    assert found.search_window == (70, 30, 160, 160)
    after = tracker.update(bgr_frame(0)).search_window
    assert after[2] == np.ceil(np.sqrt(40 * 32) * 4)


def test_the_score_is_that_of_the_box_not_of_another_cell():
    session = Session(cell=(8, 8), score=0.4)
    run = session.run

    def with_a_distractor(role, inputs):
        maps = run(role, inputs)
        if role == 'search':
            maps['score'][0, 0, 0] = 0.9
        return maps
    session.run = with_a_distractor
    tracker = Tracker(bundle(), session)
    tracker.init(bgr_frame(0), INIT_BOX)
    assert tracker.update(bgr_frame(0)).score == pytest.approx(0.4)


@pytest.mark.parametrize('wrong', [np.nan, np.inf])
@pytest.mark.parametrize('output', ['score', 'size', 'offset'])
def test_a_network_without_numbers_leaves_the_target_where_it_is(output, wrong):
    session = Session()
    run = session.run

    def broken(role, inputs):
        maps = run(role, inputs)
        if role == 'search':
            maps[output][:] = wrong
        return maps
    tracker = Tracker(bundle(), session)
    tracker.init(bgr_frame(0), INIT_BOX)
    good = tracker.update(bgr_frame(0))
    session.run = broken
    found = tracker.update(bgr_frame(0))
    assert found.box == good.box and found.score == 0.0
    session.run = run
    assert tracker.update(bgr_frame(0)).score == pytest.approx(0.8)


@pytest.mark.parametrize('box', [(-30.0, -20.0, 40.0, 30.0), (315.0, 235.0, 40.0, 40.0),
                                 (319.5, 10.0, 100.0, 1.0), (-5000.0, -5000.0, 99999.0, 99999.0)])
@pytest.mark.parametrize('cell', [(0, 0), (8, 8), (15, 15)])
def test_no_place_of_the_target_makes_an_update_fail(box, cell):
    session = Session(cell=cell, offset=(-3.0, 40.0), score=0.99)
    tracker = Tracker(bundle(), session)
    tracker.init(bgr_frame(0), box)
    for image in (bgr_frame(0), np.zeros((3, 3, 3), np.uint8), np.zeros((1, 1, 3), np.uint8),
                  bgr_frame(0)):
        found = tracker.update(image)
        assert np.isfinite(found.box).all() and min(found.box[2:]) >= 10
    x, y, w, h = found.box
    assert 0 <= x <= 310 and 0 <= y <= 230 and x + w <= 320 and y + h <= 240


@pytest.mark.parametrize(('change', 'words'), [
    (lambda m: m.pop('sizes'), "lacks or garbles 'sizes'"),
    (lambda m: m['postprocessing'].pop('margin'), "lacks or garbles 'margin'"),
    (lambda m: m['sizes'].update(search='wide'), 'lacks or garbles'),
    (lambda m: m['graphs'].pop('template'), 'template is not there'),
])
def test_a_manifest_that_the_family_cannot_use_is_refused(change, words):
    with pytest.raises(BundleError, match=words):
        family_class(bundle(change))


def test_the_table_of_families_leads_here():
    assert family_class(bundle()) is LiteTrackFamily
