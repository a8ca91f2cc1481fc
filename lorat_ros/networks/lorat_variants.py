# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Sizes of LoRAT networks, published and other, and what ``model.json`` says of them."""
from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from lorat_ros.models.catalog import SOURCES

PATCH = 14                                    # of DINOv2, pixels
FEED_FORWARDS = ('mlp', 'swiglu')
TEMPLATE_FACTOR, SEARCH_FACTOR = 2.0, 4.0     # how many times the target a crop spans
OWN = 'own'                                   # variant of a network of other sizes


@dataclass(frozen=True)
class LoratConfig:
    """Sizes of a LoRAT network; sides in pixels, multiples of the patch of 14."""

    width: int
    depth: int
    heads: int
    hidden: int                   # of the feed-forward layers
    feed_forward: str             # 'mlp' or 'swiglu'
    template_size: int
    search_size: int

    @property
    def template_grid(self) -> int:
        """Cells along one side of the template."""
        return self.template_size // PATCH

    @property
    def search_grid(self) -> int:
        """Cells along one side of the search region."""
        return self.search_size // PATCH

    def check(self) -> None:
        """
        Check that such a network can be built.

        :raises ValueError: it cannot; says which size, and what is expected.
        """
        for name in ('width', 'depth', 'heads', 'hidden'):
            if getattr(self, name) < 1:
                raise ValueError(f'{name} is {getattr(self, name)}: give 1 or more')
        if self.width % self.heads:
            raise ValueError(f'width is {self.width}: give a multiple of the {self.heads} heads')
        if self.feed_forward not in FEED_FORWARDS:
            raise ValueError(f'feed_forward is {self.feed_forward!r}: give one of '
                             f'{", ".join(FEED_FORWARDS)}')
        for name in ('template_size', 'search_size'):
            side = getattr(self, name)
            if side < PATCH or side % PATCH:
                raise ValueError(f'{name} is {side}: give a multiple of the patch of {PATCH}')
        if self.template_size > self.search_size:
            raise ValueError(f'template_size is {self.template_size}: give at most the '
                             f'search_size, {self.search_size}')


_BACKBONES = {
    's': (384, 12, 6, 1536, 'mlp'),
    'b': (768, 12, 12, 3072, 'mlp'),
    'l': (1024, 24, 16, 4096, 'mlp'),
    'g': (1536, 40, 24, 4096, 'swiglu'),
}
_RESOLUTIONS = {'224': (112, 224, 4.0), '378': (196, 378, 5.0)}   # template, search, factor
_DROP_PATH = {'l': 0.1, 'g': 0.4}                                 # in training
#: 'lorat-b-224' and so on; S is in the authors' configuration but was not published.
VARIANTS = {f'lorat-{size}-{side}': LoratConfig(*backbone, *resolution[:2])
            for size, backbone in _BACKBONES.items()
            for side, resolution in _RESOLUTIONS.items()}


def size_of(variant: str) -> str:
    """'b' of 'lorat-b-224'."""
    return variant.removeprefix('lorat-').partition('-')[0]


def search_factor_of(variant: str) -> float:
    """How many times the target a variant's search region spans."""
    return _RESOLUTIONS[variant.rpartition('-')[2]][2]


def drop_path_of(variant: str) -> float:
    """Rate at which a variant's training skips branches."""
    return _DROP_PATH.get(size_of(variant), 0.0)


def base_file(variant: str) -> tuple[str, str]:
    """Name of the DINOv2 file that a variant builds upon, and where its authors keep it."""
    model = f'dinov2_vit{size_of(variant)}14'
    name = f'{model}_pretrain.pth'
    return name, f'https://dl.fbaipublicfiles.com/dinov2/{model}/{name}'


def describe(config: LoratConfig, variant: str, search_factor: float) -> dict[str, Any]:
    """
    What ``model.json`` says of a network, whatever its weights.

    :param variant: without the family: 'b-224', or OWN.
    """
    return {
        'variant': variant,
        'sizes': {'template': config.template_size, 'search': config.search_size,
                  'template_factor': TEMPLATE_FACTOR, 'search_factor': search_factor},
        'postprocessing': {'window': 0.45, 'smallest': 10.0},
        # The authors never call a target lost. The score is trained to be the expected overlap:
        # what is probably not the target is not believed. Not calibrated.
        'score': {'lost': 0.3, 'recover': 0.5},
        'licence': str(SOURCES['lorat'])}
