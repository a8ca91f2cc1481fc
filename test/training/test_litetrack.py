# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""LiteTrack cut and trained: steps add up, losses fall, and what comes out is imported again."""
from __future__ import annotations

import subprocess
import sys
from dataclasses import asdict, replace

import cv2
import numpy as np
import pytest
import torch
from support.litetrack_checkpoints import tensors_of, write_checkpoint
from support.litetrack_tiny import (heavy_tensors, HEAVY, LIGHT, own_sizes, SIZES, write_cae,
                                    write_heavy)
from support.pools import write_pool

from lorat_ros import load_tracker
from lorat_ros.models.bundle import read_bundle
from lorat_ros.networks.checkpoints import CheckpointError, read_checkpoint
from lorat_ros.networks.importing import choose, Clip, import_checkpoint
from lorat_ros.tracking.square_crop import normalise
from lorat_ros.training.drop_path import DropPath, rates
from lorat_ros.training.loop import Trainer
from lorat_ros.training.method import Given, TrainError
from lorat_ros.training.methods.litetrack import LiteTrackMethod, LiteTrackSettings, Sizes
from lorat_ros.training.pool import read_pool
from lorat_ros.training.recipe import read_recipe, TrainConfig
from lorat_ros.training.square_draws import SquareConfig, without_luck

B4 = 'litetrack-b4'
DRAWS = SquareConfig(template_size=32, search_size=64)
TINY = LiteTrackSettings(Sizes(**SIZES), DRAWS, head_norm='frozen')
CALM = replace(TINY, drop_path=0.0)


pytestmark = pytest.mark.usefixtures('one_thread')


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp('litetrack')


@pytest.fixture(scope='module')
def heavy(folder):
    return write_heavy(folder)


@pytest.fixture(scope='module')
def pool_folder(tmp_path_factory):
    return write_pool(tmp_path_factory.mktemp('pool'))


@pytest.fixture(scope='module')
def pool(pool_folder):
    return read_pool(pool_folder)


@pytest.fixture(scope='module')
def clip(pool_folder):
    paths = sorted((pool_folder / 'clips' / 'moving').glob('*.jpg'))
    return Clip([cv2.imread(str(path)) for path in paths[:4]], (25.0, 45.0, 31.0, 31.0))


def method_of(start, settings=CALM, variant=B4) -> LiteTrackMethod:
    torch.manual_seed(0)
    return LiteTrackMethod(settings, Given(variant, None, start))


def config(**changes) -> TrainConfig:
    return TrainConfig(**{'steps': 20, 'warmup_steps': 0, 'batch': 4, 'precision': 'fp32',
                          'schedule': 'stair', 'learning_rate': 1e-4, 'weight_decay': 1e-4,
                          'clip_norm': 0.1, 'ema': 0.0, 'save_every': 20, **changes})


def totals_of(method, pool, output, train) -> list[float]:
    output.mkdir(exist_ok=True)
    totals = []
    Trainer(method, pool, output, train).run(lambda step, figures: totals.append(figures['total']))
    return totals


def test_a_step_in_parts_is_the_step_as_a_whole(heavy, pool, tmp_path):
    whole, parts = (totals_of(method_of(heavy), pool, tmp_path / str(micro),
                              config(micro_batch=micro)) for micro in (4, 1))
    assert len(whole) == 20 and np.abs(np.subtract(whole, parts)).max() < 1e-4
    assert np.std(whole) > 1e-2      # or there would be nothing to tell apart
    tensors = [read_checkpoint(tmp_path / m / LiteTrackMethod.product).tensors for m in '41']
    for name, value in tensors[0].items():
        torch.testing.assert_close(value, tensors[1][name], atol=1e-4, rtol=1e-3)


def test_the_loss_falls_even_from_cae_with_a_new_head(folder, pool, tmp_path):
    settings = replace(TINY, head_norm='batch', backbone_rate=1.0)
    totals = totals_of(method_of(write_cae(folder, HEAVY), settings), pool, tmp_path,
                       config(steps=40, batch=8, learning_rate=1e-3, clip_norm=1.0,
                              checkpointing=True))
    assert sum(totals[-8:]) < 0.8 * sum(totals[:8])


def test_everything_learns_and_the_target_token_does(heavy, pool):
    method = method_of(heavy)
    batch = method.draws(pool).batch([(0, 0, n) for n in range(2)])
    parts = method.objective({name: torch.from_numpy(v) for name, v in batch.items()},
                             method.counts(batch))
    parts['total'].backward()
    silent = [name for name, p in method.objective.network.named_parameters()
              if p.grad is None or not p.grad.abs().sum() > 0]
    assert not silent


