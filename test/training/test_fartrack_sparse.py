# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""FARTrack's last stage: it follows as the tracker does, hides what the tracker hides, learns."""
from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from support.fartrack_checkpoints import official_keys, tensors_of, write_checkpoint
from support.fartrack_tiny import distill_method, distilled_file, DRAWS, stir, train_config
from support.pools import write_pool

from lorat_ros import load_tracker
from lorat_ros.engines.torch import TorchSession
from lorat_ros.models.bundle import Bundle
from lorat_ros.networks.checkpoints import read_checkpoint
from lorat_ros.networks.fartrack import FarTrack, file_shapes
from lorat_ros.networks.fartrack_variants import describe_network
from lorat_ros.tracking.fartrack import kept_tokens
from lorat_ros.tracking.tracker import Tracker
from lorat_ros.training.clip_draws import ClipConfig
from lorat_ros.training.fartrack_words import sequence_of, template_tokens
from lorat_ros.training.loop import to_tensors, Trainer
from lorat_ros.training.method import Given, TrainError
from lorat_ros.training.methods.fartrack_sparse import Runs, SparseMethod, SparseSettings
from lorat_ros.training.pool import read_pool
from lorat_ros.training.recipe import read_recipe

SETTINGS = SparseSettings(draws=ClipConfig(length=4, longest=160), backbone_rate=1.0)
TABLE = 'backbone.word_embeddings.weight'


pytestmark = pytest.mark.usefixtures('one_thread')


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    return write_pool(tmp_path_factory.mktemp('pool'))


@pytest.fixture(scope='module')
def pool(folder):
    return read_pool(folder)


@pytest.fixture(scope='module')
def start(tmp_path_factory):
    return distilled_file(tmp_path_factory.mktemp('distilled'))


def sparse_method(start, **changes) -> SparseMethod:
    torch.manual_seed(0)
    return SparseMethod(replace(SETTINGS, **changes), Given(start=start))


def test_it_begins_with_the_norms_of_the_stage_before(start):
    method, theirs = sparse_method(start), read_checkpoint(start).tensors
    state = method.objective.network.state_dict()
    for part in ('blocks.0', 'blocks.11', 'extension.2'):
        for place in '12':
            torch.testing.assert_close(state[f'backbone.{part}.masknorm{place}.norm.weight'],
                                       theirs[f'backbone.{part}.norm{place}.weight'])
    assert state[TABLE][600:604].norm(dim=1).max() <= 1 < \
        theirs[TABLE][600:604].norm(dim=1).max()


def test_of_49_tokens_37_stay_by_the_rule_of_the_tracker(tmp_path):
    large = distill_method(draws=replace(DRAWS, template_size=112))
    stir(large.objective.network)
    large.write(large.objective.network, tmp_path / 'large.pth.tar', {})
    objective = sparse_method(tmp_path / 'large.pth.tar').objective.eval()
    network, generator = objective.network, torch.Generator().manual_seed(3)
    templates = torch.randn(2, 5, 3, 112, 112, generator=generator)
    image = torch.randn(2, 3, 64, 64, generator=generator)
    with torch.no_grad():
        logits, kept = objective.look(templates, image, None)
        assert kept.shape == (2, 4, 37)
        tokens = template_tokens(network, templates)
        for run in range(2):
            whole = sequence_of(network, tokens[run:run + 1].flatten(1, 2), image[run:run + 1])
            _, centre = network.read(whole)
            rank = centre[0, :196].reshape(4, 49).numpy()
            np.testing.assert_array_equal(kept[run], [kept_tokens(row, 37) for row in rank])
            torch.testing.assert_close(logits[run], network.first(image[run:run + 1],
                                                                  templates[run])[0][0])
        assert (kept[0] != kept[1]).any() and (kept[0, 0] != kept[0, 1]).any()
        lengths = []
        network.layers[0].register_forward_pre_hook(lambda _, x: lengths.append(x[0].shape[1]))
        thin, again = objective.look(templates, image, kept)
        assert lengths == [4 * 37 + 49 + 16 + 4] and again is kept
        # What the tracker's own graph says with the same tokens.
        for run in range(2):
            raw = network.embed_templates(templates[run])
            memory = torch.stack([raw[slot, kept[run, slot]] for slot in range(4)])[None]
            said = network.search(image[run:run + 1], templates[run, 4:], memory)[0]
            torch.testing.assert_close(thin[run], said[0])


