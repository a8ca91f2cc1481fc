# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Evidence for a box: what counts for it, what against, and that it is always a share."""
from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, strategies as st
from hypothesis.extra import numpy as arrays

from lorat_ros.models.bundle import BundleError
from lorat_ros.models.catalog import find_bundle
from lorat_ros.tracking.evidence import Evidence, Pieces, Weights
from lorat_ros.tracking.kestrel import KestrelFamily

WEIGHTS = Weights(peak=0.5, match=7.0, memory=60.0, agreement=7.0, bias=-64.0)
MASK = np.zeros((5, 5), np.float32)
MASK[2, 2] = 1.0
BOX = (0.4, 0.4, 0.2, 0.2)


def outputs(features: float = 1.0, similarity: tuple[float, float] = (0.8, 0.2),
            spread: float = 0.0) -> dict[str, np.ndarray]:
    """Cells that all answer with ``BOX``, moved by ``spread``, and resemble target and rest so."""
    boxes = np.empty((1, 4, 10, 10), np.float32)
    boxes[0] = np.array([0.4, 0.4, 0.6, 0.6], np.float32)[:, None, None] + spread
    like = np.full((1, 100, 26), similarity[1], np.float32)
    like[..., 12] = similarity[0]
    looks = np.ones((1, 100, 8), np.float32)
    looks[..., :4] = features
    return {'boxes': boxes, 'similarity': like, 'features': looks}


def gather(evidence: Evidence, shown: dict[str, np.ndarray], score: float = 0.7) -> Pieces:
    return evidence.gather(shown, BOX, score)


def test_the_pieces_are_what_they_say():
    evidence = Evidence(MASK)
    assert evidence.is_blank
    pieces = gather(evidence, outputs())
    assert pieces.peak == pytest.approx(np.log(0.7 / 0.3))
    assert pieces.match == pytest.approx(0.6)
    assert pieces.agreement == pytest.approx(1.0, abs=1e-5)
    assert pieces.memory == 1.0


@pytest.mark.parametrize('worse', [{'similarity': (0.2, 0.8)}, {'features': -1.0},
                                   {'spread': 0.1}])
def test_each_piece_of_evidence_against_it_makes_a_box_less_believed(worse):
    evidence = Evidence(MASK)
    usual = gather(evidence, outputs())
    evidence.learn()
    assert gather(evidence, outputs(**worse)).belief(WEIGHTS) < usual.belief(WEIGHTS)


def test_only_what_is_sure_by_score_and_by_evidence_is_learnt():
    by_peak = Weights(peak=1.0, match=0.0, memory=0.0, agreement=0.0, bias=0.0)
    for score, weights, learns in ((0.7, by_peak, True), (0.4, replace(by_peak, bias=9.0), False),
                                   (0.7, replace(by_peak, bias=-9.0), False)):
        evidence = Evidence(MASK)
        pieces, belief = evidence.weigh(outputs(features=-1.0), BOX, 0.01, weights)
        assert belief == pieces.belief(weights) and not evidence.is_blank   # the first, always
        for _ in range(30):
            evidence.weigh(outputs(), BOX, score, weights)
        assert (gather(evidence, outputs()).memory > 0.9) is learns


def test_what_was_learnt_slowly_gives_way():
    evidence, other = Evidence(MASK), outputs(features=-1.0)
    for _ in range(40):
        gather(evidence, outputs())
        evidence.learn()
    strange = gather(evidence, other).memory
    branch = evidence.branch()
    for _ in range(40):
        gather(branch, other)
        branch.learn()
    assert gather(branch, other).memory > 0.9 > strange + 0.5
    assert gather(evidence, other).memory == pytest.approx(strange)


def test_a_template_that_is_all_target_has_nothing_to_compare_with():
    assert gather(Evidence(np.ones((5, 5), np.float32)), outputs()).match == 0.0


box = st.tuples(*[st.floats(-0.5, 1.5)] * 2, *[st.floats(0.001, 2.0)] * 2)
numbers = st.floats(-1e4, 1e4, width=32)


@given(box, st.floats(0, 1), arrays.arrays(np.float32, (1, 4, 10, 10), elements=numbers),
       arrays.arrays(np.float32, (1, 100, 8), elements=numbers))
def test_belief_is_a_share_whatever_is_shown(box, score, boxes, features):
    evidence = Evidence(MASK)
    shown = {**outputs(), 'boxes': boxes, 'features': features}
    for _ in range(2):
        belief = evidence.gather(shown, box, score).belief(WEIGHTS)
        assert 0 <= belief <= 1
        evidence.learn()


def test_what_is_no_number_is_not_believed():
    pieces = gather(Evidence(MASK), outputs())
    assert pieces._replace(memory=float('nan')).belief(WEIGHTS) == 0.0


def test_bundles_without_evidence_have_no_weights_and_garbled_ones_are_refused():
    bundle = find_bundle()
    assert Weights.of({}) is None
    garbled = replace(bundle, manifest={**bundle.manifest, 'evidence': {'peak': 1.0}})
    with pytest.raises(BundleError, match='lacks or garbles'):
        KestrelFamily(garbled)
