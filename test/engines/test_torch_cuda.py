# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
The torch session of a GPU, on the CPU's memory: recorded stages, handles, half precision.

What a CUDA graph does (run again what was recorded, with the same addresses) a lane of the CPU
does by calling it again.
"""
from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import nullcontext

import numpy as np
import pytest
import torch
from support.litetrack_golden import bgr_frame, INIT_BOX
from support.tiny_bundles import FAMILIES

from lorat_ros.engines.device_memory import CaptureRefused, DeviceError
from lorat_ros.engines.session import EngineError, Handle, open_session
from lorat_ros.engines.torch import build_network, graphed_session, TorchSession
from lorat_ros.models.catalog import find_bundle
from lorat_ros.tracking.tracker import Tracker


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    """Both sides count alike: with another number of threads sums differ in the last bits."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


class HostLane:
    """A lane in the memory of the CPU; counts what is recorded and launched."""

    crop_device = torch.device('cpu')
    crop_stream = None

    def __init__(self, refuses: bool = False) -> None:
        self.refuses, self.captures, self.launches, self.closed = refuses, 0, 0, False

    def on_stream(self):
        return nullcontext()

    def host(self, like):
        return torch.empty(like.shape, dtype=like.dtype)

    def capture(self, work: Callable[[], None]):
        if self.refuses:
            raise CaptureRefused('operation not permitted when stream is capturing')
        self.captures += 1
        work()
        lane = self

        class Replay:
            def launch(self) -> None:
                lane.launches += 1
                work()
        return Replay()

    def synchronise(self):
        pass

    def close(self):
        self.closed = True


def followed(session, bundle) -> np.ndarray:
    tracker, rows = Tracker(bundle, session), []
    for start in (0, 3):
        tracker.init(bgr_frame(start), INIT_BOX)
        for index in range(start + 1, start + 4):
            result = tracker.update(bgr_frame(index))
            rows.append([*result.box, result.score])
    return np.array(rows)


@pytest.mark.parametrize('refuses', [False, True])
@pytest.mark.parametrize('family', FAMILIES)
def test_stages_that_are_recorded_track_as_the_reference_does(family, refuses, tiny_bundle):
    bundle, lane = tiny_bundle(family), HostLane(refuses)
    session = graphed_session(build_network(bundle), 'fp32', lane)
    assert (session.engine, session.device, session.precision) == ('torch', 'cpu', 'fp32')
    found = followed(session, bundle)
    np.testing.assert_array_equal(found, followed(TorchSession(build_network(bundle), 1), bundle))
    # Each stage runs once to get warm; from the second time on it is launched.
    assert lane.captures == (0 if refuses else 2)
    runs = 6 if family == 'fartrack' else 8      # it has no template of its own to run
    assert lane.launches == (0 if refuses else runs - 2)
    session.close()
    assert lane.closed


TEMPLATE = {'image': (1, 3, 80, 80), 'mask': (1, 5, 5)}


