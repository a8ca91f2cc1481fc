# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The Kestrel network: shapes, its tied start, and what its two stages have in common."""
from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from lorat_ros.networks.kestrel import Block, Kestrel, KestrelConfig, STEMS, unit

SMALL = KestrelConfig(search_size=96, template_size=48, width=48, depth=2, heads=3, head_width=16)


@pytest.fixture(scope='module', params=STEMS)
def network(request):
    torch.manual_seed(0)
    return Kestrel(replace(SMALL, stem=request.param)).eval()


def test_shapes_of_both_stages(network):
    tokens, keys = network.template(torch.rand(2, 3, 48, 48), torch.rand(2, 3, 3))
    assert tokens.shape == (2, 9, 48) and keys.shape == (2, 10, 48)
    score, boxes, similarity, features = network.search(torch.rand(2, 3, 96, 96), tokens, keys)
    assert score.shape == (2, 6, 6) and boxes.shape == (2, 4, 6, 6)
    assert similarity.shape == (2, 36, 10) and features.shape == (2, 36, 48)
    assert similarity.abs().max() <= 1 + 1e-5


def test_boxes_contain_their_cells(network):
    with torch.no_grad():
        _, boxes = network(torch.rand(1, 3, 48, 48), torch.rand(1, 3, 3), torch.rand(1, 3, 96, 96))
    axis = (torch.arange(6) + 0.5) / 6
    x1, y1, x2, y2 = boxes[0]
    assert (x1 < axis).all() and (x2 > axis).all()
    assert (y1 < axis[:, None]).all() and (y2 > axis[:, None]).all()


def test_the_whole_is_its_two_stages(network):
    template, mask = torch.rand(1, 3, 48, 48), torch.rand(1, 3, 3)
    search = torch.rand(1, 3, 96, 96)
    with torch.no_grad():
        whole = network(template, mask, search)
        parts = network.search(search, *network.template(template, mask))
    for a, b in zip(whole, parts[:2], strict=True):
        torch.testing.assert_close(a, b)


def test_the_template_decides(network):
    search, mask = torch.rand(1, 3, 96, 96), torch.ones(1, 3, 3)
    with torch.no_grad():
        one, _ = network(torch.rand(1, 3, 48, 48), mask, search)
        other, _ = network(torch.rand(1, 3, 48, 48) * 5, mask, search)
    assert (one - other).abs().max() > 1e-3


def test_attention_starts_tied():
    block = Block(48, 3, 2)
    query, key, value = block.qkv.weight.chunk(3)
    assert torch.equal(query, key)
    assert torch.equal(block.proj.weight, value.T)


def test_a_block_that_answers_for_the_last_tokens_answers_as_for_all():
    torch.manual_seed(3)
    block, x = Block(48, 3, 2), torch.randn(2, 17, 48)
    torch.testing.assert_close(block(x, last=9), block(x)[:, -9:])


def test_unit_vectors():
    x = torch.randn(3, 5, 7)
    torch.testing.assert_close(unit(x).norm(dim=-1), torch.ones(3, 5))
    assert torch.isfinite(unit(torch.zeros(1, 4))).all()


@pytest.mark.parametrize(('sizes', 'words'), [
    ({'search_size': 100}, 'search_size is 100: give a multiple of 16'),
    ({'width': 100}, 'width 100 is not a multiple of heads 3'),
    ({'depth': 0}, 'depth is 0: give at least 1'),
    ({'stem': 'plane'}, "stem is 'plane': give one of plain, efficient"),
])
def test_impossible_sizes_are_refused(sizes, words):
    with pytest.raises(ValueError, match=words):
        KestrelConfig(**sizes)
