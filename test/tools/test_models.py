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
    heading, *lines = capsys.readouterr().out.splitlines()
    assert heading.split() == list(models.HEADINGS)
    [line] = [line for line in lines if line.startswith(f'{DEFAULT_MODEL} *')]
    assert ' M ' in line and ' MB ' in line


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


def published_line(printed: str, name: str) -> str:
    """The line of a published tracker, out of the table's second part."""
    others = printed.split('Published trackers')[1]
    return next(line for line in others.splitlines() if line.startswith(f'{name} '))


def test_published_trackers_that_are_not_installed(capsys: pytest.CaptureFixture) -> None:
    main(['models'])
    printed = capsys.readouterr().out
    assert 'LoRAT-B-224' not in printed.split('Published trackers')[0]
    for name, words in (('LoRAT-g-378', '1145.0 M 1160.4 VastTrack SUC 46, VastTrack P 48.8'),
                        ('LiteTrack-B4', '35.8 M 9.8 GOT-10k AO 65.2, LaSOT AUC 62.5'),
                        ('FARTrack-pico', '3.0 M 1.7 GOT-10k AO 62.8'),
                        ('LoRAT-S-224', '22.2 M 8.0 - -')):      # configured, never published
        line = published_line(printed, name)
        assert words in ' '.join(line.split()) and line.split()[-1] == '-'


def test_licences_of_published_trackers_are_stated(capsys: pytest.CaptureFixture) -> None:
    main(['models'])
    licences = capsys.readouterr().out.split('licences')[1]
    assert 'LoRAT, ECCV 2024: not stated by the authors' in licences
    assert 'LiteTrack, ICRA 2024: MIT' in licences
    assert 'FARTrack, ICLR 2026: unclear' in licences and 'not for commercial use' in licences


def test_installed_bundles_stand_beside_what_they_were_made_of(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> None:
    for name in ('mine', 'other'):
        def change(manifest: dict, name: str = name) -> None:
            manifest.update(name=name, family='lorat', variant='b-224',
                            published={'VastTrack SUC': 38.7, 'macs': 29_820_000_000})
        (tmp_path / 'copies').mkdir(exist_ok=True)
        copy_of_default(tmp_path / 'copies', change).rename(tmp_path / name)
    monkeypatch.setenv('LORAT_MODELS', str(tmp_path))
    main(['models'])
    printed = capsys.readouterr().out
    assert published_line(printed, 'LoRAT-B-224').endswith('  mine, other')
    assert published_line(printed, 'LoRAT-B-378').endswith('  -')
    line = next(line for line in printed.splitlines() if line.startswith('mine'))
    assert 'VastTrack SUC 38.7 ' in line and 'macs' not in line


def test_no_model_at_all(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> None:
    monkeypatch.setattr(models, 'list_bundles', lambda: ([], []))
    assert main(['models']) == 1
    assert 'no model in' in capsys.readouterr().err


def test_columns_are_aligned() -> None:
    rows = [('a', 'long family', '1', '2', '-', '-', 'MIT', '/x'), ('b',) * 8]
    lines = models.table([models.HEADINGS, *rows]).splitlines()
    assert lines[0].index('parameters') == lines[1].index('1') == lines[2].index('b', 14)
