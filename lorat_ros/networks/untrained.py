# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Bundles with random weights, for measuring the speed of variants that are not installed.

A network takes as long with random weights as with good ones; it just follows nothing.
"""
from __future__ import annotations

from pathlib import Path

import torch

from lorat_ros.models.families import FAMILIES, load
from lorat_ros.networks.export import export_bundle
from lorat_ros.networks.network import Network, Variant

SPREAD = 0.02      # standard deviation of the weights, as transformers begin


def known_variants() -> dict[str, tuple[str, Variant]]:
    """Name of every published variant of every family to its family and what is known of it."""
    found: dict[str, tuple[str, Variant]] = {}
    for family, entry in FAMILIES.items():
        network = load(entry.network)
        if hasattr(network, 'variants'):
            found.update((name, (family, variant)) for name, variant in network.variants().items())
    return found


def randomise(network: Network, seed: int = 0) -> None:
    """Give every parameter a value: matrices small normal ones, factors 1, biases 0."""
    torch.manual_seed(seed)
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            if parameter.dim() > 1:
                parameter.normal_(std=SPREAD)
            else:
                parameter.fill_(0.0 if name.endswith('bias') else 1.0)


def write_untrained(name: str, folder: Path) -> None:
    """
    Write a bundle of a published variant with random weights.

    :param folder: of the bundle.
    :raises KeyError: there is no such variant.
    """
    family, variant = known_variants()[name]
    network = load(FAMILIES[family].network).from_settings(variant.settings)
    randomise(network)
    about = {**variant.about, 'name': name, 'family': family,
             'provenance': {'weights': 'random: for measuring speed, follows nothing'}}
    export_bundle(network.eval(), folder, about, check=lambda part: None)