def test_it_goes_where_the_tracker_goes_while_that_hides_nothing(pool, start):
    """Training hides by slot, the tracker by template: the first two frames are the same."""
    method = sparse_method(start)
    network, batch = method.objective.network.eval(), method.draws(pool).batch([(1, 2, 3)])
    manifest = {**describe_network(method.config), 'name': 'x', 'family': 'fartrack',
                'graphs': {'first': {}, 'search': {}}}
    tracker = Tracker(Bundle(start.parent, manifest, {}), TorchSession(network, 1))
    images = [np.ascontiguousarray(frame[:120]) for frame in batch['frames'][0]]
    tracker.init(images[0], tuple(batch['box'][0, 0].tolist()))
    runs = Runs(to_tensors(batch, torch.device('cpu')), (32, 64))
    templates, image, _ = runs.look(1)
    with torch.no_grad():
        logits, _ = method.objective.look(templates, image, None)
    runs.move(1, logits.numpy())
    np.testing.assert_allclose(runs.boxes[0], tracker.update(images[1]).box, atol=1e-3)
    newest = tracker._family._fresh[1]
    made = runs.look(2)[0][0]
    torch.testing.assert_close(made[0], made[3])
    assert (made[4] != made[3]).any()
    assert newest.shape == (32, 32, 3) and made.shape == (5, 3, 32, 32)


def test_templates_follow_the_published_memory(pool, start):
    method = sparse_method(start, draws=ClipConfig(length=8, longest=160))
    runs = Runs(to_tensors(method.draws(pool).batch([(0, 0, 0)]), torch.device('cpu')), (32, 64))
    marks = {}
    for frame in range(1, 8):
        runs.look(frame)
        runs.boxes[0] = tuple(runs.truth[0, frame].tolist())
        runs._templates.append(torch.full((1, 3, 32, 32), float(frame)))
        runs._templates[0] = torch.zeros(1, 3, 32, 32)
        marks[frame] = runs.look(frame)[0][0, :, 0, 0, 0].tolist()
    assert marks[1] == [0, 0, 0, 0, 0] and marks[2] == [0, 0, 0, 0, 1]
    assert marks[4] == [0, 0, 1, 2, 3] and marks[5] == [0, 1, 2, 2, 4]
    assert marks[7] == [0, 1, 3, 3, 6]


def test_the_loss_falls_on_a_clip_and_parts_add_up(pool, start, tmp_path):
    class Fixed:
        """The same two runs in every step."""

        def __init__(self, inner):
            self.pool, self._batch = inner.pool, inner.batch([(5, 5, 1), (5, 5, 2)])

        def batch(self, keys):
            return {name: value[:len(list(keys))] for name, value in self._batch.items()}

    found = []
    for micro in (2, 1):
        method, totals = sparse_method(start), []
        method.draws = lambda pool, inner=method.draws: Fixed(inner(pool))
        (tmp_path / str(micro)).mkdir()
        steps = {2: 20, 1: 2}[micro]
        trainer = Trainer(method, pool, tmp_path / str(micro),
                          train_config(steps=steps, batch=2, micro_batch=micro, clip_norm=100.0,
                                       learning_rate=5e-4, checkpointing=micro == 1))
        trainer.run(lambda step, figures, totals=totals: totals.append(figures['total']))
        found.append(totals)
    assert found[0][:2] == pytest.approx(found[1], abs=1e-4)
    assert np.mean(found[0][-4:]) < 0.9 * np.mean(found[0][:4])


def test_targets_beyond_all_words_teach_nothing_and_break_nothing(pool, start):
    method = sparse_method(start)
    batch = method.draws(pool).batch([(0, 0, 0), (0, 0, 1)])
    batch['box'][:, 1:, :2] += 5000
    found = method.objective(to_tensors(batch, torch.device('cpu')), method.counts(batch))
    found['total'].backward()
    assert found['total'].item() == pytest.approx(2 * 3.0) and found['overlap'].item() == 0
    assert all(p.grad is None or not p.grad.any() for p in method.objective.parameters())


def test_commands_stay_short(pool, start):
    method = sparse_method(start)
    network = method.objective.network
    with torch.no_grad():
        network.get_parameter(TABLE)[600:604] *= 7
    batch = method.draws(pool).batch([(0, 0, 0)])
    method.objective(to_tensors(batch, torch.device('cpu')), method.counts(batch))
    assert network.get_parameter(TABLE)[600:604].norm(dim=1).max() <= 1


def test_few_long_runs_are_judged(pool, start):
    method = sparse_method(start)
    assert len(method.probes(pool).batch((0, k) for k in range(48))['box']) == 4
    assert method.counts({'box': np.zeros((4, 6, 4))}) == {'frames': 20}


