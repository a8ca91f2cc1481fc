# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What a measurement was made on: figures without it say nothing."""
from __future__ import annotations

import os
import platform
import subprocess
from importlib import metadata
from pathlib import Path
from typing import Any

import lorat_ros
from lorat_ros.engines.gpu import find_gpu, Gpu

#: Import name of each library that may do the work, to its names on PyPI.
LIBRARIES = {'numpy': ('numpy',), 'onnxruntime': ('onnxruntime', 'onnxruntime-gpu'),
             'openvino': ('openvino',), 'torch': ('torch',),
             'tensorrt': ('tensorrt', 'tensorrt-cu13', 'tensorrt-cu12'),
             'opencv': ('opencv-python-headless', 'opencv-python', 'opencv-contrib-python')}
BUSY = 0.5      # load per core from which wall clocks are not to be trusted


def cpu_model() -> str:
    """Name of the processor, as the system knows it."""
    try:
        lines = Path('/proc/cpuinfo').read_text(encoding='utf-8').splitlines()
    except OSError:
        lines = []
    named = (line.partition(':')[2].strip() for line in lines
             if line.startswith(('model name', 'Model\t', 'Hardware')))
    return next(named, '') or platform.processor() or platform.machine()


def version_of(names: tuple[str, ...]) -> str | None:
    """Version of the first of these distributions that is installed."""
    for name in names:
        try:
            return metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return None


def load_average() -> float | None:
    """Processes that wanted to run over the last minute; None where nobody counts them."""
    return os.getloadavg()[0] if hasattr(os, 'getloadavg') else None


def describe_jetson(release: Path = Path('/etc/nv_tegra_release'),
                    board: Path = Path('/proc/device-tree/model'),
                    ask: tuple[str, ...] = ('nvpmodel', '-q')) -> dict[str, str | None] | None:
    """Board, L4T (the release of the system in JetPack) and power mode; None: no Jetson."""
    try:
        told = release.read_text(encoding='utf-8').splitlines()[0].lstrip('# ')
    except (OSError, IndexError):
        return None
    # '# R36 (release), REVISION: 4.3, GCID: …'
    parts = [part.strip() for part in told.split(',')]
    revision = parts[1].removeprefix('REVISION:').strip() if len(parts) > 1 else ''
    l4t = f'{parts[0].split()[0]}.{revision}' if revision else told
    try:
        name = board.read_text(encoding='utf-8').rstrip('\0\n') or None
    except OSError:
        name = None
    try:
        said = subprocess.run(ask, capture_output=True, text=True, timeout=10).stdout.splitlines()
    except (OSError, subprocess.TimeoutExpired):
        said = []
    modes = [line.partition(':')[2].strip() for line in said if 'Power Mode' in line]
    return {'board': name, 'l4t': l4t, 'power_mode': modes[0] if modes else None}


def describe_machine() -> dict[str, Any]:
    """Processor, GPU, cores, system and versions, for JSON."""
    gpu = find_gpu()
    return {'cpu': cpu_model(), 'cores': os.cpu_count(), 'architecture': platform.machine(),
            'gpu': str(gpu) if isinstance(gpu, Gpu) else None, 'jetson': describe_jetson(),
            'system': platform.platform(), 'load': load_average(),
            'versions': {'lorat_ros': lorat_ros.__version__,
                         'python': platform.python_version(),
                         **{name: version_of(names) for name, names in LIBRARIES.items()}}}


def about(machine: dict[str, Any]) -> str:
    """A line on what ``describe_machine`` found, for the head of a table."""
    load = machine['load']
    told = '' if load is None else f', load {load:.1f} when it began'
    disturbed = '; the machine was busy' if busy(load, machine['cores']) else ''
    return f'{machine["cpu"]}, {machine["cores"]} cores{told}{disturbed}'


def busy(load: float | None, cores: int | None) -> bool:
    """Tell whether others work on this machine so much that it disturbs."""
    return load is not None and load > BUSY * (cores or 1)
