# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""LoRAT's network and checkpoints against the published code's golden numbers."""
from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from support import goldens
from support.generator import network_input
from support.lorat_checkpoints import base_tensors, delta_tensors, generate

from lorat_ros.engines.session import open_session
from lorat_ros.models.bundle import read_bundle
from lorat_ros.networks.export import export_bundle
from lorat_ros.networks.lora import adapted, merge
from lorat_ros.networks.lorat import (base_shapes, delta_shapes, full_shapes, Lorat, LoratConfig,
                                      resize_positions, SCALARS, VARIANTS)
from lorat_ros.tracking.lorat import template_mask

OFFICIAL = {name: f'keys_{name.removeprefix("lorat-").replace("b-", "B-").replace("s-", "S-")}'
            .replace('l-', 'L-') + '.json' for name in VARIANTS}
DIMS = 64      # dimensions of a token that the golden slices hold
TOLERANCE = {'*/score_map': 1e-4, '*/boxes': 1e-5, '*/fro': 1e-3, '*': 1e-4}


def network_of(config: LoratConfig, base: dict, delta: dict, form: str) -> Lorat:
    """Build the network with LoRA apart ('unmerged'), merged, or left out ('no_lora')."""
    state = {**base, **{name: value for name, value in delta.items() if '.lora.' not in name}}
    state['pos_embed'] = resize_positions(base['pos_embed'], config.search_grid)
    with torch.device('meta'):      # every value is given: none need be drawn at random
        network = Lorat(config, adapted() if form == 'unmerged' else None)
    if form == 'unmerged':
        state = {**state, **delta}
        for name in network.state_dict():
            if '.linear.' not in name:
                continue
            layer, _, leaf = name.rpartition('.linear.')
            owner, _, part = layer.rpartition('.')
            if owner.endswith('qkv'):
                state[name] = base[f'{owner}.{leaf}'].chunk(3)['qkv'.index(part)]
            else:
                state[name] = base[f'{layer}.{leaf}']
    elif form == 'merged':
        state = merge(state, delta, 1.0)
    network.load_state_dict({name: state[name] for name in network.state_dict()}, assign=True)
    return network.eval()


def shown(network: Lorat, z: torch.Tensor, mask: torch.Tensor, x: torch.Tensor
          ) -> tuple[torch.Tensor, torch.Tensor, dict[str, torch.Tensor]]:
    """What it answers, and every token after the embedding, first block, last block and norm."""
    tokens: dict[str, torch.Tensor] = {}
    first, last = network.blocks[0], network.blocks[-1]
    hooks = (first.register_forward_pre_hook(lambda _, given: tokens.update(embed=given[0])),
             first.register_forward_hook(lambda _, given, made: tokens.update(block0=made)),
             last.register_forward_pre_hook(lambda _, given: tokens.update(block_last=given[0])))
    score, boxes = network(z, mask, x)
    for hook in hooks:
        hook.remove()
    tokens['block_last'] = last(tokens['block_last'])      # of all tokens; search makes a part
    return score, boxes, {**tokens, 'norm': network.norm(tokens['block_last'])}


def answers(network: Lorat, golden: dict, inputs: str, states: tuple[str, ...]
            ) -> dict[str, np.ndarray]:
    """What a golden file holds of one form of the network."""
    config, mask = network.config, torch.from_numpy(golden['mask']).float()
    z, x = (torch.from_numpy(network_input(f'input.{kind}.{inputs}', (len(mask), 3, side, side)))
            for kind, side in (('z', config.template_size), ('x', config.search_size)))
    found = {}
    with torch.inference_mode():
        score, boxes, tokens = shown(network, z, mask, x)
    for name in states:
        values = tokens[name].numpy()
        found[f'{name}/slice'] = values[:, golden['token_index'], :DIMS]
        found[f'{name}/token_norm'] = np.linalg.norm(values.astype(np.float64), axis=-1)
        if f'merged/{name}/fro' in golden:
            found[f'{name}/fro'] = np.linalg.norm(values.astype(np.float64))
    return {**found, 'score_map': score.numpy(), 'boxes': boxes.numpy()}


