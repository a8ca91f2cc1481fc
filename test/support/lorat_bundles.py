# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Bundles of LoRAT with generated weights, for tests."""
from __future__ import annotations

from pathlib import Path

from lorat_ros.networks.export import export_bundle
from lorat_ros.networks.lorat import Lorat
from support.lorat_checkpoints import delta_tensors, VARIANTS, write_base


def bundle_of(variant: str, folder: Path) -> Path:
    """Make the bundle of a generated official checkpoint in a folder; returns its path."""
    network, about = Lorat.assemble(variant, delta_tensors(VARIANTS[variant]),
                                    write_base(folder, variant))
    export_bundle(network, folder / variant, {**about, 'name': variant, 'family': 'lorat'},
                  check=lambda part: None)
    return folder / variant
