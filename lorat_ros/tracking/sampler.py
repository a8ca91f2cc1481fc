# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
The seam between what a crop shows and who cuts it out.

A family plans its crops and says by which rule they become the network's numbers; a sampler does
the work. The sampler of the host calls the rule's own functions.
"""
from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, TypeVar

import numpy as np

from lorat_ros.engines.session import Value

Plan = TypeVar('Plan')      # a family's own: CropPlan or SquareCrop


@dataclass(frozen=True)
class CropRule:
    """How the crops of a family come about."""

    #: Image (height, width, 3) uint8 BGR and a plan to the crop (S, S, 3) in 0..255, BGR.
    sample: Callable[[np.ndarray, Plan], np.ndarray]
    #: Such a crop to what the network takes, (1, 3, S, S) float32 RGB.
    normalise: Callable[[np.ndarray], np.ndarray]


class Sampler(Protocol):
    """Cuts crops out of images."""

    def cut(self, image: np.ndarray, plan: Plan, rule: CropRule) -> Value:
        """
        Execute a plan by a rule.

        :param image: (height, width, 3) uint8 BGR; may be a view of RGB or grey pixels. It is not
            looked at any more once this has returned.
        :returns: what the network takes, (1, 3, S, S) float32 RGB: an array, or a handle that
            only the session it was made for understands.
        """


class HostSampler:
    """Cuts crops with NumPy and OpenCV: the reference, and the default."""

    def cut(self, image: np.ndarray, plan: Plan, rule: CropRule) -> np.ndarray:
        """Execute a plan by a rule; see ``Sampler.cut``."""
        return rule.normalise(rule.sample(image, plan))


HOST: Sampler = HostSampler()
