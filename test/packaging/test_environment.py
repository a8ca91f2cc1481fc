# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""`make env`: what it says when something is missing, what it logs, and its second run."""

from __future__ import annotations

import ast
import fcntl
import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[2]
UNDERLAY = ROOT / 'underlay'
# The Python that a person runs `make env` with: the one that .venv was made from, not .venv's own.
SYSTEM_PYTHON = Path(sys.base_prefix, 'bin', f'python3.{sys.version_info.minor}')
# A link leads to another checkout's environment, which is not to be made this one's.
OWN_ENVIRONMENT = Path(sys.prefix) == ROOT / '.venv' and not (ROOT / '.venv').is_symlink()


@pytest.fixture
def underlay(monkeypatch: pytest.MonkeyPatch) -> dict[str, ModuleType]:
    """The modules that build the environment, imported as the script imports them."""
    monkeypatch.syspath_prepend(str(UNDERLAY))
    names = ('builder', 'environment', 'journal', 'prerequisites')
    modules = {name: __import__(name) for name in names}
    for name in names:
        monkeypatch.delitem(sys.modules, name)  # no other test sees modules of such plain names
    return modules


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout without an environment."""
    root = tmp_path / 'checkout'
    root.mkdir()
    shutil.copytree(UNDERLAY, root / 'underlay', ignore=shutil.ignore_patterns('__pycache__'))
    shutil.copy(ROOT / 'Makefile', root)
    return root


@pytest.fixture
def tools(tmp_path: Path) -> Path:
    """A folder to be the whole PATH: the few programs that every machine has, and make."""
    folder = tmp_path / 'tools'
    folder.mkdir()
    for name in ('sh', 'make', 'env', 'echo'):
        program = shutil.which(name)
        assert program, f'{name} is needed to run this test'
        (folder / name).symlink_to(program)
    return folder


def make_env(checkout: Path, path: Path, *arguments: str, **variables: str,
             ) -> subprocess.CompletedProcess:
    """Run `make env` as on a machine that has only the programs in `path`."""
    return subprocess.run([path / 'make', 'env', *arguments], cwd=checkout, timeout=60,
                          env={'PATH': str(path), 'HOME': str(checkout), **variables},
                          stdin=subprocess.DEVNULL, capture_output=True, text=True)


def assert_refused(result: subprocess.CompletedProcess, *words: str) -> None:
    """It failed with one clear message, without a traceback, and said these words."""
    assert result.returncode != 0
    assert 'Traceback' not in result.stderr
    for word in words:
        assert word in result.stderr


def test_no_python(checkout: Path, tools: Path) -> None:
    assert_refused(make_env(checkout, tools), 'no python3 on PATH', 'apt install python3-venv')


def test_no_compiler(checkout: Path, tools: Path) -> None:
    result = make_env(checkout, tools, f'PYTHON={SYSTEM_PYTHON}')
    assert_refused(result, 'no g++ on PATH', 'sudo apt install g++')
    assert not (checkout / '.venv').exists()


def test_a_foreign_environment_is_left_alone(checkout: Path) -> None:
    (checkout / '.venv' / 'bin').mkdir(parents=True)
    result = subprocess.run([SYSTEM_PYTHON, checkout / 'underlay' / 'environment.py'],
                            env={'PATH': '/usr/bin:/bin'}, capture_output=True, text=True)
    assert_refused(result, '.venv is there, but `make env` did not make it')
    assert [path.name for path in (checkout / '.venv').iterdir()] == ['bin']


def test_sourced_ros_of_another_python(checkout: Path, tools: Path) -> None:
    result = make_env(checkout, tools, f'PYTHON={SYSTEM_PYTHON}', ROS_DISTRO='humble',
                      AMENT_PREFIX_PATH='/opt/ros/of_another_python')
    assert_refused(result, 'ROS 2 humble is sourced', 'cannot import its rclpy',
                   'make env PYTHON=')


def test_waits_for_another_run(checkout: Path, tools: Path) -> None:
    handle = os.open(checkout / 'underlay', os.O_RDONLY)
    fcntl.flock(handle, fcntl.LOCK_EX)
    process = subprocess.Popen([SYSTEM_PYTHON, checkout / 'underlay' / 'environment.py'],
                               env={'PATH': str(tools)}, stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE, text=True)
    try:
        assert process.stdout
        assert 'another run is at work here' in process.stdout.readline()
        assert process.poll() is None
    finally:
        os.close(handle)
    assert 'no g++ on PATH' in process.communicate(timeout=30)[1]  # now it is its turn


def test_old_pythons_can_read_the_script_and_are_told(underlay: dict[str, ModuleType]) -> None:
    ast.parse((UNDERLAY / 'environment.py').read_text(), feature_version=(3, 6))
    complaint = underlay['environment'].python_complaint
    assert 'this is Python 3.9' in complaint((3, 9))
    assert '3.10 to 3.13' in complaint((3, 14))
    assert 'make env PYTHON=python3.12' in complaint((3, 8), ['python3.12', 'python3.10'])
    assert [complaint((3, minor)) for minor in range(10, 14)] == [None] * 4


def test_real_old_python(checkout: Path) -> None:
    names = [f'python3.{minor}' for minor in range(6, 10)]
    found = [path for name in names if (path := shutil.which(name))]
    siblings = SYSTEM_PYTHON.parents[2]  # pyenv keeps its versions side by side
    found += [str(path) for name in names for path in siblings.glob(f'*/bin/{name}')]
    if not found:
        pytest.skip('no Python 3.6 to 3.9 on this machine')
    result = subprocess.run([found[-1], checkout / 'underlay' / 'environment.py'],
                            capture_output=True, text=True, stdin=subprocess.DEVNULL)
    assert_refused(result, 'but lorat_ros needs 3.10 to 3.13')


def test_other_machines(underlay: dict[str, ModuleType], tmp_path: Path) -> None:
    prerequisites = underlay['prerequisites']
    prerequisites.check_platform('Linux', 'x86_64')
    with pytest.raises(prerequisites.Problem, match='(?s)aarch64.*source /opt/ros/'):
        prerequisites.check_platform('Linux', 'aarch64')
    with pytest.raises(prerequisites.Problem, match='module ensurepip.*apt install python3-venv'):
        prerequisites.check_venv(lambda name: None if name == 'ensurepip' else object())
    with pytest.raises(prerequisites.Problem, match='Python.h is missing.*install python3-dev'):
        prerequisites.check_headers(tmp_path)
    with pytest.raises(prerequisites.Problem, match='apt install ros-jazzy-vision-msgs'):
        prerequisites.check_ros('jazzy', lambda name: not name.startswith('vision_msgs'))


def test_being_inside_the_environment_is_not_sourced(
        underlay: dict[str, ModuleType], tmp_path: Path) -> None:
    sourced_ros = underlay['prerequisites'].sourced_ros
    own = {'ROS_DISTRO': 'kilted', 'AMENT_PREFIX_PATH': str(tmp_path)}
    assert sourced_ros({}, tmp_path) is None
    assert sourced_ros(own, tmp_path) is None
    assert sourced_ros({**own, 'AMENT_PREFIX_PATH': f'{tmp_path}:/opt/ros/kilted'},
                       tmp_path) == 'kilted'


def test_steps_are_done_once_and_again_when_their_inputs_change(
        underlay: dict[str, ModuleType], tmp_path: Path) -> None:
    journal_module, done = underlay['journal'], []
    inputs = tmp_path / 'inputs.txt'
    steps = [journal_module.Step('one', 'first', ['fixed'], lambda step: done.append(step.name)),
             journal_module.Step('two', 'second', [inputs], lambda step: done.append(step.name))]
    journal = journal_module.Journal(tmp_path / 'journal', os.environ)
    assert journal.perform(steps) == 2
    assert journal.perform(steps) == 0
    inputs.write_text('changed')
    assert journal.perform(steps) == 1
    assert done == ['one', 'two', 'two']


def test_a_failed_step_shows_its_log_without_noise_and_is_repeated(
        underlay: dict[str, ModuleType], tmp_path: Path) -> None:
    journal_module = underlay['journal']
    journal = journal_module.Journal(tmp_path / 'journal', os.environ)
    script = tmp_path / 'script.py'
    script.write_text('print("Location x is ignored: it is neither a file nor a directory.")\n'
                      'print("disk full")\nraise SystemExit(3)\n')
    step = journal_module.Step(
        'bad', 'a bad step', [],
        lambda step: journal.run(step, [sys.executable, script], 'Make room.'))
    with pytest.raises(underlay['journal'].Problem) as caught:
        journal.perform([step])
    message = str(caught.value)
    assert 'exit status 3' in message and 'disk full' in message and 'Make room.' in message
    assert str(journal.log(step)) in message
    assert 'is ignored' not in message
    assert 'is ignored' in journal.log(step).read_text()
    assert not journal.is_done(step) and not journal.is_broken([step])


def test_a_step_killed_half_way_is_noticed(
        underlay: dict[str, ModuleType], tmp_path: Path) -> None:
    journal_module = underlay['journal']

    def killed(step: object) -> None:
        raise KeyboardInterrupt

    journal = journal_module.Journal(tmp_path / 'journal', os.environ)
    fragile, sturdy = (journal_module.Step(name, name, [], killed, interruptible)
                       for name, interruptible in (('pip', False), ('cmake', True)))
    for step in (sturdy, fragile):
        with pytest.raises(KeyboardInterrupt):
            journal.perform([step])
        assert not journal.is_done(step)
    assert journal.is_broken([sturdy, fragile])
    assert not journal.is_broken([sturdy])


@pytest.mark.skipif(not OWN_ENVIRONMENT, reason='not run by the .venv of `make env`')
def test_the_second_run_does_nothing() -> None:
    def run() -> str:
        return subprocess.run(['make', 'env', f'PYTHON={SYSTEM_PYTHON}'], cwd=ROOT, check=True,
                              stdin=subprocess.DEVNULL, capture_output=True, text=True).stdout

    run()  # whoever edits sources while the tests run gets their step done here
    records = ROOT / '.venv' / '.environment'
    before = {path: path.stat().st_mtime_ns for path in records.iterdir()}
    assert '.venv is up to date' in run()
    assert {path: path.stat().st_mtime_ns for path in records.iterdir()} == before
