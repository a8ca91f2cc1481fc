# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The workspace for the VOT toolkit: what is in it, and that it can be read back."""
from __future__ import annotations

import configparser
import shlex

import numpy as np
from support.sequences import truth_of, write_sequence

from lorat_ros.tools import vot
from lorat_ros.tools.sequences import load_clip
from lorat_ros.tools.sequences_layouts import find_sources
from lorat_ros.tools.vot_workspace import main


def test_every_stretch_with_a_target_becomes_a_sequence(tmp_path, capsys, monkeypatch):
    lines = truth_of(48)
    lines[22:25] = ['nan,nan,nan,nan'] * 3
    lines[47] = '0,0,0,0'
    write_sequence(tmp_path / 'data' / 'disc', 48, lines=lines)
    write_sequence(tmp_path / 'data' / 'short', 6)
    workspace = tmp_path / 'workspace'
    assert main([str(workspace), '--sequences', str(tmp_path / 'data'), '--model', 'owl']) == 0
    assert f'vot evaluate --workspace {workspace} lorat' in capsys.readouterr().out
    assert (workspace / 'sequences' / 'list.txt').read_text().split() == ['disc-1', 'disc-2']
    layout, sources = find_sources(workspace / 'sequences')
    clips = {source.name: load_clip(source) for source in sources}
    assert layout == 'plain' and {n: len(c) for n, c in clips.items()} == {'disc-1': 22,
                                                                           'disc-2': 22}
    assert clips['disc-2'].init_box == (44 + 4 * 25, 44, 33, 33)
    assert clips['disc-2'].files[0].resolve().name == '0026.png'
    anchors = np.loadtxt(workspace / 'sequences' / 'disc-1' / 'anchor.value')
    assert anchors.tolist() == [1] + [0] * 20 + [-1]
    # What the toolkit will start can be started with these arguments.
    ini = configparser.ConfigParser()
    ini.read(workspace / 'trackers.ini')
    command = shlex.split(ini['lorat']['command'])
    assert command[1:3] == ['-m', vot.__name__] and ini['lorat']['protocol'] == 'trax'
    monkeypatch.setattr(vot, 'load_tracker', lambda *args: args)
    monkeypatch.setattr(vot, 'serve', lambda tracker, trax: print(tracker[0]))
    monkeypatch.setattr(vot.importlib, 'import_module', lambda name: None)
    assert vot.main(command[3:]) == 0
    assert capsys.readouterr().out.strip() == 'owl'


def test_what_cannot_be_made_is_one_line(tmp_path, capsys):
    write_sequence(tmp_path / 'data' / 'disc')
    (tmp_path / 'full').mkdir()
    (tmp_path / 'full' / 'mine').touch()
    for workspace, complaint in (('full', 'is not empty'), ('new', 'none of the 1 sequences')):
        assert main([str(tmp_path / workspace), '--sequences', str(tmp_path / 'data')]) == 2
        error = capsys.readouterr().err
        assert error.startswith('lorat vot_workspace: ') and complaint in error
