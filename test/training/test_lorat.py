# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""LoRA upon a frozen base: what stays, what learns, what is written, and that it helps."""
from __future__ import annotations

import json
from dataclasses import asdict, replace

import numpy as np
import pytest
import torch
from safetensors import safe_open
from support.lorat_checkpoints import delta_tensors, write_base as write_published_base
from support.lorat_tiny import base_tensors, CONFIG, disc_clip, own_sizes, RANK, write_base
from support.pools import write_pool

from lorat_ros import load_tracker
from lorat_ros.models.bundle import read_bundle, sha256_of
from lorat_ros.networks import importing, lorat
from lorat_ros.networks.checkpoints import CheckpointError, read_checkpoint
from lorat_ros.networks.importing import Clip, import_checkpoint
from lorat_ros.networks.lora import merge, split_wrapped
from lorat_ros.networks.lorat import delta_shapes, is_trained, put_together
from lorat_ros.tools.cli import main
from lorat_ros.tracking.lorat import normalise
from lorat_ros.training import lora_measuring, lora_table
from lorat_ros.training.closed_loop import track_clip
from lorat_ros.training.loop import Trainer
from lorat_ros.training.method import Given, TrainError
from lorat_ros.training.methods.lorat import LoratMethod, LoratSettings, Sizes
from lorat_ros.training.pool import Pool
from lorat_ros.training.published_pairs import PublishedConfig
from lorat_ros.training.recipe import read_recipe, TrainConfig

SIZES = Sizes(**asdict(CONFIG))
DRAWS = PublishedConfig(scale=0.15, shift=1.0, colour=0.0, look=0.0)
LORA = LoratSettings(rank=RANK, alpha=RANK, network=SIZES, draws=DRAWS)
FULL = replace(LORA, adapt='full')
S224 = 'lorat-s-224'


pytestmark = pytest.mark.usefixtures('one_thread')


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp('lorat')


@pytest.fixture(scope='module')
def base(folder):
    return write_base(folder)


@pytest.fixture(scope='module')
def short():
    """The clip that is fine-tuned on: a disc smaller and brighter than the others."""
    return disc_clip(100, colour=(40, 200, 240), radius=9)


@pytest.fixture(scope='module')
def frames(short):
    return Clip([item.image for item in short[:3]], short[0].box)


def config(**changes) -> TrainConfig:
    return TrainConfig(**{'steps': 20, 'warmup_steps': 2, 'batch': 4, 'precision': 'fp32',
                          'schedule': 'cosine', 'learning_rate': 1e-3, 'weight_decay': 0.1,
                          'beta2': 0.999, 'ema': 0.0, 'save_every': 1000, **changes})


def method_of(base, settings=LORA, start=None, variant=None) -> LoratMethod:
    torch.manual_seed(0)
    return LoratMethod(settings, Given(variant, base, start))


def trained(method, items, output, train) -> list[float]:
    """Train on some items as one clip; returns the losses of the steps."""
    output.mkdir(parents=True, exist_ok=True)
    totals = []
    Trainer(method, Pool(clips={'clip': items}), output, train).run(
        lambda step, figures: totals.append(figures['total']))
    return totals


# LoRA on one short clip, upon a base that knows nothing.

@pytest.fixture(scope='module')
def before(base, folder, frames):
    """Bundle of what LoRA begins with."""
    method, product = method_of(base), folder / 'before.safetensors'
    method.write(method.objective.network, product, {})
    method.export(product, folder / 'before', {}, lambda: frames)
    return folder / 'before'


@pytest.fixture(scope='module')
def after(base, folder, short, frames):
    """Method, delta and bundle after training; what was frozen before; the losses."""
    method = method_of(base)
    frozen = {name: p.detach().clone() for name, p in method.objective.network.named_parameters()
              if not p.requires_grad}
    totals = trained(method, short, folder / 'run', config(steps=200, batch=8,
                                                           learning_rate=5e-3))
    product = folder / 'run' / method.product
    method.export(product, folder / 'after', {'licence': 'MIT', 'provenance': {'steps': 1}},
                  lambda: frames)
    return method, product, folder / 'after', frozen, totals


@pytest.fixture(scope='module')
def whole(base, folder):
    """A file with all of a network."""
    method, product = method_of(base, FULL), folder / 'full.safetensors'
    method.write(method.objective.network, product, {})
    return product


def overlap(bundle, items) -> float:
    """Mean overlap of a bundle that follows a clip from its first frame."""
    tracker = load_tracker(bundle)
    found = track_clip(tracker, items, lambda image, rng: image)[0]
    tracker.close()
    return float(found.mean())


