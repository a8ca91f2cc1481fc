# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What the environment consists of, step by step."""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

from journal import Journal, Step, fingerprint
from prerequisites import Problem, can_import, check_all, sourced_ros

UNDERLAY = Path(__file__).resolve().parent
ROOT = UNDERLAY.parent
PACKAGE = 'lorat_ros'
TORCH = 'torch==2.13.0'
TORCH_INDEX = 'https://download.pytorch.org/whl/cpu'
PROBE_SECONDS = 6.0
CONSTRAINTS = UNDERLAY / 'constraints.txt'
COMPILE = """
import compileall, re, sys
tests = re.compile(re.escape(sys.argv[1]) + '/.*/tests?/')
compileall.compile_dir(sys.argv[1], quiet=2, workers=0, rx=tests)
"""
OFFLINE = 'Is the network reachable? pip looks where PIP_INDEX_URL and pip.conf say.'
# The wheels' CMake files name the interpreter of the machine that they were built on.
BUILD_MACHINE_PATHS = {
    r'/opt/python/cp\d+-cp\d+/include/python3\.\d+':
        "import sysconfig; print(sysconfig.get_path('include'))",
    r'/opt/python/cp\d+-cp\d+/lib/python3\.\d+/site-packages/numpy/_?core/include':
        'import numpy; print(numpy.get_include())',
}
# Variables by which another environment would leak into the one to be built.
LEAKING = ('_ROS_WHEELS_BOOTSTRAP_COMPLETE', 'CMAKE_PREFIX_PATH', 'COLCON_PREFIX_PATH',
           'LD_LIBRARY_PATH', 'AMENT_PREFIX_PATH', 'PYTHONPATH')
ALWAYS_LEAKING = ('PYTHONHOME', 'VIRTUAL_ENV', 'PIP_USER', 'PIP_TARGET', 'PIP_PREFIX')


def child_environment(environ: Mapping[str, str], prefix: Path, sourced: bool) -> dict[str, str]:
    """The variables that pip, CMake and colcon run with; a sourced ROS 2 stays visible."""
    leaking = ALWAYS_LEAKING if sourced else ALWAYS_LEAKING + LEAKING
    environment = {name: value for name, value in environ.items() if name not in leaking}
    environment['PATH'] = f'{prefix / "bin"}{os.pathsep}{environ.get("PATH", os.defpath)}'
    environment['COLCON_HOME'] = str(prefix / '.environment')  # not the person's own defaults
    environment['PIP_DISABLE_PIP_VERSION_CHECK'] = '1'
    if not sourced:
        environment['AMENT_PREFIX_PATH'] = environment['CMAKE_PREFIX_PATH'] = str(prefix)
    return environment


