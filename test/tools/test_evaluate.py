# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""`lorat evaluate` as a person uses it, over drawn sequences."""
from __future__ import annotations

import json
import shutil

import cv2
import numpy as np
import pytest
from support.sequences import truth_of, write_sequence

from lorat_ros.tools import evaluate, evaluate_plots
from lorat_ros.tools.cli import main
from lorat_ros.tools.frames import read_rows


@pytest.fixture
def folder(tmp_path):
    write_sequence(tmp_path / 'data' / 'left')
    write_sequence(tmp_path / 'data' / 'right', frames='.')
    return tmp_path / 'data'


def strict_json(path):
    """Read JSON that must not have what only Python reads."""
    def refuse(word):
        raise AssertionError(f'{word} is no JSON')
    return json.loads(path.read_text(), parse_constant=refuse)


def test_tables_and_json(folder, tmp_path, capsys):
    assert main(['evaluate', str(folder), '--json', str(tmp_path / 'out.json')]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith('layout plain; frames without target count for nothing')
    assert [line.split()[0] for line in lines[2:]] == ['kestrel-e', 'sequence', 'left', 'right',
                                                       'MEAN']
    report = strict_json(tmp_path / 'out.json')
    found = report['trackers']['kestrel-e']
    assert found['mean']['frames'] == 12 and found['mean']['AUC'] > 40
    assert found['mean']['AUC'] == pytest.approx(
        np.mean([s['AUC'] for s in found['sequences'].values()]))
    assert np.mean(found['curves']['success']) * 100 == pytest.approx(found['mean']['AUC'])
    assert found['mean']['ms'] > 0 and found['mean']['cpu_ms'] > 0
    assert len(report['thresholds']['precision']) == len(found['curves']['precision']) == 51


def test_kept_boxes_are_scored_alike_and_compared(folder, tmp_path, capsys):
    kept = tmp_path / 'kept'
    assert main(['evaluate', str(folder), '--results', str(kept)]) == 0
    rows = read_rows(kept / 'kestrel-e' / 'left.txt')
    assert rows.shape == (6, 5) and np.isnan(rows[0, 4]) and (rows[1:, 4] > 0).all()
    shutil.copytree(kept / 'kestrel-e', tmp_path / 'theirs')
    (tmp_path / 'theirs' / 'left.txt').write_text('\n'.join(truth_of(6)))
    capsys.readouterr()
    assert main(['evaluate', str(folder), '--boxes', str(kept / 'kestrel-e'), '--boxes',
                 str(tmp_path / 'theirs'), '--model', 'kestrel-e', '--results', str(kept),
                 '--reuse', '--json', str(tmp_path / 'out.json')]) == 0
    printed = capsys.readouterr().out
    assert 'kestrel-e (onnx, fp32, 2 sequences reused)' in printed
    assert [line.split()[0] for line in printed.splitlines()[-4:]] == [
        'mean', 'kestrel-e', 'kestrel-e-2', 'theirs']
    report = strict_json(tmp_path / 'out.json')['trackers']
    timeless = [{k: v for k, v in report[label]['mean'].items() if 'ms' not in k}
                for label in ('kestrel-e', 'kestrel-e-2')]
    assert timeless[0] == timeless[1]
    assert report['theirs']['sequences']['left']['AO'] == pytest.approx(100)
    assert report['theirs']['mean']['ms'] is None


def test_boxes_alone_run_nothing(folder, tmp_path, monkeypatch):
    (tmp_path / 'theirs').mkdir()
    for name in ('left', 'right'):
        (tmp_path / 'theirs' / f'{name}.txt').write_text('\n'.join(truth_of(6)))
    monkeypatch.setattr(evaluate, 'load_tracker', None)
    assert main(['evaluate', str(folder), '--boxes', str(tmp_path / 'theirs')]) == 0


def test_pictures(folder, tmp_path):
    pytest.importorskip('matplotlib', reason='matplotlib is not installed: make env')
    out = tmp_path / 'out'
    (out / 'worst' / 'kestrel-e').mkdir(parents=True)
    (out / 'worst' / 'kestrel-e' / '01_of_last_time.jpg').touch()
    assert main(['evaluate', str(folder), '--output', str(out), '--worst', '1']) == 0
    assert sorted(p.name for p in out.iterdir()) == [
        'evaluation.json', 'normalised_precision.png', 'precision.png', 'success.png', 'worst']
    assert cv2.imread(str(out / 'success.png')).shape == (600, 840, 3)
    sheet, = (out / 'worst' / 'kestrel-e').iterdir()
    assert sheet.name in ('01_left.jpg', '01_right.jpg')
    assert cv2.imread(str(sheet)).shape[1] == 1760


def test_without_matplotlib_it_is_said_before_anything_is_run(folder, tmp_path, monkeypatch,
                                                             capsys):
    monkeypatch.setattr(evaluate_plots.importlib.util, 'find_spec', lambda name: None)
    monkeypatch.setattr(evaluate, 'load_tracker', None)
    assert main(['evaluate', str(folder), '--output', str(tmp_path / 'out')]) == 2
    assert 'pip install matplotlib' in capsys.readouterr().err


def test_the_rest_goes_on_and_the_status_says_so(folder, tmp_path, capsys):
    (folder / 'left' / 'img' / '0004.png').unlink()
    write_sequence(folder / 'short', lines=truth_of(4))
    broken = write_sequence(folder / 'broken')
    (broken / 'img' / '0005.png').write_bytes(b'no image')
    write_sequence(folder / 'outside', lines=['500,500,9,9', *truth_of(5, 1)])
    assert main(['evaluate', str(folder), '--json', str(tmp_path / 'out.json')]) == 1
    said = capsys.readouterr()
    report = strict_json(tmp_path / 'out.json')
    assert list(report['trackers']['kestrel-e']['sequences']) == ['right', 'short']
    lines = said.err.strip().splitlines()
    assert [line.split(':')[1].strip() for line in lines] == ['left', 'outside', 'short', 'broken']
    assert lines == [f'lorat evaluate: {line}' for line in report['complaints']]
    assert 'number 4 is missing' in lines[0] and 'cannot be decoded' in lines[3]


def test_a_sequence_that_one_tracker_lacks_counts_for_none(folder, tmp_path, capsys):
    theirs = tmp_path / 'theirs'
    theirs.mkdir()
    (theirs / 'left.txt').write_text('\n'.join(truth_of(6)))
    assert main(['evaluate', str(folder), '--boxes', str(theirs), '--model', 'kestrel-e',
                 '--json', str(tmp_path / 'out.json')]) == 1
    assert 'right: cannot read the box file' in capsys.readouterr().err
    trackers = strict_json(tmp_path / 'out.json')['trackers']
    assert {label: list(t['sequences']) for label, t in trackers.items()} == {
        'kestrel-e': ['left'], 'theirs': ['left']}


def test_boxes_that_do_not_fit(folder, tmp_path, capsys):
    theirs = tmp_path / 'theirs'
    theirs.mkdir()
    (theirs / 'left.txt').write_text('\n'.join(truth_of(3)))
    (theirs / 'right.txt').write_text('\n'.join(truth_of(7)))
    assert main(['evaluate', str(folder), '--boxes', str(theirs)]) == 1
    error = capsys.readouterr().err
    assert 'left: theirs has 3 boxes for 6 frames: the others count as lost' in error
    assert 'has 7 boxes for 6 frames: it is of another version' in error


def test_frames_without_target_count_as_the_benchmark_has_it(tmp_path, capsys):
    folder = write_sequence(tmp_path / 'data' / 'cat' / 'cat-1', lines=truth_of(6))
    (folder / 'out_of_view.txt').write_text('0,0,0,0,1,0')
    (tmp_path / 'theirs').mkdir()
    (tmp_path / 'theirs' / 'cat-1.txt').write_text('\n'.join(truth_of(6)))
    shares = []
    for more in ([], ['--absent', 'miss'], ['--absent', 'skip']):
        assert main(['evaluate', str(tmp_path / 'data'), '--boxes', str(tmp_path / 'theirs'),
                     '--json', str(tmp_path / 'out.json'), *more]) == 0
        report = strict_json(tmp_path / 'out.json')
        assert report['layout'] == 'lasot'
        shares.append(report['trackers']['theirs']['mean']['P20'])
        assert report['absent'] in capsys.readouterr().out
    assert shares == pytest.approx([500 / 6, 500 / 6, 100])


def test_only_some(folder, capsys):
    assert main(['evaluate', str(folder), '--only', 'left']) == 0
    assert 'right' not in capsys.readouterr().out
    assert main(['evaluate', str(folder), '--only', 'middle']) == 2
    assert '--only middle: there is no such sequence, but left, right' in capsys.readouterr().err


@pytest.mark.parametrize('more', [['--model', 'owl'], ['--reuse'], ['--boxes', 'nowhere'],
                                  ['--json', 'nowhere/out.json'], ['--layout', 'uav123']])
def test_what_cannot_be_done_is_one_line(folder, capsys, more):
    assert main(['evaluate', str(folder), *more]) == 2
    error = capsys.readouterr().err
    assert error.startswith('lorat evaluate: ') and 'Traceback' not in error


def test_nothing_to_run(tmp_path, capsys):
    write_sequence(tmp_path / 'disc', lines=truth_of(9))
    assert main(['evaluate', str(tmp_path)]) == 2
    assert 'none of the 1 sequences' in capsys.readouterr().err
