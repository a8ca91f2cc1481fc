# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Checkpoint to verified bundle: what is recognised, what is refused, and what comes out."""
from __future__ import annotations

import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import MappingProxyType

import numpy as np
import onnx
import pytest
import torch
from safetensors.torch import save_file
from support.fartrack_checkpoints import tensors_of, write_checkpoint
from support.generator import frame
from support.lorat_checkpoints import base_tensors, delta_tensors

from lorat_ros.engines.session import open_session
from lorat_ros.models.bundle import BundleError, describe_file, read_bundle
from lorat_ros.models.catalog import list_bundles, PUBLISHED, published_of, shipped_folder
from lorat_ros.networks import importing, lorat
from lorat_ros.networks.checkpoints import Checkpoint, CheckpointError, read_checkpoint
from lorat_ros.networks.lorat import LoratConfig
from lorat_ros.tracking.tracker import Tracker

SMALL = LoratConfig(64, 2, 2, 128, 'mlp', 112, 224)
BASE = 'dinov2_vits14_pretrain.pth'


def clip(count: int = 4) -> importing.Clip:
    """A textured rectangle that moves."""
    shots = [frame('import', index, 120, 160, (50, 40), (3, 2), (36, 28))
             for index in range(count)]
    return importing.Clip([np.ascontiguousarray(image[..., ::-1]) for image, _ in shots],
                          (50.0, 40.0, 36.0, 28.0))


@pytest.fixture(scope='module', autouse=True)
def small(tmp_path_factory):
    """LoRAT-S with two blocks of a sixth of its width, and no model or base of the user's."""
    home = tmp_path_factory.mktemp('home')
    with pytest.MonkeyPatch.context() as patch:
        for name, sides in (('lorat-s-224', (112, 224)), ('lorat-s-378', (196, 378))):
            patch.setitem(lorat.VARIANTS, name, LoratConfig(64, 2, 2, 128, 'mlp', *sides))
        patch.delenv('LORAT_MODELS', raising=False)
        patch.setenv('XDG_DATA_HOME', str(home / 'data'))
        patch.setenv('TORCH_HOME', str(home / 'torch'))
        yield home


def wrapped(base: dict, delta: dict) -> dict:
    """The layout with everything in it: base layers under the names of the adapted ones."""
    full = {name: value for name, value in {**base, **delta}.items()
            if name not in ('cls_token', 'mask_token')}
    full['pos_embed'] = lorat.resize_positions(base['pos_embed'], SMALL.search_grid)
    for name in list(full):
        layer, _, leaf = name.rpartition('.')
        if layer.endswith('.attn.qkv'):
            for part, value in zip('qkv', full.pop(name).chunk(3)):
                full[f'{layer}.{part}.linear.{leaf}'] = value.contiguous()
        elif '.lora' not in name and layer.endswith(('attn.proj', 'mlp.fc1', 'mlp.fc2')):
            full[f'{layer}.linear.{leaf}'] = full.pop(name)
    return full


SCALARS = {'lora_alpha': torch.tensor(64), 'use_rslora': torch.tensor(False)}


def written(root: Path, layout: str, change: Callable[[dict], None] = lambda tensors: None,
            with_base: bool = True) -> Path:
    """Write a checkpoint of FORMS, and a base beside it; returns the checkpoint."""
    base, delta = base_tensors(SMALL), delta_tensors(SMALL)
    file, scalars, full, save = FORMS[layout]
    tensors = {**(wrapped(base, delta) if full else delta), **(SCALARS if scalars else {})}
    change(tensors)
    folder = root / layout
    folder.mkdir(exist_ok=True, parents=True)
    save(tensors, folder / file)
    if with_base:
        torch.save(base, folder / BASE)
    return folder / file


@pytest.fixture
def write(tmp_path) -> Callable[..., Path]:
    """Write a checkpoint into this test's folder; see ``written``."""
    return partial(written, tmp_path)


