# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""LoRAT before and after its network, and end to end, against the published tracker's numbers."""
from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from support import goldens
from support.generator import frame, network_input, picture
from support.lorat_bundles import bundle_of

from lorat_ros.models.bundle import Bundle
from lorat_ros.networks.heads import MlpHead
from lorat_ros.networks.lorat import Lorat
from lorat_ros.tracking import lorat
from lorat_ros.tracking.crops import sample_bilinear
from lorat_ros.tracking.tracker import load_tracker, Tracker

CASES = sorted(path.stem.removeprefix('geometry_')
               for path in (goldens.DATA / 'lorat').glob('geometry_*.npz'))
ENDS = ('B-224_move', 'B-224_edge', 'B-378_edge')


def rgb_planes(crop: np.ndarray) -> np.ndarray:
    """(S, S, 3) BGR to (3, S, S) RGB, as the golden files have it."""
    return crop[:, :, ::-1].transpose(2, 0, 1)


def as_bytes(crop: np.ndarray, golden: np.ndarray) -> np.ndarray:
    """Round a crop; a value that lies half way, within 5e-3, may go either way."""
    near = np.abs(crop - golden) <= 0.5 + 5e-3
    return np.where(near, golden, crop.round().astype(np.uint8))


def rows(plan: lorat.CropPlan) -> np.ndarray:
    """Scale and translation as two rows of x and y."""
    return np.array([plan.scale, plan.offset])


def nominal(box: np.ndarray, factor: float, size: int) -> np.ndarray:
    """The window before it is aligned to pixels, as two rows of x and y."""
    scale, shift = lorat.nominal_window(box, factor, size)
    return np.array([(scale, scale), shift])


@pytest.mark.parametrize('case', CASES)
def test_geometry(case):
    golden = goldens.read(f'lorat/geometry_{case}.npz')
    image_wh = tuple(golden['image_wh'].tolist())
    image = np.ascontiguousarray(picture(f'geom.{case}', *image_wh[::-1])[:, :, ::-1])
    box, size = golden['box'], int(golden['template_size'])
    mean = cv2.mean(image)[:3]
    plan = lorat.plan_window(box, 2.0, size, image_wh, mean)
    crop = sample_bilinear(image, plan)
    cells = lorat.template_cells(box, plan)
    grid = size // lorat.PATCH
    found = {
        'image_checksum': image.sum(), 'image_corner': image[:4, :4, ::-1],
        'image_mean': mean[::-1], 'z_params': nominal(box, 2.0, size),
        'z_params_adjusted': rows(plan), 'mask_box_raw': cells,
        'mask_box': np.clip(cells, 0, grid), 'mask': lorat.template_mask(cells, grid),
        'box_in_template': lorat.to_crop(box, plan),
        'z_crop_u8': as_bytes(rgb_planes(crop), golden['z_crop_u8']),
        'z_crop_sub': rgb_planes(crop)[:, 1::4, 1::4],
        'z_crop_channel_mean': rgb_planes(crop).mean((1, 2), np.float64),
        'z_norm_sub': lorat.normalise(crop)[0, :, 1::4, 1::4]}
    factor, size = float(golden['search_area_factor']), int(golden['search_size'])
    grown = lorat.grow(box, 10.0)
    plan = lorat.plan_window(grown, factor, size, image_wh, tuple(golden['x_fill'][::-1]))
    crop = rgb_planes(sample_bilinear(image, plan))
    images = lorat.to_image(golden['pred_boxes_crop'], plan)
    clipped = lorat.clip(images, image_wh)
    states = np.array([lorat.next_state(box, one) for one in clipped])
    found.update({
        'x_params': nominal(grown, factor, size), 'x_params_adjusted': rows(plan),
        'x_crop_u8': as_bytes(crop, golden['x_crop_u8']), 'x_crop_sub': crop[:, 1::6, 1::6],
        'x_crop_channel_mean': crop.mean((1, 2), np.float64), 'pred_boxes_image': images,
        'pred_boxes_image_clipped': clipped, 'next_state_box': states,
        'next_crop_params': np.array([nominal(lorat.grow(one, 10.0), factor, size)
                                      for one in states])})
    goldens.compare(f'lorat/geometry_{case}.npz', found,
                    {'*_crop_*': 5e-3, '*_norm_sub': 1e-4, '*': 1e-4},
                    dict.fromkeys(('image_wh', 'box', 'template_size', 'search_size',
                                   'search_area_factor', 'x_fill', 'pred_boxes_crop'),
                                  goldens.INPUT))


