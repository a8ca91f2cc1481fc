# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Bundles for tests: the shipped one, copied so that it can be damaged."""
from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

from lorat_ros.engines.plan_cache import Verdict
from lorat_ros.models.catalog import DEFAULT_MODEL, shipped_folder

#: What the parity gate says of what answers alike.
PASSED = Verdict(100, 1.0, 1.0, 0.0, 1.0, 60, 1.0, 'a clip')


def copy_of_default(folder: Path, change: Callable[[dict], None] = lambda manifest: None) -> Path:
    """Copy the default bundle into a folder and change its model.json."""
    target = folder / 'copy'
    shutil.copytree(shipped_folder() / DEFAULT_MODEL, target)
    manifest = json.loads((target / 'model.json').read_text())
    change(manifest)
    (target / 'model.json').write_text(json.dumps(manifest))
    return target