def _pickled(tensors: dict, path: Path) -> None:
    torch.save({'model': tensors, 'epoch': 170}, path)


FORMS = MappingProxyType({      # file, scalars of 2024, base included, writer
    'delta': ('model.safetensors', False, False, save_file),
    'delta of 2024': ('model.bin', True, False, save_file),
    'delta as pickle': ('model.pth', True, False, _pickled),
    'full': ('model.bin', True, True, save_file),
    'full as pickle': ('model.pth', True, True, _pickled)})


def run(path: Path, folder: Path, **more) -> importing.Imported:
    """Import LoRAT-S-224."""
    return importing.import_checkpoint(path, lambda variant: folder, clip,
                                       **{'variant': 'lorat-s-224', **more})


def answers(folder: Path, engine: str = 'onnx') -> np.ndarray:
    """Boxes and scores along the clip, a row each."""
    tracker = Tracker(bundle := read_bundle(folder), open_session(bundle, engine))
    images, box = clip(6)
    tracker.init(images[0], box)
    found = [tracker.update(image) for image in images[1:]]
    return np.array([(*result.box, result.score) for result in found])


def assembled(path: Path) -> dict[str, torch.Tensor]:
    """Weights as they go into the bundle."""
    network, _, _ = importing.assemble(read_checkpoint(path), lorat.Lorat, 'lorat-s-224', None)
    return network.state_dict()


def test_every_layout_and_container_makes_the_same_network(write):
    first = assembled(write('delta'))
    for layout in FORMS:
        other = assembled(write(layout))
        assert list(other) == list(first)
        for name, value in first.items():
            torch.testing.assert_close(other[name], value, atol=0, rtol=0, msg=f'{layout} {name}')


@pytest.fixture(scope='module')
def bundles(small) -> Path:
    """A bundle of each layout, in a folder of models."""
    folder, stages = small / 'models', []
    for layout in ('delta', 'delta of 2024', 'full as pickle'):
        path = written(small, layout, with_base='full' not in layout)
        result = run(path, folder / layout, progress=stages.append)
        assert set(result.verification.differences) == {'search.score', 'search.boxes'}
        assert max(result.verification.differences.values()) < 1e-5
    assert tuple(stages) == 3 * importing.STAGES
    assert sorted(path.name for path in folder.iterdir()) == sorted(
        ('delta', 'delta of 2024', 'full as pickle'))      # and no scratch folder
    return folder


def test_the_bundles_of_all_three_layouts_answer_alike(bundles):
    found = {path.name: answers(path) for path in bundles.iterdir()}
    assert len(found) == 3
    for values in found.values():
        np.testing.assert_allclose(values, found['delta'], atol=1e-5)


def test_a_bundle_says_what_it_was_made_of(bundles):
    bundle = read_bundle(bundles / 'delta of 2024')
    assert (bundle.family, bundle.variant, bundle.name) == ('lorat', 's-224', 'delta of 2024')
    origin = bundle.manifest['provenance']
    file = bundles.parent / 'delta of 2024' / 'model.bin'
    assert origin['checkpoint'] == {**describe_file(file), 'container': 'safetensors', 'entry': ''}
    assert origin['base'] == describe_file(file.parent / BASE)
    assert (origin['layout'], origin['rank']) == ('delta of 2024, with scalars', 64)
    assert origin['torch'] == torch.__version__
    origin = read_bundle(bundles / 'full as pickle').manifest['provenance']
    assert origin['checkpoint']['entry'] == 'model' and 'base' not in origin