@contextlib.contextmanager
def only_one(folder: Path) -> Iterator[None]:
    """Wait until no other run works on the environment; the lock ends with the process."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print('make env: another run is at work here, waiting for it …', flush=True)
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


class Builder:
    """The steps that make one environment."""

    def __init__(self, root: Path, environ: Mapping[str, str], distribution: str | None) -> None:
        """`distribution`: the ROS 2 that is sourced, None for the one from wheels."""
        self.root, self.environ, self.distribution = root, environ, distribution
        self.prefix = root / '.venv'
        self.python = self.prefix / 'bin' / 'python'
        self.work = self.prefix / '.environment'
        self.journal = Journal(
            self.work, child_environment(environ, self.prefix, distribution is not None))

    def steps(self) -> list[Step]:
        """All steps in the order in which they are done."""
        ros, python = UNDERLAY / 'ros.txt', UNDERLAY / 'python.txt'
        interfaces = sorted(path for path in (UNDERLAY / 'vision_msgs').rglob('*')
                            if path.is_file())
        venv = Step('venv', f'virtual environment with Python {sys.version.split()[0]}',
                    [sys.version, sys.base_prefix, str(self.prefix), self.distribution or ''],
                    self.create, interruptible=False)
        requirements = self.python_requirements(python.read_text())
        packages = Step('python', 'Python packages: NumPy, OpenCV, ONNX Runtime, colcon, pytest',
                        [*requirements, CONSTRAINTS],
                        lambda step: self.pip(step, *requirements), False)
        torch = Step('torch', 'PyTorch for CPUs, to train and export models',
                     [TORCH, CONSTRAINTS], self.install_torch, False)
        package = Step('package', f'{PACKAGE} itself, with colcon',
                       self.package_inputs(), self.build_package)
        code = Step('code', "the packages' byte code, on all cores",
                    [*venv.inputs, *packages.inputs, *torch.inputs, ros], self.compile)
        if self.distribution:
            return [venv, packages, torch, code, package]
        wheels = Step('ros', 'real ROS 2 Kilted from PyPI', [ros, CONSTRAINTS],
                      lambda step: self.pip(step, '-r', ros), False)
        messages = Step('vision_msgs', 'message bindings of vision_msgs, compiled',
                        [fingerprint([str(path) for path in interfaces]), *interfaces, ros],
                        self.build_vision_msgs)
        return [venv, wheels, packages, torch, code, messages, package]

    def build(self) -> int:
        """Bring the environment up to date; returns how many steps that took."""
        steps = self.steps()
        if not self.work.is_dir() and self.prefix.exists() and any(self.prefix.iterdir()):
            raise Problem(f'{self.prefix} is there, but `make env` did not make it: move it away')
        if self.prefix.exists() and (self.journal.is_broken(steps)
                                     or not self.journal.is_done(steps[0])):
            print('the environment is from another Python or half-made: building it anew')
            self.remove()
        return self.journal.perform(steps)

    def remove(self) -> None:
        """Remove the environment, what says that `make env` made it last of all."""
        (self.work / 'venv.stamp').unlink(missing_ok=True)
        for path in self.prefix.iterdir():
            if path.is_symlink() or path.is_file():
                path.unlink()
            elif path != self.work:
                shutil.rmtree(path)
        shutil.rmtree(self.work)

    def create(self, step: Step) -> None:
        """An empty virtual environment."""
        options = ['--system-site-packages'] if self.distribution else []
        self.journal.run(step, [sys.executable, '-m', 'venv', *options, self.prefix],
                         'Debian and Ubuntu: sudo apt install python3-venv')

    def site_packages(self) -> Path:
        """Where the environment's Python finds packages."""
        version = f'python{sys.version_info.major}.{sys.version_info.minor}'
        return self.prefix / 'lib' / version / 'site-packages'

    def python_requirements(self, text: str) -> list[str]:
        """The lines of python.txt that are wanted here.

        A sourced ROS 2 was compiled against the system's NumPy and often brings its own OpenCV:
        neither is replaced.
        """
        lines = [line.strip() for line in text.splitlines()]
        wanted = [line for line in lines if line and not line.startswith('#')]
        if not self.distribution:
            return wanted
        import importlib.metadata
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            wanted.append(f'numpy=={importlib.metadata.version("numpy")}')
        if can_import('cv2'):
            wanted = [line for line in wanted if not line.startswith('opencv')]
        return wanted

    def pip(self, step: Step, *arguments: object) -> None:
        """Install with the environment's pip; all it says goes to the log.

        pip would compile ten thousand modules on one core: that is a step of its own.
        """
        self.journal.run(step, [self.python, '-m', 'pip', 'install', '--no-input', '--no-compile',
                                '--progress-bar', 'off', '--constraint', CONSTRAINTS,
                                *arguments], OFFLINE)

    def compile(self, step: Step) -> None:
        """Byte code of what was installed, without the packages' own tests.

        Some packages bring files for Pythons that this one is not: as pip, leave those alone.
        """
        self.journal.run(step, [self.python, '-c', COMPILE, self.site_packages()])

    def install_torch(self, step: Step) -> None:
        """PyPI's torch for Linux brings gigabytes for GPUs: ask torch's own index for CPUs first.

        TORCH_INDEX in the environment names another index; empty: only pip's own. An index that
        does not answer is left out, since pip would try it again and again.
        """
        index = self.environ.get('TORCH_INDEX', TORCH_INDEX)
        wanted = 'torch>=2.6' if self.distribution else TORCH
        extra = ['--extra-index-url', index] if index and self.answers(index) else []
        self.pip(step, wanted, *extra)

    def answers(self, url: str) -> bool:
        """Whether a server answers soon; in a process, as name look-up knows no time limit."""
        code = 'import sys, urllib.request; urllib.request.urlopen(sys.argv[1], timeout=5)'
        with contextlib.suppress(subprocess.TimeoutExpired):
            return subprocess.run(
                [sys.executable, '-c', code, f'{url.rstrip("/")}/torch/'],
                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                timeout=PROBE_SECONDS).returncode == 0
        return False

    def output(self, code: str) -> str:
        """What a line of Python prints in the environment."""
        return subprocess.run([self.python, '-c', code], env=self.journal.environment, check=True,
                              capture_output=True, text=True).stdout.strip()

    def build_vision_msgs(self, step: Step) -> None:
        """Compile the interface package into the environment's own prefix."""
        here = {pattern: self.output(code) for pattern, code in BUILD_MACHINE_PATHS.items()}
        for path in (self.prefix / 'share').glob('*/cmake/*.cmake'):
            text = path.read_text()
            if '/opt/python/' in text:
                for pattern, replacement in here.items():
                    text = re.sub(pattern, lambda _, by=replacement: by, text)
                path.write_text(text)
        build = self.work / 'vision_msgs'
        shutil.rmtree(build, ignore_errors=True)
        cmake = [self.python, '-m', 'cmake']
        self.journal.run(step, [
            *cmake, '-S', UNDERLAY / 'vision_msgs', '-B', build, '-GNinja', '-DBUILD_TESTING=OFF',
            '-DCMAKE_BUILD_TYPE=Release', f'-DCMAKE_INSTALL_PREFIX={self.prefix}',
            f'-DPython3_EXECUTABLE={self.python}'])
        self.journal.run(step, [*cmake, '--build', build])
        self.journal.run(step, [*cmake, '--install', build])
        shutil.rmtree(build)

    def package_inputs(self) -> list[str | bytes | Path]:
        """What colcon's result depends on; the sources are linked, so that they are not in it."""
        names = [str(path.relative_to(self.root)) for folder in ('launch', 'config', 'resource')
                 for path in sorted((self.root / folder).glob('*'))]
        own = [self.root / name for name in ('setup.py', 'setup.cfg', 'package.xml')]
        return [*own, *names, UNDERLAY / 'startup.py', UNDERLAY / 'builder.py']

    def build_package(self, step: Step) -> None:
        """Link the package into the environment: edited sources need no further build."""
        self.remove_package()
        build = self.work / 'build'
        self.journal.run(step, [
            self.python, '-m', 'colcon', '--log-base', self.work / 'colcon', 'build',
            '--paths', self.root, '--packages-select', PACKAGE, '--symlink-install',
            '--merge-install', '--install-base', self.prefix, '--build-base', build,
            '--event-handlers', 'console_direct+'])
        # colcon counts on a sourced PYTHONPATH; this way the environment's Python needs none.
        site = self.site_packages()
        (site / '_lorat_ros_package.pth').write_text(f'{build / PACKAGE}\n')
        shutil.copy(UNDERLAY / 'startup.py', site / '_lorat_ros_startup.py')
        (site / '_lorat_ros_startup.pth').write_text('import _lorat_ros_startup\n')
        executables = sorted((self.prefix / 'lib' / PACKAGE).iterdir())
        for executable in executables:
            self.offer_on_path(executable)

    def remove_package(self) -> None:
        """Undo the step: colcon leaves files that were renamed, and stumbles over copies."""
        site = self.site_packages()
        remains = [self.work / 'build', self.prefix / 'share' / PACKAGE,
                   self.prefix / 'lib' / PACKAGE, site / PACKAGE, self.prefix / 'bin' / 'lorat',
                   self.prefix / 'share/ament_index/resource_index/packages' / PACKAGE,
                   *site.glob(f'{PACKAGE}-*'), *site.glob(f'{PACKAGE.replace("_", "-")}.egg-link')]
        for path in remains:
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)

    def offer_on_path(self, executable: Path) -> None:
        """A command in bin/ that runs an executable under the environment's Python."""
        command = self.prefix / 'bin' / executable.name
        command.unlink(missing_ok=True)  # it may be a link into the sources
        words = shlex.join([str(self.python), str(executable)])
        command.write_text(f'#!/bin/sh\nexec {words} "$@"\n')
        command.chmod(0o755)


def build() -> int:
    """Build or update the environment of this repository; returns the exit status."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # as Ctrl-C: stop the child too
    try:
        with only_one(UNDERLAY):
            distribution = sourced_ros(os.environ, ROOT / '.venv')
            builder = Builder(ROOT, os.environ, distribution)
            if not all(builder.journal.is_done(step) for step in builder.steps()):
                check_all(distribution, os.environ)
            done = builder.build()
    except Problem as problem:
        print(f'make env: {problem}', file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print('\nmake env: interrupted; run it again to go on', file=sys.stderr)
        return 130
    ros = f'the sourced ROS 2 {distribution}' if distribution else 'ROS 2 Kilted from PyPI'
    print(f'{".venv is ready" if done else ".venv is up to date"}, with {ros}')
    return 0