@pytest.mark.parametrize(('variant', 'depth'), [('fartrack-tiny', 15), ('fartrack-nano', 10)])
def test_a_file_of_published_sizes_is_an_official_one(tmp_path, variant, depth):
    theirs = tensors_of('distill')
    path = write_checkpoint(tmp_path, 'distill', theirs)
    method = SparseMethod(SparseSettings(), Given(variant=variant, start=path))
    network = method.objective.network
    assert len(network.layers) == depth
    with torch.no_grad():
        network.layers[3].mlp.fc1.bias.fill_(7.0)
    method.write(network, tmp_path / method.product, {})
    ours = read_checkpoint(tmp_path / method.product)
    assert ours.entry == 'net' and len(ours.tensors) == 255
    assert {name: tuple(t.shape) for name, t in ours.tensors.items()} == official_keys('sparse')
    assert variant in FarTrack.recognise(ours.tensors)
    assert (ours.tensors['backbone.blocks.3.mlp.fc1.bias'] == 7).all()
    # Layers that are not run, and norms that are not used, stay as they were.
    for name in ('backbone.extension.1.attn.qkv.weight', 'backbone.blocks.3.norm2.bias'):
        torch.testing.assert_close(ours.tensors[name], theirs[name])


def test_what_it_left_it_goes_on_from(start, tmp_path):
    method = sparse_method(start)
    method.write(method.objective.network, tmp_path / 'sparse.pth.tar', {})
    again = sparse_method(tmp_path / 'sparse.pth.tar')
    assert read_checkpoint(tmp_path / 'sparse.pth.tar').tensors.keys() == \
        file_shapes(method.config).keys()
    for name, value in method.objective.network.state_dict().items():
        torch.testing.assert_close(again.objective.network.state_dict()[name], value)


@pytest.mark.parametrize(('given', 'words'), [
    (Given(), '--from is missing: this stage begins with what the stage distill made'),
    (Given(variant='fartrack-distill-pico'), 'this trains the stage sparse, whose variants are '
                                             'fartrack-tiny, fartrack-nano')])
def test_starts_that_cannot_be(given, words):
    with pytest.raises(TrainError, match=words):
        SparseMethod(SETTINGS, given)


def test_a_start_of_another_kind_is_refused(tmp_path):
    torch.save({'net': {'patch_embed.proj.weight': torch.zeros(3, 3)}}, tmp_path / 'vit.pth')
    with pytest.raises(TrainError, match='vit.pth is no checkpoint of FARTrack'):
        sparse_method(tmp_path / 'vit.pth')


def train(pool, output, *more) -> subprocess.CompletedProcess:
    command = [sys.executable, '-m', 'lorat_ros.tools.train', 'fartrack-sparse', '--data',
               str(pool), '--output', str(output), '--loaders', '0', '--steps', '2', '--batch',
               '2', '--set', 'draws.length=3', 'draws.longest=160', *more]
    return subprocess.run(command, capture_output=True, text=True, timeout=170,
                          env={**os.environ, 'OMP_NUM_THREADS': '1'})


def test_from_the_command_line_to_a_bundle_that_tracks(folder, start, tmp_path):
    done = train(folder, tmp_path / 'run', '--from', str(start), '--variant', 'fartrack-pico')
    assert done.returncode == 0, done.stderr
    assert (tmp_path / 'run' / 'FARTrackSparse.pth.tar').is_file()
    tracker = load_tracker(tmp_path / 'run' / 'run')
    manifest = tracker.bundle.manifest
    assert manifest['variant'] == 'pico-own' and manifest['network']['depth'] == 6
    assert manifest['postprocessing']['kept'] == 3 and 'published' not in manifest
    image = np.random.default_rng(0).integers(0, 255, (120, 160, 3), np.uint8)
    tracker.init(image, (50, 40, 30, 30))
    for _ in range(7):
        assert np.isfinite(tracker.update(image).box).all()


def test_clips_that_are_too_short_are_one_clear_line(folder, start, tmp_path):
    done = train(folder, tmp_path / 'run', 'draws.length=50', '--from', str(start))
    assert done.returncode == 2 and 'Traceback' not in done.stderr
    assert done.stderr.splitlines()[-1] == ('lorat train: no clip has 50 labelled frames, the '
                                            'longest has 8: give draws.length=8 or less')


def test_the_recipe():
    recipe = read_recipe('fartrack-sparse')
    assert recipe.settings == SparseSettings()
    assert (recipe.train.learning_rate, recipe.train.clip_norm) == (4e-6, 100.0)
    assert recipe.settings.draws.length == 32 and recipe.train.batch == 8
