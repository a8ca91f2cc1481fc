# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
The seam between what a crop shows and who cuts it out.

A family plans its crops and says by which rule they become the network's numbers; a sampler does
the work. The sampler of the host calls the rule's own functions; a sampler for a device follows
the same rule in plain numbers, and what it makes stays there.
"""
from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

import cv2
import numpy as np

from lorat_ros.engines.sampling import Colours, CropDevice, Recipe
from lorat_ros.engines.session import Handle, Value

Plan = TypeVar('Plan')      # a family's own: CropPlan or SquareCrop


@dataclass(frozen=True)
class CropRule(Generic[Plan]):
    """How the crops of a family come about."""

    #: Image (height, width, 3) uint8 BGR and a plan to the crop (S, S, 3) in 0..255, BGR.
    sample: Callable[[np.ndarray, Plan], np.ndarray]
    #: Such a crop to what the network takes, (1, 3, S, S) float32 RGB.
    normalise: Callable[[np.ndarray], np.ndarray]
    #: The same in plain numbers, for a device: a plan and the image's (width, height) to a recipe
    #: for ``sample``; and ``normalise``.
    recipe: Callable[[Plan, tuple[int, int]], Recipe]
    colours: Colours


def looked_up(crop: np.ndarray, levels: Sequence[np.ndarray]) -> np.ndarray:
    """
    Crop (S, S, 3) uint8 BGR to the network's (1, 3, S, S) float32 RGB.

    :param levels: of blue, green and red: what each of 256 levels becomes, (256,) float32.
    """
    tensor = np.empty((1, 3, *crop.shape[:2]), np.float32)
    # A byte has 256 values: looked up instead of computed, plane by plane straight into its place.
    for plane, numbers, place in zip(cv2.split(crop), levels, tensor[0, ::-1]):
        cv2.LUT(plane, numbers, place)
    return tensor


class Sampler(Protocol):
    """Cuts crops out of images."""

    where: str          # 'cpu', or the name of the device
    normalising: float  # seconds of the last ``cut`` after its pixels were there; 0.0: not known

    def cut(self, image: np.ndarray, plan: Plan, rule: CropRule[Plan]) -> Value:
        """
        Execute a plan by a rule.

        :param image: (height, width, 3) uint8 BGR; may be a view of RGB or grey pixels. It is not
            looked at any more once this has returned.
        :returns: what the network takes, (1, 3, S, S) float32 RGB: an array, or a handle that
            only the session it was made for understands.
        """


class HostSampler:
    """Cuts crops with NumPy and OpenCV: the reference, and the default."""

    where = 'cpu'
    normalising = 0.0

    def cut(self, image: np.ndarray, plan: Plan, rule: CropRule[Plan]) -> np.ndarray:
        """Execute a plan by a rule; see ``Sampler.cut``."""
        crop, begun = rule.sample(image, plan), time.perf_counter()
        numbers = rule.normalise(crop)
        self.normalising = time.perf_counter() - begun
        return numbers


HOST: Sampler = HostSampler()


class DeviceSampler:
    """
    Lets a device cut crops; they go to the network without coming back.

    Levels of bytes may differ from the host's by one where both round, those of floats by 1e-3.
    """

    normalising = 0.0

    def __init__(self, device: CropDevice) -> None:
        self._device, self.where = device, device.where

    def cut(self, image: np.ndarray, plan: Plan, rule: CropRule[Plan]) -> Handle:
        """Execute a plan by a rule; see ``Sampler.cut``."""
        recipe = rule.recipe(plan, (image.shape[1], image.shape[0]))
        return Handle(self._device.make(image, recipe, rule.colours))
