# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Crops of both sides in turns, and that the winner is kept."""
from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from lorat_ros.engines.session import Session
from lorat_ros.models.catalog import find_bundle
from lorat_ros.tools import benchmark_crops
from lorat_ros.tools.benchmark_clock import clock_of
from lorat_ros.tools.benchmark_crops import contenders_for, decide, ON_GPU
from lorat_ros.tools.benchmark_rounds import measure, open_contenders
from lorat_ros.tracking.crop_choice import device_of, open_sampler
from lorat_ros.tracking.sampler import DeviceSampler, HOST


@pytest.fixture
def shared(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Torch's CPU stands for a GPU; the cache is empty."""
    torch = pytest.importorskip('torch')
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path))
    opened = benchmark_crops.open_session

    def open_session(*about: object) -> Session:
        session = opened(*about)
        session.crop_device, session.crop_stream = torch.device('cpu'), None
        return session
    monkeypatch.setattr(benchmark_crops, 'open_session', open_session)


def test_what_takes_no_crops_of_a_gpu_runs_once() -> None:
    assert list(contenders_for(find_bundle(), 'onnx', 1, 'both')) == ['onnx']


def test_both_take_turns_on_the_same_frames(shared: None) -> None:
    opened, left_out = open_contenders(find_bundle(), ['torch'], 1, 'both')
    assert list(opened) == ['torch', 'torch' + ON_GPU] and not left_out
    clip = list(np.random.default_rng(2).integers(0, 256, (4, 120, 160, 3), np.uint8))
    taken = measure(opened, clip, (60.0, 40.0, 30.0, 30.0), rounds=2, seconds=1, title='')
    plain, there = taken.values()
    np.testing.assert_allclose(plain.boxes, there.boxes, atol=0.5)
    assert plain.samples['total'].shape == there.samples['total'].shape


@pytest.mark.parametrize(('gpu_ms', 'kind'), [(2.0, DeviceSampler), (4.0, type(HOST))])
def test_the_faster_one_is_kept_for_auto(shared: None, gpu_ms: float, kind: type) -> None:
    bundle = find_bundle()
    session = benchmark_crops.open_session(bundle, 'torch')
    figures = {'torch': np.full((6, 3), 3.0), 'torch' + ON_GPU: np.full((6, 3), gpu_ms)}
    times = decide(bundle, {'torch': session}, figures)['torch']
    assert (times.cpu_ms, times.gpu_ms, times.gpu_wins) == (3.0, gpu_ms, gpu_ms < 3)
    assert isinstance(open_sampler('auto', bundle, session), kind)
    assert device_of(session).where == 'cpu'


def test_where_a_gpu_takes_part_all_go_by_the_wall_clock() -> None:
    assert clock_of(1, ['cpu', 'cpu'])[0] == 'CPU' and clock_of(2, ['cpu'])[0] == 'wall'
    assert clock_of(1, ['cpu', 'cuda'])[0] == 'wall'
