# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Bundles of LiteTrack from official-format files, for tests."""
from __future__ import annotations

from pathlib import Path

from lorat_ros.networks.checkpoints import read_checkpoint
from lorat_ros.networks.export import export_bundle
from lorat_ros.networks.litetrack import LiteTrack
from support.litetrack_checkpoints import tensors_of, write_checkpoint


def bundle_of(variant: str, folder: Path) -> Path:
    """Write a generated official checkpoint and make its bundle; returns the bundle's folder."""
    path = write_checkpoint(folder, variant, tensors_of(variant))
    checkpoint = read_checkpoint(path)
    found, = LiteTrack.recognise(checkpoint.tensors)
    network, about = LiteTrack.assemble(found, checkpoint.tensors, None)
    export_bundle(network, folder / found, {**about, 'name': found, 'family': 'litetrack'},
                  check=lambda part: None)
    path.unlink()
    return folder / found