def centres(grid: int) -> np.ndarray:
    """Centres of the boxes of a head without weights: x and y of every cell."""
    head = MlpHead(4)
    with torch.no_grad():
        for parameter in head.parameters():
            parameter.zero_()
        boxes = head(torch.zeros(1, grid * grid, 4), grid)[1][0].numpy()
    np.testing.assert_allclose(boxes[..., 2:] - boxes[..., :2], 1, atol=1e-6)
    return (boxes[..., :2] + boxes[..., 2:]) / 2


def test_post_processing():
    golden, found = goldens.read('lorat/postprocess.npz'), {}
    for grid, size in ((16, 224), (27, 378)):
        found[f'{grid}/hann'] = np.sqrt(np.diagonal(lorat.window_of(grid)))
        found[f'{grid}/reference_points'] = centres(grid)
        for penalty in ('0.45', '0.0', '0.4'):
            answers = [lorat.choose(one, lorat.window_of(grid), float(penalty))
                       for one in golden[f'{grid}/score_map']]
            index = np.array([answer[0] for answer in answers])
            ranks = np.sort([answer[2] for answer in answers])
            boxes = golden[f'{grid}/boxes'].reshape(len(index), -1, 4)
            found.update({f'{grid}/{penalty}/index': index,
                          f'{grid}/{penalty}/confidence': [answer[1] for answer in answers],
                          f'{grid}/{penalty}/margin': ranks[:, -1] - ranks[:, -2],
                          f'{grid}/{penalty}/box': boxes[range(len(index)), index] * size})
    goldens.compare('lorat/postprocess.npz', found, {'*/box': 1e-4, '*': 1e-6},
                    {'*/score_map': goldens.INPUT, '*/boxes': goldens.INPUT})


@pytest.fixture(scope='module')
def bundles(lorat_b_224) -> dict[str, Path]:
    """Bundles of generated official checkpoints by variant."""
    return {'lorat-b-224': lorat_b_224,
            'lorat-b-378': bundle_of('lorat-b-378', lorat_b_224.parent)}


class Watched:
    """A session that remembers what went in and out."""

    def __init__(self, session) -> None:
        self._session, self.seen = session, []
        self.engine, self.device = session.engine, session.device

    def run(self, role, inputs):
        outputs = self._session.run(role, inputs)
        self.seen.append((role, dict(inputs), outputs))
        return outputs


def steps(tracker: Tracker, golden: dict, name: str) -> Iterator[dict[str, np.ndarray]]:
    """Run the golden clip; yields what the golden file holds of every step."""
    image_hw = int(golden['H']), int(golden['W'])
    moves = [tuple(int(golden[k]) for k in pair)
             for pair in (('x0', 'y0'), ('vx', 'vy'), ('s', 'sh'))]
    window = None
    for index in range(int(golden['n_frames'])):
        image, truth = frame(name, index, *image_hw, *moves)
        common = {'frame_checksum': image.sum(), 'gt': truth}
        image = np.ascontiguousarray(image[:, :, ::-1])
        if index == 0:
            x1, y1, x2, y2 = golden['init_box']
            tracker.init(image, (x1, y1, x2 - x1, y2 - y1))
            (_, template, _), = tracker.session.seen
            window = lorat.window_of(tracker._family._grid)
            yield {**common, 'all_boxes_incl_init': golden['init_box'], 'all_confidence': 1.0}
            continue
        result = tracker.update(image)
        _, inputs, outputs = tracker.session.seen[-1]
        x, y, w, h = result.box
        best, score, rank = lorat.choose(outputs['score'][0], window, 0.45)
        first, second = np.sort(rank)[::-1][:2]
        box = np.array((x, y, x + w, y + h))
        yield {**common, 'boxes': box, 'confidence': result.score, 'all_boxes_incl_init': box,
               'all_confidence': score, 'step_index': best, 'step_margin': first - second,
               'step_params': rows(tracker._family._plan), 'step_mask': template['mask'][0],
               'step_x_mean': inputs['image'][0].mean((1, 2), np.float64),
               'step_z_sub': template['image'][0, :, 1::8, 1::8],
               'step_x_sub': inputs['image'][0, :, 1::8, 1::8],
               'step_score_map': outputs['score'][0],
               'step_boxes_best': outputs['boxes'].reshape(-1, 4)[best]}