def check_model(case: str, variant: str, depth: int | None = None,
                states: tuple[str, ...] = ('embed', 'block0', 'block_last', 'norm'),
                more: Callable[[dict, dict], dict] = lambda golden, merged: {}) -> None:
    """Compare a file of golden numbers with the network in the forms it holds."""
    path = f'lorat/model_{case}.npz'
    golden = goldens.read(path)
    config = VARIANTS[variant]
    config = LoratConfig(**{**config.__dict__, 'depth': depth or config.depth})
    base, delta = base_tensors(config), delta_tensors(config)
    found = {}
    for form in ('unmerged', 'merged', 'no_lora'):
        if any(name.startswith(f'{form}/') for name in golden):
            network = network_of(config, base, delta, form)
            wanted = states if form != 'no_lora' else ()
            found.update((f'{form}/{name}', value)
                         for name, value in answers(network, golden, case, wanted).items())
            if form == 'merged':
                found.update(more(golden, network.state_dict()))
    cells = config.template_grid
    if 'mask_boxes' in golden:
        found.update(mask=[template_mask(box, cells) for box in golden['mask_boxes'].tolist()],
                     N=len(golden['mask']), z_size=config.template_size,
                     x_size=config.search_size, dims=DIMS)
    fed = {'mask_boxes', 'token_index'} if 'mask_boxes' in golden else {'mask', 'token_index'}
    goldens.compare(path, found, TOLERANCE, dict.fromkeys(fed, goldens.INPUT))


def weights(golden: dict, merged: dict) -> dict[str, np.ndarray]:
    """Resized position embedding and merged weights, as a golden file samples them."""
    rows = merged['pos_embed'][0].numpy()
    found = {'pos_embed_rows': rows[golden['pos_embed_row_index']],
             'pos_embed_row_index': golden['pos_embed_row_index'],
             'pos_embed_token_norm': np.linalg.norm(rows.astype(np.float64), axis=-1)}
    for name in golden:
        if name.startswith('merged:'):
            _, key, kind = name.split(':')
            value = merged[key].numpy()
            found[name] = (value[::97, ::53] if kind == 'corner' else
                           np.linalg.norm(value.astype(np.float64)))
    return found


@pytest.mark.parametrize(('case', 'variant'), [('B-224', 'lorat-b-224'), ('B-378', 'lorat-b-378'),
                                               ('L-224', 'lorat-l-224')])
def test_the_published_networks(case, variant):
    check_model(case, variant, more=weights)


def test_the_gated_mlp_of_the_giant():
    check_model('g-224-depth2', 'lorat-g-224', depth=2, states=('block0', 'norm'))


def test_the_gated_mlp_of_the_giant_with_onnx_runtime(tmp_path):
    golden = goldens.read('lorat/model_g-224-depth2.npz')
    config = replace(VARIANTS['lorat-g-224'], depth=2)
    network = network_of(config, base_tensors(config), delta_tensors(config), 'merged')
    about = {**Lorat.variants()['lorat-g-224'].about, 'name': 'g', 'family': 'lorat'}
    export_bundle(network, tmp_path / 'g', about, check=lambda part: None)
    session = open_session(read_bundle(tmp_path / 'g'), 'onnx')
    z, x = (network_input(f'input.{kind}.g-224-depth2', (1, 3, side, side))
            for kind, side in (('z', 112), ('x', 224)))
    memory = session.run('template', {'image': z, 'mask': golden['mask'].astype(np.float32)})
    found = session.run('search', {'image': x, **memory})
    shutil.rmtree(tmp_path / 'g')      # large, and pytest keeps the folders of three runs
    for name, key in (('score', 'score_map'), ('boxes', 'boxes')):
        np.testing.assert_allclose(found[name], golden[f'merged/{key}'], rtol=0,
                                   atol=TOLERANCE[f'*/{key}'], err_msg=key)


