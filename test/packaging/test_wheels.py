# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""underlay/wheels.py: what it asks pip. The answers need the network, so they are no test."""
from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from types import ModuleType

import pytest

SCRIPT = Path(__file__).resolve().parents[2] / 'underlay' / 'wheels.py'


@pytest.fixture(scope='module')
def wheels() -> ModuleType:
    spec = importlib.util.spec_from_file_location('wheels', SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_it_knows_what_setup_asks_for(wheels: ModuleType) -> None:
    known = wheels.requirements()
    assert any(one.startswith('onnxruntime') for one in known['core'])
    assert set(wheels.NODES) <= set(known)


def test_the_pythons_are_those_that_are_promised(wheels: ModuleType) -> None:
    promised = re.search(r"python_requires='>=([\d.]+)'", wheels.SETUP.read_text())[1]
    assert min(wheels.PYTHONS, key=lambda text: tuple(map(int, text.split('.')))) == promised


def test_only_wheels_of_that_machine_count(wheels: ModuleType) -> None:
    words = wheels.command(['numpy>=1.21.5'], '3.12', 'aarch64', '/nowhere')
    tags = [tag for before, tag in zip(words, words[1:]) if before == '--platform']
    assert tags and all(tag.endswith('_aarch64') for tag in tags)
    assert '--only-binary=:all:' in words and '--dry-run' in words
    abis = [abi for before, abi in zip(words, words[1:]) if before == '--abi']
    assert abis == ['cp312', 'abi3', 'none']
    assert words[-1] == 'numpy>=1.21.5'


@pytest.mark.parametrize(('said', 'expected'), [
    ('ERROR: Could not find a version that satisfies x\n'
     'ERROR: No matching distribution found for x>=2\n',
     'No matching distribution found for x>=2'),
    ('WARNING: old\nERROR: ResolutionImpossible: see\n', 'ResolutionImpossible: see'),
    ('', 'pip failed and said nothing'),
])
def test_the_line_that_says_most(wheels: ModuleType, said: str, expected: str) -> None:
    assert wheels.reason(said) == expected


def test_the_group_that_fails_is_named(wheels: ModuleType, monkeypatch: pytest.MonkeyPatch
                                       ) -> None:
    monkeypatch.setattr(wheels, 'ask', lambda wanted, *_: 'none there' if 'b' in wanted else '')
    assert wheels.missing({'core': ['a'], 'extra': ['b']}, '3.12', 'x86_64') == [
        'extra: none there']
    assert wheels.missing({'core': ['a']}, '3.12', 'x86_64') == []
