# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
What a family of trackers is; the table of families is ``lorat_ros.models.families``.

A family turns a frame and its own memory into named input tensors, and named outputs into a box
and a score. It owns the crop rule, the post-processing and the memory of the template. It never
runs a network, and it cuts no crop itself: the tracker and a sampler do.
"""
from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import numpy as np

from lorat_ros.boxes import Box
from lorat_ros.engines.session import Value
from lorat_ros.models.bundle import Bundle, BundleError
from lorat_ros.models.families import FAMILIES, load


class Answer(NamedTuple):
    """What a family reads out of its network for one frame."""

    box: Box                # xywh, image pixels
    score: float            # [0, 1]
    search_window: Box      # xywh, image pixels: where was looked


@dataclass(frozen=True)
class CropSizes:
    """Crops of a family with template and search region, as ``sizes`` in ``model.json``."""

    template: int               # sides in crop pixels
    search: int
    template_factor: float      # how many times the target a crop spans
    search_factor: float

    @classmethod
    def of(cls, manifest: Mapping[str, Any]) -> CropSizes:
        """Read ``sizes`` of a ``model.json``."""
        sizes = manifest['sizes']
        return cls(int(sizes['template']), int(sizes['search']),
                   float(sizes['template_factor']), float(sizes['search_factor']))


@contextmanager
def reading(bundle: Bundle) -> Iterator[Mapping[str, Any]]:
    """
    Read ``model.json`` of a bundle in the body of a ``with``.

    :raises BundleError: the body misses a field, or a field is of a wrong type or value.
    """
    try:
        yield bundle.manifest
    except (KeyError, TypeError, ValueError) as error:
        raise BundleError(f'{bundle.path}: model.json lacks or garbles {error}: copy or import '
                          'the bundle anew') from None


class Family(Protocol):
    """One target of one family; a new one is made for every init."""

    roles: tuple[str, ...]      # of the graphs it needs
    role: str                   # of the graph that ``look`` makes inputs for: mostly 'search'

    def start(self, image: np.ndarray, box: Box) -> dict[str, Value]:
        """Take a target; returns the inputs of the 'template' graph (empty: there is none)."""

    def remember(self, outputs: Mapping[str, Value]) -> None:
        """Keep what the 'template' graph made."""

    def look(self, image: np.ndarray) -> dict[str, Value]:
        """Crop the search region of a frame; returns the inputs of the graph ``role``."""

    def answer(self, outputs: Mapping[str, Value]) -> Answer:
        """Read the outputs of that graph, and move on to where the target is."""

    def around(self, box: Box) -> Family:
        """
        Make another one that looks for the same target around a box, as if it had been there.

        Nothing that it is shown changes this one. Crop rule and memory are the same.
        """


def family_class(bundle: Bundle) -> type:
    """
    Class of a bundle's family: ``cls(bundle, sampler)`` makes the memory of one target.

    :raises BundleError: the family is unknown, or the bundle lacks what the family needs.
    """
    if bundle.family not in FAMILIES:
        raise BundleError(f'{bundle.path}: family {bundle.family!r} is unknown, expected one of '
                          f'{", ".join(FAMILIES)}: update lorat_ros or import the checkpoint anew')
    family = load(FAMILIES[bundle.family].runtime)
    missing = [role for role in family.roles if role not in bundle.manifest['graphs']]
    if missing:
        raise BundleError(f'{bundle.path}: the family {bundle.family} needs the graphs '
                          f'{", ".join(family.roles)}; {", ".join(missing)} is not there: copy or '
                          'import the bundle anew')
    family(bundle)      # what it reads of model.json is checked now, not at the first target
    return family
