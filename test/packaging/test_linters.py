# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""underlay/ament_lint.py: linters that are here run and are believed, absent ones are named."""
from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[2] / 'underlay' / 'ament_lint.py'


def lint(folder: Path) -> subprocess.CompletedProcess[str]:
    """Run it with the modules of a folder first on the path."""
    return subprocess.run([sys.executable, SCRIPT], capture_output=True, text=True, timeout=300,
                          env={**os.environ, 'PYTHONPATH': f'{folder}'})


@pytest.fixture
def linters(tmp_path: Path) -> Path:
    """Three linters; each writes its arguments down and passes, but flake8 if `bad` is there."""
    for name in ('ament_flake8', 'ament_pep257', 'ament_xmllint'):
        (tmp_path / name).mkdir()
        (tmp_path / name / '__init__.py').touch()
        (tmp_path / name / 'main.py').write_text(
            'import pathlib, sys\n'
            'here = pathlib.Path(__file__).parent\n'
            '(here / "arguments").write_text(" ".join(sys.argv[1:]))\n'
            'sys.exit("a.py:1:1: W1 bad" if (here / "bad").exists() else 0)\n')
    return tmp_path


def test_what_passes(linters: Path) -> None:
    done = lint(linters)
    assert done.returncode == 0, done.stdout
    assert 'ament_flake8: passed' in done.stdout and 'ament_pep257: passed' in done.stdout
    given = (linters / 'ament_flake8' / 'arguments').read_text().split()
    assert given[:2] == ['--config', 'underlay/flake8.ini'] and 'lorat_ros' in given


def test_a_complaint_is_shown_and_the_others_run_all_the_same(linters: Path) -> None:
    (linters / 'ament_flake8' / 'bad').touch()
    done = lint(linters)
    assert done.returncode == 1
    assert 'ament_flake8: a.py:1:1: W1 bad' in done.stdout
    assert 'ament_pep257: passed' in done.stdout


def test_what_is_absent_is_named(tmp_path: Path) -> None:
    probe = 'import importlib.util as u; print(u.find_spec("ament_pep257") is None)'
    if subprocess.run([sys.executable, '-c', probe], capture_output=True, text=True
                      ).stdout.strip() != 'True':
        pytest.skip('ament_pep257 is here')
    assert 'ament_pep257: not here (apt install ros-$ROS_DISTRO-ament-pep257)' in \
        lint(tmp_path).stdout
