# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Transformer blocks: what they compute, and what may be left out of the last one."""
from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from lorat_ros.networks import vit


@pytest.fixture
def block():
    torch.manual_seed(0)
    made = vit.Block(24, 3, vit.Mlp(24, 48))
    with torch.no_grad():
        for scale in (made.ls1, made.ls2):      # 1e-5 at birth, which would hide everything
            scale.gamma.uniform_(0.5, 1.0)
    return made.eval()


@pytest.mark.parametrize('last', [1, 4, 7])
def test_the_last_tokens_alone_are_as_among_all(block, last):
    x = torch.randn(2, 7, 24)
    torch.testing.assert_close(block(x, last=last), block(x)[:, -last:])


def test_the_last_tokens_still_look_at_the_others(block):
    x = torch.randn(1, 7, 24)
    other = x.clone()
    other[:, 0] = torch.randn(24)
    assert (block(x, last=3) - block(other, last=3)).abs().max() > 1e-4


def test_attention_is_written_out_as_published():
    torch.manual_seed(0)
    attention, x = vit.Attention(24, 3), torch.randn(2, 5, 24)
    query, key, value = attention.qkv(x).reshape(2, 5, 3, 3, 8).permute(2, 0, 3, 1, 4)
    weights = (query @ key.transpose(-1, -2) / 8 ** 0.5).softmax(-1)
    mixed = (weights @ value).transpose(1, 2).reshape(2, 5, 24)
    torch.testing.assert_close(attention(x), attention.proj(mixed))


def test_the_gate_is_the_first_half():
    torch.manual_seed(0)
    gated, x = vit.SwiGlu(6, 4), torch.randn(3, 6)
    both = gated.w12(x)
    torch.testing.assert_close(gated(x), gated.w3(F.silu(both[:, :4]) * both[:, 4:]))


def test_patches_go_left_to_right_then_down():
    convolution = torch.nn.Conv2d(3, 1, 2, 2, bias=False)
    torch.nn.init.ones_(convolution.weight)
    image = torch.zeros(1, 3, 4, 6)
    image[0, 0, 0, 4] = 1      # third patch of the first row
    image[0, 0, 2, 0] = 2      # first patch of the second row
    tokens = vit.patch_tokens(image, convolution)[0, :, 0].tolist()
    assert tokens == [0, 0, 1, 2, 0, 0]
