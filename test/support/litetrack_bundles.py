# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Bundles of LiteTrack from official-format files, for tests."""
from __future__ import annotations

from pathlib import Path

from lorat_ros.networks.importing import Clip, import_checkpoint, Imported
from support.litetrack_checkpoints import tensors_of, write_checkpoint
from support.litetrack_golden import bgr_frame, INIT_BOX


def clip() -> Clip:
    """A few frames to verify with."""
    return Clip([bgr_frame(k) for k in range(3)], INIT_BOX)


def imported(variant: str, folder: Path) -> Imported:
    """Write a generated official checkpoint and import it, its variant not told."""
    path = write_checkpoint(folder, variant, tensors_of(variant))
    found = import_checkpoint(path, lambda name: folder / name, clip)
    path.unlink()
    return found
