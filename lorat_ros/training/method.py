# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What the loop asks of a way to train: the protocol ``Method``, and what is common to several."""
from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Optional, Protocol

import numpy as np
import torch
from torch import nn

from lorat_ros.training.pool import Pool

Arrays = dict[str, np.ndarray]         # a batch: arrays with the samples along the first axis


class TrainError(ValueError):
    """Training cannot begin or go on; says what was wrong, what was expected, what to do."""


@dataclass(frozen=True)
class Given:
    """Files and names that the user hands to a method besides its recipe."""

    variant: Optional[str] = None      # such as 'lorat-b-224'
    base: Optional[Path] = None        # weights of a foundation model that stay frozen
    start: Optional[Path] = None       # checkpoint to begin with


class Draws(Protocol):
    """Draws samples from a pool by key; the same key draws the same, in any process."""

    pool: Pool

    def batch(self, keys: Iterable[tuple[int, ...]]) -> Arrays:
        """Draw the samples of these keys, for example (seed, step, number in the batch)."""

    def picture(self, key: tuple[int, ...]) -> np.ndarray:
        """Draw a sample as people look at it, (height, width, 3) uint8 BGR, all of one size."""


class Objective(Protocol):
    """
    A ``torch.nn.Module``: the network, and what is to be made small.

    ``forward(batch, counts)`` takes some samples of a step (tensors on the network's device, named
    as ``Draws.batch`` names them) and what the method counted in the whole step, and returns
    scalars by name: 'total', which is minimised, and more for the curves ('overlap' is the mean
    overlap in [0, 1]). Each is a sum over these samples divided by a count of the whole, so that
    parts of a step, wherever they are computed, add up to it.
    """

    network: nn.Module

    def to(self, device: torch.device, /) -> nn.Module:
        """Bring the parameters to a device; as of every module."""

    def __call__(self, batch: Mapping[str, torch.Tensor], counts: Mapping[str, float]
                 ) -> dict[str, torch.Tensor]: ...


class Method(Protocol):
    """One way to train one family of trackers."""

    @property
    def objective(self) -> Objective:
        """Parameters in it that want no gradient stay as they are."""

    def draws(self, pool: Pool) -> Draws:
        """What is shown in training."""

    def probes(self, pool: Pool) -> Draws:
        """What is shown to judge: as in use, without luck and without faults."""

    def counts(self, batch: Arrays) -> dict[str, float]:
        """What the objective divides by: counted in this part of a step, summed over all."""

    def groups(self, weight_decay: float) -> list[dict[str, Any]]:
        """Parameters to train: 'params', 'weight_decay', and 'scale' of the learning rate."""

    def blocks(self) -> Sequence[nn.Module]:
        """Modules that may be computed again in the backward pass instead of being kept."""

    def identity(self) -> dict[str, Any]:
        """What a checkpoint must agree on to go on from it: plain values."""

    def write(self, network: nn.Module, path: Path, about: Mapping[str, Any]) -> None:
        """
        Write the family's own checkpoint.

        :param network: of an objective of this method (its own, or the average).
        :param about: plain values: step, recipe.
        """

    @property
    def product(self) -> str:
        """Name of the file that ``write`` makes in the folder of the run."""

    def export(self, product: Path, bundle: Path, about: Mapping[str, Any],
               clip: Callable[[], Any]) -> None:
        """
        Make a bundle of a file that ``write`` wrote, and prove it.

        :param bundle: folder to write; its name names the model.
        :param about: more for ``model.json``: licence, provenance, scores.
        :param clip: gives frames to prove it with (``lorat_ros.networks.importing.Clip``).
        :raises RuntimeError: the graphs answer otherwise than the network.
        """


class MethodClass(Protocol):
    """The class of a method."""

    #: Dataclass of what a recipe may say to this method.
    Settings: type

    def __call__(self, settings: Any, given: Given) -> Method:
        """
        Build the network, with the weights it begins with.

        torch's generator was seeded before.

        :raises TrainError, ValueError: it cannot be built of these.
        """


def decayed_apart(network: nn.Module, weight_decay: float, plain: Callable[[str, Any], bool],
                  scale: Callable[[str], float] = lambda name: 1.0) -> list[dict[str, Any]]:
    """
    Group the parameters that want a gradient for ``Method.groups``.

    :param plain: whether a parameter (name, tensor) is left undecayed.
    :param scale: of the learning rate, by name.
    """
    groups: dict[tuple[float, float], list[nn.Parameter]] = {}
    for name, parameter in network.named_parameters():
        if parameter.requires_grad:
            key = (0.0 if plain(name, parameter) else weight_decay, scale(name))
            groups.setdefault(key, []).append(parameter)
    return [{'params': members, 'weight_decay': decay, 'scale': factor}
            for (decay, factor), members in groups.items()]
