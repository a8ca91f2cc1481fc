# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Keys of package.xml: what rosdistro said of them; underlay/rosdep_keys.py asks it again."""
from __future__ import annotations

import importlib.util
import json
import re
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from catkin_pkg.package import parse_package

SCRIPT = Path(__file__).resolve().parents[2] / 'underlay' / 'rosdep_keys.py'


@pytest.fixture(scope='module')
def keys() -> ModuleType:
    spec = importlib.util.spec_from_file_location('rosdep_keys', SCRIPT)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope='module')
def recorded(keys: ModuleType) -> dict[str, Any]:
    return json.loads(keys.RECORD.read_text())


def test_every_key_was_found_for_every_distribution(keys: ModuleType, recorded: dict[str, Any],
                                                    repository: Path) -> None:
    names = keys.names_of(parse_package(str(repository)))
    assert sorted(recorded['keys']) == names, (
        'package.xml has changed: run underlay/rosdep_keys.py with --record')
    unknown = [(name, distribution) for name, by in recorded['keys'].items()
               for distribution in keys.UBUNTU if by.get(distribution) is None]
    assert not unknown
    assert re.fullmatch(r'[0-9a-f]{7,}, \d{4}-\d\d-\d\d', recorded['rosdistro'])


def test_what_comes_by_pip_is_what_the_readme_skips(recorded: dict[str, Any], repository: Path
                                                    ) -> None:
    by_pip = {name for name, by in recorded['keys'].items()
              if any(what.startswith('pip:') for what in by.values())}
    skipped = re.search(r'--skip-keys (\S+)', (repository / 'README.md').read_text())
    assert skipped is not None
    assert by_pip == {skipped[1]}
    assert all(name.endswith('-pip') for name in by_pip)


@pytest.mark.parametrize(('rule', 'expected'), [
    ({'ubuntu': ['python3-numpy']}, 'apt: python3-numpy'),
    ({'ubuntu': {'*': ['new'], 'jammy': ['old', 'older']}}, 'apt: old older'),
    ({'ubuntu': {'*': ['new'], 'focal': None}}, 'apt: new'),
    ({'ubuntu': {'*': ['new'], 'jammy': None}}, None),
    ({'ubuntu': {'noble': ['new']}}, None),
    ({'ubuntu': {'pip': {'packages': ['onnxruntime']}}}, 'pip: onnxruntime'),
    ({'ubuntu': {'*': {'pip': {'packages': ['onnxruntime']}}}}, 'pip: onnxruntime'),
    ({'ubuntu': []}, None),
    ({'debian': ['python3-numpy']}, None),
    (None, None),
])
def test_rules_are_read_as_rosdep_reads_them(keys: ModuleType, rule: Any, expected: str | None
                                             ) -> None:
    assert keys.resolve(rule, 'jammy') == expected


@pytest.fixture
def rosdistro(tmp_path: Path, keys: ModuleType) -> Path:
    """A tiny rosdistro: system packages, a repository of two ROS packages, an unreleased one."""
    (tmp_path / 'rosdep').mkdir()
    (tmp_path / 'rosdep' / 'base.yaml').write_text('cmake:\n  ubuntu: [cmake]\n')
    (tmp_path / 'rosdep' / 'python.yaml').write_text('python3-numpy:\n  ubuntu: [python3-numpy]\n')
    for distribution in keys.UBUNTU:
        (tmp_path / distribution).mkdir()
        (tmp_path / distribution / 'distribution.yaml').write_text(
            'repositories:\n'
            '  common:\n    release: {packages: [std_msgs, std_srvs], version: 5.3.6-1}\n'
            '  rclpy:\n    release: {version: 7.1.6-1}\n'
            '  young:\n    source: {type: git}\n')
    return tmp_path


def test_ros_packages_are_looked_up_among_what_is_released(keys: ModuleType, rosdistro: Path
                                                           ) -> None:
    found = keys.look_up(['std_msgs', 'rclpy', 'common', 'young', 'python3-numpy'], rosdistro)
    assert found['std_msgs']['humble'] == 'apt: ros-humble-std-msgs'
    assert found['rclpy']['jazzy'] == 'apt: ros-jazzy-rclpy'
    assert set(found['common'].values()) == set(found['young'].values()) == {None}
    assert set(found['python3-numpy'].values()) == {'apt: python3-numpy'}


def test_an_unknown_key_is_a_failure(keys: ModuleType, rosdistro: Path,
                                     capsys: pytest.CaptureFixture[str]) -> None:
    assert keys.main([str(rosdistro)]) == 1
    assert re.search(r'^vision_msgs +humble +UNKNOWN$', capsys.readouterr().out, re.M)


def test_a_folder_that_is_no_rosdistro_is_named(keys: ModuleType, tmp_path: Path,
                                                capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        keys.main([str(tmp_path)])
    assert 'no rosdep/python.yaml' in capsys.readouterr().err
