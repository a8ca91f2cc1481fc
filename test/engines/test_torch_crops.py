# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Crops made by torch are those of the host, within a bound, whatever is shown of which image."""
from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

torch = pytest.importorskip('torch')

from lorat_ros.engines.sampling import needed_part, Recipe, Taps     # noqa: E402
from lorat_ros.engines.torch_crops import TorchCrops                 # noqa: E402
from lorat_ros.tracking import kestrel, lorat, square_crop            # noqa: E402
from lorat_ros.tracking.crops import plan_crop                        # noqa: E402
from lorat_ros.tracking.sampler import CropRule, DeviceSampler, HOST  # noqa: E402

WIDTH, HEIGHT = 320, 240
FILL = (100.4, 20.6, 230.5)
VIEWS = {
    'bgr': lambda image: image,
    'rgb': lambda image: image[..., ::-1],
    'grey': lambda image: np.broadcast_to(image[..., :1], image.shape),
    'bgra': lambda image: np.concatenate([image, image[..., :1]], 2)[..., :3],
}
corners = st.tuples(st.floats(-250, 330), st.floats(-250, 250))
lengths = st.tuples(st.floats(0.5, 400), st.floats(0.5, 400))
boxes = st.tuples(corners, lengths).map(lambda box: (*box[0], *box[1]))
views = st.sampled_from(sorted(VIEWS))


def picture(height: int = HEIGHT, width: int = WIDTH) -> np.ndarray:
    """Noise: the hardest picture there is to resample alike."""
    return np.random.default_rng(7).integers(0, 256, (height, width, 3), np.uint8)


def kestrel_plan(box: tuple[float, ...], size: int) -> object:
    x, y, w, h = box
    return plan_crop((x + w / 2, y + h / 2), max(w, h, 4.0) * 2, size, (WIDTH, HEIGHT), FILL)


def lorat_plan(box: tuple[float, ...], size: int) -> object:
    x, y, w, h = box
    return lorat.plan_window(np.array((x, y, x + w, y + h)), 4.0, size, (WIDTH, HEIGHT), FILL)


def square_plan(box: tuple[float, ...], size: int) -> object:
    return square_crop.square_around(box, 4.0, size)


#: Rule, what plans for it, and how far it may be off, in grey levels: one level where both round
#: to bytes; the order of a float's sums where they do not.
RULES: dict[str, tuple[CropRule, Callable[[tuple[float, ...], int], object], float]] = {
    'kestrel': (kestrel.CROPS, kestrel_plan, 1.0),
    'lorat': (lorat.CROPS, lorat_plan, 1e-3),
    'square': (square_crop.CROPS, square_plan, 1.0),
}


def both(image: np.ndarray, name: str, box: tuple[float, ...], size: int
         ) -> tuple[np.ndarray, np.ndarray]:
    """Crop of the device and crop of the host, both as levels (3, S, S) RGB."""
    rule, plan_of, _ = RULES[name]
    plan, device = plan_of(box, size), TorchCrops(torch.device('cpu'))
    found = DeviceSampler(device).cut(image, plan, rule).value
    assert found.dtype == torch.float32 and found.is_contiguous()
    wanted = HOST.cut(image, plan, rule)
    assert tuple(found.shape) == wanted.shape == (1, 3, size, size)
    mean, scale = (np.array(values[::-1])[:, None, None]
                   for values in (rule.colours.mean, rule.colours.scale))
    return found.numpy()[0] / scale + mean, wanted[0] / scale + mean


@settings(max_examples=120, deadline=None)
@given(st.sampled_from(sorted(RULES)), boxes, st.sampled_from([32, 80, 127]), views)
def test_device_and_host_agree(name: str, box: tuple[float, ...], size: int, view: str) -> None:
    found, wanted = both(VIEWS[view](picture()), name, box, size)
    apart = np.abs(found - wanted)
    assert apart.max() <= RULES[name][2] + 1e-3
    # Where both round, they round differently now and then, not everywhere.
    assert apart.mean() <= 0.2


@pytest.mark.gpu
@pytest.mark.parametrize('name', RULES)
def test_a_gpu_makes_the_same(name: str) -> None:
    if not torch.cuda.is_available():
        pytest.skip('torch finds no GPU here')
    device = TorchCrops(torch.device('cuda'), torch.cuda.Stream())
    rule, plan_of, bound = RULES[name]
    for box in ((90.0, 60.0, 70.0, 50.0), (-30.0, 200.0, 90.0, 90.0), (100.0, 50.0, 6.0, 9.0)):
        found = DeviceSampler(device).cut(picture(), plan_of(box, 127), rule).value
        torch.cuda.synchronize()
        apart = (found.cpu().numpy() - HOST.cut(picture(), plan_of(box, 127), rule))[0]
        assert np.abs(apart / np.array(rule.colours.scale[::-1])[:, None, None]).max() <= (
            bound + 1e-3)