@pytest.mark.parametrize('engine', ['onnx', 'torch'])
@pytest.mark.parametrize('case', ENDS)
def test_end_to_end(case, engine, bundles):
    path = f'lorat/e2e_{case}.npz'
    variant, _, motion = case.partition('_')
    golden = goldens.read(path)
    tracker = load_tracker(bundles[f'lorat-{variant.lower()}'], engine)
    tracker.session = Watched(tracker.session)
    found: dict[str, list] = {}
    for step in steps(tracker, golden, f'e2e.{motion}'):
        for name, value in step.items():
            found.setdefault(name, []).append(value)
    goldens.compare(path, {name: np.array(values) for name, values in found.items()},
                    {'step_params': 1e-4, 'step_score_map': 1e-4, 'step_boxes_best': 1e-5,
                     'confidence': 1e-5, 'all_confidence': 1e-5, '*boxes*': 1e-2, 'gt': 0,
                     'step_margin': 1e-5, '*_sub': 1e-4, 'step_x_mean': 1e-5},
                    dict.fromkeys(('init_box', 'H', 'W', 'x0', 'y0', 'vx', 'vy', 's', 'sh',
                                   'n_frames'), goldens.INPUT))


@pytest.mark.parametrize('engine', ['onnx', 'torch'])
@pytest.mark.parametrize('case', ['B-224', 'B-378'])
def test_score_maps_and_boxes_of_the_graphs(case, engine, bundles):
    golden = goldens.read(f'lorat/model_{case}.npz')
    session = load_tracker(bundles[f'lorat-{case.lower()}'], engine).session
    sides = (112, 224) if case.endswith('224') else (196, 378)
    z, x = (network_input(f'input.{kind}.{case}', (len(golden['mask']), 3, side, side))
            for kind, side in zip('zx', sides))
    for index, mask in enumerate(golden['mask'].astype(np.float32)):
        memory = session.run('template', {'image': z[index:index + 1], 'mask': mask[None]})
        found = session.run('search', {'image': x[index:index + 1], **memory})
        for name, key, limit in (('score', 'score_map', 1e-4), ('boxes', 'boxes', 1e-5)):
            np.testing.assert_allclose(found[name][0], golden[f'merged/{key}'][index], rtol=0,
                                       atol=limit, err_msg=f'{engine} {key} {index}')


boxes = st.tuples(*[st.floats(-300, 900, allow_nan=False)] * 2, st.floats(0.5, 1500),
                  st.floats(0.5, 1500))


@given(boxes, st.sampled_from([(2.0, 112), (4.0, 224), (5.0, 378)]))
def test_plans_stay_in_image_and_crop_and_boxes_come_back(xywh, window):
    x, y, w, h = xywh
    box, image_wh = np.array((x, y, x + w, y + h)), (640, 480)
    plan = lorat.plan_window(lorat.grow(box, 10.0), *window, image_wh, (1.0, 2.0, 3.0))
    (x1, y1, x2, y2), (u1, v1, u2, v2) = plan.source, plan.destination
    assert 0 <= x1 <= x2 <= 640 and 0 <= y1 <= y2 <= 480
    assert 0 <= u1 <= u2 <= window[1] and 0 <= v1 <= v2 <= window[1]
    np.testing.assert_allclose(lorat.to_image(lorat.to_crop(box, plan), plan), box, atol=1e-6)
    crop = sample_bilinear(np.full((480, 640, 3), 9, np.uint8), plan)
    assert crop.shape == (window[1], window[1], 3)
    assert set(np.unique(crop.round(3))) <= {1.0, 2.0, 3.0, 9.0}


