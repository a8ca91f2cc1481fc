# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What is remembered of a build that failed, and for how long."""
from __future__ import annotations

from pathlib import Path

import pytest

import lorat_ros
from lorat_ros.engines import tensorrt
from lorat_ros.engines.plan_failure import Attempt
from lorat_ros.engines.session import EngineError
from lorat_ros.models.catalog import find_bundle


@pytest.fixture
def attempt(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    """Make an attempt on a machine with a GPU."""
    def make(version: str = 'tensorrt 10.3 Orin 8.7', precision: str = 'auto',
             frames: tuple = ('clip',), package: str = '1.0') -> Attempt:
        monkeypatch.setattr(tensorrt, 'version', lambda: version)
        monkeypatch.setattr(lorat_ros, '__version__', package)
        return Attempt(find_bundle(), 'tensorrt', precision, frames, tmp_path)
    return make


def test_a_failure_is_kept_with_its_reason_versions_and_date(attempt) -> None:
    assert attempt().failure() is None
    attempt().remember('no memory')
    failure = attempt().failure()
    assert failure.why == 'no memory' and failure.frames == ['clip']
    assert failure.versions == 'tensorrt 10.3 Orin 8.7, lorat_ros 1.0'
    assert str(failure) == (f'on {failure.when} it failed with tensorrt 10.3 Orin 8.7, '
                            'lorat_ros 1.0: no memory')


@pytest.mark.parametrize('change', [
    {'version': 'tensorrt 10.16 Orin 8.7'}, {'version': 'tensorrt 10.3 Thor 10.1'},
    {'package': '1.1'}, {'frames': ()}, {'frames': ('another',)}, {'precision': 'fp16'}])
def test_whatever_may_cure_it_is_another_chance(attempt, change: dict) -> None:
    attempt().remember('no memory')
    assert attempt(**change).failure() is None
    assert attempt().failure() is not None      # back again it is as it was


def test_a_success_forgets_it(attempt) -> None:
    attempt().forget()
    attempt().remember('no memory')
    attempt().forget()
    assert attempt().failure() is None


@pytest.mark.parametrize('text', ['', 'null', '[]', '{}', '{"why": "x"}', '\x00'])
def test_what_cannot_be_read_is_nothing(attempt, tmp_path: Path, text: str) -> None:
    attempt().remember('no memory')
    next(tmp_path.glob('*/failed.json')).write_text(text)
    assert attempt().failure() is None


def test_a_cache_that_cannot_be_written_remembers_nothing(attempt, tmp_path: Path) -> None:
    (tmp_path / 'file').write_text('')
    lost = Attempt(find_bundle(), 'tensorrt', 'auto', (), tmp_path / 'file') if attempt() else None
    lost.remember('no memory')
    assert lost.failure() is None


def test_without_a_gpu_there_is_no_attempt(monkeypatch: pytest.MonkeyPatch) -> None:
    def version() -> str:
        raise EngineError('no GPU')
    monkeypatch.setattr(tensorrt, 'version', version)
    with pytest.raises(EngineError, match='no GPU'):
        Attempt(find_bundle(), 'tensorrt', 'auto', ())
