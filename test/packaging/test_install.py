# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Three ways to install bring the same: executables, launch files, configuration, default model.

Each builds a copy of the sources into a folder of its own, without network.
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

EXECUTABLES = {'follow_node', 'lorat', 'mavlink_camera_node', 'recorder', 'tracker_node',
               'video_publisher'}
NOT_SOURCES = shutil.ignore_patterns('.*', 'build', 'install', 'log', 'demo', 'dist', 'docs',
                                     'test', 'underlay', '__pycache__', '*.egg-info')
REPORT = """
import importlib.metadata, json
import lorat_ros
from lorat_ros.models.catalog import find_bundle, shipped_folder
from ament_index_python.packages import get_package_share_directory
entries = [entry for entry in importlib.metadata.distribution('lorat_ros').entry_points
           if entry.group == 'console_scripts']
print(json.dumps({
    'package': lorat_ros.__file__,
    'share': get_package_share_directory('lorat_ros'),
    'shipped': str(shipped_folder()),
    'default': str(find_bundle(None).path),
    'loadable': [entry.name for entry in entries if callable(entry.load())],
}))
"""


@dataclass(frozen=True)
class Installation:
    """One installed copy: where it is, and how a shell gets into it."""

    prefix: Path
    sources: Path
    executables: Path  # the folder where this way of installing puts them
    enter: str  # shell commands that make it the one in use
    links: bool = False  # whether edited sources are in use without installing again

    def run(self, command: str) -> str:
        """What a command prints inside, run away from the sources."""
        environment = {name: value for name, value in os.environ.items()
                       if name not in ('PYTHONPATH', 'LORAT_MODELS', 'XDG_DATA_HOME')}
        if 'PYTHONPATH' in os.environ and 'ROS_DISTRO' in os.environ:
            environment['PYTHONPATH'] = os.environ['PYTHONPATH']  # how a sourced ROS 2 is found
        environment['HOME'] = str(self.prefix)  # no models of the person who runs the tests
        result = subprocess.run(['bash', '-c', f'{self.enter}\n{command}'], cwd=self.prefix,
                                env=environment, capture_output=True, text=True, timeout=120)
        assert result.returncode == 0, f'{command}:\n{result.stdout}{result.stderr}'
        return result.stdout


def _checked(command: list, folder: Path) -> None:
    result = subprocess.run([str(word) for word in command], cwd=folder, stdin=subprocess.DEVNULL,
                            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                            env={**os.environ, 'COLCON_HOME': str(folder)}, timeout=170)
    assert result.returncode == 0, result.stdout


def _colcon(folder: Path, sources: Path, *options: str) -> Installation:
    _checked([sys.executable, '-m', 'colcon', '--log-base', folder / 'log', 'build',
              '--paths', sources, '--packages-select', 'lorat_ros', '--build-base',
              folder / 'build', '--install-base', folder / 'install', *options], folder)
    prefix = folder / 'install' / 'lorat_ros'
    setup = shlex.quote(str(folder / 'install' / 'local_setup.bash'))
    return Installation(prefix, sources, prefix / 'lib' / 'lorat_ros', f'source {setup}',
                        links='--symlink-install' in options)


def by_colcon(folder: Path, sources: Path) -> Installation:
    return _colcon(folder, sources)


def by_colcon_symlinks(folder: Path, sources: Path) -> Installation:
    return _colcon(folder, sources, '--symlink-install')


def by_wheel(folder: Path, sources: Path) -> Installation:
    pip = [sys.executable, '-m', 'pip', '--no-input', '--disable-pip-version-check']
    _checked([*pip, 'wheel', '--no-deps', '--no-build-isolation', '--no-index', '--wheel-dir',
              folder / 'wheels', sources], folder)
    wheels = list((folder / 'wheels').glob('*.whl'))
    prefix = folder / 'prefix'
    _checked([*pip, 'install', '--no-deps', '--no-index', '--ignore-installed', '--no-compile',
              '--prefix', prefix, *wheels], folder)
    site = next(prefix.glob('l*/lib/python3*/*-packages'), None) or next(
        prefix.glob('lib/python3*/*-packages'))
    paths = {'PYTHONPATH': site, 'PATH': site.parents[2] / 'bin',
             'AMENT_PREFIX_PATH': site.parents[2]}
    enter = '\n'.join(f'export {name}={shlex.quote(str(path))}:${name}'
                      for name, path in paths.items())
    return Installation(site.parents[2], sources, site.parents[2] / 'bin', enter)


@pytest.fixture(scope='module', params=[by_colcon, by_colcon_symlinks, by_wheel],
                ids=lambda install: install.__name__)
def installation(request: pytest.FixtureRequest, repository: Path,
                 tmp_path_factory: pytest.TempPathFactory) -> Installation:
    install: Callable[[Path, Path], Installation] = request.param
    folder = tmp_path_factory.mktemp(install.__name__)
    sources = folder / 'sources'
    shutil.copytree(repository, sources, ignore=NOT_SOURCES)
    return install(folder, sources)


@pytest.fixture(scope='module')
def report(installation: Installation) -> dict:
    """What the installed package says about itself."""
    return json.loads(installation.run(f'{shlex.quote(sys.executable)} -c {shlex.quote(REPORT)}'))


def test_brings_every_executable(installation: Installation, report: dict) -> None:
    assert {path.name for path in installation.executables.iterdir()} >= EXECUTABLES
    assert all(os.access(installation.executables / name, os.X_OK) for name in EXECUTABLES)
    assert set(report['loadable']) == EXECUTABLES


@pytest.mark.parametrize('folder', ['launch', 'config'])
def test_brings_launch_files_and_configuration(
        installation: Installation, report: dict, folder: str) -> None:
    share = Path(report['share'])
    assert share == installation.prefix / 'share' / 'lorat_ros'
    wanted = {path.name: path.read_bytes() for path in (installation.sources / folder).glob('*')
              if path.is_file()}
    assert wanted
    assert {path.name: path.read_bytes() for path in (share / folder).glob('*')
            if path.is_file()} == wanted
    assert (share / 'package.xml').is_file()


def test_symlinks_lead_to_the_sources_and_copies_do_not(
        installation: Installation, report: dict) -> None:
    package = Path(report['package']).resolve()
    assert package.is_relative_to(installation.sources) == installation.links
    if not installation.links:
        assert package.is_relative_to(installation.prefix)


def test_brings_the_default_model(installation: Installation, report: dict) -> None:
    shipped = Path(report['shipped'])
    source = installation.sources / 'lorat_ros' / 'models' / 'bundles'
    wanted = {path.relative_to(source) for path in source.rglob('*') if path.is_file()}
    assert {path.relative_to(shipped) for path in shipped.rglob('*') if path.is_file()} == wanted
    assert Path(report['default']).parent == shipped


def test_lorat_is_on_path_and_runs(installation: Installation) -> None:
    place = Path(installation.run('command -v lorat').strip())
    assert place.is_relative_to(installation.prefix)
    assert 'usage: lorat' in installation.run('lorat --help')


def test_runs_from_the_folder_of_executables(installation: Installation) -> None:
    """For colcon's two ways that is the folder in which `ros2 run` looks."""
    command = shlex.quote(str(installation.executables / 'lorat'))
    assert 'usage: lorat' in installation.run(f'{command} --help')
