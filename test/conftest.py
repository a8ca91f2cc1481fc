# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Shared by all tests: an isolated ROS 2 graph, and real nodes started and stopped properly."""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

REPOSITORY = Path(__file__).resolve().parents[1]
FIRST_DOMAIN, DOMAINS = 1, 100  # ids above 101 collide with Linux's ephemeral ports


def pytest_configure() -> None:
    """Give this session a graph of its own, before anything imports rclpy.

    The graph is kept apart by its domain alone: a discovery range of LOCALHOST makes rmw_fastrtps
    choose the transports itself, and large best-effort images are lost (measured at 720p: 18 to 30
    of 60 frames arrived, 57 to 60 without it).
    """
    for variable in ('ROS_LOCALHOST_ONLY', 'ROS_AUTOMATIC_DISCOVERY_RANGE', 'ROS_STATIC_PEERS',
                     'FASTDDS_BUILTIN_TRANSPORTS'):
        os.environ.pop(variable, None)
    old = os.environ.get('ROS_DISTRO') in ('humble', 'iron', 'jazzy')
    profiles = 'FASTRTPS_DEFAULT_PROFILES_FILE' if old else 'FASTDDS_DEFAULT_PROFILES_FILE'
    # The workers of pytest-xdist follow each other, so that no two have the same.
    run = os.environ.get('PYTEST_XDIST_TESTRUNUID', os.getpid())
    session = zlib.crc32(f'{socket.gethostname()} {run}'.encode()) + worker_number()
    os.environ.update({
        'ROS_DOMAIN_ID': str(FIRST_DOMAIN + session % DOMAINS),
        # By default large images are lost. Not LARGE_DATA: its TCP transport now and then hangs
        # for ever when a node is destroyed (Fast DDS 3.2, TCPChannelResourceBasic::disconnect).
        profiles: str(REPOSITORY / 'config' / 'fastdds.xml'),
        'PYTHONUNBUFFERED': '1',  # what a node printed before it died is in its log
    })
    # What is started in the background of a script ignores Ctrl-C, and its children do, too.
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    # By default idle threads of torch and of NumPy's OpenBLAS spin, at the cost of whatever else
    # the machine has to do.
    os.environ.setdefault('OMP_WAIT_POLICY', 'PASSIVE')
    os.environ.setdefault('OPENBLAS_NUM_THREADS', '1')
    # A test asserts what is right, never how long it took: by default an example that is kept
    # waiting for 200 ms fails.
    from hypothesis import HealthCheck, settings
    settings.register_profile('untimed', deadline=None,
                              suppress_health_check=[HealthCheck.too_slow])
    settings.load_profile('untimed')


def pytest_report_header() -> str:
    """Name the supported Pythons that this machine lacks; `make interpreters` runs the others."""
    if not (REPOSITORY / 'underlay').is_dir():      # a copy of this file, as in test_conftest.py
        return ''
    sys.path.insert(0, str(REPOSITORY / 'underlay'))
    try:
        from interpreters import missing
        absent = ', '.join(missing()) or 'none'
    finally:
        sys.path.pop(0)
    return f'Pythons: this is {sys.version.split()[0]}; of those supported not here: {absent}'


