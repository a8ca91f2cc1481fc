# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Cutting: exactly the first blocks stay, and what cannot be cut is refused in one line."""
from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from support import fartrack_checkpoints
from support.litetrack_tiny import heavy_tensors, HEAVY, LIGHT, write_cae, write_heavy

from lorat_ros.networks.checkpoints import CheckpointError, read_checkpoint
from lorat_ros.networks.litetrack import LiteTrack
from lorat_ros.networks.litetrack_cut import cut_out, resize_positions

BLOCK = 15      # tensors


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp('heavy')


@pytest.fixture(scope='module')
def heavy(folder):
    return write_heavy(folder)


@pytest.mark.parametrize(('depth', 'interaction', 'blocks'), [
    (1, 1, (0,)), (2, 1, (1,)), (4, 2, (2, 3)), (6, 3, (3, 4, 5))])
def test_exactly_the_first_blocks_stay(heavy, depth, interaction, blocks):
    before = read_checkpoint(heavy).tensors
    network, cut = cut_out(heavy, replace(LIGHT, depth=depth, interaction=interaction))
    state = network.state_dict()
    assert {name.split('.')[2] for name in state if '.blocks.' in name} == \
        set(map(str, range(depth)))
    for name, value in state.items():
        assert torch.equal(value, before[name]), name
    assert cut.interaction == blocks and not cut.new and not cut.resized
    assert set(cut.kept) == set(state) and len(cut.dropped) == BLOCK * (6 - depth) + 2
    assert len(before) == len(cut.kept) + len(cut.dropped)


def test_the_first_layers_answer_as_the_heavy_ones(heavy):
    """Both networks, the same pictures: after the blocks before any interaction all is equal."""
    light, _ = cut_out(heavy, LIGHT)
    whole = LiteTrack(HEAVY)
    whole.load_state_dict({name: value for name, value in heavy_tensors().items()
                           if name in whole.state_dict()})
    template, search = torch.randn(2, 3, 32, 32), torch.randn(2, 3, 64, 64)
    seen = []
    for network in (whole, light):
        tokens = network.embed_search(search), network.embed_template(template)
        for block in network.backbone.blocks[:4]:
            tokens = tuple(block(t) for t in tokens)
        seen.append(tokens)
    for one, other in zip(*seen):
        assert torch.equal(one, other)
    # Where the search region looks at the template has moved: the answers are not the same.
    box = torch.tensor([[0.2, 0.2, 0.8, 0.8]] * 2)
    assert not torch.allclose(whole.eval()(template, box, search)[0],
                              light.eval()(template, box, search)[0], atol=1e-6)


def test_the_report_counts_names(heavy):
    _, cut = cut_out(heavy, LIGHT)
    first, *rest = cut.lines()
    assert 'LiteTrack with 6 blocks; in the cut, of its blocks, 2, 3 look' in first
    assert rest[0].startswith('kept:') and 'backbone.blocks.1 15' in rest[0]
    assert rest[1].split()[:2] == ['resized:', '0'] and rest[2].split()[:2] == ['new:', '0']
    assert '32 tensors' in rest[3] and 'backbone.blocks.5 15' in rest[3]


def test_positions_of_another_resolution_are_resized(heavy):
    network, cut = cut_out(heavy, replace(LIGHT, search_size=96))
    assert cut.resized == ('backbone.pos_embed_x',)
    assert network.backbone.pos_embed_x.shape == (1, 36, 64)


def test_out_of_cae(folder):
    path = write_cae(folder)
    before = read_checkpoint(path).tensors
    network, cut = cut_out(path, LIGHT)
    for name, value in network.state_dict().items():
        if name.startswith(('backbone.blocks.', 'backbone.patch_embed.')):
            assert torch.equal(value, before[name.replace('backbone.', 'encoder.')]), name
    patches = before['encoder.pos_embed'][:, 1:]
    for name, grid in (('z', 2), ('x', 4)):
        expected = torch.nn.functional.interpolate(
            patches.reshape(1, 3, 3, 64).permute(0, 3, 1, 2), (grid, grid), mode='bicubic',
            align_corners=False).permute(0, 2, 3, 1).reshape(1, grid * grid, 64)
        torch.testing.assert_close(getattr(network.backbone, f'pos_embed_{name}').data, expected)
    assert all(name.startswith(('box_head.', 'target_token_embed.')) for name in cut.new)
    assert len(cut.new) == 82 and len(cut.resized) == 2
    assert {'decoder.blocks.0.norm1.weight', 'encoder.cls_token'} < set(cut.dropped)
    assert len(cut.dropped) == 2 * BLOCK + 2
    score, _, _ = network.eval()(torch.randn(1, 3, 32, 32), torch.rand(1, 4),
                                 torch.randn(1, 3, 64, 64))
    assert 0.02 < float(score.detach().median()) < 0.4      # nearly all cells begin as empty


def test_a_grid_of_the_same_size_stays_as_it_is():
    positions = torch.randn(1, 16, 8)
    torch.testing.assert_close(resize_positions(positions, 16), positions)


def test_a_head_of_another_shape_begins_anew(folder):
    tensors = heavy_tensors()
    tensors['box_head.conv5_ctr.weight'] = torch.zeros(2, 32, 1, 1)
    path = folder / 'other_head.pth.tar'
    torch.save({'net': tensors}, path)
    _, cut = cut_out(path, LIGHT)
    assert cut.new == ('box_head.conv5_ctr.weight',)


@pytest.mark.parametrize(('config', 'words'), [
    (replace(HEAVY, depth=8), r'LiteTrack_6.* with 6 blocks, and a network of 8 is asked for'),
    (replace(LIGHT, width=128), r'is \(64,.*, expected \(128,.*another width'),
])
def test_what_does_not_fit_is_refused(heavy, config, words):
    with pytest.raises(CheckpointError, match=words):
        cut_out(heavy, config)


@pytest.mark.parametrize(('tensors', 'words'), [
    ({'layer.weight': torch.ones(3)}, 'of none of the families.*expected a LiteTrack checkpoint'),
    ({'mask_token': torch.ones(1, 4), 'cls_token': torch.ones(1, 1, 4),
      'blocks.0.ls1.gamma': torch.ones(4)}, 'this is a DINOv2 base.*expected a LiteTrack'),
])
def test_a_file_of_something_else_is_refused(folder, tensors, words):
    path = folder / 'else.pth'
    torch.save(tensors, path)
    with pytest.raises(CheckpointError, match=words) as caught:
        cut_out(path, LIGHT)
    assert '\n' not in str(caught.value)


def test_a_tracker_of_another_family_is_refused(folder):
    path = fartrack_checkpoints.write_checkpoint(folder, 'base',
                                                 fartrack_checkpoints.tensors_of('base'))
    with pytest.raises(CheckpointError, match='is a checkpoint of fartrack, expected a LiteTrack'):
        cut_out(path, LIGHT)


def test_a_checkpoint_with_a_hole_is_refused(folder):
    tensors = heavy_tensors()
    del tensors['backbone.blocks.1.attn.q_bias']
    path = folder / 'hole.pth.tar'
    torch.save({'net': tensors}, path)
    with pytest.raises(CheckpointError, match=r'lacks backbone\.blocks\.1\.attn\.q_bias'):
        cut_out(path, LIGHT)