def test_lora_on_a_short_clip_helps_on_that_clip(before, after, short):
    totals = after[4]
    assert sum(totals[-10:]) < 0.95 * sum(totals[:10])
    was, now = (overlap(bundle, short) for bundle in (before, after[2]))
    assert now > 0.35 and now > was + 0.2, f'{was:.2f} before, {now:.2f} after'


def test_the_base_is_the_same_to_the_bit(base, after):
    method, _, bundle, frozen, _ = after
    now = method.objective.network.state_dict()
    assert len(frozen) > 30 and not any(map(is_trained, frozen))
    for name, value in frozen.items():
        assert torch.equal(value, now[name]), name
    # And the same as in the file that it came from.
    below, file = split_wrapped(now)[0], read_checkpoint(base).tensors
    for name, value in base_tensors().items():
        assert torch.equal(file[name], value), name
        if name not in ('pos_embed', 'cls_token', 'mask_token'):
            assert torch.equal(below[name], value), name
    assert read_bundle(bundle).manifest['provenance']['base']['sha256'] == sha256_of(base)


def test_what_is_trained_is_what_the_official_delta_holds(after):
    method, product, *_ = after
    names = {name for name, p in method.objective.network.named_parameters() if p.requires_grad}
    tensors = read_checkpoint(product).tensors
    assert names == set(tensors) == set(delta_shapes(CONFIG, RANK))
    for name, value in tensors.items():
        assert value.dtype == torch.float32 and value.shape == delta_shapes(CONFIG, RANK)[name]
    with safe_open(product, 'pt') as file:
        noted = json.loads(file.metadata()['lorat_ros'])
    assert noted['step'] == 200 and noted['rank'] == RANK and noted['variant'] == 'own'


def test_everything_that_may_learn_does(base, short):
    for settings in (LORA, FULL):
        method = method_of(base, settings)
        batch = method.draws(Pool(clips={'clip': short})).batch([(0, 0, n) for n in range(2)])
        method.objective({name: torch.from_numpy(v) for name, v in batch.items()},
                         method.counts(batch))['total'].backward()
        silent = [name for name, p in method.objective.network.named_parameters()
                  if p.requires_grad and (p.grad is None or not p.grad.abs().sum() > 0)]
        assert not silent
        frozen = [p for p in method.objective.network.parameters() if not p.requires_grad]
        assert bool(frozen) == (settings is LORA) and all(p.grad is None for p in frozen)


def test_read_back_it_is_what_was_merged_in_memory(base, after):
    method, product, bundle, *_ = after
    network = method.objective.network
    merged = merge(*split_wrapped(network.state_dict()), method.scaling)
    back, about = put_together(CONFIG, read_checkpoint(product).tensors, base, 'tiny')
    assert about == {'layout': 'delta', 'rank': RANK, 'scaling': 1.0}
    for name, value in back.state_dict().items():
        assert torch.equal(value, merged[name]), name
    # Merged or beside each other, the answers are the same.
    torch.manual_seed(1)
    inputs = torch.randn(1, 3, 56, 56), torch.ones(1, 4, 4), torch.randn(1, 3, 112, 112)
    with torch.no_grad():
        for one, other in zip(network.eval()(*inputs), back(*inputs)):
            torch.testing.assert_close(one, other, atol=1e-4, rtol=1e-4)
    said = read_bundle(bundle).manifest
    assert said['licence'] == 'MIT' and said['variant'] == 'own' and said['family'] == 'lorat'
    assert (said['provenance']['rank'], said['provenance']['steps']) == (RANK, 1)
    assert said['parameters'] == sum(p.numel() for p in back.parameters())


def test_a_second_round_goes_on_from_the_first(base, after):
    again = method_of(base, LORA, after[1])
    state = again.objective.network.state_dict()
    for name, value in read_checkpoint(after[1]).tensors.items():
        assert torch.equal(value, state[name]), name
    whole = method_of(base, FULL, after[1])      # or as a whole, the adapters merged
    assert all(p.requires_grad for p in whole.objective.network.parameters())
    merged = put_together(CONFIG, read_checkpoint(after[1]).tensors, base, 'tiny')[0]
    for name, value in merged.state_dict().items():
        assert torch.equal(value, whole.objective.network.state_dict()[name]), name


def test_lora_upon_a_network_that_was_trained_as_a_whole(whole, tmp_path):
    method, file = method_of(None, LORA, whole), read_checkpoint(whole).tensors
    state = split_wrapped(method.objective.network.state_dict())[0]
    for name, value in file.items():      # its head goes on, its base stays
        assert torch.equal(state[name], value), name
    method.write(method.objective.network, tmp_path / 'delta', {})
    back, _ = put_together(CONFIG, read_checkpoint(tmp_path / 'delta').tensors, whole, 'tiny')
    merged = merge(*split_wrapped(method.objective.network.state_dict()), 1.0)
    assert all(torch.equal(v, merged[n]) for n, v in back.state_dict().items())


