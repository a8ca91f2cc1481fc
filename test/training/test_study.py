# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Studies: what is refused, what is trained once, and that tables hold what the runs say."""
from __future__ import annotations

import csv
import json
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import yaml
from support.pools import write_pool

from lorat_ros.models.catalog import DEFAULT_MODEL
from lorat_ros.tools import cli
from lorat_ros.training import command as training_command
from lorat_ros.training import study, study_cells
from lorat_ros.training.closed_loop import FAULTS, score_area
from lorat_ros.training.recipe import read_recipe
from lorat_ros.training.selflabel import write_tracks
from lorat_ros.training.study_bundles import rank_correlation
from lorat_ros.training.study_cells import alone, train_command
from lorat_ros.training.study_file import (Cell, FOLDER, known_studies, read_study,
                                           StudyError)
from lorat_ros.training.study_judge import judged_clips
from lorat_ros.training.study_table import text_of

TINY = ['network.search_size=96', 'network.template_size=48', 'network.width=48',
        'network.depth=1', 'network.heads=3', 'network.head_width=16', 'pairs.search_size=96',
        'pairs.template_size=48', 'train.steps=3', 'train.batch=4', 'train.micro_batch=0',
        'train.precision=fp32', 'train.warmup_steps=1', 'train.decay_steps=1']
CONTENT = {'recipe': 'kestrel', 'set': TINY,
           'variants': {'baseline': [], 'no-absent': ['pairs.absent=0']},
           'folds': {'labelled': {'judge': ['mov*']},
                     'self-labelled': {'leave_out': ['discs'], 'judge': ['plain']}},
           'tracks_a_clip': 1}


@pytest.fixture(scope='module')
def place(tmp_path_factory) -> Path:
    """A folder with a pool, tracks of its clip 'plain', of which the second moves."""
    folder = tmp_path_factory.mktemp('study')
    write_pool(folder / 'pool', frames=10)
    (folder / 'tracks').mkdir()
    still = np.tile([40.0, 40.0, 30.0, 30.0], (10, 1))
    moving = np.array([[25.0 + 6 * n, 45, 31, 31] for n in range(10)])
    write_tracks(folder / 'tracks' / 'plain.csv', [(0, still), (0, moving), (0, still)])
    (folder / 'study.yaml').write_text(yaml.safe_dump(CONTENT))
    return folder


def read(place: Path, **changes):
    path = place / 'changed.yaml'
    path.write_text(yaml.safe_dump({**CONTENT, **changes}))
    return read_study(str(path), place / 'pool', place / 'tracks')


@pytest.mark.parametrize('changes, message', [
    ({'variant': {}}, "'variant' is unknown: a study has recipe, set"),
    ({'variants': {}}, 'variants is {}, expected names with values'),
    ({'variants': {'a/b': []}}, "'a/b' names folders"),
    ({'variants': {'bad': ['pairs.look_alik=0']}}, r'variant bad: .*pairs\.look_alik'),
    ({'variants': {'bad': 'pairs.absent=0'}}, r'variants\.bad is .* expected a list'),
    ({'recipe': 'kestrl'}, 'variant baseline: .*kestrl'),
    ({'baseline': 'none'}, "baseline is 'none', expected one of baseline, no-absent"),
    ({'folds': {'one': {'judge': ['eorvos*']}}}, r"folds\.one\.judge names 'eorvos\*', which fits "
                                                 'nothing'),
    ({'folds': {'one': {'judge': ['discs']}}}, 'discs has neither labels nor tracks'),
    ({'folds': {'one': {'leave_out': ['discs']}}}, r'folds\.one is .*expected \{judge'),
    ({'leave_out': ['nothing']}, "leave_out names 'nothing', which fits nothing"),
    ({'seeds': ['a']}, r"seeds is \['a'\], expected whole numbers"),
    ({'tracks_a_clip': 0}, 'tracks_a_clip is 0, expected a whole number above 0')])
def test_a_study_that_cannot_be_is_refused_in_one_line(place, changes, message):
    with pytest.raises(StudyError, match=message) as refused:
        read(place, **changes)
    assert '\n' not in str(refused.value) and 'changed.yaml' in str(refused.value)


def test_no_pool_and_no_file(place, capsys):
    with pytest.raises(StudyError, match='is no training pool: expected stills/ or clips/'):
        read_study('ablation', place / 'tracks')
    assert study.main(['nothing.yaml', '--data', str(place), '--output', str(place / 'x')]) == 2
    assert 'give one of ablation, sources' in capsys.readouterr().err
    assert study.main([str(place / 'study.yaml'), '--data', str(place / 'pool'), '--output',
                       str(place / 'x'), '--sequences', str(place)]) == 2
    assert 'give --bundles' in capsys.readouterr().err


