# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""`lorat benchmark` as a whole, over a drawn clip, and what it says when it cannot run."""
from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from support.pools import disc, scene

from lorat_ros.tools import (benchmark, benchmark_copies, benchmark_gemm, benchmark_machine,
                             benchmark_rounds, benchmark_table)
from lorat_ros.tools.cli import main


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Products are few and short; the threads' variables are put back."""
    monkeypatch.setattr(benchmark_gemm, 'SHAPES', ((64, 32, 16),))
    monkeypatch.setattr(benchmark_gemm, 'SECONDS', 0.001)
    monkeypatch.setattr(benchmark_copies.measure_copies, '__defaults__', (0.001, 2 ** 20))
    for pool in benchmark.POOLS:
        monkeypatch.setenv(pool, '1')


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    """Five frames with a disc that moves to the right, and its boxes."""
    folder = tmp_path / 'clip'
    folder.mkdir()
    ground = scene(np.random.default_rng(1))
    for number in range(5):
        image = ground.copy()
        disc(image, 60 + 4 * number, 60, 16, (40, 200, 240))
        cv2.imwrite(str(folder / f'{number:03d}.png'), image)
    (folder / 'groundtruth.txt').write_text(
        '\n'.join(f'{44 + 4 * number},44,33,33' for number in range(5)))
    return folder


def test_engines_side_by_side(clip: Path, tmp_path: Path,
                                  capsys: pytest.CaptureFixture) -> None:
    pytest.importorskip('torch')
    out = tmp_path / 'out.json'
    assert main(['benchmark', '--frames', str(clip), '--rounds', '5', '--json', str(out)]) == 0
    report = json.loads(out.read_text())
    model, = report['models']
    assert (model['name'], model['rounds'], model['frames']) == ('kestrel-e', 5, 3)
    assert report['clock'] == 'CPU' and report['settings']['init'] == [44, 44, 33, 33]
    assert list(model['engines']) == ['onnx', 'openvino', 'torch'] and not model['left_out']
    rates = [rate for found in report['products_gflops'] for shapes in found.values()
             for rate in shapes.values()]
    assert report['peak']['gflops'] == max(rates)
    for found in model['engines'].values():
        assert found['gflops'] == pytest.approx(2e-6 * model['macs'] / found['work_ms']['p50'])
        assert found['share_of_peak'] == pytest.approx(found['gflops'] / report['peak']['gflops'])
        assert all(len(times) == 5 for times in found['rounds_ms'].values())
        assert all(0 < at['p50'] <= at['p95'] for at in found['stages_ms'].values())
        assert found['apart_px'] < 0.1      # both followed the same target
        assert found['fps'] == pytest.approx(1e3 / found['stages_ms']['total']['p50'])
        assert found['share_of_roofline'] == pytest.approx(
            found['bound_ms'] / found['work_ms']['p50'])
        assert found['bound_ms'] >= 2e-6 * model['macs'] / report['peak']['gflops']
    text = capsys.readouterr().out
    assert [ratio['name'] for ratio in model['ratios']] == ['onnx', 'openvino']
    work = {engine: np.array(found['rounds_ms']['work'])
            for engine, found in model['engines'].items()}
    for ratio in model['ratios']:
        assert ratio['reference'] == 'torch'
        assert ratio['low'] <= ratio['times'] <= ratio['high']
        times = work['torch'] / work[ratio['name']]
        assert ratio['times'] == pytest.approx(np.median(times))
        assert f'{ratio["name"]} is {ratio["times"]:.2f} times as fast as torch' in text
    assert report['machine']['cpu'] in text
    assert benchmark_table.main([str(out)]) == 0
    assert 'kestrel-e | openvino |' in capsys.readouterr().out


@pytest.mark.gpu
def test_a_gpu_takes_its_turns(clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
                               ) -> None:
    torch = pytest.importorskip('torch')
    if not torch.cuda.is_available():
        pytest.skip('torch finds no GPU here')
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'cache'))
    out = tmp_path / 'out.json'
    assert main(['benchmark', '--frames', str(clip), '--rounds', '5', '--engine', 'onnx',
                 '--engine', 'torch', '--crops', 'both', '--json', str(out)]) == 0
    report = json.loads(out.read_text())
    model, = report['models']
    assert list(model['engines']) == ['onnx', 'torch', 'torch gpu crops']
    assert report['clock'] == 'wall' and report['gpu']['gflops']['fp16'] > 0
    assert model['engines']['torch']['device'] == 'cuda' and list(model['crops_decided']) == [
        'torch']
    assert list((tmp_path / 'cache' / 'lorat_ros' / 'engines').glob('*-crops-*.json'))
    for found in model['engines'].values():
        assert found['share_of_roofline'] > 0 and found['apart_px'] < 0.5