@given(boxes)
def test_growing_keeps_the_centre_and_what_is_large_enough(xywh):
    x, y, w, h = xywh
    box = np.array((x, y, x + w, y + h))
    grown = lorat.grow(box, 10.0)
    np.testing.assert_allclose(grown[:2] + grown[2:], box[:2] + box[2:], atol=1e-9)
    for k, side in enumerate((w, h)):
        if side >= 10.001:
            assert grown[k] == box[k] and grown[k + 2] == box[k + 2]
        assert grown[k + 2] - grown[k] >= 10 - 1e-9


def test_a_degenerate_answer_is_reported_but_not_followed():
    state = np.array((10.0, 10, 30, 30))
    for found in ((5.0, 5, 5, 9), (5.0, 9, 8, 9), (np.nan, 0, 5, 5), (0.0, 0, 0, 0)):
        assert lorat.next_state(state, np.array(found)) is state
    moved = np.array((1.0, 2, 3, 4))
    assert lorat.next_state(state, moved) is moved


@given(boxes)
def test_where_the_image_has_shrunk_the_search_region_still_shows_some_of_it(xywh):
    x, y, w, h = xywh
    box, image_wh = np.array((x, y, x + w, y + h)), (320, 240)
    moved = lorat.within_reach(box, image_wh)
    np.testing.assert_allclose(moved[2:] - moved[:2], (w, h))
    assert (moved[2:] > 0).all() and (moved[:2] < image_wh).all()
    apart = (box[2:] <= 0) | (box[:2] >= image_wh)
    np.testing.assert_array_equal(moved[:2][~apart], box[:2][~apart])
    plan = lorat.plan_window(lorat.grow(moved, 10.0), 4.0, 224, image_wh, (0.0, 0.0, 0.0))
    x1, y1, x2, y2 = plan.source
    assert x2 > x1 and y2 > y1


def test_far_edges_ignore_noise_of_under_a_ten_thousandth():
    assert lorat.rasterise(2.0, 5.00005) == (2, 5)
    assert lorat.rasterise(1.99, 5.001) == (1, 6)


def test_confidence_is_without_the_window_and_a_sure_no_is_no_warning():
    logits = np.full((16, 16), -1e4, np.float32)
    logits[3, 5], logits[8, 8] = 3.0, 2.9      # the window prefers the middle
    index, score, _ = lorat.choose(logits, lorat.window_of(16), 0.45)
    assert index == 8 * 16 + 8
    assert score == pytest.approx(1 / (1 + np.exp(-2.9)), abs=1e-6)


@pytest.mark.parametrize('wrong', [np.nan, np.inf])
@pytest.mark.parametrize('output', ['score', 'boxes'])
def test_a_network_without_numbers_leaves_the_target_where_it_is(output, wrong):
    class Session:
        engine = device = 'made here'

        def run(self, role, inputs):
            maps = {'score': np.zeros((1, 16, 16), np.float32),
                    'boxes': np.full((1, 16, 16, 4), (0.4, 0.4, 0.6, 0.7), np.float32)}
            if self.broken:
                maps[output][:] = -wrong
            return {'template_tokens': None} if role == 'template' else maps

    about = Lorat.variants()['lorat-b-224'].about
    tracker = Tracker(Bundle(Path('made-here'), {**about, 'name': 'made-here', 'family': 'lorat',
                                                 'graphs': {'template': {}, 'search': {}}}, {}),
                      session := Session())
    session.broken = False
    image = np.zeros((240, 320, 3), np.uint8)
    tracker.init(image, (100.0, 80.0, 40.0, 30.0))
    good = tracker.update(image)
    assert good.score == 0.5
    session.broken = True
    found = tracker.update(image)
    if np.isnan(wrong):
        assert found.box == pytest.approx(good.box) and found.score == 0.0
    assert np.isfinite(found.box).all() and 0 <= found.score <= 1
    session.broken = False
    assert tracker.update(image).score == 0.5
