# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""FARTrack's network and checkpoints against the published code's golden numbers."""
from __future__ import annotations

import functools
import zlib

import numpy as np
import pytest
import torch
from support import goldens
from support.fartrack_checkpoints import network_of, official_keys, tensors_of
from support.litetrack_golden import checksum, network_input
from torch.nn import functional as F

from lorat_ros.networks.checkpoints import CheckpointError
from lorat_ros.networks.export import macs_per_frame
from lorat_ros.networks.fartrack import bound_commands, FarTrack, file_shapes
from lorat_ros.networks.fartrack_variants import FarTrackConfig, VARIANTS
from lorat_ros.tracking.fartrack import expected, kept_tokens, likeliest, mean_of_both, softmax

TABLE = 'backbone.word_embeddings.weight'
TOLERANCE = {'*_sum': 1e-2, '*attn*': 1e-6, '*cls': 1e-5, '*box*': 1e-6, '*norm_*': 1e-6,
             '*': 1e-4}
HIDDEN_ROWS = ('holds rows of hidden tokens, which do not exist here; what the visible ones '
               'become is compared after the last block')


@pytest.fixture(autouse=True)
def one_thread():
    """Small matrices, and a machine that may be busy: more threads would wait for each other."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@functools.cache
def checkpoint(stage: str) -> dict[str, torch.Tensor]:
    return tensors_of(stage)


def images(slots: int = 5) -> tuple[torch.Tensor, torch.Tensor]:
    """Search region and templates of the golden files."""
    crops = [network_input(f'template{slot}', (1, 3, 112, 112)) for slot in range(slots)]
    return (torch.from_numpy(network_input('search224', (1, 3, 224, 224))),
            torch.from_numpy(np.concatenate(crops)))


def rows(tokens: torch.Tensor) -> np.ndarray:
    """Rows of a sequence (1, L, D) that golden files hold: every 16th, and the commands."""
    templates_and_search = tokens[0, :-4]
    return torch.cat([templates_and_search[::16], tokens[0, -4:]])[:, :16].numpy()


def summary(tokens: torch.Tensor) -> np.ndarray:
    """Length, sum and largest magnitude of all values."""
    values = tokens.double()
    return np.array([values.norm(), values.sum(), values.abs().max()])


def decoded(logits: torch.Tensor) -> dict[str, np.ndarray]:
    """What golden files hold of logits (1, 4, 605)."""
    values = logits[0].numpy()
    chosen = np.argmax(values, -1)
    return {'feat': logits.transpose(0, 1).numpy(), 'seqs': chosen[None],
            'cls': softmax(values)[np.arange(4), chosen][None]}


def embed(network: FarTrack, image: torch.Tensor, templates: torch.Tensor) -> torch.Tensor:
    """Whole sequence (1, L, D), no token hidden."""
    tokens = network.embed_templates(templates) + network.identity[0, :-1, None]
    return network.sequence(tokens.reshape(1, -1, tokens.shape[-1]), image)


def sparse_answers(network: FarTrack, visible: np.ndarray) -> dict[str, np.ndarray]:
    """What golden files hold of the sparse stage, run without the tokens that are not visible."""
    image, templates = images()
    whole = embed(network, image, templates)
    x = whole[:, torch.from_numpy(visible)]
    logits, centre = network.read(x)
    first = None
    for block in network.layers:
        x, _ = block(x)
        first = x if first is None else first
    attention = np.zeros(445, np.float32)
    attention[visible] = centre[0].numpy()
    values = logits[0].numpy()
    found = {**decoded(logits), 'box_argmax': (likeliest(values) + 0.5 / 299)[None],
             'box_expect': expected(values)[None], 'box': mean_of_both(values)[None],
             'zxs_in': rows(whole), 'zxs_in_sum': summary(whole), 'last_visible_sum': summary(x),
             'last_search_cmd': x[0, -200::8, :16].numpy(),
             'xout': network.backbone.norm(x[:, -4:]).transpose(0, 1).numpy(),
             'attn_center_to_templates': attention[:245]}
    if visible.all():
        found |= {'b0': rows(first), 'b0_sum': summary(first)}
    for percent in (25, 50, 75, 90):
        mask = np.zeros((1, 49), bool)
        mask[0, kept_tokens(attention[196:245], 49 - int(49 * percent / 100))] = True
        found[f'mask{percent}'] = mask
    return found


@pytest.mark.parametrize('size', ['tiny', 'nano', 'pico'])
def test_the_sparse_networks(size):
    path = f'fartrack/model_sparse_{size}.npz'
    golden, tensors = goldens.read(path), checkpoint('sparse')
    network, _ = FarTrack.assemble(f'fartrack-{size}', tensors, None)
    found = {'wemb_cmd_norm_before': tensors[TABLE][600:604].norm(dim=1).numpy(),
             'wemb_cmd_norm_after': bound_commands(tensors[TABLE])[600:604].norm(dim=1).numpy(),
             'weights_crc32': [checksum(tensors[name].numpy()) for name in sorted(tensors)],
             'input_crc32': [checksum(network_input(f'template{k}', (1, 3, 112, 112)))
                             for k in range(5)] + [checksum(images()[0].numpy())]}
    with torch.inference_mode():
        for name, visible in (('full', np.ones(445, bool)), ('masked', golden['pmask'])):
            found.update((f'{name}_{key}', value)
                         for key, value in sparse_answers(network, visible).items())
    goldens.compare(path, found, TOLERANCE, {'pmask': goldens.INPUT, 'masked_b0': HIDDEN_ROWS,
                                             'masked_b0_sum': HIDDEN_ROWS})


def levels(network: FarTrack) -> tuple[dict[str, torch.Tensor], list[torch.Tensor]]:
    """States that golden files hold, and the logits after each block from the fifth on."""
    x = embed(network, *images())
    states, logits = {'zxs_in': x}, []
    for index, block in enumerate(network.layers):
        x, _ = block(x)
        states |= {f'{name}': x for name, at in (('b0', 0), ('b11', 11), ('e2', 14))
                   if at == index}
        if index >= 4:
            logits.append(network.words(x[:, -4:]))
    return states, logits


@pytest.mark.parametrize('stage', ['base', 'distill'])
def test_the_networks_of_the_stages_before(stage):
    path, tensors = f'fartrack/model_{stage}.npz', checkpoint(stage)
    network, _ = FarTrack.assemble(f'fartrack-{stage}-tiny', tensors, None)
    with torch.inference_mode():
        logits = network.first(*images())[0]
        states, heads = levels(network)
    found = {**decoded(logits), 'box_xyxy': likeliest(logits[0].numpy())[None],
             'weights_crc32': [checksum(tensors[name].numpy()) for name in sorted(tensors)]}
    found['train_feat'] = found['feat']      # training's own forward pass gives the same
    for name, x in states.items():
        found |= {name: rows(x), f'{name}_sum': summary(x)}
    if stage == 'distill':
        found['extra_list'] = torch.stack(heads[:-1]).transpose(1, 2).numpy()
        spoken = [F.log_softmax(head[..., :600], -1) for head in heads]
        found['kl'] = [F.kl_div(student, teacher, reduction='batchmean', log_target=True)
                       for student, teacher in zip(spoken, spoken[1:])]
    goldens.compare(path, found, TOLERANCE, {})


def test_every_level_of_the_distilled_network_is_the_network_of_that_depth():
    with torch.inference_mode():
        _, heads = levels(network_of('distill'))
        for variant, level in (('fartrack-distill-nano', 9), ('fartrack-distill-pico', 5)):
            network, _ = FarTrack.assemble(variant, checkpoint('distill'), None)
            torch.testing.assert_close(network.first(*images())[0], heads[level - 4])


def test_the_network_of_the_sequence_stage():
    network = network_of('seq')
    network.load_state_dict({**network.state_dict(),
                             TABLE: bound_commands(checkpoint('seq')[TABLE])})
    with torch.inference_mode():
        logits = network.first(*images(1))[0]
    values = logits[0].numpy()
    found = {**decoded(logits), 'box_argmax': (likeliest(values) + 0.5 / 299)[None],
             'box_expect': expected(values)[None], 'box': mean_of_both(values)[None]}
    goldens.compare('fartrack/model_seq_1template.npz', found, TOLERANCE, {})


def test_the_other_reading_of_the_template_positions():
    found = {}
    with torch.inference_mode():
        for name, variant in (('base', 'fartrack-base-tiny-z0'),
                              ('sparse_tiny', 'fartrack-tiny-z0')):
            network, _ = FarTrack.assemble(variant, checkpoint(VARIANTS[variant].stage), None)
            answers = decoded(network.first(*images())[0])
            found |= {f'{name}_feat': answers['feat'], f'{name}_seqs': answers['seqs']}
    goldens.compare('fartrack/model_noalias.npz', found, TOLERANCE, {})


def test_both_readings_of_the_positions_are_told_apart():
    other = goldens.read('fartrack/model_noalias.npz')['sparse_tiny_feat']
    usual = goldens.read('fartrack/model_sparse_tiny.npz')['full_feat']
    assert np.abs(other - usual).max() > 100 * TOLERANCE['*']


def test_commands_that_are_too_long_make_another_answer():
    golden = goldens.read('fartrack/model_sparse_pico.npz')['full_feat'][:, 0]
    with torch.inference_mode():
        raw = network_of('sparse', 6).first(*images())[0][0].numpy()
    assert np.abs(raw - golden).max() > 100 * TOLERANCE['*']


def test_rows_that_are_short_enough_stay_as_they_are():
    table = torch.zeros(605, 192)
    table[[0, 600, 601, 604], [0, 0, 1, 2]] = torch.tensor([5.0, 0.5, 2.0, 3.0])
    bounded = bound_commands(table)
    torch.testing.assert_close(bounded.norm(dim=1)[[0, 600, 601, 604]],
                               torch.tensor([5.0, 0.5, 1.0, 3.0]))
    assert table[601].norm() == 2


@pytest.mark.parametrize('stage', ['base', 'distill', 'sparse', 'seq'])
def test_names_and_shapes_are_the_official_ones(stage):
    assert file_shapes(FarTrackConfig(stage, 15)) == official_keys(stage)
    network = network_of(stage)
    assert network.state_dict().keys() <= official_keys(stage).keys()


@pytest.mark.parametrize(('size', 'parameters', 'official'), [
    ('tiny', 6_986_717, 4.159e9), ('nano', 4_762_397, 2.794e9), ('pico', 2_982_941, 1.703e9)])
def test_nothing_is_carried_that_is_not_run_and_less_is_computed(size, parameters, official):
    network, _ = FarTrack.assemble(f'fartrack-{size}', checkpoint('sparse'), None)
    assert sum(p.numel() for p in network.parameters()) == parameters
    layers = len(network.layers)
    # 397 tokens: the linear layers and attention of all blocks but the last bound it from below.
    least = (layers - 1) * (397 * 12 * 192 ** 2 + 2 * 397 ** 2 * 192)
    assert least < macs_per_frame(network) < 0.82 * official


def test_hidden_tokens_are_not_there():
    network, _ = FarTrack.assemble('fartrack-pico', checkpoint('sparse'), None)
    lengths = {}
    inputs = network.example_inputs()
    for role, given in inputs.items():
        handle = network.layers[0].register_forward_pre_hook(
            lambda block, args, role=role: lengths.update({role: args[0].shape[1]}))
        with torch.inference_mode():
            getattr(network, role)(**given)
        handle.remove()
    assert lengths == {'first': 445, 'search': 397}


def test_kept_tokens_put_in_again_answer_as_if_embedded_again():
    network, _ = FarTrack.assemble('fartrack-nano', checkpoint('sparse'), None)
    image, templates = images()
    keep = [np.sort(np.random.default_rng(slot).permutation(49)[:37]) for slot in range(4)]
    visible = np.concatenate([*(49 * slot + kept for slot, kept in enumerate(keep)),
                              np.arange(196, 445)])
    with torch.inference_mode():
        # Each is embedded by itself, as the newest of a frame of its own.
        alone = [network.search(image, templates[k:k + 1], torch.zeros(1, 4, 37, 192))[1]
                 for k in range(4)]
        memory = torch.stack([tokens[0, kept] for tokens, kept in zip(alone, keep)])[None]
        logits, tokens, rank = network.search(image, templates[4:], memory)
        whole = embed(network, image, templates)[:, torch.from_numpy(visible)]
        expected_logits, centre = network.read(whole)
    torch.testing.assert_close(logits, expected_logits, atol=1e-5, rtol=0)
    torch.testing.assert_close(rank[0], centre[0, 148:197], atol=1e-6, rtol=0)
    torch.testing.assert_close(tokens, network.embed_templates(templates[4:]))


def test_the_depth_is_not_in_the_file_and_must_be_said():
    assert FarTrack.recognise(checkpoint('sparse')) == (
        'fartrack-tiny', 'fartrack-nano', 'fartrack-pico',
        'fartrack-tiny-z0', 'fartrack-nano-z0', 'fartrack-pico-z0')
    assert FarTrack.recognise({'norm.weight': torch.zeros(1)}) == ()


def test_base_and_distill_have_the_same_keys():
    found = FarTrack.recognise(checkpoint('base'))
    assert {VARIANTS[name].stage for name in found} == {'base', 'distill'} and len(found) == 12


def test_positions_that_are_equal_leave_no_choice():
    tensors = dict(checkpoint('sparse'))
    tensors['backbone.pos_embed_z0'] = tensors['backbone.pos_embed_z1']
    assert FarTrack.recognise(tensors) == ('fartrack-tiny', 'fartrack-nano', 'fartrack-pico')
    _, about = FarTrack.assemble('fartrack-pico', tensors, None)
    assert 'they are equal' in about['notes'][0]


def test_the_importer_says_which_positions_are_read_and_what_the_licence_is():
    _, usual = FarTrack.assemble('fartrack-pico', checkpoint('sparse'), None)
    _, other = FarTrack.assemble('fartrack-pico-z0', checkpoint('sparse'), None)
    apart = usual['provenance']['pos_embed_z0_z1_apart']
    tensors = checkpoint('sparse')
    assert apart == pytest.approx(float((tensors['backbone.pos_embed_z0'] -
                                         tensors['backbone.pos_embed_z1']).abs().max()))
    assert f'differ by up to {apart:.3g}; pos_embed_z1 is read' in usual['notes'][0]
    assert 'pos_embed_z0 is read' in other['notes'][0]
    for about in (usual, other):
        assert 'not for commercial use' in about['licence']


@pytest.mark.parametrize(('change', 'words'), [
    ({'backbone.norm.bias': None}, 'missing: backbone.norm.bias'),
    ({'extra': torch.zeros(1)}, 'unexpected: extra'),
    ({'identity': torch.zeros(1, 2, 192)}, r'identity is \(1, 2, 192\), expected \(1, 6, 192\)'),
])
def test_a_file_that_is_not_whole_is_refused(change, words):
    tensors = {**checkpoint('sparse'), **change}
    tensors = {name: value for name, value in tensors.items() if value is not None}
    with pytest.raises(CheckpointError, match=words):
        FarTrack.recognise(tensors)


def test_the_sequence_stage_is_refused_with_what_to_take_instead():
    with pytest.raises(CheckpointError, match='give one of the stages sparse'):
        FarTrack.recognise(checkpoint('seq'))


def test_a_base_file_is_refused(tmp_path):
    with pytest.raises(CheckpointError, match='leave out --base'):
        FarTrack.assemble('fartrack-pico', checkpoint('sparse'), tmp_path / 'dinov2.pth')


def test_the_generator_makes_the_golden_values():
    assert zlib.crc32(checkpoint('base')['identity'].numpy().tobytes()) in \
        goldens.read('fartrack/model_base.npz')['weights_crc32']