def test_deltas_of_one_base_are_bundles_of_their_own(bundles, write, monkeypatch):
    def retrained(tensors: dict) -> None:
        for name in tensors:
            if '.lora.B' in name:
                tensors[name] = -tensors[name]
    other = write('delta of 2024', retrained)
    with pytest.raises(BundleError, match='delta is a bundle already, but not of this checkpoint'):
        run(other, bundles / 'delta')
    run(other, bundles / 'second', more={'scores': {'AUC': 1.0}, 'licence': 'mine'})
    assert np.abs(answers(bundles / 'delta') - answers(bundles / 'second')).max() > 0.1
    monkeypatch.setenv('LORAT_MODELS', str(bundles))
    listed, problems = list_bundles()
    assert {'delta', 'second'} <= {bundle.name for bundle in listed} and not problems
    manifest = read_bundle(bundles / 'second').manifest
    assert (manifest['scores'], manifest['licence']) == ({'AUC': 1.0}, 'mine')
    shutil.rmtree(bundles / 'second')


def test_where_a_bundle_may_go(bundles, tmp_path):
    importing.check_target(tmp_path / 'new', 'x', 'lorat-s-224')
    importing.check_target(tmp_path, 'x', 'lorat-s-224')
    manifest = read_bundle(bundles / 'delta').manifest
    made_of = manifest['provenance']['checkpoint']['sha256']
    variant = f'{manifest["family"]}-{manifest["variant"]}'
    importing.check_target(bundles / 'delta', made_of, variant)      # the same import once more
    with pytest.raises(BundleError, match=f'is a bundle already, as {variant}'):
        importing.check_target(bundles / 'delta', made_of, 'lorat-s-none')
    with pytest.raises(BundleError, match='is a bundle already, but not of this checkpoint'):
        importing.check_target(shipped_folder() / 'kestrel-e', made_of, variant)
    (tmp_path / 'cat.jpg').write_text('cat')
    with pytest.raises(BundleError, match='is there and is no bundle'):
        importing.check_target(tmp_path, 'x', variant)
    with pytest.raises(BundleError, match='is no folder'):
        importing.check_target(tmp_path / 'cat.jpg', 'x', variant)


def test_weights_in_a_file_of_their_own(write, tmp_path):
    folder = tmp_path / 'external'
    run(write('delta'), folder, external_from=100_000)
    entry = read_bundle(folder).manifest['graphs']['search']
    assert [data['file'] for data in entry['data']] == ['search.data']
    assert entry['bytes'] < entry['data'][0]['bytes']
    assert onnx.load(folder / 'search.onnx').graph.initializer
    np.testing.assert_allclose(answers(folder), answers(folder, 'torch'), atol=1e-3)
    (folder / 'search.data').write_bytes(b'short')
    with pytest.raises(BundleError, match='search.data has 5 bytes'):
        read_bundle(folder)
    (folder / 'notes.txt').write_text('mine')
    run(write('delta'), folder)      # once more, and small enough for one file
    assert sorted(path.name for path in folder.iterdir()) == [
        'model.json', 'notes.txt', 'search.onnx', 'template.onnx']


def test_the_base_is_looked_for_and_named(write, tmp_path, monkeypatch):
    monkeypatch.setenv('TORCH_HOME', str(tmp_path / 'torch'))
    cache = tmp_path / 'torch' / 'hub' / 'checkpoints'
    path = write('delta', with_base=False)
    with pytest.raises(CheckpointError) as error:
        run(path, tmp_path / 'x')
    for words in (BASE, 'https://dl.fbaipublicfiles.com/dinov2', '--base', str(path.parent),
                  str(cache)):
        assert words in str(error.value)
    cache.mkdir(parents=True)
    torch.save(base_tensors(SMALL), cache / BASE)
    checkpoint = read_checkpoint(path)
    assert importing.assemble(checkpoint, lorat.Lorat, 'lorat-s-224', None)[2] == cache / BASE
    shutil.copy(cache / BASE, path.parent)
    assert importing.assemble(checkpoint, lorat.Lorat, 'lorat-s-224', None)[2] == \
        path.parent / BASE
    assert importing.assemble(checkpoint, lorat.Lorat, 'lorat-s-224', cache / BASE)[2] == \
        cache / BASE


