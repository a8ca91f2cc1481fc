# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""FARTrack frame by frame and layer by layer: it learns, adds up, and its files are official."""
from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from support.fartrack_checkpoints import official_keys, tensors_of, write_checkpoint
from support.fartrack_tiny import distill_method, DRAWS, SETTINGS, stir, train_config
from support.pools import write_pool

from lorat_ros.networks import importing
from lorat_ros.networks.checkpoints import read_checkpoint
from lorat_ros.networks.fartrack import FarTrack, load
from lorat_ros.tools.import_checkpoint import verification_clip
from lorat_ros.training.drop_path import DropPath
from lorat_ros.training.loop import to_tensors, Trainer
from lorat_ros.training.method import Given, TrainError
from lorat_ros.training.methods.fartrack_distill import (DistillMethod, DistillObjective,
                                                         DistillSettings, Weights)
from lorat_ros.training.pool import read_pool
from lorat_ros.training.recipe import read_recipe


pytestmark = pytest.mark.usefixtures('one_thread')


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    return write_pool(tmp_path_factory.mktemp('pool'))


@pytest.fixture(scope='module')
def pool(folder):
    return read_pool(folder)


def run(method, pool, output, **changes) -> list[dict[str, float]]:
    output.mkdir(parents=True)
    figures = []
    trainer = Trainer(method, pool, output, train_config(**changes))
    trainer.run(lambda step, found: figures.append(dict(found)))
    return figures


def judge(method, pool, depth: int = 15) -> dict[str, float]:
    """Figures of a method's network, or of that network cut off and by itself."""
    objective = method.objective
    if depth < 15:
        state = {**objective.network.state_dict(), **method.rest}
        objective = DistillObjective(load(replace(method.config, depth=depth), state),
                                     replace(SETTINGS, stage='base'))
    batch = method.probes(pool).batch([(9, 9, k) for k in range(8)])
    with torch.no_grad():
        found = objective.eval()(to_tensors(batch, torch.device('cpu')), method.counts(batch))
    return {name: float(value) for name, value in found.items()}


def test_levels_come_to_say_the_same_and_the_shallowest_learns(pool, tmp_path):
    method = distill_method(weights=Weights(kl=0.1))
    stir(method.objective.network, 3.0)
    before, shallow = judge(method, pool), judge(method, pool, depth=5)
    run(method, pool, tmp_path / 'run', steps=30, learning_rate=3e-3, clip_norm=1.0)
    after, learned = judge(method, pool), judge(method, pool, depth=5)
    assert after['kl'] < 0.5 * before['kl']
    assert after['total'] < before['total'] - 0.5
    assert learned['ce'] < shallow['ce'] - 0.1 and learned['siou'] < shallow['siou'] - 0.1
    assert learned['overlap'] == pytest.approx(after['overlap_5'], abs=1e-3)


def test_parts_of_a_step_add_up_over_twenty_steps(pool, tmp_path):
    totals = []
    for micro in (4, 1):
        method = distill_method()
        figures = run(method, pool, tmp_path / str(micro), steps=20, micro_batch=micro,
                      learning_rate=1e-3)
        totals.append(torch.tensor([found['total'] for found in figures]))
    torch.testing.assert_close(*totals, atol=1e-4, rtol=0)
    assert totals[0][-4:].mean() < totals[0][:4].mean()


def test_checkpointing_changes_nothing(pool, tmp_path):
    plain, again = (run(distill_method(drop_path=0.2), pool, tmp_path / str(on), steps=2,
                        checkpointing=on) for on in (False, True))
    assert [f['total'] for f in plain] == pytest.approx([f['total'] for f in again], abs=1e-5)


def test_the_stage_base_hears_the_last_layer_alone(pool):
    found = judge(distill_method(stage='base'), pool)
    assert {'total', 'siou', 'ce', 'overlap'} == found.keys()
    assert found['total'] == pytest.approx(2 * found['siou'] + 2 * found['ce'], rel=1e-5)