# The loop.

def test_a_step_in_halves_is_the_step_as_a_whole(base, short, tmp_path):
    whole, halves = (trained(method_of(base), short, tmp_path / str(micro),
                             config(micro_batch=micro, checkpointing=micro == 2))
                     for micro in (4, 2))
    assert len(whole) == 20 and np.abs(np.subtract(whole, halves)).max() < 1e-4
    assert np.std(whole) > 1e-2      # or there would be nothing to tell apart


def test_a_run_goes_on_upon_its_own_base_alone(base, short, tmp_path):
    trained(method_of(base), short, tmp_path, config(steps=2))
    state = torch.load(tmp_path / 'last.pt', weights_only=True)
    assert all(map(is_trained, state['network']))      # the base is not in there
    other = tmp_path / 'other.pth'
    torch.save(base_tensors(seed=1), other)
    trainer = Trainer(method_of(other), Pool(clips={'c': short}), tmp_path, config())
    with pytest.raises(TrainError, match='is of another model: base'):
        trainer.resume(tmp_path / 'last.pt')


def test_decay_and_rates(base):
    method = method_of(base, replace(FULL, base_rate=0.1))
    names = {id(p): name for name, p in method.objective.network.named_parameters()}
    groups = {(g['weight_decay'], g['scale']): {names[id(p)] for p in g['params']}
              for g in method.groups(0.1)}
    assert set(groups) == {(d, s) for d in (0.0, 0.1) for s in (0.1, 1.0)}
    assert {'token_type_embed', 'head.cls_mlp.layers.2.weight', 'head.cls_mlp.layers.0.bias'} \
        <= groups[0.0, 1.0]
    assert 'head.reg_mlp.layers.2.weight' in groups[0.1, 1.0]
    assert {'pos_embed', 'patch_embed.proj.weight', 'norm.weight', 'blocks.0.ls1.gamma'} \
        <= groups[0.0, 0.1]
    assert 'blocks.0.attn.qkv.weight' in groups[0.1, 0.1]
    lora = [g['scale'] for g in method_of(base).groups(0.1)]
    assert set(lora) == {1.0} and len(lora) == 2


def test_branches_are_skipped_in_training_alone(base):
    inputs = torch.randn(2, 3, 56, 56), torch.ones(2, 4, 4), torch.randn(2, 3, 112, 112)
    network = method_of(base, replace(LORA, drop_path=0.5)).objective.network
    plain = method_of(base).objective.network
    assert list(network.state_dict()) == list(plain.state_dict())
    with torch.no_grad():
        expected = plain.eval()(*inputs)[0]
        assert torch.equal(network.eval()(*inputs)[0], expected)
        assert not torch.allclose(network.train()(*inputs)[0], expected, rtol=1e-2, atol=0)


@pytest.mark.parametrize(('variant', 'rate'), [('lorat-b-378', 0.0), ('lorat-l-224', 0.1),
                                               ('lorat-g-378', 0.4)])
def test_published_rates_of_skipping(variant, rate):
    from lorat_ros.networks.lorat_variants import drop_path_of
    assert drop_path_of(variant) == rate


def test_what_is_trained_is_what_the_tracker_runs(base, short):
    method = method_of(base)
    batch = method.probes(Pool(clips={'clip': short})).batch([(1, 0, 0)])
    network, seen = method.objective.network.eval(), []
    stage = network.search
    network.search = lambda *inputs: seen.append(stage(*inputs)) or seen[-1]
    method.objective({n: torch.from_numpy(v) for n, v in batch.items()}, method.counts(batch))
    template, search = (torch.from_numpy(normalise(batch[name][0].astype(np.float32)))
                        for name in ('template', 'search'))
    expected = stage(search, *network.template(template, torch.from_numpy(batch['mask'])))
    for one, other in zip(seen[0], expected):
        torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-4)


# Published sizes and files.

@pytest.fixture
def shallow(monkeypatch):
    """LoRAT-S with one block: what is tested is the way, not the size."""
    small = replace(lorat.VARIANTS[S224], depth=1)
    monkeypatch.setitem(lorat.VARIANTS, S224, small)
    return small


