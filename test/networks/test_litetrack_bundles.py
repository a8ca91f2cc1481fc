# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""LiteTrack from official-format file to boxes, through torch and through ONNX Runtime."""
from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from support import goldens
from support.litetrack_bundles import imported
from support.litetrack_checkpoints import official_keys, tensors_of, write_checkpoint
from support.litetrack_golden import (bgr_frame, EDGE_BOX, INIT_BOX, network_input, VARIANTS)

from lorat_ros.engines.session import open_session, Session
from lorat_ros.engines.torch import build_network, TorchSession
from lorat_ros.models.bundle import Bundle
from lorat_ros.networks.checkpoints import read_checkpoint
from lorat_ros.networks.export import parity
from lorat_ros.networks.importing import Imported
from lorat_ros.networks.litetrack import LiteTrack
from lorat_ros.tracking.litetrack import best_cell, box_of_cell, hann_window
from lorat_ros.tracking.tracker import Tracker

E2E = 'litetrack/e2e.npz'
TOLERANCE = {'*_boxes': 1e-3, '*_l2': 1e-2, '*': 1e-4}
FIRST = {'': INIT_BOX, 'edge_': EDGE_BOX}
INSIDE = 'inside the network, which an engine does not show; compared through torch'
LARGE = [pytest.param(name, marks=pytest.mark.large) for name in VARIANTS[1:]]


