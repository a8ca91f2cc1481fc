# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The figures of disturbed sequences, on lives written down by hand, and the command."""
from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
from lorat_ros.tools import cli
from lorat_ros.tools.disturb import Event, HIDDEN_FOR, HIDE_AT
from lorat_ros.tools.evaluate_disturb import (figures_of, Life, REPORT_IN, RETURN_IN, Tally,
                                              tally_of, text_of, wilson)
from support.sequences import write_sequence

N = 200
HIDDEN = Event('hidden', 30, 60)
JUMP = Event('jump', 100, 100)


def life(*wrong: tuple[int, int], unseen: tuple = (), events: tuple = (HIDDEN,)) -> Life:
    """A perfect life, but for wrong boxes and for none at all in these runs of frames."""
    visible = np.ones(N, bool)
    for event in events:
        visible[event.start:event.end] = False
    tracking, overlap = visible.copy(), np.where(visible, 0.9, 0.0)
    for start, end in unseen:
        tracking[start:end] = False
        overlap[start:end] = 0.0
    raw = overlap.copy()
    for start, end in wrong:
        tracking[start:end], overlap[start:end], raw[start:end] = True, 0.05, 0.05
    return Life(tracking, overlap, raw, np.where(tracking, 0.9, 0.1), visible, np.ones(N, bool),
                0, events)


@pytest.mark.parametrize(('lived', 'expected'), [
    (life(), Tally(199, 0, 1, 1, 1, 1, 169, 169)),
    # A wrong box for the whole of what hides it: a loss that nobody reports.
    (life((30, 60)), Tally(199, 30, 1, 0, 1, 1, 169, 169)),
    # For a moment only: still wrong, but said in time.
    (life((30, 35)), Tally(199, 5, 1, 1, 1, 1, 169, 169)),
    # Something else is followed while the target is to be seen, for longer than half a second.
    (life((120, 121 + REPORT_IN)), Tally(199, 1 + REPORT_IN, 2, 1, 1, 1, 153, 153)),
    (life((120, 120 + REPORT_IN)), Tally(199, REPORT_IN, 2, 2, 1, 1, 154, 154)),
    # Found again only after two seconds.
    (life(unseen=((60, 60 + RETURN_IN),)), Tally(199, 0, 1, 1, 1, 0, 109, 109)),
    (life(unseen=((60, 59 + RETURN_IN),)), Tally(199, 0, 1, 1, 1, 1, 110, 110)),
    # Followed through a jump: never away.
    (life(events=(JUMP,)), Tally(199, 0, 0, 0, 0, 0, 199, 199)),
    (life(events=(JUMP,), unseen=((100, 130),)), Tally(199, 0, 0, 0, 1, 1, 169, 169)),
], ids=['perfect', 'never reported', 'reported', 'wrong for long', 'wrong shortly', 'late',
        'in time', 'jump followed', 'jump'])
def test_what_is_counted(lived: Life, expected: Tally) -> None:
    assert tally_of(lived) == expected


def test_what_is_right_and_not_published_is_not_kept() -> None:
    lived = life()
    lived.tracking[100:150] = False
    assert (tally_of(lived).good, tally_of(lived).kept) == (169, 119)


def test_a_target_that_is_gone_when_the_sequence_ends_was_no_return() -> None:
    late = Event('hidden', 170, 190)
    assert tally_of(life(events=(late,), unseen=((190, 200),))).absences == 0


def test_shares_and_their_table() -> None:
    lives = [life((30, 60)), life()]
    figures = figures_of(lives)
    assert figures['wrong'] == pytest.approx(30 / 398) and figures['reported'] == 0.5
    assert (figures['back'], figures['kept']) == (1.0, 1.0)
    assert math.isnan(figures_of([life(events=())])['back'])
    text = text_of(['one', 'two'], [[one] for one in lives], 'some model')
    assert 'losses reported within 0.5 s                         50.0 %  of      2' in text
    assert 'over 95 %  9 .. 91 %' in text and 'over 80 %  34 .. 100 %' in text
    assert [line.split()[0] for line in text.splitlines()[-2:]] == ['one', 'two']


def test_the_line_of_a_sequence_is_of_all_its_lives() -> None:
    lives = [[life((30, 60)), life(), life(), life()], [life()] * 4]
    text = text_of(['one', 'two'], lives, 'some model')
    assert text.splitlines()[0].endswith('each played 4 x')
    assert text.splitlines()[-2].split() == ['one', '3.8', '75.0', '100.0', '100.0']
    assert 'losses reported within 0.5 s                         87.5 %  of      8' in text


@pytest.mark.parametrize(('share', 'count', 'expected'), [
    (0.5, 10, (0.237, 0.763)), (1.0, 20, (0.839, 1.0)), (0.0, 20, (0.0, 0.161)),
    (math.nan, 0, (0.0, 1.0))])     # the first three: tables of Wilson's interval
def test_how_sure_a_share_is(share: float, count: int, expected: tuple) -> None:
    assert wilson(share, count) == pytest.approx(expected, abs=5e-4)


def test_the_command_lives_through_drawn_sequences(tmp_path: Path,
                                                   capsys: pytest.CaptureFixture) -> None:
    write_sequence(tmp_path / 'data' / 'disc', HIDE_AT + HIDDEN_FOR // 2,
                   lines=['44,44,33,33'] * (HIDE_AT + HIDDEN_FOR // 2))
    out = tmp_path / 'out.json'
    arguments = ['evaluate', str(tmp_path / 'data'), '--disturb', '--json', str(out)]
    assert cli.main(arguments) == 0
    assert 'frames with a wrong box published as tracking' in capsys.readouterr().out
    [report] = json.loads(out.read_text())
    assert (report['reacquire'], report['repeats']) == ('auto', 8)
    assert report['all']['frames'] == 8 * (HIDE_AT + HIDDEN_FOR // 2 - 1)
    assert set(report['sequences']) == {'disc'}
    assert cli.main([*arguments, '--repeats', '1']) == 0
    assert json.loads(out.read_text())[0]['all']['frames'] == HIDE_AT + HIDDEN_FOR // 2 - 1
    capsys.readouterr()
    assert cli.main([*arguments, '--repeats', '0']) == 2
    assert '--repeats 0, expected 1 or more' in capsys.readouterr().err
    assert cli.main([*arguments, '--output', str(tmp_path / 'x')]) == 2
    assert 'leave out --boxes, --results and --output' in capsys.readouterr().err