def template_inputs(seed: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    return {name: rng.standard_normal(shape).astype(np.float32) if name == 'image'
            else np.ones(shape, np.float32) for name, shape in TEMPLATE.items()}


IMAGE = np.random.default_rng(9).standard_normal((1, 3, 160, 160)).astype(np.float32)


def test_several_targets_do_not_mix_and_answers_stay_as_they_were():
    session = graphed_session(build_network(find_bundle()), 'fp32', HostLane())
    exact = TorchSession(build_network(find_bundle()), 1)
    kept = [session.run('template', template_inputs(seed)) for seed in range(3)]
    wanted = [exact.run('search', {'image': IMAGE, **exact.run('template', template_inputs(seed))})
              for seed in range(3)]
    found = [(k, session.run('search', {'image': IMAGE, **kept[k]})) for k in (0, 1, 2, 2, 0, 1)]
    for k, answer in found:
        np.testing.assert_array_equal(answer['score'], wanted[k]['score'])


def test_a_crop_that_is_on_the_device_is_taken_and_read_anew_each_time():
    session = graphed_session(build_network(find_bundle()), 'fp32', HostLane())
    memory = session.run('template', template_inputs(0))
    crop = torch.from_numpy(IMAGE.copy())
    for factor in (1.0, 2.0, 3.0):
        crop.copy_(torch.from_numpy(IMAGE * np.float32(factor)))      # the same tensor
        found = session.run('search', {'image': Handle(crop), **memory})
        wanted = session.run('search', {'image': IMAGE * np.float32(factor), **memory})
        np.testing.assert_array_equal(found['score'], wanted['score'])


def test_wrong_inputs_are_named_and_the_session_goes_on():
    session = graphed_session(build_network(find_bundle()), 'fp32', HostLane())
    with pytest.raises(EngineError, match=r"'template' refused its inputs .*\(1, 3, 81, 80\)"):
        session.run('template', {**template_inputs(0),
                                 'image': np.zeros((1, 3, 81, 80), np.float32)})
    memory = session.run('template', template_inputs(0))
    with pytest.raises(EngineError, match='it has .*float64.* expected .*float32'):
        session.run('template', {**template_inputs(0), 'image': np.zeros((1, 3, 80, 80))})
    with pytest.raises(EngineError, match="no graph 'depth'"):
        session.run('depth', {})
    session.run('search', {'image': IMAGE, **memory})


def test_a_failure_of_cuda_closes_the_session_and_says_so():
    lane = HostLane()
    session = graphed_session(build_network(find_bundle()), 'fp32', lane)
    session.run('template', template_inputs(0))

    def fail():
        raise DeviceError('an illegal memory access was encountered')
    lane.synchronise = fail
    with pytest.raises(EngineError, match="graph 'template': an illegal .* is closed: load the"):
        session.run('template', template_inputs(0))
    with pytest.raises(EngineError, match='this session is closed since CUDA failed: an illegal'):
        session.run('template', template_inputs(0))
    assert lane.closed


#: Largest difference from float32, as a share of the largest output.
NEAR = {'bf16': 0.06, 'fp16': 0.01}


@pytest.mark.parametrize('precision', NEAR)
@pytest.mark.parametrize('family', FAMILIES)
def test_half_precision_is_near_and_not_float32(family, precision, tiny_bundle):
    bundle = tiny_bundle(family)
    lane = HostLane()
    sessions = [TorchSession(build_network(bundle), 1),
                TorchSession(build_network(bundle), 1, precision),
                graphed_session(build_network(bundle), precision, lane)]
    assert [session.precision for session in sessions] == ['fp32', precision, precision]
    network = build_network(bundle)
    answers = [{} for _ in sessions]
    for role, inputs in network.example_inputs().items():
        torch.manual_seed(0)
        given = {name: torch.rand_like(value).numpy() if value.is_floating_point()
                 else value.numpy() for name, value in inputs.items()}
        for session, made in zip(sessions, answers):
            made[role] = session.run(role, {name: made.get('template', {}).get(name, value)
                                            for name, value in given.items()})
    exact, lowered, graphed = (made['search'] for made in answers)
    differs = False
    for name, value in exact.items():
        assert lowered[name].dtype == graphed[name].dtype == np.float32
        error = np.abs(lowered[name] - value).max() / np.abs(value).max()
        assert error < NEAR[precision], name
        differs |= error > 1e-6
        np.testing.assert_array_equal(lowered[name], graphed[name])
    assert differs


@pytest.mark.parametrize('family', FAMILIES)
def test_no_stage_makes_a_tensor_elsewhere_than_where_its_inputs_are(family, tiny_bundle):
    # On a GPU it would fail, or be a copy that no CUDA graph can hold. 'meta' is a device too.
    network = build_network(tiny_bundle(family)).to('meta')
    made = {}
    for role, inputs in network.example_inputs().items():
        given = {name: made.get(name, value.to('meta')) for name, value in inputs.items()}
        outputs = dict(zip(network.outputs[role], getattr(network, role)(**given)))
        made.update(outputs)
        assert all(value.device.type == 'meta' for value in outputs.values())


def test_below_float32_a_proof_is_needed(tmp_path):
    with pytest.raises(EngineError, match='bf16 under torch has not been proven on this machine'):
        open_session(find_bundle(), 'torch', 1, 'bf16', tmp_path)