def test_a_base_that_does_not_fit(write, tmp_path):
    checkpoint, base = read_checkpoint(write('delta')), base_tensors(SMALL)
    for words, change in {
            r'missing: blocks\.1\.': lambda t: {n: v for n, v in t.items() if '.1.' not in n},
            r'unexpected: register_tokens':
                lambda t: {**t, 'register_tokens': torch.ones(1, 4, 64)},
            r'norm\.weight is \(96,\), expected \(64,\)':
                lambda t: {**t, 'norm.weight': torch.ones(96)}}.items():
        torch.save(change(base), tmp_path / 'other.pth')
        with pytest.raises(CheckpointError, match=rf'other\.pth: this is not .*{words}'):
            importing.assemble(checkpoint, lorat.Lorat, 'lorat-s-224', tmp_path / 'other.pth')
    with pytest.raises(CheckpointError, match='leave out --base'):
        importing.assemble(read_checkpoint(write('full')), lorat.Lorat, 'lorat-s-224',
                           tmp_path / 'other.pth')


@pytest.mark.parametrize(('layout', 'change', 'words'), [
    ('delta', lambda t: t.pop('head.cls_mlp.layers.2.bias'),
     r'missing: head\.cls_mlp\.layers\.2\.bias'),
    ('delta', lambda t: t.update({'head.extra': torch.ones(2)}), r'unexpected: head\.extra'),
    ('delta', lambda t: t.update({'head.reg_mlp.layers.2.weight': torch.ones(5, 64)}),
     r'head\.reg_mlp\.layers\.2\.weight is \(5, 64\), expected \(4, 64\)'),
    ('full', lambda t: t.pop('blocks.1.attn.qkv.k.linear.bias'),
     r'missing: blocks\.1\.attn\.qkv\.k\.linear\.bias'),
    ('delta', lambda t: t.update({'token_type_embed': torch.ones(3, 65)}), 'has width 65')])
def test_a_damaged_checkpoint_is_refused_with_all_that_is_wrong(write, tmp_path, layout, change,
                                                                words):
    with pytest.raises(CheckpointError, match=words):
        run(write(layout, change), tmp_path / 'x')
    assert not (tmp_path / 'x').exists()


@pytest.mark.parametrize('alpha', [0.0, -64.0, float('nan'), float('inf')])
def test_adapters_that_would_be_left_out_are_refused(write, alpha):
    path = write('delta of 2024', lambda t: t.update(lora_alpha=torch.tensor(alpha)))
    with pytest.raises(CheckpointError, match=r'model\.bin.*expected a finite number above 0'):
        assembled(path)


def test_what_the_tensors_do_not_tell_is_asked(write):
    delta = read_checkpoint(write('delta'))
    assert importing.recognise(delta) == ('lorat', ('lorat-s-224', 'lorat-s-378'))
    with pytest.raises(CheckpointError, match='lorat-s-224 or lorat-s-378.*--variant'):
        importing.choose(delta, None)
    assert importing.choose(delta, 'LoRAT-S-378') == ('lorat', 'lorat-s-378')
    full = read_checkpoint(write('full'))
    assert importing.choose(full, None) == ('lorat', 'lorat-s-224')
    for wanted in ('litetrack-b4', 'lorat-b-224'):
        with pytest.raises(CheckpointError, match=r'\.lora\.A.*not ' + wanted):
            importing.choose(delta, wanted)
    with pytest.raises(CheckpointError, match='--variant lorat-x is unknown.*lorat-g-378'):
        importing.choose(delta, 'lorat-x')


