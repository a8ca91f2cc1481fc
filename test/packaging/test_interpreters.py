# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""underlay/interpreters.py: which Pythons it finds, and what it makes of pytest's answer."""
from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

UNDERLAY = Path(__file__).resolve().parents[2] / 'underlay'
HERE = f'{sys.version_info.major}.{sys.version_info.minor}'


@pytest.fixture
def interpreters(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    monkeypatch.syspath_prepend(str(UNDERLAY))
    spec = importlib.util.spec_from_file_location('interpreters', UNDERLAY / 'interpreters.py')
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    yield module


def command(path: Path, script: str) -> Path:
    """Write a program."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f'#!/bin/sh\n{script}\n')
    path.chmod(0o755)
    return path


def test_versions_are_those_that_are_promised(interpreters: ModuleType) -> None:
    assert interpreters.VERSIONS == ('3.10', '3.11', '3.12', '3.13')


def test_a_name_on_the_path_that_answers_with_an_error_is_passed_over(
        interpreters: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv('PATH', str(tmp_path / 'bin'))
    monkeypatch.setenv('PYENV_ROOT', str(tmp_path / 'pyenv'))
    assert interpreters.find(HERE) is None
    command(tmp_path / 'bin' / f'python{HERE}', 'echo "not this version" >&2; exit 127')
    assert interpreters.find(HERE) is None
    real = command(tmp_path / 'pyenv' / 'versions' / f'{HERE}.7' / 'bin' / 'python',
                   f'exec {sys.executable} "$@"')
    assert interpreters.find(HERE) == str(real)
    assert HERE not in interpreters.missing()


def test_one_of_another_version_is_none(interpreters: ModuleType, tmp_path: Path,
                                        monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv('PATH', str(tmp_path / 'bin'))
    monkeypatch.setenv('PYENV_ROOT', str(tmp_path / 'pyenv'))
    other = next(version for version in interpreters.VERSIONS if version != HERE)
    command(tmp_path / 'bin' / f'python{other}', f'exec {sys.executable} "$@"')
    assert interpreters.find(other) is None
    assert other in interpreters.missing()


def test_the_tests_and_those_left_out_are_there(interpreters: ModuleType) -> None:
    for path in (*interpreters.TESTS, *interpreters.WITH_TORCH):
        assert (interpreters.ROOT / path).exists()


def test_pytest_is_believed(interpreters: ModuleType, tmp_path: Path) -> None:
    good, bad = tmp_path / 'test_good.py', tmp_path / 'test_bad.py'
    good.write_text('def test_it():\n    pass\n')
    bad.write_text('def test_it():\n    assert False\n')
    status, said = interpreters.run(Path(sys.executable), [str(good)])
    assert status == 0 and '1 passed' in said
    status, said = interpreters.run(Path(sys.executable), [str(bad)])
    assert status == 1 and '1 failed' in said