def test_lorat_import_reads_what_was_written(shallow, tmp_path, frames, monkeypatch):
    """From a published delta, its base found beside it, to a delta that is imported again."""
    from safetensors.torch import save_file
    monkeypatch.setenv('TORCH_HOME', str(tmp_path / 'none'))
    base, start = write_published_base(tmp_path, S224), tmp_path / 'model.safetensors'
    save_file(delta_tensors(shallow), start)
    method = method_of(None, LoratSettings(), start, S224)
    assert method.base == base and method.sizes.search_factor == 4.0
    with torch.no_grad():      # as if a step had been taken
        for parameter in method.objective.network.parameters():
            if parameter.requires_grad:
                parameter.mul_(1.01)
    product = tmp_path / method.product
    method.write(method.objective.network, product, {'step': 1})
    tensors = read_checkpoint(product).tensors
    assert set(tensors) == set(delta_shapes(shallow))      # no scalars: a factor of 1 needs none
    imported = import_checkpoint(product, lambda name: tmp_path / name, lambda: frames, S224)
    merged = merge(*split_wrapped(method.objective.network.state_dict()), 1.0)
    network = importing.assemble(read_checkpoint(product), lorat.Lorat, S224, None)[0]
    for name, value in network.state_dict().items():
        assert torch.equal(value, merged[name]), name
    assert imported.bundle.variant == 's-224' and imported.base == base


def test_another_scaling_is_written_and_read(base, tmp_path):
    settings = replace(LORA, alpha=3 * RANK)
    method = method_of(base, settings)
    method.write(method.objective.network, tmp_path / 'delta', {})
    tensors = read_checkpoint(tmp_path / 'delta').tensors
    assert int(tensors['lora_alpha']) == 3 * RANK and not bool(tensors['use_rslora'])
    back, about = put_together(CONFIG, tensors, base, 'tiny')
    assert about['scaling'] == 3.0
    merged = merge(*split_wrapped(method.objective.network.state_dict()), 3.0)
    assert all(torch.equal(v, merged[n]) for n, v in back.state_dict().items())
    assert method_of(base, settings, tmp_path / 'delta').scaling == 3.0
    with pytest.raises(TrainError, match=f'give --set rank={RANK} alpha={3 * RANK}'):
        method_of(base, LORA, tmp_path / 'delta')


def test_all_of_a_published_network_is_written_and_imported(shallow, tmp_path):
    base = write_published_base(tmp_path, S224)
    method = method_of(base, LoratSettings(adapt='full'), None, S224)
    product = tmp_path / method.product
    method.write(method.objective.network, product, {})
    checkpoint = read_checkpoint(product)
    assert importing.choose(checkpoint, None) == ('lorat', S224)      # the file tells the size
    network, about, used = importing.assemble(checkpoint, lorat.Lorat, S224, None)
    assert used is None and about['provenance']['layout'] == 'merged'
    for name, value in method.objective.network.state_dict().items():
        assert torch.equal(value, network.state_dict()[name]), name


# What cannot be asked for.

@pytest.mark.parametrize(('given', 'settings', 'words'), [
    (Given(), LoratSettings(), 'no network is asked for: give either --variant, one of lorat-s'),
    (Given('lorat-x'), LoratSettings(), '--variant lorat-x is no LoRAT'),
    (Given(S224), LORA, 'are both given'),
    (Given(), LORA, '--base is missing: LoRA adapts a frozen base'),
    (Given(), replace(LORA, network=replace(SIZES, width=50)), 'width is 50: give a multiple'),
    (Given(), replace(LORA, network=replace(SIZES, search_size=100)), 'search_size is 100'),
    (Given(), replace(LORA, network=replace(SIZES, feed_forward='x')), "feed_forward is 'x'")])
def test_what_cannot_be_is_refused(given, settings, words):
    with pytest.raises(TrainError, match=words):
        LoratMethod(settings, given)


@pytest.mark.parametrize(('values', 'words'), [
    ({'adapt': 'half'}, "adapt is 'half'"), ({'rank': 0}, 'rank is 0'),
    ({'alpha': 0}, 'alpha is 0'), ({'drop_path': 1.0}, 'drop_path is 1.0'),
    ({'base_rate': 0.0}, 'base_rate is 0.0')])
def test_settings_that_cannot_be_are_refused(values, words):
    with pytest.raises(ValueError, match=words):
        LoratSettings(**values)


