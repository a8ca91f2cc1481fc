# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Who cuts the crops: the host, unless asked or measured otherwise."""
from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from lorat_ros import load_tracker
from lorat_ros.engines.session import EngineError, open_session, Session
from lorat_ros.models.catalog import find_bundle
from lorat_ros.tracking.crop_choice import (CropTimes, device_of, open_sampler, read_times,
                                            times_path, write_times)
from lorat_ros.tracking.sampler import DeviceSampler, HostSampler
from lorat_ros.tracking.tracker import Tracker


@pytest.fixture(scope='module')
def on_device() -> Session:
    """A session that shares the memory of torch's CPU device, as one on a GPU shares that."""
    torch = pytest.importorskip('torch')
    session = open_session(find_bundle(), 'torch')
    session.crop_device, session.crop_stream = torch.device('cpu'), None
    return session


def image() -> np.ndarray:
    return np.random.default_rng(1).integers(0, 256, (240, 320, 3), np.uint8)


def test_a_session_of_the_host_takes_crops_of_the_host() -> None:
    bundle = find_bundle()
    session = open_session(bundle, 'onnx')
    for crops in ('auto', 'cpu'):
        assert isinstance(open_sampler(crops, bundle, session), HostSampler)
    with pytest.raises(EngineError, match='not onnx on cpu: choose engine torch or'):
        open_sampler('gpu', bundle, session)
    with pytest.raises(EngineError, match="crops 'both' is unknown: choose one of auto, cpu, gpu"):
        open_sampler('both', bundle, session)


def test_load_tracker_passes_the_choice_on() -> None:
    with pytest.raises(EngineError, match='crops on a GPU need a session there'):
        load_tracker(engine='onnx', crops='gpu')


@pytest.mark.parametrize(('times', 'gpu'), [
    (CropTimes(3.0, 2.0, 1.4), True), (CropTimes(3.0, 2.9, 0.9), False),
    (CropTimes(3.0, 2.0, 0.0), False), (None, False)])
def test_auto_is_the_gpu_only_where_it_was_measured_to_win(
        on_device: Session, tmp_path: Path, times: CropTimes | None, gpu: bool) -> None:
    bundle = find_bundle()
    if times:
        path = times_path(bundle, on_device, device_of(on_device), tmp_path)
        write_times(path, times)
        assert read_times(bundle, on_device, device_of(on_device), tmp_path) == times
    assert isinstance(open_sampler('auto', bundle, on_device, tmp_path), DeviceSampler) is gpu
    assert isinstance(open_sampler('cpu', bundle, on_device, tmp_path), HostSampler)
    assert isinstance(open_sampler('gpu', bundle, on_device, tmp_path), DeviceSampler)


def test_what_cannot_be_read_decides_nothing(on_device: Session, tmp_path: Path) -> None:
    bundle = find_bundle()
    path = times_path(bundle, on_device, device_of(on_device), tmp_path)
    for text in ('', '{"cpu_ms": 1}', '[]', '{"cpu_ms": "x", "gpu_ms": 1, "sure": 9}'):
        path.write_text(text)
        assert isinstance(open_sampler('auto', bundle, on_device, tmp_path), HostSampler)


def test_a_network_answers_alike_to_crops_of_either(on_device: Session) -> None:
    bundle = find_bundle()
    trackers = [Tracker(bundle, on_device, open_sampler(crops, bundle, on_device))
                for crops in ('cpu', 'gpu')]
    for tracker in trackers:
        tracker.init(image(), (100.0, 70.0, 40.0, 30.0))
    for _ in range(3):
        plain, there = (tracker.update(image()) for tracker in trackers)
        # Crops within a grey level of each other; seen: 0.11 pixels, of a box of some 70.
        assert there.box == pytest.approx(plain.box, abs=0.2)
        # The network's own score; the reported one weighs evidence, and is steeper.
        peaks = [1 / (1 + math.exp(-tracker._family.pieces.peak)) for tracker in trackers]
        assert peaks[1] == pytest.approx(peaks[0], abs=0.01)
        assert there.score == pytest.approx(plain.score, abs=0.05)