def test_the_extension_is_skipped_as_the_first_blocks_are():
    layers = distill_method(drop_path=0.11).objective.network.layers
    assert all(isinstance(block.drop_path, DropPath) for block in layers)
    assert [round(block.drop_path.rate, 4) for block in layers] == [
        *(round(0.01 * k, 4) for k in range(12)), 0.0, 0.01, 0.02]


def test_rates_of_learning_are_the_published_ones():
    method = distill_method(stage='base', backbone_rate=0.1)
    names = {id(p): name for name, p in method.objective.network.named_parameters()}
    groups = {group['scale']: {names[id(p)] for p in group['params']}
              for group in method.groups(1e-4)}
    assert groups.keys() == {0.1, 1.0}
    assert {'identity', 'backbone.output_bias', 'backbone.word_embeddings.weight',
            'backbone.position_embeddings.weight'} <= groups[1.0]
    assert all('extension' in name for name in groups[1.0] if 'mlp' in name)
    assert {'backbone.norm.weight', 'backbone.pos_embed_x', 'backbone.pos_embed_z1',
            'backbone.blocks.0.attn.qkv.weight'} <= groups[0.1]
    assert sum(map(len, groups.values())) == len(names)


def test_the_way_to_a_bundle_through_the_importer(folder, tmp_path):
    method = distill_method()
    network = stir(method.objective.network)
    path = tmp_path / method.product
    method.write(network, path, {'step': 7})
    clip = importing.Clip(*verification_clip(folder / 'clips' / 'moving', '25,45,31,31'))
    imported = importing.import_checkpoint(path, lambda variant: tmp_path / variant,
                                           lambda: clip, 'fartrack-distill-pico')
    assert imported.bundle.manifest['network'] == {
        'stage': 'distill', 'depth': 6, 'positions': 'pos_embed_z1', 'width': 64,
        'template_size': 32, 'search_size': 64}
    assert imported.bundle.variant == 'distill-pico-own'
    importing.check_target(imported.bundle.path, imported.bundle.manifest['provenance'][
        'checkpoint']['sha256'], 'fartrack-distill-pico')      # it may be made anew
    pico, _ = FarTrack.assemble('fartrack-distill-pico', read_checkpoint(path).tensors, None)
    for name, value in pico.state_dict().items():
        torch.testing.assert_close(value, network.state_dict()[name], atol=0, rtol=0)


def test_a_file_of_published_sizes_is_an_official_one(tmp_path):
    torch.manual_seed(0)
    method = DistillMethod(DistillSettings(), Given(variant='fartrack-distill-nano'))
    method.write(method.objective.network, tmp_path / method.product, {})
    checkpoint = read_checkpoint(tmp_path / method.product)
    assert checkpoint.entry == 'net' and len(checkpoint.tensors) == 193
    assert {name: tuple(t.shape) for name, t in checkpoint.tensors.items()} == \
        official_keys('distill')
    assert all(t.dtype is torch.float32 for t in checkpoint.tensors.values())
    assert 'fartrack-distill-nano' in FarTrack.recognise(checkpoint.tensors)
    assert (method.config.depth, method.exported.depth) == (15, 10)


@pytest.mark.parametrize('ending', ['', '-z0'])
def test_an_official_file_is_gone_on_from(tmp_path, ending):
    theirs = tensors_of('base')
    path = write_checkpoint(tmp_path, 'base', theirs)
    method = DistillMethod(DistillSettings(),
                           Given(variant=f'fartrack-distill-tiny{ending}', start=path))
    network = method.objective.network
    method.write(network, tmp_path / method.product, {})
    ours = read_checkpoint(tmp_path / method.product).tensors
    read = theirs['backbone.pos_embed_z0' if ending else 'backbone.pos_embed_z1']
    for name, value in theirs.items():
        same = read if name in ('backbone.pos_embed_z0', 'backbone.pos_embed_z1') else value
        torch.testing.assert_close(ours[name], same, atol=0, rtol=0)