def test_a_precision_without_proof_is_left_out_with_the_cure(
        clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture) -> None:
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'cache'))
    assert main(['benchmark', '--frames', str(clip), '--rounds', '1', '--engine', 'onnx',
                 '--engine', 'openvino:bf16']) == 1
    said = capsys.readouterr().out
    assert 'openvino:bf16 left out: kestrel-e in bf16' in said and 'run `lorat build' in said


def test_models_take_turns_together(clip: Path, tmp_path: Path,
                                    capsys: pytest.CaptureFixture) -> None:
    out = tmp_path / 'out.json'
    assert main(['benchmark', '--frames', str(clip), '--rounds', '5', '--together', '--engine',
                 'onnx', '--model', 'kestrel-e', '--model', 'kestrel-s', '--json', str(out)]) == 0
    report = json.loads(out.read_text())
    assert [model['name'] for model in report['models']] == ['kestrel-e', 'kestrel-s']
    first, second = (np.array(model['engines']['onnx']['rounds_ms']['work'])
                     for model in report['models'])
    ratio, = report['ratios']
    assert (ratio['name'], ratio['reference']) == ('kestrel-s (onnx)', 'kestrel-e (onnx)')
    assert ratio['times'] == pytest.approx(np.median(first / second))
    assert 'kestrel-s (onnx) is ' in capsys.readouterr().out


def test_an_engine_that_cannot_run_is_named_with_its_reason(clip: Path, tmp_path: Path,
                                                            capsys: pytest.CaptureFixture) -> None:
    out = tmp_path / 'out.json'
    assert main(['benchmark', '--frames', str(clip), '--rounds', '1', '--engine', 'abacus',
                 '--engine', 'onnx', '--json', str(out)]) == 1
    assert "abacus left out: engine 'abacus' is unknown: choose" in capsys.readouterr().out
    model, = json.loads(out.read_text())['models']
    assert list(model['engines']) == ['onnx'] and list(model['left_out']) == ['abacus']
    assert model['ratios'] == []


def test_no_engine_at_all_is_a_failure(clip: Path, capsys: pytest.CaptureFixture) -> None:
    assert main(['benchmark', '--frames', str(clip), '--engine', 'abacus']) == 2
    assert 'abacus left out' in capsys.readouterr().out


def test_a_missing_torch_is_said_aloud(clip: Path) -> None:
    code = ('import sys\nsys.modules["torch"] = None\n'      # as if it were not installed
            'from lorat_ros.tools import benchmark_gemm, benchmark_rounds\n'
            'benchmark_gemm.SHAPES, benchmark_gemm.SECONDS = ((8, 8, 8),), 0.001\n'
            'from lorat_ros.tools.cli import main\n'
            f'sys.exit(main(["benchmark", "--frames", {str(clip)!r}, "--rounds", "1"]))')
    done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert 'torch left out: no engine can run kestrel-e here' in done.stdout


@pytest.mark.parametrize(('more', 'complaint'), [
    (['--init', '1,2,3,4'], '--frames'),
    (['--frames', '/nowhere'], '/nowhere does not exist'),
    (['--model', '/nowhere'], '/nowhere does not exist'),
    (['--json', '/nowhere/out.json'], 'the folder /nowhere does not exist')])
def test_what_cannot_be_had_is_one_line(more: list[str], complaint: str, clip: Path,
                                        capsys: pytest.CaptureFixture) -> None:
    given = more if more[0] in ('--init', '--frames') else ['--frames', str(clip), *more]
    assert main(['benchmark', *given]) == 2
    error = capsys.readouterr().err
    assert error.startswith('lorat benchmark: ') and complaint in error
    assert len(error.splitlines()) == 1


