# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The program `lorat` as a program: help, errors in one line, and what it must not load."""

from __future__ import annotations

import importlib
import subprocess
import sys

import pytest

import lorat_ros
from lorat_ros.tools.cli import COMMANDS


def lorat(*arguments: str) -> subprocess.CompletedProcess:
    """Run the program in a process of its own."""
    return subprocess.run([sys.executable, '-m', 'lorat_ros.tools.cli', *arguments],
                          capture_output=True, text=True, timeout=60)


def test_help_lists_every_subcommand() -> None:
    done = lorat('--help')
    assert done.returncode == 0
    for name, (_, text) in COMMANDS.items():
        assert name in done.stdout.split() and text in done.stdout


def test_version() -> None:
    assert lorat('--version').stdout.strip() == lorat_ros.__version__


@pytest.mark.parametrize('name', COMMANDS)
def test_every_subcommand_keeps_the_contract(name: str) -> None:
    module = importlib.import_module(COMMANDS[name][0])
    assert COMMANDS[name][1] == module.HELP
    assert callable(module.add_arguments) and callable(module.run)


@pytest.mark.parametrize('name', COMMANDS)
def test_every_subcommand_has_help(name: str) -> None:
    done = lorat(name, '--help')
    assert (done.returncode, done.stderr) == (0, '')
    assert f'usage: lorat {name}' in done.stdout


def test_help_loads_nothing_heavy() -> None:
    code = ('import sys\nfrom lorat_ros.tools.cli import main\n'
            'try:\n    main(["--help"])\nexcept SystemExit:\n    pass\n'
            'print(sorted({"cv2", "numpy", "torch", "rclpy", "onnxruntime"} & set(sys.modules)))')
    done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, timeout=60)
    assert done.stdout.splitlines()[-1] == '[]', done.stdout + done.stderr


@pytest.mark.parametrize(('arguments', 'complaint'), [
    ((), 'COMMAND'), (('fly',), "invalid choice: 'fly'"), (('track',), 'VIDEO|FOLDER'),
    (('track', '/nowhere'), '/nowhere does not exist'),
    (('demo', '--init', '1,2,3,4'), '--video'),
    (('demo', '--video', '/nowhere', '--init', '1,2,3,4'), '/nowhere does not exist')])
def test_errors_are_one_line_and_status_2(arguments: tuple[str, ...], complaint: str) -> None:
    done = lorat(*arguments)
    assert done.returncode == 2
    assert complaint in done.stderr.splitlines()[-1]
    assert 'Traceback' not in done.stderr
