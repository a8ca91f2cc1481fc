# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
`lorat build --engine tensorrt`, over a fake TensorRT behind a stand-in for the driver.

Real processes from the command line down to the builder; what goes wrong is named with its cure.
"""
from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from support.fake_gpu import environment
from support.fake_tensorrt_builder import Wishes

from lorat_ros.engines import tensorrt
from lorat_ros.engines.plan_cache import read_verdict
from lorat_ros.engines.plan_failure import Attempt
from lorat_ros.engines.plan_record import read_record
from lorat_ros.models.catalog import find_bundle


class Machine:
    """A machine with a GPU, and a cache."""

    def __init__(self, folder: Path, clip: str) -> None:
        self.folder, self.clip, self.cache = folder, clip, folder / 'cache'
        self.log = folder / 'plans.log'

    def start(self, *arguments: str, with_tensorrt: bool = True, frames: bool = True,
              variables: dict | None = None, **wishes) -> subprocess.Popen:
        """Begin a build."""
        told = environment(self.folder, Wishes(log=str(self.log), **wishes), with_tensorrt)
        clips = ['--frames', self.clip] if frames else []
        return subprocess.Popen(
            [sys.executable, '-m', 'lorat_ros.tools.cli', 'build', '--engine', 'tensorrt', *clips,
             '--engine-cache-dir', str(self.cache), *arguments],
            env={**os.environ, **told, **(variables or {})}, text=True, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE)

    def build(self, *arguments: str, **wishes) -> tuple[int, str]:
        """Build; returns status and all that was said."""
        process = self.start(*arguments, **wishes)
        out, err = process.communicate(timeout=120)
        return process.returncode, out + err

    def plans(self) -> list[dict]:
        """What the fake built so far."""
        return [json.loads(line) for line in self.log.read_text().splitlines()] if \
            self.log.exists() else []

    def folders(self) -> list[Path]:
        return sorted(path for path in self.cache.iterdir() if path.is_dir())

    def track(self, precision: str = 'auto', engine: str = 'tensorrt', gpu: str = '',
              **wishes) -> str:
        """What a Python caller gets: engine, device and precision of the session, or why not."""
        code = ('import sys; from lorat_ros import load_tracker\n'
                'try:\n    s = load_tracker(engine=sys.argv[1], precision=sys.argv[2], '
                'cache=sys.argv[3]).session\n    print(s.engine, s.device, s.precision)\n'
                'except RuntimeError as error:\n    print(error)')
        told = environment(self.folder, Wishes(**wishes)) | ({'FAKE_GPU': gpu} if gpu else {})
        return subprocess.run([sys.executable, '-c', code, engine, precision, str(self.cache)],
                              env={**os.environ, **told}, capture_output=True, text=True,
                              check=True).stdout.strip()


@pytest.fixture
def machine(tmp_path: Path, short_clip: Path) -> Machine:
    return Machine(tmp_path, str(short_clip))


def test_the_best_precision_that_passes_is_chosen_and_used(
        machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    assert 'nothing was built of kestrel-e for tensorrt 10.3' in machine.track()
    assert machine.track(engine='auto') == 'onnx cpu fp32'      # never builds unasked
    status, said = machine.build()
    assert status == 0, said
    assert 'chosen: fp16, strongly typed graph' in said and 'passed: over 10' in said
    folder, = machine.folders()      # nothing is kept of a failure that there was not
    assert sorted(path.name for path in folder.iterdir()) == [
        'gate.json', 'plan.json', 'search.plan', 'template.plan']
    record = read_record(folder)
    assert record.precision == 'fp16' and record.tried == [] and set(record.plans) == {
        'search', 'template'}
    assert read_verdict(folder).clips == 'short'
    template, search = machine.plans()
    assert (template['typed'], template['kinds']) == (True, ['fp16'])
    assert 'FP16' not in search['flags'] and search['pools'] == {
        'WORKSPACE': 2048 << 20, 'TACTIC_DRAM': 4096 << 20}      # of the 8 GB that it has
    assert search['timed'] == 2      # the timing cache was kept between the two
    assert machine.track() == machine.track(engine='auto') == 'tensorrt cuda fp16'
    # Again is nothing to do, whatever failed before; a damaged plan is seen, and built anew.
    monkeypatch.setattr(tensorrt, 'version', lambda: record.version)
    attempt = Attempt(find_bundle(), 'tensorrt', 'auto', [machine.clip], machine.cache)
    attempt.remember('no memory')
    assert machine.build()[0] == 0 and len(machine.plans()) == 2
    assert attempt.failure() is None
    plan = folder / 'search.plan'
    plan.write_bytes(plan.read_bytes()[:-1])
    damaged = machine.track()
    assert 'search.plan is not what was built: it is truncated or damaged: run `lorat' in damaged
    assert machine.track(engine='auto') == 'onnx cpu fp32'
    assert machine.build()[0] == 0 and len(machine.plans()) == 4
    assert machine.track() == 'tensorrt cuda fp16'
    # Of another version nothing is used, nor of another GPU.
    assert 'nothing was built of kestrel-e for tensorrt 10.16' in machine.track(version='10.16')
    other = machine.track(gpu='Orin')
    assert 'nothing was built of kestrel-e for tensorrt 10.3' in other and 'Orin 8.7' in other


def test_version_8_has_flags_and_no_progress(machine: Machine) -> None:
    status, said = machine.build('--workspace', '300', version='8.6')
    assert status == 0, said
    assert 'chosen: fp16, builder flag FP16' in said
    plan = machine.plans()[0]
    assert (plan['typed'], 'FP16' in plan['flags'], plan['kinds']) == (False, True, ['fp16'])
    assert plan['pools']['WORKSPACE'] == 300 << 20
    assert machine.track(version='8.6') == 'tensorrt cuda fp16'


def test_what_the_gate_refuses_is_left_for_the_next_best(machine: Machine) -> None:
    status, said = machine.build(version='11.4', spoils='fp16 bf16')
    assert status == 0, said
    for precision in ('fp16', 'bf16'):
        assert f'{precision} (strongly typed graph, {precision} with norms, softmax and ' \
            'residuals in float32): refused by the parity gate: over ' in said
        refused, = machine.cache.glob(f'*-tensorrt-{precision}-*/gate.json')
        assert not list(refused.parent.glob('*.plan')) and not read_verdict(refused.parent).passed
        assert 'was refused by the parity gate' in machine.track(precision, version='11.4')
    assert 'chosen: fp32, float32, without TF32' in said
    used, = machine.cache.glob('*-tensorrt-fp32-*/plan.json')
    assert [reason[:4] for reason in read_record(used.parent).tried] == ['fp16', 'bf16']
    assert ['TF32' in plan['flags'] for plan in machine.plans()] == 4 * [True] + 2 * [False]
    assert machine.track(version='11.4') == 'tensorrt cuda fp32'


def test_int8_goes_through_explicit_pairs_and_the_gate(machine: Machine) -> None:
    status, said = machine.build('--precision', 'int8')
    assert status == 1 and 'needed: 100 crops' in said      # half of the few frames judge
    assert 'calibrating' in said and ', int8: refused: over 5' in said
    assert {'fp16', 'int8'} == set(machine.plans()[1]['kinds']) | set(machine.plans()[0]['kinds'])


# -- the table of faults ----------------------------------------------------------------------

def test_no_gpu(machine: Machine) -> None:
    status, said = machine.build(variables={'LD_LIBRARY_PATH': ''})
    assert status == 2 and 'TensorRT needs a GPU: there is no driver of NVIDIA here' in said
    assert 'use engine onnx' in said and 'Traceback' not in said


def test_no_tensorrt(machine: Machine) -> None:
    status, said = machine.build(with_tensorrt=False)
    assert status == 2 and 'TensorRT cannot be imported' in said and 'JetPack' in said


@pytest.mark.parametrize(('precision', 'version', 'words'), [
    ('fp8', '10.3', 'Fake GPU has compute capability 8.7, expected 8.9 or more: use precision'),
    ('bf16', '8.6', 'it needs a strongly typed network, which TensorRT 8.6')])
def test_a_precision_that_is_not_there(precision, version, words, machine: Machine) -> None:
    status, said = machine.build('--precision', precision, version=version)
    assert status == 2 and words in said and not machine.plans()


def test_an_operator_that_the_parser_refuses(machine: Machine) -> None:
    status, said = machine.build(refuses='LayerNormalization')
    assert status == 2 and 'refuses template.onnx: operator LayerNormalization (node ' in said
    assert 'no plan of kestrel-e can be used: fp16 (' in said and 'bf16 (' in said
    assert 'fp32 (' in said and 'Use engine onnx' in said
    kept, = [path for folder in machine.folders() for path in folder.iterdir()]
    failure = json.loads(kept.read_text())      # for nodes, which do not try it again
    assert kept.name == 'failed.json' and failure['why'] in said
    assert failure['versions'].startswith('tensorrt 10.3') and failure['frames'] == [machine.clip]


def test_an_unwritable_cache(machine: Machine) -> None:
    machine.cache.write_text('a file in the way')
    status, said = machine.build()
    assert status == 2 and f'the engine cache {machine.cache} cannot be written (' in said
    assert 'choose another folder with engine_cache_dir' in said


def test_a_full_disk(machine: Machine) -> None:
    # No file may grow beyond some bytes: what a full disk does to the plan, without one.
    machine.cache.mkdir()
    process = subprocess.run(
        ['bash', '-c', 'ulimit -f 2000; exec "$@"', 'bash', sys.executable, '-m',
         'lorat_ros.tools.cli', 'build', '--engine', 'tensorrt', '--frames', machine.clip,
         '--engine-cache-dir', str(machine.cache)], capture_output=True, text=True,
        env={**os.environ, **environment(machine.folder, Wishes())}, check=False)
    assert process.returncode == 2 and 'cannot be written (' in process.stderr
    assert 'engine_cache_dir' in process.stderr and 'Traceback' not in process.stderr
    assert not list(machine.cache.glob('*/*.plan*'))


def test_a_builder_that_is_killed_for_want_of_memory(machine: Machine) -> None:
    status, said = machine.build('--precision', 'fp16', dies=True)
    assert status == 2 and 'the builder was killed, probably for want of memory' in said
    assert '--workspace' in said and not list(machine.cache.glob('*/*.plan*'))


def until(done, seconds: float = 60.0) -> None:
    end = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < end
        time.sleep(0.05)


def builders_of(process: subprocess.Popen) -> list[int]:
    listed = Path(f'/proc/{process.pid}/task/{process.pid}/children').read_text().split()
    return [int(one) for one in listed]


@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGKILL])
def test_a_build_that_is_ended_leaves_nothing_that_is_used(number, machine: Machine) -> None:
    process = machine.start(seconds=60)
    until(lambda: builders_of(process))
    builder, = builders_of(process)
    process.send_signal(number)
    said = ''.join(process.communicate(timeout=30))
    assert process.returncode == (130 if number == signal.SIGINT else -9), said
    until(lambda: not Path(f'/proc/{builder}').exists())
    assert 'Traceback' not in said and not list(machine.cache.glob('*/*.plan*'))
    # The lock went with its holder: the next one begins at once, and clean.
    status, said = machine.build(refuses='LayerNormalization')
    assert status == 2 and 'refuses template.onnx' in said and 'waiting' not in said, said
    assert not [path for folder in machine.folders() for path in folder.iterdir()
                if path.suffix in ('.onnx', '.data')]


def test_of_two_builders_one_builds(machine: Machine) -> None:
    first = machine.start(seconds=2)
    until(lambda: builders_of(first))
    status, said = machine.build()
    first.communicate(timeout=60)
    assert (first.returncode, status) == (0, 0), said
    assert f'process {first.pid} (since ' in said and 'waiting' in said
    assert len(machine.plans()) == 2


def test_programs_hear_of_progress_and_an_estimate(machine: Machine) -> None:
    for expected in (False, True):      # the second time it is known
        process = machine.start('--progress', 'json', '--precision', 'fp16', seconds=1)
        lines = []
        while {'what': 'comparing fp16'} not in lines:
            line = process.stdout.readline()
            assert line, process.stderr.read()
            lines += [json.loads(line)] if line.startswith('{') else []
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=30)
        built = [line for line in lines if line.get('elapsed') is not None]
        assert {'building kestrel-e search in fp16', 'building kestrel-e template in fp16'} == {
            line['what'] for line in built}
        shares = [line['share'] for line in built if 'search' in line['what']
                  and line['share'] is not None]
        assert shares == sorted(shares) and 0 < shares[-1] <= 1
        assert (built[0]['expected'] is not None) is expected