class Recorder:
    """Runs another session and keeps what the search graph answered."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self.engine, self.device = session.engine, session.device
        self.template: dict[str, np.ndarray] = {}
        self.scores: list[np.ndarray] = []

    def run(self, role: str, inputs: dict) -> dict:
        answer = self._session.run(role, inputs)
        if role == 'template':
            self.template, self.scores = dict(inputs), []
        else:
            self.scores.append(answer['score'][0])
        return answer

    def close(self) -> None:
        self._session.close()


def followed(bundle: Bundle, session: Session, tag: str) -> tuple[dict, list[dict]]:
    """Arrays of e2e.npz that an engine shows, and the template inputs they began with."""
    recorder, window = Recorder(session), hann_window(16)
    found, templates = {}, []
    for case, box in FIRST.items():
        tracker = Tracker(bundle, recorder)
        tracker.init(bgr_frame(0), box)
        results = [tracker.update(bgr_frame(k)) for k in range(1, 7)]
        rows = []
        for scores, result in zip(recorder.scores, results):
            cell = best_cell(scores, window)
            second, first = np.sort((scores * window).ravel())[-2:]
            rows.append((16 * cell[0] + cell[1], first, first - second))
            assert result.score == pytest.approx(scores[cell])
        found.update({f'{tag}_{case}boxes': np.array([result.box for result in results]),
                      f'{tag}_{case}maxscore': np.array([s.max() for s in recorder.scores]),
                      f'{tag}_{case}argmax_resp_margin': np.array(rows)})
        templates.append(recorder.template)
    return found, templates


def features_norm(network: LiteTrack, inputs: dict) -> np.ndarray:
    """Norm of what the published tracker keeps of the template."""
    image, box = (torch.from_numpy(inputs[name]) for name in ('image', 'target_box'))
    with torch.inference_mode():
        features = network.encode_template(network.add_target(network.embed_template(image), box))
    return np.array([np.linalg.norm(features.numpy().astype(np.float64))])


def test_the_published_boxes_through_torch():
    tensors, found = tensors_of('litetrack-b9'), {}
    for variant in ('litetrack-b4', 'litetrack-b9'):
        network, about = LiteTrack.assemble(
            variant, {name: tensors[name] for name in official_keys(variant)}, None)
        bundle = Bundle(Path(variant), {**about, 'name': variant, 'family': 'litetrack',
                                        'graphs': {'template': {}, 'search': {}}}, {})
        tag = variant[-2:].upper()
        boxes, templates = followed(bundle, TorchSession(network, 1), tag)
        found.update(boxes)
        for case, inputs in zip(FIRST, templates):
            found[f'{tag}_{case}zfeat_l2'] = features_norm(network, inputs)
    goldens.compare(E2E, found, TOLERANCE, {})


@pytest.fixture(scope='module')
def imports(tmp_path_factory):
    """Import the official-format file of a variant, each once."""
    kept: dict[str, Imported] = {}

    def made(variant: str) -> Imported:
        if variant not in kept:
            kept[variant] = imported(variant, tmp_path_factory.mktemp(variant))
        return kept[variant]
    return made


@pytest.mark.parametrize('variant', ['litetrack-b4', *LARGE])
def test_a_bundle_answers_as_published_through_onnx_runtime(imports, variant):
    bundle, tag = imports(variant).bundle, variant[-2:].upper()
    session, golden = open_session(bundle, 'onnx'), f'litetrack/model_{tag}.npz'
    box = goldens.read(golden)['template_bb']
    memory = session.run('template', {'image': network_input('template', (1, 3, 128, 128)),
                                      'target_box': box})
    maps = session.run('search', {'image': network_input('search', (1, 3, 256, 256)), **memory})
    score, window = maps['score'][:, None], hann_window(16)
    found = {'score_map': score, 'size_map': maps['size'], 'offset_map': maps['offset'],
             'response': score * window}
    for index, place, weights in (('argmax_raw', 'pred_boxes', np.ones_like(window)),
                                  ('argmax_windowed', 'windowed_box', window)):
        cell = best_cell(score[0, 0], weights)
        found[index] = np.array([16 * cell[0] + cell[1]])
        found[place] = np.float32(box_of_cell(cell, maps['size'][0], maps['offset'][0])
                                  ).reshape(goldens.read(golden)[place].shape)
    goldens.compare(golden, found, {'*_box*': 1e-5, '*': 1e-4}, {
        'template_bb': goldens.INPUT, 'input_crc32': 'describes the inputs; compared with torch',
        'weights_crc32': 'describes the weights; compared with torch', 'z_*': INSIDE,
        'x_*': INSIDE, 'target_token': INSIDE,
        'notoken_*': 'a bundle always uses the target token; compared through torch',
        'train_path_*': 'a bundle always uses the target token; compared through torch'})
    boxes, _ = followed(bundle, session, tag)
    if tag in ('B4', 'B9'):
        other = 'B9' if tag == 'B4' else 'B4'
        goldens.compare(E2E, boxes, TOLERANCE, {
            '*_zfeat_l2': INSIDE, f'{other}_*': f'another case: litetrack-{other.lower()}'})
    else:
        assert np.isfinite(boxes[f'{tag}_boxes']).all()      # no golden boxes of B6 and B8


def test_a_bundle_is_static_and_describes_itself(imports):
    result = imports('litetrack-b4')
    bundle, verification = result.bundle, result.verification
    assert (bundle.family, bundle.variant) == ('litetrack', 'b4')
    assert bundle.manifest['provenance']['checkpoint']['entry'] == 'net'
    assert set(verification.differences) == {'search.score', 'search.size', 'search.offset'}
    assert max(verification.differences.values()) < 1e-4
    assert bundle.manifest['macs'] == 9_508_003_840 < bundle.manifest['published_macs']
    assert bundle.handed_over('template') == {'template_keys', 'template_values'}
    assert not bundle.handed_over('search')
    graphs = {role: onnx.load(path).graph for role, path in bundle.graphs.items()}
    names = {role: {initialiser.name for initialiser in graph.initializer}
             for role, graph in graphs.items()}
    for graph in graphs.values():
        assert not {node.op_type for node in graph.node} & {'SplitToSequence', 'SequenceAt'}
        for value in [*graph.input, *graph.output]:
            assert all(d.dim_value > 0 for d in value.type.tensor_type.shape.dim), value.name
    # What runs every frame has nothing that is meant for the template, and the other way round.
    assert [value.name for value in graphs['search'].input] == ['image', 'template_keys',
                                                                'template_values']
    assert not any('pos_embed_z' in name or 'target_token' in name for name in names['search'])
    assert not any('pos_embed_x' in name or 'box_head' in name for name in names['template'])


def test_the_torch_engine_reads_the_network_back(imports):
    bundle = imports('litetrack-b4').bundle
    network = build_network(bundle)
    assert max(parity(bundle.path, network).values()) < 1e-4
    tensors = tensors_of('litetrack-b4')
    for name, value in network.state_dict().items():
        assert torch.equal(value, tensors[name].reshape(value.shape)), name


@pytest.mark.parametrize('early', [True, False])
def test_an_official_file_is_read_without_its_training_package(tmp_path, early):
    small = {'a': torch.arange(6.0).reshape(2, 3)}
    path = write_checkpoint(tmp_path, 'litetrack-b4', small, early)
    if early:
        with pytest.raises(ModuleNotFoundError):
            torch.load(path, weights_only=False)
    checkpoint = read_checkpoint(path)
    assert checkpoint.entry == 'net' and torch.equal(checkpoint.tensors['a'], small['a'])
    assert not [name for name in sys.modules if name.split('.')[0] == 'lib']