def test_an_unknown_model_is_answered_with_the_known_ones(clip: Path,
                                                          capsys: pytest.CaptureFixture) -> None:
    pytest.importorskip('torch')
    assert main(['benchmark', '--frames', str(clip), '--model', 'owl']) == 2
    error = capsys.readouterr().err
    assert "'owl'" in error and 'kestrel-e' in error and 'lorat-b-224' in error


def test_two_frames_are_too_few(clip: Path, capsys: pytest.CaptureFixture) -> None:
    for frame in sorted(clip.glob('*.png'))[2:]:
        frame.unlink()
    assert main(['benchmark', '--frames', str(clip)]) == 2
    assert 'expected at least 3' in capsys.readouterr().err


@pytest.mark.parametrize('arguments', [['--rounds', '0'], ['--threads', '-1'],
                                       ['--seconds', 'nan'], ['--seconds', '0']])
def test_senseless_numbers_are_refused(arguments: list[str]) -> None:
    with pytest.raises(SystemExit):
        main(['benchmark', *arguments])


def test_help_loads_no_numpy() -> None:
    # Its threads are limited by variables that it reads when it is loaded.
    code = ('import sys\nfrom lorat_ros.tools.cli import main\n'
            'try:\n    main(["benchmark", "--help"])\nexcept SystemExit:\n    pass\n'
            'print(sorted({"cv2", "numpy", "torch", "onnxruntime"} & set(sys.modules)))')
    done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, timeout=60)
    assert done.stdout.splitlines()[-1] == '[]', done.stdout + done.stderr


@pytest.mark.parametrize('library', benchmark_gemm.LIBRARIES)
def test_products_are_products(library: str) -> None:
    make, packages = benchmark_gemm.LIBRARIES[library]
    for package in packages:
        pytest.importorskip(package)
    rng = np.random.default_rng(0)
    left, right = (rng.standard_normal(shape, np.float32) for shape in ((5, 7), (7, 3)))
    found = np.asarray(make(left, right, 1)())
    np.testing.assert_allclose(found.reshape(5, 3), left @ right, rtol=1e-4, atol=1e-5)


def test_the_peak_is_the_fastest_of_all() -> None:
    before = {'numpy': {(1, 1, 1): 3.0, (2, 2, 2): 9.0}, 'torch': {(1, 1, 1): 4.0}}
    after = {'numpy': {(1, 1, 1): 8.0}, 'torch': {(1, 1, 1): 10.0}}
    assert benchmark_gemm.peak_of(before, after) == (10.0, 'torch', (1, 1, 1))
    assert benchmark_gemm.peak_of(before) == (9.0, 'numpy', (2, 2, 2))


def test_turns_get_shorter_rather_than_the_run_longer() -> None:
    assert benchmark_rounds.frames_for(60, 30, 0.02, 30) == 30
    assert benchmark_rounds.frames_for(60, 30, 0.5, 30) == 3
    assert benchmark_rounds.frames_for(60, 30, 100.0, 30) == 1


def test_few_large_frames_are_held(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(benchmark_rounds, 'MOST_BYTES', 250)
    small, large = (np.zeros((1, size, 1), np.uint8) for size in (50, 1000))
    assert len(benchmark_rounds.first_frames([small] * 100)) == 5
    assert len(benchmark_rounds.first_frames([large] * 100)) == benchmark_rounds.LEAST_FRAMES
    monkeypatch.undo()
    assert len(benchmark_rounds.first_frames([small] * 100)) == benchmark_rounds.MOST_FRAMES


def test_the_machine_is_described() -> None:
    machine = benchmark_machine.describe_machine()
    assert machine['cpu'] and machine['cores'] >= 1
    assert machine['versions']['numpy'] == np.__version__
    assert benchmark_machine.busy(1.5, 2) and not benchmark_machine.busy(0.2, 2)
    assert not benchmark_machine.busy(None, None)


def test_a_clock_that_ticks_rarely_is_given_more_to_tell() -> None:
    calls = [0]

    def product() -> None:      # takes ten microseconds
        calls[0] += 1

    def clock() -> float:       # ticks every millisecond
        return (calls[0] * 10e-6) // 1e-3 * 1e-3
    took = benchmark_gemm.shortest_ms(product, clock, seconds=0.01)
    assert 0.005 <= took <= 0.02