def test_an_encoder_is_begun_with(tmp_path):
    theirs = {'module.model.cls_token': torch.randn(1, 1, 64),
              'module.model.pos_embed': torch.randn(1, 17, 64),
              'module.model.patch_embed.proj.weight': torch.randn(64, 3, 16, 16),
              'module.model.patch_embed.proj.bias': torch.randn(64),
              'module.model.norm.weight': torch.randn(64), 'module.decoder.weight': torch.ones(3)}
    block = distill_method().objective.network.backbone.blocks[0].state_dict()
    theirs |= {f'module.model.blocks.{k}.{name}': torch.randn_like(value)
               for k in range(12) for name, value in block.items()}
    path = tmp_path / 'mae.pth.tar'
    torch.save({'state_dict': theirs}, path)
    state = distill_method(start=path, stage='base').objective.network.state_dict()
    for ours, name in (('patch_embed.proj.weight',) * 2, ('norm.weight',) * 2,
                       ('blocks.3.mlp.fc1.weight',) * 2,
                       ('extension.0.attn.qkv.bias', 'blocks.9.attn.qkv.bias'),
                       ('extension.2.norm2.weight', 'blocks.11.norm2.weight')):
        torch.testing.assert_close(state[f'backbone.{ours}'], theirs[f'module.model.{name}'])
    positions = theirs['module.model.pos_embed'][:, 1:]
    torch.testing.assert_close(state['backbone.pos_embed_x'], positions)
    assert state['backbone.pos_embed_z1'].shape == (1, 4, 64)
    mean = state['backbone.pos_embed_z1'].mean(1)
    torch.testing.assert_close(mean, positions.mean(1), atol=0.5, rtol=0)
    theirs.pop('module.model.blocks.9.attn.qkv.bias')
    theirs['module.model.norm.weight'] = torch.randn(32)
    torch.save({'state_dict': theirs}, path)
    with pytest.raises(TrainError, match=r'norm.weight is \(32,\), expected \(64,\)'):
        distill_method(start=path)


def test_starts_that_cannot_be(tmp_path):
    other = distill_method(draws=replace(DRAWS, search_size=96))
    path = tmp_path / 'other.pth.tar'
    other.write(other.objective.network, path, {})
    with pytest.raises(TrainError, match='other.pth.tar: its search_size is 96, asked for is 64'):
        distill_method(start=path)
    torch.save({'net': {'something': torch.zeros(3, 3)}}, path)
    with pytest.raises(TrainError, match='neither a checkpoint of FARTrack nor a ViT encoder'):
        distill_method(start=path)
    with pytest.raises(TrainError, match='of a later stage than distill'):
        DistillMethod(DistillSettings(),
                      Given(start=write_checkpoint(tmp_path, 'sparse', tensors_of('sparse'))))


@pytest.mark.parametrize(('given', 'words'), [
    (Given(variant='fartrack-pico'), '--variant fartrack-pico: this trains the stage distill, '
                                     'whose variants are fartrack-distill-tiny'),
    (Given(base='dinov2.pth'), 'nothing of FARTrack stays frozen')])
def test_what_is_given_and_does_not_belong(given, words):
    with pytest.raises(TrainError, match=words):
        DistillMethod(SETTINGS, given)


@pytest.mark.parametrize(('change', 'words'), [
    ({'stage': 'sparse'}, "stage is 'sparse': give one of base, distill"),
    ({'depth': 4}, 'depth is 4: give 5 to 15'), ({'first': 15}, 'first is 15'),
    ({'drop_path': 1.0}, 'drop_path is 1.0'),
    ({'draws': replace(DRAWS, templates=2)}, 'draws.templates is 2: FARTrack has 5')])
def test_settings_that_cannot_be(change, words):
    with pytest.raises(ValueError, match=words):
        replace(SETTINGS, **change)


@pytest.mark.parametrize(('name', 'stage', 'gap', 'rate'), [
    ('fartrack-base', 'base', 300, 0.1), ('fartrack-distill', 'distill', 200, 1.0)])
def test_the_recipes(name, stage, gap, rate):
    recipe = read_recipe(name)
    said = recipe.settings
    assert (said.stage, said.draws.frame_gap, said.backbone_rate) == (stage, gap, rate)
    assert (said.draws.search_centre, said.draws.search_scale) == (3.5, 0.5)
    assert (recipe.train.schedule, recipe.train.clip_norm) == ('stair', 0.1)