def test_what_a_run_is_judged_on_it_never_sees(place):
    made = read(place, leave_out=['moving'])
    labelled, tracked = made.folds['labelled'], made.folds['self-labelled']
    assert labelled.labelled == ('moving',) and labelled.leave_out == ()     # held out instead
    assert tracked.tracked == ('plain',) and tracked.leave_out == ('discs', 'moving', 'plain')
    bench = study_cells.Bench(place / 'pool', place / 'x', place / 'tracks', processes=2)
    command = train_command(made, bench, Cell('no-absent', 'labelled', 7))
    assert command[1:6] == ['-m', 'torch.distributed.run', '--standalone', '--nproc-per-node', '2']
    text = ' '.join(command)
    assert '--hold-out moving' in text and 'pairs.absent=0 train.seed=7' in text
    clips = judged_clips(place / 'pool', [], ['plain'], place / 'tracks', 1)
    assert list(clips) == ['plain#1'] and len(clips['plain#1']) == 10      # the one that moves


def test_studies_of_the_package_name_fields_that_recipes_have():
    assert known_studies() == ('ablation', 'sources')
    for name in known_studies():
        content = yaml.safe_load((FOLDER / f'{name}.yaml').read_text())
        recipes = [read_recipe(content['recipe'], [*content['set'], *changes])
                   for changes in content['variants'].values()]
        assert len({repr(recipe) for recipe in recipes}) == len(recipes)


def options(place: Path, output: Path, file: str = 'study.yaml') -> list[str]:
    return [str(place / file), '--data', str(place / 'pool'), '--tracks', str(place / 'tracks'),
            '--output', str(output)]


@pytest.fixture
def launches(monkeypatch):
    """
    Runs train in this process, which saves loading torch for each; the third is interrupted.

    :returns: names of the runs that were begun, and handlers of signals are as they were.
    """
    begun = []
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def run(command, log, lock):
        begun.append(log.parent.name)
        assert command[:3] == [sys.executable, '-m', 'lorat_ros.tools.train']
        if len(begun) != 3:
            return cli.main(['train', *command[3:]])
        with pytest.MonkeyPatch.context() as patch:      # it has two of three steps, no bundle
            patch.setattr(training_command, 'finish', interrupted)
            cli.main(['train', *command[3:], '--steps', '2'])
        raise KeyboardInterrupt

    def interrupted(*about):
        raise KeyboardInterrupt
    monkeypatch.setattr(study_cells, 'run_logged', run)
    yield begun
    for number, handler in handlers.items():
        signal.signal(number, handler)


def test_what_is_finished_is_not_made_again_and_tables_say_what_runs_say(place, tmp_path, launches,
                                                                         capsys):
    assert study.main(options(place, tmp_path)) == 130
    assert 'the same command goes on' in capsys.readouterr().err
    assert (tmp_path / 'table.md').read_text().count('2 of 4 runs') == 1
    assert study.main(options(place, tmp_path)) == 0
    text = (tmp_path / 'table.md').read_text()
    said = capsys.readouterr().out
    assert said.count('going on from step 2') == 1 and text in said
    names = [f'{fold}_{variant}_0' for fold in ('labelled', 'self-labelled')
             for variant in ('baseline', 'no-absent')]
    assert launches == [*names[:3], *names[2:]]
    cells = [json.loads((tmp_path / 'cells' / n / 'cell.json').read_text()) for n in names]
    with (tmp_path / 'table.csv').open() as lines:
        rows = {(r['variant'], r['fold']): r for r in csv.DictReader(lines)}
    for cell in cells:
        row = rows[cell['variant'], cell['fold']]
        for name in (*FAULTS, 'faults'):
            assert float(row[name]) == pytest.approx(cell[name], abs=1e-3)
        for name in ('roc', 'roc_faults', 'roc_covered', 'overlap'):
            assert row[name] == ('' if cell[name] is None else str(round(cell[name], 3)))
        assert bool(row['overlap']) == (cell['fold'] == 'labelled')
    mean, base = (np.mean([c['plain'] for c in cells if c['variant'] == v])
                  for v in ('no-absent', 'baseline'))
    assert f'| no-absent | 2 | {mean:.1f} |' in text
    assert f'| no-absent | pairs.absent=0 | {mean - base:+.1f} ± ' in text
    assert (tmp_path / 'table.png').stat().st_size > 1000
    assert not list(tmp_path.glob('cells/*/run/last.pt'))

    (place / 'other.yaml').write_text(yaml.safe_dump({**CONTENT, 'set': [*TINY, 'train.ema=0']}))
    assert study.main(options(place, tmp_path, 'other.yaml')) == 2
    assert 'was made otherwise (changes [' in capsys.readouterr().err
    assert len(launches) == 5


SLOW_TO_END = """
import signal, sys, time
def end(number, frame):
    time.sleep(0.3)
    print('saved')
    sys.exit(130)
signal.signal(signal.SIGTERM, end)
print('begun', flush=True)
time.sleep(100)
"""
STUDY_OF_IT = """
import signal, sys
from pathlib import Path
from lorat_ros.training import study, study_cells
signal.signal(signal.SIGTERM, study.interrupt)
with study_cells.alone(Path(sys.argv[1])) as lock:
    study_cells.run_logged([sys.executable, '-c', sys.argv[2]], Path(sys.argv[1]) / 'log', lock)
"""


