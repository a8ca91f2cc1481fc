# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The two calls, with the shipped model on images made here."""
from __future__ import annotations

import cv2
import numpy as np
import pytest
from support.bundles import copy_of_default

from lorat_ros import load_tracker
from lorat_ros.boxes import BoxError, iou_xywh
from lorat_ros.models.bundle import BundleError
from lorat_ros.tracking.tracker import ImageError


def picture(x: float, y: float, size: int = 60, shape: tuple[int, int] = (240, 320)) -> np.ndarray:
    """A striped orange disc on a textured ground, its square's corner at (x, y)."""
    rng = np.random.default_rng(3)
    ground = cv2.GaussianBlur(rng.integers(0, 255, (*shape, 3), np.uint8), (0, 0), 4)
    ground = cv2.normalize(ground, None, 60, 190, cv2.NORM_MINMAX)
    middle = (int(x + size / 2), int(y + size / 2))
    cv2.circle(ground, middle, size // 2, (30, 120, 240), -1)
    cv2.line(ground, (middle[0] - size // 2, middle[1]), (middle[0] + size // 2, middle[1]),
             (20, 20, 30), size // 8)
    cv2.circle(ground, middle, size // 6, (240, 240, 240), -1)
    return ground


@pytest.fixture(scope='module')
def tracker():
    return load_tracker()


def test_a_moving_target_is_followed(tracker):
    tracker.init(picture(100, 80), (100, 80, 60, 60))
    overlaps = []
    for step in range(1, 25):
        x, y = 100 + 4 * step, 80 + 2 * step
        result = tracker.update(picture(x, y))
        overlaps.append(float(iou_xywh(result.box, (x, y, 60, 60))))
        assert 0 <= result.score <= 1
    assert np.mean(overlaps) > 0.6 and min(overlaps) > 0.3


def test_the_result_says_where_was_looked_and_what_it_took(tracker):
    tracker.init(picture(100, 80), (100, 80, 60, 60))
    result = tracker.update(picture(104, 82))
    assert set(result.timings) == {'crop', 'normalise', 'network', 'network_cpu', 'decode',
                                   'total'}
    assert 0 < result.timings['normalise'] < result.timings['crop']
    assert result.timings['total'] >= result.timings['network'] > 0
    assert result.timings['network_cpu'] > 0
    x, y, w, h = result.search_window
    assert x < 100 and y < 80 and x + w > 164 and y + h > 144
    assert all(isinstance(v, float) for v in result.box)


def test_a_gone_target_scores_lower_than_a_present_one(tracker):
    tracker.init(picture(100, 80), (100, 80, 60, 60))
    present = tracker.update(picture(102, 81)).score
    gone = tracker.update(picture(1000, 1000)).score
    assert gone < tracker.bundle.score_lost < tracker.bundle.score_recover <= present


def test_update_before_init_is_refused(tracker):
    tracker.reset()
    assert not tracker.has_target
    with pytest.raises(RuntimeError, match=r'call init\(image, \(x, y, w, h\)\) first'):
        tracker.update(picture(0, 0))


def test_a_bad_box_leaves_the_target(tracker):
    tracker.init(picture(100, 80), (100, 80, 60, 60))
    for box in [(np.nan, 0, 1, 1), (0, 0, 0, 5), (900, 900, 10, 10)]:
        with pytest.raises(BoxError):
            tracker.init(picture(100, 80), box)
    result = tracker.update(picture(103, 81))
    assert iou_xywh(result.box, (103, 81, 60, 60)) > 0.5


def test_a_box_across_the_border_is_fine(tracker):
    tracker.init(picture(-20, 80), (-20, 80, 60, 60))
    result = tracker.update(picture(-16, 82))
    assert iou_xywh(result.box, (0, 82, 44, 60)) > 0.4


@pytest.mark.parametrize(('image', 'words'), [
    (None, 'image is a NoneType'),
    (np.zeros((10, 10), np.uint8), r'shape \(10, 10\)'),
    (np.zeros((10, 10, 4), np.uint8), r'shape \(10, 10, 4\)'),
    (np.zeros((10, 10, 3), np.float32), 'float32'),
    (np.zeros((0, 10, 3), np.uint8), 'no pixels'),
])
def test_a_bad_image_is_refused_and_the_target_stays(tracker, image, words):
    tracker.init(picture(100, 80), (100, 80, 60, 60))
    with pytest.raises(ImageError, match=words):
        tracker.update(image)
    with pytest.raises(ImageError, match=words):
        tracker.init(image, (1, 1, 5, 5))
    assert iou_xywh(tracker.update(picture(102, 80)).box, (102, 80, 60, 60)) > 0.5


def test_the_size_of_the_image_may_change(tracker):
    tracker.init(picture(100, 80), (100, 80, 60, 60))
    result = tracker.update(picture(102, 82, shape=(480, 640)))
    assert iou_xywh(result.box, (102, 82, 60, 60)) > 0.4
    tiny = tracker.update(picture(2, 2, shape=(90, 60)))
    assert np.isfinite(tiny.box).all()


def test_an_image_with_strides_is_tracked_like_its_copy(tracker):
    wide = cv2.copyMakeBorder(picture(100, 80), 0, 0, 0, 40, cv2.BORDER_CONSTANT)
    results = []
    for view in (wide[:, :320], wide[:, :320].copy()):
        tracker.init(view, (100, 80, 60, 60))
        results.append(tracker.update(view).box)
    assert results[0] == results[1]


def test_the_image_is_not_written_to(tracker):
    image = picture(100, 80)
    image.setflags(write=False)
    before = image.copy()
    tracker.init(image, (100, 80, 60, 60))
    tracker.update(image)
    np.testing.assert_array_equal(image, before)


def test_onnx_and_torch_give_the_same_boxes():
    pytest.importorskip('torch')
    boxes = {}
    for engine in ('onnx', 'torch'):
        tracker = load_tracker(engine=engine)
        tracker.init(picture(100, 80), (100, 80, 60, 60))
        boxes[engine] = [tracker.update(picture(100 + 3 * i, 80 + i)).box for i in range(1, 8)]
    np.testing.assert_allclose(boxes['onnx'], boxes['torch'], atol=0.05)


def test_an_unknown_family_is_refused(tmp_path):
    folder = copy_of_default(tmp_path, lambda m: m.update(family='siamese'))
    with pytest.raises(BundleError, match="family 'siamese' is unknown, expected one of kestrel"):
        load_tracker(folder)


@pytest.mark.parametrize(('change', 'words'), [
    (lambda m: m.pop('sizes'), "lacks or garbles 'sizes'"),
    (lambda m: m['postprocessing'].pop('window'), "lacks or garbles 'window'"),
    (lambda m: m['graphs'].pop('template'), 'needs the graphs template, search; template is not'),
])
def test_a_manifest_that_the_family_cannot_use_is_refused_when_it_is_loaded(tmp_path, change,
                                                                            words):
    with pytest.raises(BundleError, match=words):
        load_tracker(copy_of_default(tmp_path, change))
