# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Who cuts the crops of a session: the host, or the session's own GPU.

'auto' is the host, until ``lorat benchmark --crops both`` has measured on this machine that the
GPU is sooner done with a frame; that is kept in the engine cache, for this model, engine,
precision and device alone.
"""
from __future__ import annotations

import hashlib
import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

from lorat_ros.engines.plan_cache import cache_root
from lorat_ros.engines.sampling import CropDevice
from lorat_ros.engines.session import EngineError, Session
from lorat_ros.models.bundle import Bundle
from lorat_ros.tracking.sampler import DeviceSampler, HostSampler, Sampler

CROPS_NAMES = ('auto', 'cpu', 'gpu')


@dataclass(frozen=True)
class CropTimes:
    """What a frame took, from image to box, with either of them."""

    cpu_ms: float       # medians of all frames measured
    gpu_ms: float
    sure: float         # lower bound (95 %) of how many times as fast the GPU's is; 0: unknown

    @property
    def gpu_wins(self) -> bool:
        """Whether the GPU is faster, and not just by luck."""
        return self.sure > 1


def device_of(session: Session) -> CropDevice | None:
    """
    What makes crops in the memory that a session computes in; None: the session takes none.

    A session that does has ``crop_device``, a device of torch, and ``crop_stream``, the stream it
    runs on.
    """
    device, stream = (getattr(session, f'crop_{what}', None) for what in ('device', 'stream'))
    if device is None:
        return None
    from lorat_ros.engines.torch_crops import TorchCrops      # torch, which such a session has
    return TorchCrops(device, stream)


def open_sampler(crops: str, bundle: Bundle, session: Session, cache: str | Path | None = None
                 ) -> Sampler:
    """
    Choose who cuts the crops.

    :param crops: one of ``CROPS_NAMES``.
    :param cache: folder of what was measured; None: the user's cache.
    :raises EngineError: an unknown name, or 'gpu' for a session that takes no crops of one.
    """
    if crops not in CROPS_NAMES:
        raise EngineError(f'crops {crops!r} is unknown: choose one of {", ".join(CROPS_NAMES)}')
    device = device_of(session) if crops != 'cpu' else None
    if crops == 'gpu' and device is None:
        raise EngineError('crops on a GPU need a session there that torch shares its memory with, '
                          f'not {session.engine} on {session.device}: choose engine torch or '
                          'tensorrt on a machine with a GPU and torch, or crops cpu')
    if device is None:
        return HostSampler()
    measured = read_times(bundle, session, device, cache) if crops == 'auto' else None
    if crops == 'gpu' or measured and measured.gpu_wins:
        return DeviceSampler(device)
    return HostSampler()


def times_path(bundle: Bundle, session: Session, device: CropDevice,
               cache: str | Path | None = None) -> Path:
    """File for what was measured of a model in a session, with crops of a device."""
    graphs = sorted((role, entry['sha256']) for role, entry in bundle.manifest['graphs'].items())
    told = json.dumps([graphs, session.engine, session.precision, device.where]).encode()
    key = hashlib.sha256(told).hexdigest()[:12]
    name = f'{bundle.name}-{session.engine}-{session.precision}'
    return cache_root(cache) / f'{name}-crops-{key}.json'


def write_times(path: Path, times: CropTimes) -> None:
    """Keep what was measured; never half of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f'{path.name}.{os.getpid()}')
    part.write_text(json.dumps(asdict(times), indent=2) + '\n', encoding='utf-8')
    os.replace(part, path)


def read_times(bundle: Bundle, session: Session, device: CropDevice,
               cache: str | Path | None = None) -> CropTimes | None:
    """Return what was measured of a model in a session; None: nothing that can be read."""
    try:
        fields = json.loads(times_path(bundle, session, device, cache).read_text('utf-8'))
        return CropTimes(*(float(fields[name]) for name in ('cpu_ms', 'gpu_ms', 'sure')))
    except (OSError, ValueError, KeyError, TypeError):
        return None