def worker_number() -> int:
    """This process's place among the workers of pytest-xdist; 0 where there are none."""
    return int(os.environ.get('PYTEST_XDIST_WORKER', 'gw0').removeprefix('gw'))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Never run two tests with real nodes at a time (only asked for with `-n`)."""
    from support.schedule import OneGraph
    config.option.loadscopereorder = False  # the order below counts, not the number of tests
    return OneGraph(config, log)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Where workers share the tests, begin with those that only one of them may run."""
    if hasattr(config, 'workerinput'):
        from support.schedule import turn
        items.sort(key=lambda item: turn(item.nodeid))


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Where workers share the tests, let those go first that start real nodes."""
    if hasattr(item.config, 'workerinput'):
        from support.schedule import give_way, uses_the_graph
        if not uses_the_graph(item.nodeid):
            give_way()


def executable(name: str) -> list[str]:
    """The command that starts one of the package's executables, as `ros2 run` would find it.

    Raises FileNotFoundError, naming the places looked in, if it is not installed.
    """
    prefixes = [sys.prefix, *os.environ.get('AMENT_PREFIX_PATH', '').split(os.pathsep)]
    places = [Path(prefix, 'lib', 'lorat_ros', name) for prefix in prefixes if prefix]
    for place in places:
        if place.is_file():
            return [sys.executable, str(place)]
    raise FileNotFoundError(f'executable {name!r} is not installed: looked for '
                            f'{", ".join(map(str, places))}; run `make env`')


class NodeProcess:
    """A real process in a session of its own; what it prints (stdout and stderr) goes to `log`."""

    def __init__(self, command: Sequence[str], log: Path, environment: Mapping[str, str]) -> None:
        """Start `command` at once with `environment` on top of this process's own."""
        self.command, self.log = list(command), log
        self._stream = log.open('wb')
        self.process = subprocess.Popen(
            self.command, stdin=subprocess.DEVNULL, stdout=self._stream, stderr=subprocess.STDOUT,
            start_new_session=True, env={**os.environ, **environment})

    @property
    def returncode(self) -> int | None:
        """None while it runs; negative when a signal ended it."""
        return self.process.poll()

    @property
    def output(self) -> str:
        """All it has printed so far."""
        return self.log.read_text(encoding='utf-8', errors='replace')

    def wait_for_output(self, text: str, timeout: float = 30.0) -> str:
        """Wait until it has printed `text` and return its output.

        Raises AssertionError if it ends first or takes longer than `timeout` seconds.
        """
        deadline = time.monotonic() + timeout
        while text not in self.output:
            if self.returncode is not None and text not in self.output:
                raise AssertionError(f'{self.command} ended with {self.returncode} before it '
                                     f'printed {text!r}:\n{self.output}')
            if time.monotonic() > deadline:
                raise AssertionError(
                    f'{self.command} did not print {text!r} in {timeout} s:\n{self.output}')
            time.sleep(0.02)
        return self.output

    def signal(self, number: int, group: bool = False) -> None:
        """Send a signal to the process, or to its whole group as a terminal's Ctrl-C does."""
        if self.returncode is not None:
            return
        left = self.segments() if number == signal.SIGKILL else set()
        (os.killpg if group else os.kill)(self.process.pid, number)
        if left:      # 70 MB each, that nobody else would ever give back
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(10.0)
            for name in left:
                for path in (Path('/dev/shm', name), Path('/dev/shm', f'{name}_el')):
                    path.unlink(missing_ok=True)

    def segments(self) -> set[str]:
        """Fast DDS's shared memory that is this process's own: the owner keeps its lock open."""
        names = set()
        with contextlib.suppress(OSError):      # it has ended
            for link in Path(f'/proc/{self.process.pid}/fd').iterdir():
                with contextlib.suppress(OSError):
                    names.add(os.readlink(link))
        locks = (re.fullmatch(r'/dev/shm/(fastdds_[0-9a-f]{16})_el', name) for name in names)
        return {lock[1] for lock in locks if lock}

    def wait(self, timeout: float = 15.0) -> int:
        """Wait until it ends by itself; returns its status or raises subprocess.TimeoutExpired."""
        return self.process.wait(timeout)

    def stop(self, timeout: float = 15.0, group: bool = False) -> int:
        """Interrupt it as Ctrl-C does and wait; returns the exit status.

        Raises AssertionError if it has to be killed: a node that does not stop leaves
        shared-memory segments behind and keeps the terminal of whoever started it.
        """
        self.signal(signal.SIGINT, group)
        try:
            return self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            self._kill()
            raise AssertionError(
                f'{self.command} did not stop within {timeout} s of SIGINT and was killed:\n'
                f'{self.output}') from None
        finally:
            if not self._stream.closed:
                self._stream.close()

    def _kill(self) -> None:
        for number, patience in ((signal.SIGTERM, 3.0), (signal.SIGKILL, 10.0)):
            self.signal(number, group=True)
            try:
                self.process.wait(patience)
                return
            except subprocess.TimeoutExpired:
                continue