@pytest.mark.parametrize('variant', VARIANTS)
def test_names_and_shapes_are_the_official_ones(variant):
    keys = json.loads((goldens.DATA / 'lorat' / OFFICIAL[variant]).read_text())
    config = VARIANTS[variant]
    with torch.device('meta'):
        merged = {name: tuple(value.shape) for name, value in
                  Lorat(config).state_dict().items()}
    ours = {'variant': variant, 'dinov2_base': base_shapes(config),
            'delta_trainable': delta_shapes(config), 'unmerged_model_all': full_shapes(config),
            'merged_model_all': merged,
            'delta_extra_scalars_2024_format': dict.fromkeys(SCALARS, ())}

    def count(shapes, part=lambda name: True):
        return sum(int(np.prod(shape)) for name, shape in shapes.items() if part(name))
    delta = ours['delta_trainable']
    counts = {'base': count(ours['dinov2_base']), 'delta': count(delta), 'merged': count(merged),
              'lora': count(delta, lambda name: '.lora.' in name),
              'head': count(delta, lambda name: name.startswith('head.')),
              'token_type': count(delta, lambda name: name == 'token_type_embed'),
              'unmerged': count(ours['unmerged_model_all']), 'n_delta_keys': len(delta),
              'n_merged_keys': len(merged), 'n_base_keys': len(ours['dinov2_base'])}
    assert keys['counts'] == counts
    assert set(keys) == {*ours, 'counts'}
    assert f'lorat-{keys["variant"].lower()}' == variant
    for name, shapes in ours.items():
        if name != 'variant':
            assert {key: tuple(shape) for key, shape in keys[name].items()} == shapes, name


TINY = LoratConfig(width=24, depth=2, heads=3, hidden=48, feed_forward='mlp', template_size=56,
                   search_size=112)


@pytest.fixture(scope='module')
def tiny():
    base, delta = generate(base_shapes(TINY)), generate(delta_shapes(TINY))
    return network_of(TINY, base, delta, 'merged')


def test_two_stages_answer_as_all_tokens_together(tiny):
    z, x, mask = torch.randn(1, 3, 56, 56), torch.randn(1, 3, 112, 112), torch.ones(1, 4, 4)
    with torch.no_grad():
        tokens = torch.cat([*tiny.template(z, mask), tiny.embed_search(x)], 1)
        for block in tiny.blocks:
            tokens = block(tokens)
        normed = tiny.norm(tokens)[:, 16:]
        expected = tiny.head(normed, 8)
        found = tiny(z, mask, x)
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other)


def test_the_template_stands_in_the_top_left_corner_of_the_search_grid(tiny):
    plain = torch.zeros(1, 3, 56, 56)
    with torch.no_grad():
        tokens, = tiny.template(plain, torch.ones(1, 4, 4))
        grid = (tokens - tiny.patch_embed.proj.bias - tiny.token_type_embed[1]).reshape(4, 4, -1)
        corner = tiny.pos_embed.reshape(8, 8, -1)[:4, :4]
    torch.testing.assert_close(grid, corner)


def test_the_mask_chooses_the_kind_of_each_template_cell(tiny):
    mask = torch.zeros(1, 4, 4)
    mask[0, 1, 2] = 1
    with torch.no_grad():
        kinds = tiny.template(torch.zeros(1, 3, 56, 56), mask)[0] - \
            tiny.template(torch.zeros(1, 3, 56, 56), torch.zeros(1, 4, 4))[0]
    changed = kinds[0].abs().sum(-1).nonzero().flatten().tolist()
    assert changed == [1 * 4 + 2]
    torch.testing.assert_close(kinds[0, 6], tiny.token_type_embed[1] - tiny.token_type_embed[0])


def test_positions_are_resized_to_a_size_not_by_a_scale():
    hub = torch.from_numpy(network_input('positions', (1, 1370, 4)))
    ours = resize_positions(hub, 16)
    patches = hub[:, 1:].reshape(1, 37, 37, 4).permute(0, 3, 1, 2)
    hubs_own = torch.nn.functional.interpolate(patches, scale_factor=(16.1 / 37, 16.1 / 37),
                                               mode='bicubic').permute(0, 2, 3, 1)
    assert ours.shape == (1, 256, 4)
    assert (ours - hubs_own.reshape(1, 256, 4)).abs().max() > 0.01
    torch.testing.assert_close(resize_positions(hub, 37), hub[:, 1:])