def test_a_study_that_is_ended_waits_until_its_run_has_saved(tmp_path):
    log = tmp_path / 'log'
    with subprocess.Popen([sys.executable, '-c', STUDY_OF_IT, tmp_path, SLOW_TO_END],
                          stderr=subprocess.PIPE, text=True) as process:
        while not (log.is_file() and log.read_text()) and process.poll() is None:
            time.sleep(0.02)
        with pytest.raises(StudyError, match='another study is at work'), alone(tmp_path):
            pass
        process.terminate()
        assert 'KeyboardInterrupt' in process.communicate()[1]
    assert log.read_text().split() == ['begun', 'saved']
    with alone(tmp_path):
        pass


def test_a_run_that_fails_is_named_and_the_others_are_made(place, tmp_path, capsys, monkeypatch):
    made = read(place, folds={'one': {'judge': ['moving']}})
    done = {'plain': 50.0, 'faults': 40.0, 'roc': None, 'roc_faults': 60.0, 'roc_covered': 70.0,
            'overlap': 30.0}

    def make(study_, bench, cell, lock):
        if cell.variant == 'baseline':
            raise study_cells.CellError(f'{cell.name}: lorat train ended with 2: why')
        return {**cell._asdict(), **done}
    monkeypatch.setattr(study, 'make', make)
    failures = study.run_study(made, study_cells.Bench(place / 'pool', tmp_path), 0)
    assert failures == ['one_baseline_0: lorat train ended with 2: why']
    assert '1 of 2 runs are finished' in capsys.readouterr().out


def test_differences_are_of_the_same_fold_and_seed(place):
    made = read(place, seeds=[0, 1], folds={'a': {'judge': ['moving']}, 'b': {'judge': ['plain']}})
    rest = {'faults': 40.0, 'roc': None, 'roc_faults': 60.0, 'roc_covered': 70.0,
            'overlap': None}
    results = [{'variant': v, 'fold': f, 'seed': s, 'plain': plain, **rest}
               for v, f, s, plain in (('baseline', 'a', 0, 50.0), ('baseline', 'a', 1, 54.0),
                                      ('baseline', 'b', 0, 10.0), ('no-absent', 'a', 0, 51.0),
                                      ('no-absent', 'a', 1, 57.0), ('no-absent', 'b', 1, 90.0))]
    text = text_of(made, results)
    assert '| no-absent | pairs.absent=0 | +2.0 ± 1.0 | +0.0 ± 0.0 | – | +0.0 ± 0.0 |' in text
    assert '| baseline | 3 | 42.0 ± 17.0 |' in text       # seeds: 30 and 54
    assert '| a | 1 labelled clips | 52.0 / 40.0 | 54.0 / 40.0 |' in text


def test_bundles_are_judged_once_and_looks_are_noted(place, tmp_path, capsys):
    sequences = tmp_path / 'sequences' / 'one'
    shutil.copytree(place / 'pool' / 'clips' / 'moving', sequences / 'img',
                    ignore=lambda folder, names: [n for n in names if not n.endswith('.jpg')])
    shutil.copy(place / 'pool' / 'clips' / 'moving' / 'boxes.csv',
                sequences / 'groundtruth_rect.txt')
    command = [str(place / 'study.yaml'), '--data', str(place / 'pool'), '--tracks',
               str(place / 'tracks'), '--output', str(tmp_path / 'out'), '--bundles',
               f'first={DEFAULT_MODEL}', DEFAULT_MODEL, '--sequences', str(sequences.parent)]
    for _ in range(2):
        assert study.main(command) == 0
    with (tmp_path / 'out' / 'looks.csv').open() as lines:
        looks = list(csv.DictReader(lines))
    assert [look['bundle'] for look in looks] == ['first', DEFAULT_MODEL]
    with (tmp_path / 'out' / 'bundles.csv').open() as lines:
        rows = list(csv.DictReader(lines))
    assert len(rows) == 2 and float(rows[0]['test']) == float(looks[0]['success']) > 0
    assert float(rows[0]['plain']) == pytest.approx(
        (float(rows[0]['fold labelled']) + float(rows[0]['fold self-labelled'])) / 2, abs=1e-2)
    assert 'Rank correlation' in capsys.readouterr().out
    assert study.main([*command[:7], '--bundles', 'a=b', 'a=c']) == 2


def test_score_area_pools_frames_and_leaves_doubtful_ones_out():
    good = np.array([0.9, 0.3]), np.array([0.8, 0.1])          # 0.3 is neither good nor lost
    lost = np.array([0.0, 0.0]), np.array([0.9, 0.5])
    assert score_area([good, lost]) == 0.5
    assert np.isnan(score_area([good]))


def test_rank_correlation():
    assert rank_correlation([1, 2, 3], [10, 20, 40]) == pytest.approx(1)
    assert rank_correlation([1, 2, 3], [3, 2, 1]) == pytest.approx(-1)
    assert np.isnan(rank_correlation([1, 1], [1, 2]))