def test_what_is_trained_is_what_is_exported(heavy, pool):
    """The objective's answer is the network's own two stages on the tracker's own inputs."""
    method = method_of(heavy)
    batch = method.probes(pool).batch([(1, 0, 0)])
    network, seen = method.objective.network.eval(), []
    stage = network.search
    network.search = lambda *inputs: seen.append(stage(*inputs)) or seen[-1]
    method.objective({name: torch.from_numpy(v) for name, v in batch.items()}, {'samples': 1})
    network.search = stage
    template, search = (torch.from_numpy(normalise(crop)) for crop in
                        (batch['template'][0, 0], batch['search'][0]))
    memory = network.template(template, torch.from_numpy(batch['template_box'][0]))
    for one, other in zip(seen[0], network.search(search, *memory)):
        torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-4)


def test_rates_of_learning(heavy):
    method = method_of(heavy)
    groups = {group['scale']: group for group in method.groups(1e-4)}
    assert {scale: group['weight_decay'] for scale, group in groups.items()} == {1.0: 1e-4,
                                                                                 0.1: 1e-4}
    names = {id(p): name for name, p in method.objective.network.named_parameters()}
    slow = {names[id(p)] for p in groups[0.1]['params']}
    assert slow == {name for name in names.values() if name.startswith('backbone.')}
    assert len(slow) + len(groups[1.0]['params']) == len(names)


def test_blocks_are_dropped_in_training_alone(heavy):
    method = method_of(heavy, replace(TINY, drop_path=0.3))
    found = [block.drop_path.rate for block in method.objective.network.backbone.blocks]
    assert found == pytest.approx([0.0, 0.1, 0.2, 0.3]) == rates(0.3, 4)
    drop, ones = DropPath(0.25), torch.ones(4000, 2, 3)
    dropped = drop(ones)
    assert dropped.unique().tolist() == pytest.approx([0.0, 4 / 3])
    assert float(dropped.mean()) == pytest.approx(1, abs=0.06)
    assert (dropped[:, :1, :1] == dropped).all()      # whole samples
    assert drop.eval()(ones) is ones


@pytest.mark.parametrize(('norm', 'moves'), [('batch', True), ('frozen', False)])
def test_frozen_norms_keep_their_statistics(heavy, pool, norm, moves):
    method = method_of(heavy, replace(TINY, head_norm=norm))
    before = {n: v.clone() for n, v in method.objective.network.named_buffers()}
    method.objective.train()
    batch = method.draws(pool).batch([(0, 0, n) for n in range(2)])
    method.objective({name: torch.from_numpy(v) for name, v in batch.items()}, {'samples': 2})
    after = dict(method.objective.network.named_buffers())
    assert moves != all(torch.equal(after[name], value) for name, value in before.items())


def test_in_bfloat16_a_sure_score_stays_below_1(heavy):
    network = method_of(heavy).objective.network.eval()
    network.box_head.conv5_ctr.bias.data.fill_(50.0)
    with torch.autocast('cpu', torch.bfloat16):
        score, _, _ = network(torch.randn(1, 3, 32, 32), torch.rand(1, 4),
                              torch.randn(1, 3, 64, 64))
    assert score.dtype == torch.float32 and float(score.detach().max()) < 1


def test_probes_are_without_luck(heavy, pool):
    assert method_of(heavy).probes(pool).config == without_luck(DRAWS)


# By the command line, and the way out: a file as the authors write it, and a bundle.

def train(pool, output, *more) -> subprocess.CompletedProcess:
    command = [sys.executable, '-m', 'lorat_ros.tools.train', 'litetrack', '--data', str(pool),
               '--output', str(output), '--steps', '3', '--batch', '2', '--loaders', '0',
               '--set', 'train.micro_batch=1', 'train.precision=fp32', *own_sizes(), *more]
    return subprocess.run(command, capture_output=True, text=True, timeout=170)


@pytest.fixture(scope='module')
def run(heavy, pool_folder, folder):
    """A finished run of the command line, its bundle in ``run/run``."""
    output = folder / 'run'
    done = train(pool_folder, output, '--hold-out', 'moving', '--variant', B4, '--from',
                 str(heavy))
    assert done.returncode == 0, done.stderr
    assert 'LiteTrack with 6 blocks' in done.stdout and 'dropped:' in done.stdout
    return output


def followed(bundle, clip) -> list:
    tracker = load_tracker(bundle)
    tracker.init(clip.images[0], clip.box)
    return [tracker.update(image).box for image in clip.images[1:]]


def test_from_the_command_line_to_a_bundle_that_tracks(run, clip):
    assert (run / 'samples.png').is_file()
    provenance = read_bundle(run / 'run').manifest['provenance']
    assert provenance['steps'] == 3 and provenance['cut'][1].startswith('kept:')
    assert np.isfinite(followed(run / 'run', clip)).all()


