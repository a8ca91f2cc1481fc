# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Finding bundles by name and by folder."""
from __future__ import annotations

import pytest
from support.bundles import copy_of_default

from lorat_ros.models.bundle import BundleError
from lorat_ros.models.catalog import DEFAULT_MODEL, find_bundle, list_bundles, shipped_folder


@pytest.fixture(autouse=True)
def _only_shipped(monkeypatch, tmp_path):
    monkeypatch.delenv('LORAT_MODELS', raising=False)
    monkeypatch.setenv('XDG_DATA_HOME', str(tmp_path / 'data'))


@pytest.mark.parametrize('model', [None, '', DEFAULT_MODEL])
def test_the_default_is_found(model):
    assert find_bundle(model).path == shipped_folder() / DEFAULT_MODEL


def test_a_folder_is_taken_as_it_is(tmp_path):
    folder = copy_of_default(tmp_path)
    assert find_bundle(folder).path == folder
    assert find_bundle(str(folder)).path == folder


def test_the_users_folders_come_before_the_shipped_one(tmp_path, monkeypatch):
    folder = copy_of_default(tmp_path).rename(tmp_path / DEFAULT_MODEL)
    monkeypatch.setenv('LORAT_MODELS', str(tmp_path))
    assert find_bundle(DEFAULT_MODEL).path == folder
    assert find_bundle().path == shipped_folder() / DEFAULT_MODEL
    assert [b.path for b in list_bundles()[0]].count(folder) == 1


def test_an_unknown_name_lists_those_that_exist():
    words = rf"'owl' is not installed \(installed: .*{DEFAULT_MODEL}"
    with pytest.raises(BundleError, match=words):
        find_bundle('owl')


def test_a_folder_that_does_not_exist(tmp_path):
    with pytest.raises(BundleError, match='does not exist'):
        find_bundle(str(tmp_path / 'nothing'))


def test_a_damaged_bundle_is_reported_beside_the_good_ones(tmp_path, monkeypatch):
    (tmp_path / 'broken').mkdir()
    (tmp_path / 'broken' / 'model.json').write_text('{')
    monkeypatch.setenv('LORAT_MODELS', str(tmp_path))
    bundles, problems = list_bundles()
    assert DEFAULT_MODEL in [b.name for b in bundles]
    assert len(problems) == 1 and 'broken' in problems[0]


def test_a_folder_of_that_name_in_the_working_directory_is_no_model(tmp_path, monkeypatch):
    (tmp_path / DEFAULT_MODEL).mkdir()
    monkeypatch.chdir(tmp_path)
    assert find_bundle(DEFAULT_MODEL).path == shipped_folder() / DEFAULT_MODEL
    with pytest.raises(BundleError, match=r'holds no model\.json'):
        find_bundle(f'./{DEFAULT_MODEL}')
