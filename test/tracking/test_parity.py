# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The parity gate: it lets through what answers alike, and nothing else."""
from __future__ import annotations

from itertools import islice

import numpy as np
import pytest

from lorat_ros.engines.session import Handle, open_session
from lorat_ros.models.catalog import find_bundle
from lorat_ros.tools.frames import open_frames
from lorat_ros.tools.target_arguments import target_of
from lorat_ros.tracking.parity import Clip, crops_of, gate


@pytest.fixture(scope='module')
def bundle():
    return find_bundle()


@pytest.fixture(scope='module')
def clip(cache):
    frames = open_frames(cache / 'lorat_ros' / 'scene' / 'img')
    images = list(islice(frames, 131))
    return Clip(images, target_of(frames, None, None).init_box, 'scene')


class Altered:
    """A session whose answers are changed on the way."""

    def __init__(self, session, change) -> None:
        self._session, self._change = session, change
        self.engine, self.device, self.precision = 'onnx', 'cpu', 'fp32'

    def run(self, role, inputs):
        outputs = self._session.run(role, inputs)
        return outputs if role == 'template' else self._change(dict(outputs))

    def close(self):
        self._session.close()


def test_the_same_passes(bundle, clip):
    verdict = gate(bundle, open_session(bundle), open_session(bundle), [clip])
    assert verdict.passed and verdict.crops == 130
    assert (verdict.median, verdict.minimum, verdict.score) == (1.0, 1.0, 0.0)
    assert (verdict.frames, verdict.tracked, verdict.clips) == (60, 1.0, 'scene')
    assert verdict.map == pytest.approx(1.0)


def test_few_crops_are_no_proof(bundle, clip):
    few = gate(bundle, open_session(bundle), open_session(bundle), [clip], every=2, first=1)
    assert few.crops == 65 and not few.passed


def shifted(outputs):
    outputs['boxes'] = outputs['boxes'] + np.float32(0.02)      # 3 pixels of the crop
    return outputs


def sometimes_elsewhere():
    state = {'count': 0}

    def change(outputs):
        state['count'] += 1
        if state['count'] == 170:      # past the sequence, which asks twice a frame
            outputs['score'] = np.roll(outputs['score'], (3, 3), (1, 2))
        return outputs
    return change


@pytest.mark.parametrize(('change', 'part'), [(shifted, 'median'),
                                              (sometimes_elsewhere(), 'minimum')])
def test_other_boxes_are_refused(bundle, clip, change, part):
    verdict = gate(bundle, open_session(bundle), Altered(open_session(bundle), change), [clip])
    assert not verdict.passed
    assert getattr(verdict, part) < {'median': 0.98, 'minimum': 0.9}[part]


def test_crops_where_nothing_is_seen_do_not_count(bundle, clip):
    def blind(outputs):
        outputs['score'] = outputs['score'] - np.float32(30)
        for evidence in ('similarity', 'features'):
            outputs[evidence] = np.zeros_like(outputs[evidence])
        return outputs
    verdict = gate(bundle, Altered(open_session(bundle), blind), open_session(bundle), [clip])
    assert verdict.crops == 0 and not verdict.passed


def test_the_networks_food_is_told(bundle, clip):
    short = Clip(clip.frames[:4], clip.box)
    feeds = list(crops_of(bundle, open_session(bundle), [short, short]))
    assert [role for role, _ in feeds] == ['search'] * 6
    for _, feed in feeds:
        assert feed['image'].shape == (1, 3, 160, 160)
        assert not any(isinstance(value, Handle) for value in feed.values())
    np.testing.assert_array_equal(feeds[0][1]['image'], feeds[3][1]['image'])


def test_a_session_that_drifts_is_refused_though_each_crop_is_alike(bundle, clip):
    # It sees the same crops as the other in the comparison: only alone does it lose its way.
    verdict = gate(bundle, open_session(bundle), Forgetful(open_session(bundle)), [clip])
    assert verdict.median == verdict.minimum == 1.0
    assert verdict.tracked < 0.9 and not verdict.passed


class Forgetful(Altered):
    """Two of a kind on one template: what the second one is told goes astray."""

    def __init__(self, session) -> None:
        super().__init__(session, lambda outputs: outputs)
        self._given = []

    def run(self, role, inputs):
        if role == 'template':
            outputs = super().run(role, inputs)
            self._given.append(outputs)
            return outputs
        alone = inputs['template_tokens'] is self._given[-1]['template_tokens']
        outputs = super().run(role, inputs)
        return shifted(outputs) if alone and len(self._given) > 1 else outputs


def test_an_answer_that_is_no_number_is_refused(bundle, clip):
    def overflown(outputs):
        outputs['score'] = outputs['score'].copy()
        outputs['score'][..., -1, -1] = np.nan
        return outputs
    verdict = gate(bundle, open_session(bundle), Altered(open_session(bundle), overflown), [clip])
    assert verdict.map == 0.0 and not verdict.passed
