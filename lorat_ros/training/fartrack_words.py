# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
FARTrack's coordinates as words, and what its network learns by them (ICLR 2026).

Each side of a box is one of 600 words, from -0.5 to 1.5 of the search crop; five more words are
commands and an end. Shapes: N samples, 4 sides x1, y1, x2, y2, 605 words.
"""
from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch.nn import functional as F

from lorat_ros.networks.fartrack import FarTrack
from lorat_ros.networks.fartrack_variants import COMMANDS, COORDINATES
from lorat_ros.training.siou import siou_loss

LOW, HIGH = -0.5, 1.5                  # what words can say, in sides of the search crop
_STEPS = COORDINATES // 2 - 1          # of a word, in sides


def words_of(box: torch.Tensor) -> torch.Tensor:
    """Sides in units of the search crop to the words that stand for them, cut off as published."""
    return ((box.clamp(LOW, HIGH) - LOW) * _STEPS).long()


def expected(logits: torch.Tensor) -> torch.Tensor:
    """Expectation (...) of the coordinates in logits (..., 605); commands do not count."""
    grid = torch.arange(COORDINATES, device=logits.device) / (COORDINATES / 2) + LOW
    return torch.softmax(logits[..., :COORDINATES].float(), -1) @ grid


def likeliest(logits: torch.Tensor) -> torch.Tensor:
    """Coordinates (...) of the likeliest words, as the trackers of base and distill read them."""
    return logits.argmax(-1) / _STEPS + LOW


def sequence_of(network: FarTrack, templates: torch.Tensor, image: torch.Tensor) -> torch.Tensor:
    """
    Put together what the network reads.

    :param templates: tokens (N, L, D), each with what slot it is in.
    :param image: search crops (N, 3, S, S), normalised RGB.
    :returns: (N, L + search tokens + 4, D).
    """
    search, commands = network.search_and_commands(image)
    return torch.cat([templates, search, commands.expand(len(search), -1, -1)], 1)


def template_tokens(network: FarTrack, crops: torch.Tensor) -> torch.Tensor:
    """Crops (N, slots, 3, T, T) in the order of their slots to tokens (N, slots, cells, D)."""
    tokens = network.embed_templates(crops.flatten(0, 1)).unflatten(0, crops.shape[:2])
    return tokens + network.identity[:, :-1].unsqueeze(2)


def levels_of(network: FarTrack, x: torch.Tensor, first: int) -> torch.Tensor:
    """
    What the network says after each layer, through the norm and the words that all share.

    :param x: (N, L, D).
    :param first: layers before the first that is asked; those after it follow, to the last.
    :returns: logits (levels, N, 4, 605). Each is what the network cut off there would say.
    """
    *layers, last = network.layers
    said = []
    for number, block in enumerate(layers, 1):
        x, _ = block(x)
        if number >= first:
            said.append(network.words(x[:, -COMMANDS:]))
    return torch.stack([*said, network.words(last.answer(x)[0])])


def divergence(logits: torch.Tensor) -> torch.Tensor:
    """
    How far each level (levels, N, 4, 605) is from the next deeper one: KL, mean of the pairs.

    The deeper one teaches and does not learn of it. Summed over samples and sides, as published:
    its mean is of samples alone. 0 where there is one level.
    """
    said = F.log_softmax(logits[..., :COORDINATES].float(), -1)
    if len(said) < 2:
        return said.new_zeros(())
    # As one: all pairs count alike.
    return F.kl_div(said[:-1], said[1:].detach(), log_target=True, reduction='sum'
                    ) / (len(said) - 1)


def word_losses(logits: torch.Tensor, box: torch.Tensor, counts: Mapping[str, float],
                weights: Mapping[str, float], depths: Sequence[int]) -> dict[str, torch.Tensor]:
    """
    Losses of some samples of a step; those of all parts add up to the loss of the step.

    The published cross entropy weighs commands 0.1, by the word that is to be said. That is
    always a coordinate: the weights change nothing, and there are none here.

    :param logits: (levels, N, 4, 605).
    :param box: (N, 4) true x1, y1, x2, y2 in units of the search crop.
    :param counts: 'samples' of the whole step.
    :param weights: of 'siou', 'ce' and 'kl' in the total.
    :param depths: layers before each level.
    :returns: 'total', which is minimised, its parts; 'overlap', the mean IoU as the tracker
        reads the last level, and that of the first level under its depth.
    """
    logits, samples, levels = logits.float(), counts['samples'], len(logits)
    truth = box.clamp(LOW, HIGH).expand(levels, -1, -1)
    siou = siou_loss(expected(logits), truth)[0].sum() / (levels * samples)
    said = F.cross_entropy(logits.flatten(0, 2), words_of(truth).flatten(), reduction='sum')
    ce = said / (levels * COMMANDS * samples)
    kl = divergence(logits) / samples
    with torch.no_grad():
        overlaps = siou_loss(likeliest(logits), truth)[1].sum(1) / samples
    figures = {'total': weights['siou'] * siou + weights['ce'] * ce + weights['kl'] * kl,
               'siou': siou, 'ce': ce, 'overlap': overlaps[-1]}
    if levels > 1:
        figures |= {'kl': kl, f'overlap_{depths[0]}': overlaps[0]}
    return figures