def test_files_that_do_not_belong_together(base, whole, after, tmp_path, monkeypatch):
    monkeypatch.setenv('TORCH_HOME', str(tmp_path))
    monkeypatch.chdir(tmp_path)
    for given, settings, words in (
            (Given(S224, base), LoratSettings(), 'not the DINOv2 base of lorat-s-224 '),
            (Given(S224), LoratSettings(), r'--base is missing: .*dinov2_vits14_pretrain\.pth'),
            (Given(None, tmp_path / 'no.pth'), LORA, r'no\.pth: there is no such file'),
            (Given(None, base, whole), LORA, 'holds its base, too'),
            (Given(None, after[1]), LORA, 'is a delta itself'),
            (Given(S224, None, after[1]), LoratSettings(), '--base is missing'),
            (Given(None, base, base), LORA, 'is a bare DINOv2 base, no LoRAT')):
        with pytest.raises((TrainError, CheckpointError), match=words):
            LoratMethod(settings, given)
    published = write_published_base(tmp_path, S224)
    with pytest.raises(CheckpointError, match='not a checkpoint of lorat-s-224'):
        LoratMethod(LoratSettings(), Given(S224, published, after[1]))


def test_the_recipe_is_the_published_one_but_for_its_length():
    lora, full = read_recipe('lorat'), read_recipe('lorat-full')
    train = lora.train
    assert (train.learning_rate, train.weight_decay, train.clip_norm, train.schedule, train.ema) \
        == (1e-4, 0.1, 1.0, 'cosine', 0.0)
    assert train.learning_rate * train.final == pytest.approx(1e-6)
    assert lora.settings == LoratSettings() and lora.settings.draws == PublishedConfig()
    assert full.settings.adapt == 'full'


# By the command line.

def test_a_wrong_base_is_one_clear_line(base, tmp_path, capsys):
    status = main(['train', 'lorat', '--data', str(write_pool(tmp_path / 'pool')), '--output',
                   str(tmp_path / 'run'), '--base', str(base), '--set',
                   *own_sizes(replace(CONFIG, width=96))])
    said = capsys.readouterr().err
    assert status == 2 and said.count('\n') == 1, said
    assert 'this is not the DINOv2 base of a LoRAT of width 96' in said


# The table.

def test_what_the_table_measures(base, before, after, tmp_path):
    question = lora_measuring.Question(None, base, LORA, config(batch=2), 1)
    found = {mode: lora_measuring.trainer_of(question, mode, tmp_path / mode)
             for mode in lora_measuring.MODES}
    for trainer in found.values():
        lora_measuring.step(trainer)
    costs = {mode: lora_measuring.costs_of(trainer) for mode, trainer in found.items()}
    delta, whole = (sum(int(np.prod(s)) for s in shapes.values()) for shapes in (
        delta_shapes(CONFIG, RANK), {n: v.shape for n, v in found['full'].network.state_dict()
                                     .items()}))
    assert costs['lora']['trained'] == delta and costs['full']['trained'] == whole
    for cost in costs.values():      # two float32 moments a parameter, and AdamW's step counts
        assert 8 * cost['trained'] <= cost['optimiser_bytes'] < 8 * cost['trained'] + 1000
        assert cost['checkpoint_bytes'] > cost['gradient_bytes'] == 4 * cost['trained']
        assert cost['state_bytes'] > 12 * cost['trained']
    graphs = lora_measuring.inference({'merged': after[2], 'base': before}, CONFIG, RANK, 3)
    merged, plain = graphs['merged'], graphs['base']
    assert merged['operators'] == plain['operators'] and merged['macs'] == plain['macs']
    assert graphs['unmerged']['macs'] > merged['macs'] and graphs['ratio'] > 0
    rows = lora_table.rows_of({
        **{mode: {**cost, 'peak_bytes': 0, 'step_seconds': 0.5} for mode, cost in costs.items()},
        'memory_of': 'process', 'batch': 2, 'step_ratio': 0.8, 'inference': graphs})
    lines = lora_table.table(rows).splitlines()
    assert any('trained parameters' in line and f'{delta / 1e6:.2f} M' in line for line in lines)
    assert any('the same' in line for line in lines) and '80.0 %' in '\n'.join(lines)


def test_turns_are_paired():
    now, order = [0.0], []

    def taking(name: str, seconds: float):
        def act() -> None:
            order.append(name)
            now[0] += seconds * (1 + len(order) // 4)      # the machine becomes slower
        return act
    took = lora_measuring.in_turns({'lora': taking('l', 1.0), 'full': taking('f', 2.0)}, 4,
                                   lambda: now[0])
    assert order == list('lf' 'fl' 'lf' 'fl' 'lf')
    assert lora_measuring.paired(took, 'lora', 'full') == pytest.approx(0.5, rel=0.3)


def test_a_table_of_nothing_known_is_one_clear_line(capsys):
    assert lora_table.main(['lorat-x']) == 2
    assert 'lora_table: --variant lorat-x is no LoRAT' in capsys.readouterr().err
