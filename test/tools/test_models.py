# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""`lorat models`: one line for each bundle, and a reason for each that cannot be read."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.bundles import copy_of_default

from lorat_ros.models.catalog import DEFAULT_MODEL
from lorat_ros.tools import models
from lorat_ros.tools.cli import main


def test_the_default_is_listed(capsys: pytest.CaptureFixture) -> None:
    assert main(['models']) == 0
    heading, line = capsys.readouterr().out.splitlines()[:2]
    assert heading.split() == list(models.HEADINGS)
    assert line.startswith(f'{DEFAULT_MODEL} *') and ' M ' in line and ' MB ' in line


def test_further_folders_and_broken_bundles(tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
                                            capsys: pytest.CaptureFixture) -> None:
    def rename(manifest: dict) -> None:
        manifest.update(name='copy', scores={'AUC': 51.5, 'on': 'words are no score'},
                        published={'AUC': 60})
    copy_of_default(tmp_path, rename)
    (tmp_path / 'broken').mkdir()
    (tmp_path / 'broken' / 'model.json').write_text('{')
    monkeypatch.setenv('LORAT_MODELS', str(tmp_path))
    assert main(['models']) == 1
    printed = capsys.readouterr()
    line = next(line for line in printed.out.splitlines() if line.startswith('copy'))
    assert 'AUC 51.5' in line and 'AUC 60' in line and str(tmp_path) in line
    assert str(tmp_path / 'broken' / 'model.json') in printed.err


def test_published_trackers_are_marked_as_not_installed(capsys: pytest.CaptureFixture) -> None:
    main(['models'])
    installed, others = capsys.readouterr().out.split('not part of this version')
    assert 'LoRAT-B-224' not in installed and 'LiteTrack' not in installed
    for name in ('LoRAT-g-378', 'LiteTrack-B4', 'FARTrack-pico'):
        assert name in others


def test_no_model_at_all(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> None:
    monkeypatch.setattr(models, 'list_bundles', lambda: ([], []))
    assert main(['models']) == 1
    assert 'no model in' in capsys.readouterr().err


def test_columns_are_aligned() -> None:
    rows = [('a', 'long family', '1', '2', '-', '-', 'MIT', '/x'), ('b',) * 8]
    lines = models.table([models.HEADINGS, *rows]).splitlines()
    assert lines[0].index('parameters') == lines[1].index('1') == lines[2].index('b', 14)