def test_a_file_of_several_depths_with_objects_of_the_training_package(tmp_path):
    path = write_checkpoint(tmp_path, 'sparse', tensors_of('sparse'))
    checkpoint = read_checkpoint(path)
    assert (checkpoint.entry, checkpoint.container) == ('net', 'torch')
    with pytest.raises(CheckpointError, match='fartrack-tiny or fartrack-nano or fartrack-pico'):
        importing.choose(checkpoint, None)
    family, variant = importing.choose(checkpoint, 'FARTrack-pico')
    assert (family, variant) == ('fartrack', 'fartrack-pico')
    network, about, base = importing.assemble(checkpoint, importing.importable()[family], variant,
                                              None)
    assert base is None and 'not for commercial use' in about['licence']
    assert any('pos_embed_z1' in note for note in about['notes'])
    with pytest.raises(CheckpointError, match='leave out --base'):
        importing.assemble(checkpoint, importing.importable()[family], variant, path)
    # One damaged tensor, and the family says so itself.
    broken = {**checkpoint.tensors, 'identity': torch.ones(1)}
    with pytest.raises(CheckpointError, match=r'identity is \(1,\)'):
        importing.recognise(Checkpoint(path, broken, 'net'))


def test_files_that_are_no_trackers(tmp_path):
    def of(tensors: dict) -> Path:
        torch.save(tensors, tmp_path / 'file.pth')
        return tmp_path / 'file.pth'
    base = base_tensors(SMALL)
    for tensors, words in (
            (base, 'give it with --base'),
            ({**base, 'register_tokens': torch.ones(1, 4, 64)}, 'with registers'),
            ({'conv1.weight': torch.ones(2, 2)}, 'none of the families lorat.*conv1.weight')):
        with pytest.raises(CheckpointError, match=words):
            importing.recognise(read_checkpoint(of(tensors)))


def test_a_failed_import_leaves_nothing(write, tmp_path):
    def spoil(tensors: dict) -> None:
        tensors['head.cls_mlp.layers.2.bias'] = torch.tensor([float('nan')])
    with pytest.raises(CheckpointError, match=r'search\.score by inf.*Nothing was written'):
        run(write('delta', spoil), tmp_path / 'out' / 'bundle')
    assert list((tmp_path / 'out').iterdir()) == []


def test_verification_notices_other_weights(bundles, write):
    network, _, _ = importing.assemble(read_checkpoint(write('delta')), lorat.Lorat,
                                       'lorat-s-224', None)
    bundle = read_bundle(bundles / 'delta')
    good = importing.verify(bundle, network, clip())
    good.check()
    with torch.no_grad():
        network.blocks[0].mlp.fc1.weight.mul_(1.05)
    with pytest.raises(CheckpointError, match=r'do not agree.*search\.score by'):
        importing.verify(bundle, network, clip()).check()


@pytest.mark.parametrize('differences', [{}, {'search.boxes': 2e-4}, {'search.score': 2e-3},
                                         {'search.score': float('nan')}])
def test_what_verification_refuses(differences):
    with pytest.raises(CheckpointError, match='do not agree'):
        importing.Verification(differences, [0.5]).check()
    importing.Verification({'search.boxes': 9e-5, 'search.score': 9e-4}, [0.5]).check()


def test_the_catalogue_and_the_families_say_the_same():
    known = {(family, variant.about['variant']): (network, variant)
             for family, network in importing.importable().items()
             for variant in network.variants().values()}
    for published in PUBLISHED:
        network, variant = known[published.family, published.variant]
        if published.variant.startswith('s-'):      # this module makes them small
            continue
        with torch.device('meta'):
            parameters = sum(p.numel() for p in network.from_settings(variant.settings)
                             .parameters())
        # LiteTrack's files hold 0.15 million that nothing reads.
        unread = 0.15 if published.family == 'litetrack' else 0
        assert published.parameters_m - unread == pytest.approx(parameters / 1e6, abs=0.06)
        if 'published_macs' in variant.about:
            assert published.gmacs == pytest.approx(variant.about['published_macs'] / 1e9,
                                                    abs=0.05)
    assert published_of('lorat', 'b-224').scores['VastTrack SUC'] == 38.7
    assert published_of('kestrel', 's') is None
