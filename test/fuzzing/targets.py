# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The table of all targets."""
from __future__ import annotations

from fuzzing import commands, reading
from fuzzing.target import Target

TARGETS = {name: Target(name, seeds, start)
           for name, (seeds, start) in {**reading.TARGETS, **commands.TARGETS}.items()}
