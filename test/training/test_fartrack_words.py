# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""FARTrack's words, levels and losses, against hand-computed numbers and other code."""
from __future__ import annotations

from dataclasses import replace
from math import log

import numpy as np
import pytest
import torch
from support import goldens
from support.fartrack_checkpoints import network_of
from support.fartrack_tiny import distill_method, stir
from support.litetrack_golden import network_input
from torch.nn import functional as F

from lorat_ros.networks.fartrack import load
from lorat_ros.tracking import fartrack as tracking
from lorat_ros.training.fartrack_words import (divergence, expected, levels_of, likeliest,
                                               sequence_of, template_tokens, word_losses,
                                               words_of)

WEIGHTS = {'siou': 2.0, 'ce': 3.0, 'kl': 5.0}


def logits_saying(words: list[int], sure: float = 30.0) -> torch.Tensor:
    """Logits (1, 1, 4, 605) of four words that are all but certain."""
    return sure * F.one_hot(torch.tensor(words), 605).float()[None, None]


def test_sides_become_words_by_cutting_off():
    sides = torch.tensor([-0.9, -0.5, 0.0, 0.25, 0.4999, 1.5, 3.0])
    assert words_of(sides).tolist() == [0, 0, 149, 224, 298, 598, 598]


def test_reading_is_the_trackers():
    logits = torch.randn(3, 4, 605) * 4
    np.testing.assert_allclose(expected(logits), tracking.expected(logits.numpy()), atol=1e-6)
    np.testing.assert_allclose(likeliest(logits), tracking.likeliest(logits.numpy()), atol=1e-6)


def test_cross_entropy_of_someone_without_a_clue():
    figures = word_losses(torch.zeros(1, 2, 4, 605), torch.tensor([[0.2, 0.2, 0.6, 0.6]] * 2),
                          {'samples': 2}, WEIGHTS, [15])
    assert figures['ce'].item() == pytest.approx(log(605), rel=1e-6)
    assert 'kl' not in figures


def test_cross_entropy_is_the_published_weighted_one():
    logits, box = torch.randn(1, 3, 4, 605), torch.rand(3, 4) * 2 - 0.5
    weights = torch.cat([torch.ones(600), torch.full((5,), 0.1)])
    theirs = F.cross_entropy(logits.flatten(0, 2), words_of(box).flatten(), weight=weights)
    ours = word_losses(logits, box, {'samples': 3}, WEIGHTS, [15])['ce']
    torch.testing.assert_close(ours, theirs)


def test_divergence_by_hand():
    student, teacher = torch.zeros(2, 4, 605), torch.zeros(2, 4, 605)
    teacher[1, 2, 7] = log(600)      # one word as likely as all 599 others and itself together
    teacher[..., 600:] = 50.0        # commands do not count
    p = 600 / 1199
    one_side = p * log(p * 600) + 599 / 1199 * log(600 / 1199)
    assert divergence(torch.stack([student, teacher])).item() == pytest.approx(one_side, rel=1e-4)


def test_the_mean_of_pairs_is_what_torch_calls_batchmean():
    logits = torch.randn(3, 2, 4, 605)
    said = F.log_softmax(logits[..., :600], -1)
    theirs = [F.kl_div(a, b, reduction='batchmean', log_target=True)
              for a, b in zip(said, said[1:])]
    assert (divergence(logits) / 2).item() == pytest.approx(float(sum(theirs)) / 2, rel=1e-5)


def test_the_deeper_level_learns_nothing_of_the_shallower_one():
    logits = torch.randn(2, 1, 4, 605, requires_grad=True)
    divergence(logits).backward()
    assert logits.grad[0].abs().max() > 0 and logits.grad[1].abs().max() == 0


def test_the_total_is_the_weighted_sum_and_parts_add_up():
    logits, box = torch.randn(3, 4, 4, 605), torch.rand(4, 4).sort(-1).values
    whole = word_losses(logits, box, {'samples': 4}, WEIGHTS, [5, 6, 7])
    assert whole['total'].item() == pytest.approx(
        2 * whole['siou'].item() + 3 * whole['ce'].item() + 5 * whole['kl'].item(), rel=1e-5)
    parts = [word_losses(logits[:, k:k + 1], box[k:k + 1], {'samples': 4}, WEIGHTS, [5, 6, 7])
             for k in range(4)]
    for name, value in whole.items():
        torch.testing.assert_close(sum(part[name] for part in parts), value)


def test_siou_and_overlap_of_a_network_that_knows():
    box = torch.tensor([[0.2, 0.3, 0.6, 0.7]])
    figures = word_losses(logits_saying(words_of(box)[0].tolist()), box, {'samples': 1}, WEIGHTS,
                          [15])
    # Words are cut off, and expected on another grid than they are chosen on: as published.
    assert figures['siou'].item() < 0.06 and figures['overlap'].item() > 0.97
    far = word_losses(logits_saying([0, 0, 30, 30]), box, {'samples': 1}, WEIGHTS, [15])
    assert far['siou'].item() > 1 and far['overlap'].item() == 0


def test_a_box_beyond_all_words_gives_finite_gradients():
    logits = torch.zeros(2, 1, 4, 605, requires_grad=True)
    box = torch.tensor([[1.7, 1.7, 2.0, 2.0]])
    word_losses(logits, box, {'samples': 1}, WEIGHTS, [14, 15])['total'].backward()
    assert torch.isfinite(logits.grad).all()


def test_every_level_says_what_the_network_cut_off_there_would():
    method = distill_method()
    network, config = stir(method.objective.network).eval(), method.config
    image, templates = torch.randn(1, 3, 64, 64), torch.randn(1, 5, 3, 32, 32)
    with torch.no_grad():
        tokens = template_tokens(network, templates).flatten(1, 2)
        levels = levels_of(network, sequence_of(network, tokens, image), 5)
        assert levels.shape == (11, 1, 4, 605)
        assert (levels[1:] - levels[:-1]).abs().amax((1, 2, 3)).min() > 1e-2
        state = {**network.state_dict(), **method.rest}
        for depth in (5, 6, 10, 12, 13, 15):
            cut = load(replace(config, depth=depth), state)
            torch.testing.assert_close(cut.first(image, templates[0])[0], levels[depth - 5])


def test_levels_and_their_divergence_are_those_of_the_published_code():
    golden = goldens.read('fartrack/model_distill.npz')
    network = network_of('distill')
    crops = [network_input(f'template{slot}', (1, 3, 112, 112)) for slot in range(5)]
    image = torch.from_numpy(network_input('search224', (1, 3, 224, 224)))
    with torch.no_grad():
        tokens = template_tokens(network, torch.from_numpy(np.stack(crops, 1))).flatten(1, 2)
        levels = levels_of(network, sequence_of(network, tokens, image), 5)
    np.testing.assert_allclose(levels[:-1].transpose(1, 2), golden['extra_list'], atol=1e-4)
    assert divergence(levels).item() == pytest.approx(float(golden['kl'].mean()), rel=1e-4)
