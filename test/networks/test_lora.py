# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""LoRA beside a layer and merged into it."""
from __future__ import annotations

import pytest
import torch

from lorat_ros.networks.lora import (Adapter, LoraLinear, LoraQkv, merge, scaling_of,
                                     split_wrapped)


@pytest.fixture
def wrapped():
    """Names and values of a fused layer and a plain one, each with adapters."""
    torch.manual_seed(0)
    block = torch.nn.ModuleDict({'qkv': LoraQkv(6, 18, rank=2), 'proj': LoraLinear(6, 6, rank=2)})
    return block, {f'blocks.0.attn.{name}': value for name, value in block.state_dict().items()}


@pytest.mark.parametrize('scaling', [1.0, 0.25])
@pytest.mark.parametrize('layer', ['qkv', 'proj'])
def test_merged_answers_as_apart(wrapped, layer, scaling):
    block, state = wrapped
    for part in ('q', 'k', 'v'):
        getattr(block['qkv'], part).scaling = scaling
    block['proj'].scaling = scaling
    merged = merge(*split_wrapped(state), scaling)
    x, place = torch.randn(3, 6), f'blocks.0.attn.{layer}'
    expected = torch.nn.functional.linear(x, merged[f'{place}.weight'], merged[f'{place}.bias'])
    torch.testing.assert_close(block[layer](x), expected)


@pytest.mark.parametrize(('part', 'third'), [('q', 0), ('k', 1), ('v', 2)])
def test_each_part_goes_into_its_third(part, third):
    base = {'a.qkv.weight': torch.zeros(9, 3)}
    adapters = {f'a.qkv.{part}.lora.A': torch.ones(1, 3),
                f'a.qkv.{part}.lora.B': torch.full((3, 1), 2.0)}
    merged = merge(base, adapters, 1.0)['a.qkv.weight']
    for k, rows in enumerate(merged.chunk(3)):
        assert (rows == (2.0 if k == third else 0.0)).all()
    assert not base['a.qkv.weight'].any(), 'the base was changed in place'


def test_half_precision_is_added_in_single_and_kept():
    base = {'x.weight': torch.ones(2, 2, dtype=torch.float16)}
    adapters = {'x.lora.A': torch.full((1, 2), 1e-3), 'x.lora.B': torch.full((2, 1), 1.0)}
    merged = merge(base, adapters, 1.0)['x.weight']
    assert merged.dtype == torch.float16
    assert (merged == torch.tensor(1.001).half()).all()


def test_an_adapter_without_its_layer():
    with pytest.raises(KeyError, match=r'y\.weight'):
        merge({}, {'y.lora.A': torch.ones(1, 2), 'y.lora.B': torch.ones(2, 1)}, 1.0)


@pytest.mark.parametrize(('alpha', 'stabilised', 'expected'), [
    (None, False, 1.0), (64, False, 1.0), (32, False, 0.5), (64, True, 8.0), (None, True, 1.0)])
def test_scaling(alpha, stabilised, expected):
    assert scaling_of(alpha, 64, stabilised) == expected


def test_a_new_adapter_changes_the_layer_from_the_start():
    torch.manual_seed(0)
    adapter = Adapter(8, 8, rank=4)
    assert adapter.A.any() and adapter.B.any()
    assert adapter(torch.randn(2, 8)).abs().max() > 0