def test_the_importer_takes_what_was_trained(run, clip, tmp_path):
    product = run / LiteTrackMethod.product
    checkpoint = read_checkpoint(product)
    assert checkpoint.entry == 'net' and choose(checkpoint, None) == ('litetrack', B4)
    heavy = heavy_tensors()
    moved = [name for name, value in checkpoint.tensors.items()
             if not torch.equal(value, heavy[name])]
    assert len(moved) > 100
    imported = import_checkpoint(product, lambda name: tmp_path / name, lambda: clip)
    assert imported.bundle.variant == 'b4'
    boxes = followed(imported.bundle.path, clip), followed(run / 'run', clip)
    assert np.abs(np.subtract(*boxes)).max() < 1e-3


def test_a_bundle_that_answers_otherwise_is_refused(run, heavy, clip, tmp_path, monkeypatch):
    """The graphs of one network shown to the check of another."""
    method = method_of(heavy)
    tensors = dict(read_checkpoint(run / method.product).tensors)
    tensors['box_head.conv5_offset.bias'] = tensors['box_head.conv5_offset.bias'] + 0.1
    torch.save({'net': tensors}, tmp_path / 'other.pth.tar')
    monkeypatch.setattr('lorat_ros.training.methods.litetrack.export_bundle',
                        lambda network, folder, about, check: check(run / 'run'))
    method.export(run / method.product, tmp_path / 'mine', {}, lambda: clip)
    with pytest.raises(CheckpointError, match=r'do not agree.*search\.offset'):
        method.export(tmp_path / 'other.pth.tar', tmp_path / 'mine', {}, lambda: clip)


def test_a_lighter_checkpoint_is_one_clear_line(heavy, pool_folder, tmp_path):
    done = train(pool_folder, tmp_path / 'run', '--variant', 'litetrack-b9', '--from', str(heavy))
    assert done.returncode == 2 and 'Traceback' not in done.stderr
    assert done.stderr.count('\n') == 1
    assert 'with 6 blocks, and a network of 9 is asked for' in done.stderr


def test_the_published_sizes_are_cut_and_recognised(tmp_path):
    """B4 out of a whole B6 in the official format, and back through the importer's eyes."""
    six = tensors_of('litetrack-b6')
    path = write_checkpoint(tmp_path, 'litetrack-b6', six)
    method = LiteTrackMethod(LiteTrackSettings(), Given(B4, None, path))
    product = tmp_path / method.product
    method.write(method.objective.network, product, {'step': 0})
    checkpoint = read_checkpoint(product)
    assert choose(checkpoint, None) == ('litetrack', B4)
    assert len(method.cut.kept) == 158 and len(method.cut.dropped) == 2 * 15 + 2
    for name, value in checkpoint.tensors.items():
        assert torch.equal(value, six[name]), name


# What cannot be asked for.

@pytest.mark.parametrize(('given', 'settings', 'words'), [
    (Given(B4), TINY, '--from is missing'),
    (Given(), TINY, 'no network is asked for: give either --variant, one of litetrack-b4'),
    (Given('litetrack-b5'), TINY, 'litetrack-b5 is no LiteTrack'),
    (Given(B4), replace(TINY, network=Sizes(depth=3)), 'are both given'),
    (Given(B4), LiteTrackSettings(draws=DRAWS), 'template_size is 32 and the one of the network'),
    (Given(B4, base='x.pth'), TINY, 'nothing of LiteTrack stays frozen'),
    (Given(B4), replace(TINY, network=Sizes(**{**SIZES, 'width': 40})), 'width is 40 and heads 0'),
])
def test_what_cannot_be_is_refused(given, settings, words):
    with pytest.raises(ValueError, match=words):
        LiteTrackMethod(settings, given)


def test_frozen_norms_need_a_head(folder):
    with pytest.raises(TrainError, match='--set head_norm=batch'):
        method_of(write_cae(folder), TINY)


@pytest.mark.parametrize(('values', 'words'), [
    ({'head_norm': 'none'}, "head_norm is 'none'"), ({'drop_path': 1.0}, 'drop_path is 1.0'),
    ({'draws': replace(DRAWS, templates=2)}, 'LiteTrack has 1')])
def test_settings_that_cannot_be_are_refused(values, words):
    with pytest.raises(ValueError, match=words):
        LiteTrackSettings(**values)


def test_the_recipe_is_the_published_one_but_for_its_length():
    recipe = read_recipe('litetrack')
    train, published = recipe.train, SquareConfig()
    assert (train.learning_rate, train.batch, train.weight_decay, train.clip_norm) == \
        (1e-4, 32, 1e-4, 0.1)
    assert recipe.settings.draws == published and recipe.settings.backbone_rate == 0.1
    assert asdict(recipe.settings.network) == asdict(Sizes())
    for name in ('template_size', 'search_size', 'width', 'hidden'):
        assert SIZES[name] == getattr(LIGHT, name)
