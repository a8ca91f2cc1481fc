# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
The TensorRT session over the fake: whole sequences as ONNX Runtime tracks them, no copy too many,
and what is said when something fails.
"""
from __future__ import annotations

import gc
import logging
from pathlib import Path

import numpy as np
import onnx
import pytest
from support.fake_tensorrt import FakeTensorRt, make_plan, VERSIONS
from support.host_device import HostDevice, HostMemory, HostTensor
from support.litetrack_golden import bgr_frame, INIT_BOX
from support.tiny_bundles import FAMILIES

from lorat_ros.engines.plan_record import Record, write_record
from lorat_ros.engines.session import EngineError, Handle, open_session
from lorat_ros.engines.tensorrt import open_session as open_tensorrt
from lorat_ros.engines.tensorrt import PlanError, TensorRtSession
from lorat_ros.models.bundle import Bundle
from lorat_ros.models.catalog import find_bundle
from lorat_ros.tracking.tracker import Tracker

FRAMES = 6
HANDED_OVER = ('template_tokens', 'template_keys')


class Bench:
    """A device, TensorRT on it, and plans of a bundle."""

    def __init__(self, bundle: Bundle, folder: Path, version: str = '10.3') -> None:
        self.bundle, self.folder = bundle, folder
        self.device = HostDevice()
        self.trt = FakeTensorRt(version, self.device)
        for role, graph in bundle.graphs.items():
            (folder / f'{role}.plan').write_bytes(make_plan(version, graph))

    def open(self) -> TensorRtSession:
        return open_tensorrt(self.bundle, 1, 'fp32', self.folder, lambda: self.trt,
                             lambda: HostMemory(self.device))


@pytest.fixture
def bench(tmp_path) -> Bench:
    return Bench(find_bundle(), tmp_path)


def template_inputs(seed: int = 0) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    return {'image': rng.standard_normal((1, 3, 80, 80)).astype(np.float32),
            'mask': np.pad(np.ones((1, 3, 3), np.float32), ((0, 0), (1, 1), (1, 1)))}


IMAGE = np.random.default_rng(9).standard_normal((1, 3, 160, 160)).astype(np.float32)


def search(session, memory) -> dict[str, np.ndarray]:
    return session.run('search', {'image': IMAGE, **memory})


def boxes(session, bundle: Bundle, frames: int = FRAMES) -> np.ndarray:
    """Boxes and scores over a clip with a change of target in its middle."""
    tracker, rows = Tracker(bundle, session), []
    tracker.init(bgr_frame(0), INIT_BOX)
    for index in range(1, frames + 1):
        if index == frames // 2:
            tracker.init(bgr_frame(index), (100.0, 90.0, 40.0, 52.0))
        result = tracker.update(bgr_frame(index))
        rows.append([*result.box, result.score])
    return np.array(rows)


@pytest.mark.parametrize('family', FAMILIES)
@pytest.mark.parametrize('version', VERSIONS)
def test_whole_sequences_are_those_of_onnx_runtime(family, version, tiny_bundle, tmp_path):
    bench = Bench(tiny_bundle(family), tmp_path, version)
    session = bench.open()
    assert (session.engine, session.device, session.precision) == ('tensorrt', 'cuda', 'fp32')
    found = boxes(session, bench.bundle)
    expected = boxes(open_session(bench.bundle, 'onnx'), bench.bundle)
    np.testing.assert_array_equal(found, expected)
    assert np.ptp(expected[:, :2]) > 1
    assert bench.device.launches > 0
    session.close()


@pytest.mark.parametrize('family', FAMILIES)
def test_without_cuda_graphs_it_is_the_same(family, tiny_bundle, tmp_path, caplog):
    bench = Bench(tiny_bundle(family), tmp_path)
    bench.device.refuses_capture = True
    with caplog.at_level(logging.INFO):
        found = boxes(bench.open(), bench.bundle)
    np.testing.assert_array_equal(found, boxes(open_session(bench.bundle, 'onnx'), bench.bundle))
    assert bench.device.launches == 0
    told = [r.getMessage() for r in caplog.records if 'cannot be a CUDA graph' in r.getMessage()]
    ran_twice = [role for role in bench.bundle.graphs if f'graph {role!r}' in ''.join(told)]
    assert 'search' in ran_twice and len(told) == len(ran_twice)      # once each


def test_nothing_that_stays_on_the_device_touches_the_host(bench):
    session = bench.open()
    memory = session.run('template', template_inputs())
    # Two inputs go up; two outputs are put aside on the device; nothing comes down.
    assert bench.device.copies == {'upload': 2, 'device': 2}
    assert all(isinstance(value, Handle) for value in memory.values())
    bench.device.copies.clear()
    for run in range(1, 4):
        search(session, memory)
        # Image up, four answers down each time; the template's values move once.
        assert bench.device.copies == {'upload': run, 'download': 4 * run, 'device': 2}


def test_several_targets_do_not_mix(bench):
    session, exact = bench.open(), open_session(bench.bundle, 'onnx')
    kept = [session.run('template', template_inputs(seed)) for seed in range(3)]
    expected = [search(exact, exact.run('template', template_inputs(seed))) for seed in range(3)]
    for which in (0, 1, 2, 2, 0, 1, 0):
        found = search(session, kept[which])
        for name in found:
            np.testing.assert_array_equal(found[name], expected[which][name])
    assert not np.array_equal(expected[0]['score'], expected[1]['score'])


def test_scouts_have_the_target_of_their_tracker(bench):
    def follow(session):
        trackers = [Tracker(bench.bundle, session) for _ in range(2)]
        trackers[0].init(bgr_frame(0), INIT_BOX)
        trackers[1].init(bgr_frame(0), (150.0, 120.0, 40.0, 40.0))
        rows = []
        for index in range(1, 5):
            for tracker in (*trackers, trackers[0].scout((90.0, 90.0, 48.0, 40.0)), trackers[1]):
                result = tracker.update(bgr_frame(index))
                rows.append([*result.box, result.score])
        return np.array(rows)
    np.testing.assert_array_equal(follow(bench.open()), follow(open_session(bench.bundle, 'onnx')))


def test_what_was_answered_is_not_written_to_again(bench):
    session = bench.open()
    first, second = (session.run('template', template_inputs(seed)) for seed in (1, 2))
    answer = search(session, first)
    before = {name: value.copy() for name, value in answer.items()}
    search(session, second)
    for name, value in answer.items():
        np.testing.assert_array_equal(value, before[name])


def test_memory_does_not_grow_over_many_targets(bench):
    session = bench.open()
    search(session, session.run('template', template_inputs()))
    gc.collect()
    reserved = len(bench.device.reserved)
    for seed in range(20):
        search(session, session.run('template', template_inputs(seed)))
    gc.collect()
    assert len(bench.device.reserved) == reserved


def test_a_crop_that_is_on_the_device_stays_there(bench):
    session, exact = bench.open(), open_session(bench.bundle, 'onnx')
    memory, of_onnx = (s.run('template', template_inputs()) for s in (session, exact))
    loading = HostMemory(bench.device)
    for factor in (1, 2, 3):
        image = np.ascontiguousarray(factor * IMAGE)
        buffer, pinned = loading.allocate(image.nbytes), loading.pinned(image.shape, image.dtype)
        pinned[...] = image
        loading.upload(buffer, pinned)
        loading.synchronise()
        bench.device.copies.clear()
        crop = Handle(HostTensor(buffer, image.shape, 'float32'))
        found = session.run('search', {'image': crop, **memory})
        assert 'upload' not in bench.device.copies
        np.testing.assert_array_equal(
            found['score'], exact.run('search', {'image': image, **of_onnx})['score'])
    with pytest.raises(EngineError, match=r"refused its inputs .*'float16 \(1, 3, 160, 160\)"):
        session.run('search', {**memory, 'image': Handle(HostTensor(buffer, IMAGE.shape,
                                                                    'float16'))})
    with pytest.raises(EngineError, match='ndarray is not on this device'):
        session.run('search', {**memory, 'image': Handle(IMAGE)})


@pytest.mark.parametrize(('change', 'words'), [
    ({'image': np.zeros((1, 3, 64, 64), np.float32)}, r"'float32 \(1, 3, 64, 64\)'.*expected .*"
                                                      r"\(1, 3, 80, 80\).*build it anew"),
    ({'image': np.zeros((1, 3, 80, 80))}, r"'float64 \(1, 3, 80, 80\)'"),
    ({'extra': np.zeros(1, np.float32)}, "'extra': 'float32")])
def test_inputs_of_another_shape_or_type_are_named(bench, change, words):
    session = bench.open()
    with pytest.raises(EngineError, match=rf"graph 'template' .* refused its inputs .*{words}"):
        session.run('template', {**template_inputs(), **change})
    search(session, session.run('template', template_inputs()))      # it goes on


def test_an_unknown_role_is_named(bench):
    with pytest.raises(EngineError, match=r"no graph 'depth', only \['search', 'template'\]"):
        bench.open().run('depth', {})


@pytest.mark.parametrize('warm', [0, 1, 3])
def test_a_refused_run_is_said_and_leaves_the_session_usable(bench, warm):
    session, exact = bench.open(), open_session(bench.bundle, 'onnx')
    bench.device.refuses_capture = True      # a launched graph asks TensorRT no more
    memory = session.run('template', template_inputs())
    for _ in range(warm):
        search(session, memory)
    bench.trt.refusals = 1
    with pytest.raises(EngineError, match="refused to run graph 'search' .*message is in the log"):
        search(session, memory)
    np.testing.assert_array_equal(
        search(session, memory)['score'],
        search(exact, exact.run('template', template_inputs()))['score'])


def test_a_run_that_is_refused_while_it_is_recorded_is_done_call_by_call(bench):
    session, exact = bench.open(), open_session(bench.bundle, 'onnx')
    memory = session.run('template', template_inputs())
    wanted = search(exact, exact.run('template', template_inputs()))
    search(session, memory)
    bench.trt.refusals = 1
    for _ in range(2):
        np.testing.assert_array_equal(search(session, memory)['score'], wanted['score'])
    assert bench.device.launches == 0


def test_a_failure_of_cuda_closes_the_session_and_says_so(bench):
    session = bench.open()
    memory = session.run('template', template_inputs())
    bench.device.fault = 'an illegal memory access was encountered'
    with pytest.raises(EngineError, match=r"graph 'search' .*illegal memory access.*is closed: "
                                          'load the model anew'):
        search(session, memory)
    with pytest.raises(EngineError, match='this session is closed since CUDA failed: an illegal'):
        search(session, memory)
    session.close()
    session = bench.open()
    search(session, session.run('template', template_inputs()))


def test_closing_gives_all_back_in_order(bench):
    session = bench.open()
    memory = session.run('template', template_inputs())
    for _ in range(3):
        search(session, memory)
    del memory
    session.close()
    session.close()      # once more does no harm
    gc.collect()
    assert not bench.device.reserved and not bench.device.streams
    events = bench.device.events
    assert sorted(set(events)) == ['buffer', 'context', 'engine', 'runtime', 'stream']
    last = {name: len(events) - 1 - events[::-1].index(name) for name in set(events)}
    assert max(last['context'], 0) < last['engine'] < last['runtime'] < last['stream']
    assert last['buffer'] < last['stream']
    with pytest.raises(EngineError, match='this session is closed$'):
        session.run('template', template_inputs())


def test_a_handle_may_outlive_its_session(bench):
    session = bench.open()
    memory = session.run('template', template_inputs())
    session.close()
    del memory
    gc.collect()
    assert not bench.device.reserved


@pytest.mark.parametrize(('damage', 'words'), [
    (lambda path: path.unlink(), r'search\.plan cannot be read .*run `lorat build`'),
    (lambda path: path.write_bytes(path.read_bytes()[:99]), 'or is damaged'),
    (lambda path: path.write_bytes(b''), 'or is damaged'),
    (lambda path: path.write_bytes(make_plan('8.6', find_bundle().graphs['search'])),
     'is no plan for this TensorRT and this GPU')])
def test_a_plan_that_cannot_be_used(bench, damage, words, caplog):
    damage(bench.folder / 'search.plan')
    with pytest.raises(PlanError, match=words):
        bench.open()
    gc.collect()
    assert not bench.device.reserved and not bench.device.streams
    if 'damaged' in words:
        assert 'deserializeCudaEngine' in caplog.text


def test_nothing_was_built(bench):
    with pytest.raises(PlanError, match='no plans of kestrel-e in fp16: run `lorat build kestrel'):
        open_tensorrt(bench.bundle, 1, 'fp16', None, lambda: bench.trt,
                      lambda: HostMemory(bench.device))


def test_plans_for_other_versions_too_may_bring_their_runtime(bench):
    for role, graph in bench.bundle.graphs.items():
        (bench.folder / f'{role}.plan').write_bytes(
            make_plan('10.3', graph, version_compatible=True))
    with pytest.raises(PlanError):      # nobody says that they are such plans
        bench.open()
    write_record(bench.folder, Record('tensorrt 10.3', 'fp32', '', {'version_compatible': True},
                                      {}, []))
    session = bench.open()
    search(session, session.run('template', template_inputs()))


def test_too_little_memory(bench):
    bench.trt.out_of_memory = True
    with pytest.raises(EngineError, match='cannot make room to run it .*end other programs'):
        bench.open()
    gc.collect()
    assert not bench.device.reserved


def test_plans_that_do_not_fit_together(tiny_bundle, bench):
    (bench.folder / 'template.plan').write_bytes(
        make_plan('10.3', tiny_bundle('lorat').graphs['template']))
    with pytest.raises(EngineError, match='makes template_keys as None, .*takes'):
        bench.open()


def test_a_runtime_that_cannot_start_is_named(bench, monkeypatch):
    def refuse(logger):
        raise TypeError('pybind11::init(): factory function returned nullptr')
    monkeypatch.setitem(bench.trt._classes, 'Runtime', refuse)
    with pytest.raises(EngineError, match='cannot start on this GPU: pybind11.*nvidia-smi'):
        bench.open()
    assert not bench.device.streams


def hand_over_in_half_precision(graph: Path) -> bytes:
    """The graph with what is handed over, made or taken, in half precision."""
    model = onnx.load(graph)
    for made, places in ((True, model.graph.output), (False, model.graph.input)):
        for place in (place for place in places if place.name in HANDED_OVER):
            place.type.tensor_type.elem_type = onnx.TensorProto.FLOAT16
            wide = f'{place.name}_wide'
            for node in model.graph.node:
                names = node.output if made else node.input
                for index, name in enumerate(names):
                    names[index] = wide if name == place.name else name
            cast = onnx.helper.make_node(
                'Cast', [wide if made else place.name], [place.name if made else wide],
                to=onnx.TensorProto.FLOAT16 if made else onnx.TensorProto.FLOAT)
            model.graph.node.insert(len(model.graph.node) if made else 0, cast)
    return model.SerializeToString()


def test_what_is_handed_over_may_be_in_half_precision(bench):
    for role, path in bench.bundle.graphs.items():
        (bench.folder / f'{role}.plan').write_bytes(
            make_plan('10.3', hand_over_in_half_precision(path)))
    session, exact = bench.open(), open_session(bench.bundle, 'onnx')
    memory = session.run('template', template_inputs())
    assert {value.value.tensor.kind for value in memory.values()} == {'HALF'}
    found = search(session, memory)
    wanted = search(exact, exact.run('template', template_inputs()))
    assert found['score'].dtype == np.float32
    np.testing.assert_allclose(found['score'], wanted['score'], atol=0.02)
