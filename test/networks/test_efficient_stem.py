# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The stem of EfficientNet-Lite0: what it takes over, what it leaves alone, its own gradient."""
from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest
import torch
from torch.nn import functional as F

from lorat_ros.networks.checkpoints import CheckpointError
from lorat_ros.networks.efficient_stem import (_FixedDepthwise, EfficientStem, ENTRY, FINE,
                                               GENERAL, load_efficientnet, MIDDLE, STAGES)

MEAN, SCALE = torch.tensor((120.0, 110.0, 100.0)), 1 / 60
NORM = ('weight', 'bias', 'running_mean', 'running_var')


def layers() -> list[tuple[str, str, tuple[int, ...], int, int]]:
    """Of every convolution of the published network: name, norm, shape, stride, groups."""
    found, inputs, number = [('_conv_stem', '_bn0', (ENTRY, 3, 3, 3), 2, 1)], ENTRY, 0
    for expansion, outputs, kernel, stride, count in STAGES:
        for place in range(count):
            at, inner = f'_blocks.{number}.', inputs * expansion
            if expansion > 1:
                found.append((f'{at}_expand_conv', f'{at}_bn0', (inner, inputs, 1, 1), 1, 1))
            found += [(f'{at}_depthwise_conv', f'{at}_bn1', (inner, 1, kernel, kernel),
                       1 if place else stride, inner),
                      (f'{at}_project_conv', f'{at}_bn2', (outputs, inner, 1, 1), 1, 1)]
            inputs, number = outputs, number + 1
    return found


@pytest.fixture(scope='module')
def classifier() -> dict[str, torch.Tensor]:
    """State dict of a network that was never trained, with norms that do something."""
    torch.manual_seed(1)
    state = {'_fc.bias': torch.zeros(1000)}      # and what else a classifier has
    for conv, norm, shape, _, _ in layers():
        state[f'{conv}.weight'] = torch.randn(shape) * (2 / (shape[1] * shape[2] ** 2)) ** 0.5
        for part in NORM:
            state[f'{norm}.{part}'] = 0.5 + torch.rand(shape[0])
    return state


@pytest.fixture(scope='module')
def file(classifier: Mapping[str, torch.Tensor], tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp('classifier') / 'efficientnet-lite0.pth'
    torch.save(dict(classifier), path)
    return path


def published(state: Mapping[str, torch.Tensor], image: torch.Tensor) -> list[torch.Tensor]:
    """What every block gives, norms and all, computed as published (but for the padding)."""
    x, found, before = image, [], image
    for conv, norm, shape, stride, groups in layers():
        x = F.conv2d(x, state[f'{conv}.weight'], None, stride, shape[-1] // 2, groups=groups)
        scale, shift, mean, variance = (state[f'{norm}.{part}'] for part in NORM)
        x = F.batch_norm(x, mean, variance, scale, shift, eps=1e-3)
        if not conv.endswith('project_conv'):
            x = F.relu6(x)
            before = x if conv == '_conv_stem' else before
            continue
        x = x + before if x.shape == before.shape else x
        found.append(x)
        before = x
    return found


def test_it_answers_as_the_classifier_does(classifier: Mapping[str, torch.Tensor], file: Path
                                           ) -> None:
    stem = EfficientStem(48)
    load_efficientnet(stem, file, torch.full((3,), 127.0), 1 / 128)
    image = torch.randn(1, 3, 48, 48)
    with torch.no_grad():
        blocks = published(classifier, image)
        for ours, theirs in zip(stem.depths(image), (blocks[FINE], blocks[MIDDLE], blocks[-1])):
            torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=1e-3)


def test_it_is_shown_the_colours_that_the_classifier_knows(file: Path) -> None:
    stem, same = EfficientStem(48), EfficientStem(48)
    load_efficientnet(stem, file, MEAN, SCALE)
    load_efficientnet(same, file, torch.full((3,), 127.0), 1 / 128)
    levels = torch.randint(0, 256, (2, 3, 16, 16)).float()
    with torch.no_grad():
        ours = stem.entry((levels - MEAN.view(1, 3, 1, 1)) * SCALE)
        theirs = same.entry((levels - 127) / 128)
    # At the edge zeros join in, and they stand for another colour.
    torch.testing.assert_close(ours[:, :, 1:, 1:], theirs[:, :, 1:, 1:], rtol=1e-4, atol=1e-4)


def test_shape() -> None:
    assert EfficientStem(48)(torch.zeros(2, 3, 96, 80)).shape == (2, 48, 6, 5)


@pytest.mark.parametrize('kernel', [3, 5])
def test_the_gradient_past_fixed_kernels_is_torchs(kernel: int) -> None:
    torch.manual_seed(kernel)
    x = torch.randn(2, 4, 7, 6, dtype=torch.double, requires_grad=True)
    weight = torch.randn(4, 1, kernel, kernel, dtype=torch.double)
    bias = torch.randn(4, dtype=torch.double, requires_grad=True)
    above = torch.randn(2, 4, 7, 6, dtype=torch.double)
    own = _FixedDepthwise.apply(x, weight, bias)
    usual = F.conv2d(x, weight, bias, padding=kernel // 2, groups=4)
    torch.testing.assert_close(own, usual)
    for mine, torchs in zip(torch.autograd.grad(own, (x, bias), above),
                            torch.autograd.grad(usual, (x, bias), above)):
        torch.testing.assert_close(mine, torchs, check_dtype=False, rtol=1e-5, atol=1e-5)


def test_what_is_general_is_left_alone() -> None:
    stem = EfficientStem(48)
    stem.freeze()
    stem(torch.randn(1, 3, 48, 48)).sum().backward()
    learnt = {name for name, parameter in stem.named_parameters() if parameter.grad is not None}
    assert {name.split('.')[0] for name in learnt} == {'blocks', 'fine', 'middle', 'deep'}
    assert {int(name.split('.')[1]) for name in learnt if name.startswith('blocks')} \
        == set(range(GENERAL, len(stem.blocks)))
    assert not any('depthwise.weight' in name for name in learnt)
    assert 'blocks.7.depthwise.bias' in learnt


def test_another_file_is_refused(classifier: Mapping[str, torch.Tensor], tmp_path: Path) -> None:
    path = tmp_path / 'other.pth'
    torch.save({'weight': torch.zeros(1)}, path)
    with pytest.raises(CheckpointError, match=r'missing: _bn0.*give efficientnet-lite0-'):
        load_efficientnet(EfficientStem(48), path, MEAN, SCALE)
    torch.save({**classifier, '_blocks.3._bn1.bias': torch.zeros(7)}, path)
    with pytest.raises(CheckpointError, match=r'_blocks.3._bn1.bias is \(7,\), expected \(144,\)'):
        load_efficientnet(EfficientStem(48), path, MEAN, SCALE)
    with pytest.raises(CheckpointError, match='cannot be read'):
        load_efficientnet(EfficientStem(48), tmp_path / 'none.pth', MEAN, SCALE)