class NodeProcesses:
    """What the fixture `node_process` gives a test: call it to start a process."""

    def __init__(self, folder: Path) -> None:
        """Keep the logs of all processes in `folder`."""
        self.folder, self.started, self._exit_codes = folder, [], {}

    def __call__(self, name: str | Sequence[str], *arguments: str,
                 environment: Mapping[str, str] | None = None,
                 exit_codes: Sequence[int] = (0,)) -> NodeProcess:
        """Start one of the package's executables by name, or any command given as a list.

        `exit_codes`: what it may end with; anything else fails the test when it is torn down.
        """
        command = executable(name) if isinstance(name, str) else list(name)
        log = self.folder / f'{len(self.started):02d}-{Path(command[-1]).name}.log'
        process = NodeProcess([*command, *arguments], log, environment or {})
        self.started.append(process)
        self._exit_codes[process] = tuple(exit_codes)
        return process

    def stop_all(self) -> list[str]:
        """Stop what still runs, the latest first; returns one complaint per bad end."""
        complaints = []
        for process in reversed(self.started):
            try:
                code = process.stop()
            except AssertionError as error:
                complaints.append(str(error))
                continue
            if code not in self._exit_codes[process]:
                complaints.append(f'{process.command} ended with {code}, expected one of '
                                  f'{self._exit_codes[process]}:\n{process.output}')
        return complaints


@pytest.fixture
def node_process(tmp_path: Path) -> Iterator[Callable[..., NodeProcess]]:
    """Start real nodes: `node = node_process('tracker_node', '--ros-args', '-p', 'threads:=1')`.

    Each is interrupted when the test ends; one that then ends badly or has to be killed fails the
    test. When the test fails, the output of every process is part of its report.
    """
    folder = tmp_path / 'processes'
    folder.mkdir()
    processes = NodeProcesses(folder)
    yield processes
    complaints = processes.stop_all()
    if complaints:
        pytest.fail('\n\n'.join(complaints), pytrace=False)


@pytest.fixture(scope='session')
def repository() -> Path:
    """The root of the source tree under test."""
    return REPOSITORY


def made_once(name: str, factory: pytest.TempPathFactory, make: Callable[[Path], object]) -> Path:
    """A folder that all workers of pytest-xdist share: the first to ask makes what is in it."""
    base = factory.getbasetemp()
    folder = (base.parent if 'PYTEST_XDIST_WORKER' in os.environ else base) / name
    with folder.with_suffix('.lock').open('a+') as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        lock.seek(0)
        if not lock.read():
            folder.mkdir(exist_ok=True)      # there if another's attempt failed
            make(folder)
            lock.write('made')
    return folder


@pytest.fixture(scope='session')
def once(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """`once(name, make)`: a folder that `make` filled for all workers; see `made_once`."""
    return lambda name, make: made_once(name, tmp_path_factory, make)


@pytest.fixture(scope='session')
def cache(once: Callable[..., Path]) -> Path:
    """A user's cache folder with the rendered clip in it; made once, it takes seconds."""
    from lorat_ros.tools.scene import cached_scene
    return once('cache', lambda folder: cached_scene(folder / 'lorat_ros' / 'scene'))


@pytest.fixture(scope='session')
def short_clip(cache: Path, once: Callable[..., Path]) -> Path:
    """So much of the rendered clip as the parity gate needs, with its truth beside it."""
    scene, wanted = cache / 'lorat_ros' / 'scene', 103

    def make(folder: Path) -> None:
        (folder / 'img').mkdir()
        for path in sorted((scene / 'img').iterdir())[:wanted]:
            shutil.copy(path, folder / 'img')
        lines = (scene / 'groundtruth.txt').read_text().splitlines()[:wanted]
        (folder / 'groundtruth.txt').write_text('\n'.join(lines) + '\n')

    return once('short', make) / 'img'


@pytest.fixture(scope='session')
def lorat_b_224(once: Callable[..., Path]) -> Path:
    """The bundle of a generated LoRAT-B-224 checkpoint; made once, it takes seconds."""
    from support.lorat_bundles import bundle_of      # torch, which most tests do without
    return once('lorat', lambda folder: bundle_of('lorat-b-224', folder)) / 'lorat-b-224'


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item):
    """Add the output of a failed test's processes to its report."""
    report = (yield).get_result()
    processes = getattr(item, 'funcargs', {}).get('node_process')
    if report.failed and report.when == 'call' and isinstance(processes, NodeProcesses):
        for process in processes.started:
            report.sections.append((f'output of {" ".join(process.command)}', process.output))
