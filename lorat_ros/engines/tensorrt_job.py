# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What is asked of the process that builds a plan of TensorRT."""
from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from lorat_ros.engines.gpu import Gpu

MEGABYTE = 1 << 20
MOST_WORKSPACE = 4096      # MB, unless asked for more
SMALL = 10 << 30           # bytes of memory below which tactics are kept on a short lead


@dataclass(frozen=True)
class Options:
    """What may be asked of the builder."""

    workspace: int = 0                  # MB that a layer may use; 0: by the GPU's memory
    dla: int = -1                       # core of a Jetson's deep learning accelerator; -1: none
    version_compatible: bool = False    # plans that later minor versions may read too

    def workspace_for(self, gpu: Gpu) -> int:
        """MB that a layer may use: a quarter of the memory (an 8 GB Orin: 2 GB), 4 GB at most."""
        return self.workspace or max(min(gpu.memory // MEGABYTE // 4, MOST_WORKSPACE), 64)


@dataclass(frozen=True)
class Job:
    """One plan to build. Paths are strings, for a job goes through JSON."""

    graph: str                  # ONNX file
    plan: str                   # where the plan goes
    timing: str                 # timing cache: read if it is there, kept
    typed: bool                 # strongly typed: types are those of the graph
    flags: tuple[str, ...]      # precisions that the builder may choose by itself
    tf32: bool                  # products of float32 may be rounded to ten bits
    workspace: int              # MB
    tactics: int                # MB; 0: no limit
    dla: int
    version_compatible: bool


def job_for(graph: Path, plan: Path, timing: Path, gpu: Gpu, options: Options, typed: bool,
            flags: tuple[str, ...], tf32: bool) -> Job:
    """Make a job, with limits that fit the GPU's memory."""
    tactics = gpu.memory // MEGABYTE // 2 if gpu.memory < SMALL else 0
    return Job(str(graph), str(plan), str(timing), typed, flags, tf32,
               options.workspace_for(gpu), tactics, options.dla, options.version_compatible)
