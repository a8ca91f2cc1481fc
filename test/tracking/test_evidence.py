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
from lorat_ros.tracking.evidence import Evidence, LOGIT_LIMIT, Pieces, Weights
from lorat_ros.tracking.kestrel import cover_of_cells, KestrelFamily

WEIGHTS = Weights(peak=0.5, match=7.0, memory=60.0, agreement=7.0, bias=-64.0, alone=0.5,
                  first=20.0, surroundings=-20.0)
MASK = np.zeros((5, 5), np.float32)
MASK[2, 2] = 1.0
BOX = (0.4, 0.4, 0.2, 0.2)


def outputs(features: float = 1.0, similarity: tuple[float, float] = (0.8, 0.2),
            spread: float = 0.0, around: float = -1.0, elsewhere: float = 0.1
            ) -> dict[str, np.ndarray]:
    """
    What the graph answers where there is a target in ``BOX``.

    :param features: half of what the cells in the box look like.
    :param similarity: of all cells to the target and to what surrounded it.
    :param spread: by how much the boxes of all cells are moved.
    :param around: half of what the other cells look like.
    :param elsewhere: score in the corner.
    """
    boxes = np.empty((1, 4, 10, 10), np.float32)
    boxes[0] = np.array([0.4, 0.4, 0.6, 0.6], np.float32)[:, None, None] + spread
    like = np.full((1, 100, 26), similarity[1], np.float32)
    like[..., 12] = similarity[0]
    looks = np.ones((1, 10, 10, 8), np.float32)
    looks[..., :4] = around
    looks[:, 4:6, 4:6, :4] = features
    score = np.full((1, 10, 10), 0.01)
    score[0, 4, 4], score[0, 0, 0] = 0.7, elsewhere
    return {'boxes': boxes, 'similarity': like, 'features': looks.reshape(1, 100, 8),
            'score': np.log(score / (1 - score)).astype(np.float32)}


def gather(evidence: Evidence, shown: dict[str, np.ndarray], score: float = 0.7) -> Pieces:
    return evidence.gather(shown, cover_of_cells(tuple(160 * v for v in BOX), 10, 160), BOX, score)


def test_the_pieces_are_what_they_say():
    evidence = Evidence(MASK)
    assert evidence.is_blank
    pieces = gather(evidence, outputs())
    assert pieces.peak == pytest.approx(np.log(0.7 / 0.3))
    assert pieces.match == pytest.approx(0.6)
    assert pieces.agreement == pytest.approx(1.0, abs=1e-5)
    assert pieces.memory == pytest.approx(1.0, abs=1e-5)
    assert pieces.alone == pytest.approx(np.log(0.7 / 0.3) - np.log(0.1 / 0.9), abs=1e-5)
    assert pieces.first == pytest.approx(1.0, abs=1e-5)
    assert pieces.surroundings == pytest.approx(0.0, abs=1e-5)


def test_what_a_box_covers_or_lies_close_to_it_is_no_rival_of_its_peak():
    shown = outputs()
    shown['score'][0, 3, 4] = shown['score'][0, 5, 5] = 3.0
    assert gather(Evidence(MASK), shown).alone == gather(Evidence(MASK), outputs()).alone


def test_with_nothing_beside_it_a_peak_stands_as_high_as_can_be():
    pieces = Evidence(MASK).gather(outputs(), np.ones((10, 10), np.float32), BOX, 0.7)
    assert pieces.alone == pytest.approx(pieces.peak + LOGIT_LIMIT)
    assert pieces.surroundings == 0.0


def test_the_first_sight_is_kept_and_the_surroundings_are_followed():
    evidence = Evidence(MASK)
    gather(evidence, outputs())
    evidence.learn()
    for _ in range(60):
        gather(evidence, outputs(features=-1.0, around=1.0))
        evidence.learn()
    like_now = gather(evidence, outputs(features=-1.0, around=1.0))
    assert like_now.first == pytest.approx(0.0, abs=1e-5)
    assert like_now.memory > 0.9 and like_now.surroundings < 0.3
    assert gather(evidence, outputs()).surroundings > 0.9


@pytest.mark.parametrize('worse', [{'similarity': (0.2, 0.8)}, {'features': -1.0},
                                   {'spread': 0.1}, {'elsewhere': 0.6}])
def test_each_piece_of_evidence_against_it_makes_a_box_less_believed(worse):
    evidence = Evidence(MASK)
    usual = gather(evidence, outputs())
    evidence.learn()
    assert gather(evidence, outputs(**worse)).belief(WEIGHTS) < usual.belief(WEIGHTS)


def test_what_looks_like_the_surroundings_is_less_believed():
    evidence = Evidence(MASK)
    pieces = gather(evidence, outputs())
    assert replace(pieces, surroundings=0.5).belief(WEIGHTS) < pieces.belief(WEIGHTS)


def test_only_what_is_sure_by_score_and_by_evidence_is_learnt():
    cover = cover_of_cells(tuple(160 * v for v in BOX), 10, 160)
    by_peak = Weights(peak=1.0, match=0.0, memory=0.0, agreement=0.0, bias=0.0)
    for score, weights, learns in ((0.7, by_peak, True), (0.4, replace(by_peak, bias=9.0), False),
                                   (0.7, replace(by_peak, bias=-9.0), False)):
        evidence = Evidence(MASK)
        pieces, belief = evidence.weigh(outputs(features=-1.0), cover, BOX, 0.01, weights)
        assert belief == pieces.belief(weights) and not evidence.is_blank   # the first, always
        for _ in range(30):
            evidence.weigh(outputs(), cover, BOX, score, weights)
        assert (gather(evidence, outputs()).memory > 0.9) is learns


def test_pieces_that_an_older_bundle_does_not_weigh_count_nothing():
    weights = Weights.of({'evidence': {'peak': 0.5, 'match': 7.0, 'memory': 60.0,
                                       'agreement': 7.0, 'bias': -64.0}})
    pieces = gather(Evidence(MASK), outputs())
    other = replace(pieces, alone=-9.0, first=-1.0, surroundings=1.0)
    assert other.belief(weights) == pieces.belief(weights)
    assert other.belief(WEIGHTS) < pieces.belief(WEIGHTS)


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
    cover = cover_of_cells(tuple(160 * v for v in box), 10, 160)
    shown = {**outputs(), 'boxes': boxes, 'features': features}
    for _ in range(2):
        belief = evidence.gather(shown, cover, box, score).belief(WEIGHTS)
        assert 0 <= belief <= 1
        evidence.learn()


def test_what_is_no_number_is_not_believed():
    pieces = gather(Evidence(MASK), outputs())
    assert replace(pieces, memory=float('nan')).belief(WEIGHTS) == 0.0


def test_bundles_without_evidence_have_no_weights_and_garbled_ones_are_refused():
    bundle = find_bundle()
    assert Weights.of({}) is None
    garbled = replace(bundle, manifest={**bundle.manifest, 'evidence': {'peak': 1.0}})
    with pytest.raises(BundleError, match='lacks or garbles'):
        KestrelFamily(garbled)
