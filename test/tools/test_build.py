# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""`lorat build`: what is proven can be used, what is refused cannot, and both are said."""
from __future__ import annotations

import json
from pathlib import Path

import pytest
from support.bundles import PASSED

from lorat_ros.engines import onnx, plan_cache
from lorat_ros.engines.session import EngineError
from lorat_ros.models.catalog import find_bundle
from lorat_ros.tools import build, cli
from lorat_ros.tools.build_steps import thinned
from lorat_ros.tracking.tracker import load_tracker


@pytest.fixture(scope='module')
def clip(cache: Path) -> str:
    """The rendered clip, with its truth beside it."""
    return str(cache / 'lorat_ros' / 'scene' / 'img')


@pytest.mark.parametrize(('engine', 'precision', 'graphs'), [('openvino', 'bf16', []),
                                                             ('onnx', 'int8', ['search.onnx'])])
def test_the_gate_decides_and_the_engine_obeys(engine, precision, graphs, clip, tmp_path, capsys):
    if precision == 'bf16' and 'BF16' not in pytest.importorskip('openvino').Core().get_property(
            'CPU', 'OPTIMIZATION_CAPABILITIES'):
        pytest.skip('this CPU has no bfloat16 arithmetic')
    status = cli.main(['build', '--engine', engine, '--precision', precision, '--frames', clip,
                       '--engine-cache-dir', str(tmp_path)])
    out, err = capsys.readouterr()
    assert 'crops the boxes overlap with those in float32 by' in (out if status == 0 else err)
    folder, = tmp_path.iterdir()
    verdict = json.loads((folder / 'gate.json').read_text())
    assert verdict['crops'] >= 100
    passed = verdict['median'] >= 0.98 and verdict['minimum'] >= 0.9
    assert status == (0 if passed else 1)
    found = sorted(path.name for path in folder.iterdir() if path.suffix == '.onnx')
    assert found == (graphs if passed else [])
    if passed:
        tracker = load_tracker(engine=engine, precision=precision, cache=tmp_path)
        assert (tracker.session.engine, tracker.session.precision) == (engine, precision)
    else:
        with pytest.raises(EngineError, match='refused by the parity gate'):
            load_tracker(engine=engine, precision=precision, cache=tmp_path)


@pytest.mark.parametrize(('arguments', 'words'), [
    (['--engine', 'onnx', '--precision', 'bf16'], 'engine onnx does not offer bf16, only int8'),
    (['--engine', 'onnx', '--precision', 'int8', '--init', '1,1,5,5', '--init', '2,2,5,5'],
     '--init is given 2 times and --frames 1 times'),
    (['nothing-such', '--engine', 'onnx', '--precision', 'int8'], "'nothing-such' is not inst")])
def test_bad_arguments_are_one_line(arguments, words, clip, tmp_path, capsys):
    assert cli.main(['build', *arguments, '--frames', clip, '--engine-cache-dir',
                     str(tmp_path)]) == 2
    assert words in capsys.readouterr().err


def test_an_old_proof_does_not_outlive_what_it_was_about(clip, tmp_path, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt
    folder = plan_cache.folder_of(find_bundle(), 'onnx', 'int8', onnx.version(), tmp_path)
    plan_cache.write_verdict(folder, PASSED)
    monkeypatch.setattr(build, 'crops_of', interrupted)
    assert cli.main(['build', '--engine', 'onnx', '--precision', 'int8', '--frames', clip,
                     '--engine-cache-dir', str(tmp_path)]) != 0
    assert plan_cache.read_verdict(folder) is None


@pytest.mark.parametrize(('number', 'kept'), [
    (0, []), (7, range(7)), (8, range(0, 8, 2)), (15, range(0, 15, 4)), (100, range(0, 100, 16))])
def test_calibration_takes_crops_from_all_of_a_long_clip(number, kept):
    assert thinned(range(number), 4) == list(kept)