@pytest.mark.parametrize('name', RULES)
@pytest.mark.parametrize('box', [(-900.0, 10.0, 40.0, 30.0), (3000.0, 3000.0, 8.0, 8.0)])
def test_outside_the_image_there_is_only_fill(name: str, box: tuple[float, ...]) -> None:
    found, wanted = both(picture(), name, box, 64)
    np.testing.assert_allclose(found, wanted, atol=1e-3)
    assert np.ptp(found, (1, 2)).max() == 0


@pytest.mark.parametrize('name', RULES)
def test_an_image_of_one_pixel(name: str) -> None:
    image = np.full((1, 1, 3), 77, np.uint8)
    rule, plan_of, bound = RULES[name]
    if name == 'kestrel':
        plan = plan_crop((0.5, 0.5), 8.0, 32, (1, 1), FILL)
    elif name == 'lorat':
        plan = lorat.plan_window(np.array((0.0, 0, 2, 2)), 4.0, 32, (1, 1), FILL)
    else:
        plan = square_plan((0.0, 0.0, 2.0, 2.0), 32)
    found = DeviceSampler(TorchCrops(torch.device('cpu'))).cut(image, plan, rule).value
    levels = (found.numpy() - HOST.cut(image, plan, rule))[0] / np.array(
        rule.colours.scale[::-1])[:, None, None]
    assert np.abs(levels).max() <= bound + 1e-3


def test_a_square_of_gigabytes_is_thinned_as_on_the_host(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(square_crop, 'LARGEST', 100)
    for box in ((-20.0, -10.0, 300.0, 200.0), (101.0, 51.0, 90.0, 90.0)):
        found, wanted = both(picture(), 'square', box, 64)
        assert np.abs(found - wanted).max() <= 1.001


@pytest.mark.parametrize('name', RULES)
def test_one_device_serves_crops_of_all_sizes(name: str) -> None:
    rule, plan_of, bound = RULES[name]
    sampler, image = DeviceSampler(TorchCrops(torch.device('cpu'))), picture()
    wanted, kept = [], []
    for size in (32, 127, 64):
        plan = plan_of((90.0, 60.0, 70.0, 50.0), size)
        kept.append(sampler.cut(image, plan, rule).value)
        wanted.append(HOST.cut(image, plan, rule))
    image[:] = 0      # the message is gone; what was made of it must not be
    for found, expected in zip(kept, wanted):
        apart = np.abs(found.numpy() - expected)[0] / np.array(rule.colours.scale[::-1])[
            :, None, None]
        assert apart.max() <= bound + 1e-3


def recipe(columns: list[int], rows: list[int]) -> Recipe:
    taps = [Taps(np.array(index)[:, None], np.ones((len(index), 1), np.float32))
            for index in (columns, rows)]
    return Recipe(*taps, (0, 0), 8, (0.0, 0.0, 0.0), whole=True)


@pytest.mark.parametrize(('columns', 'rows', 'shape'), [
    ([3, 4, 5], [7, 8], (2, 3, 3)),                 # dense: a view
    ([10, 20, 30], [0, 2, 4], (3, 3, 3)),           # even steps: a view
    ([0, 7, 100], [3, 50, 99], (3, 3, 3)),          # picked out
])
def test_only_what_is_needed_goes_up(columns: list[int], rows: list[int],
                                     shape: tuple[int, ...]) -> None:
    image = picture()
    part = needed_part(image, recipe(columns, rows))
    assert part.pixels.shape == shape
    np.testing.assert_array_equal(part.pixels[part.rows[:, 0]][:, part.columns[:, 0]],
                                  image[rows][:, columns])


def test_grey_goes_up_once_and_rgb_as_it_lies() -> None:
    image = picture()
    assert needed_part(VIEWS['grey'](image), recipe([1, 2], [1, 2])).pixels.shape[2] == 1
    turned = needed_part(VIEWS['rgb'](image), recipe([1, 2], [1, 2]))
    assert turned.reversed and turned.pixels.strides[2] == 1


def test_of_a_large_window_few_bytes_go_up() -> None:
    image = picture(2160, 3840)
    plan = lorat.plan_window(np.array((1000.0, 500.0, 1700.0, 1200.0)), 4.0, 224, (3840, 2160),
                             FILL)
    part = needed_part(image, lorat.CROPS.recipe(plan, (3840, 2160)))
    assert part.pixels.size <= (2 * 224) ** 2 * 3
