# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
The Dockerfiles, read: no engine of Docker runs here, so none of them is built by the tests.

What can be told without one is: sources that exist, packages that the package really asks for,
pinned bases, and the usual mistakes.
"""
from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import NamedTuple

import pytest

SOURCES = Path(__file__).resolve().parents[2]
FILES = sorted((SOURCES / 'docker').glob('*.Dockerfile'))
UBUNTU = {'humble': 'jammy', 'jazzy': 'noble'}
#: In images beside what the package itself asks for: tools, and memory and graphs of TensorRT.
TOOLS = {'ca-certificates', 'curl', 'python3-pip', 'python3-colcon-common-extensions'}
FOR_TENSORRT = {'onnx', 'cuda-python'}
IN_ROS_BASE = 'ros-base'


class Step(NamedTuple):
    """An instruction of a Dockerfile."""

    word: str
    rest: str


def steps_of(text: str) -> list[Step]:
    """Instructions of a Dockerfile, continued lines joined, comments gone."""
    lines = [line for line in text.splitlines() if not line.lstrip().startswith('#')]
    joined = re.sub(r'\\\n\s*', '', '\n'.join(lines))
    return [Step(*line.split(maxsplit=1)) for line in joined.splitlines() if line.strip()]


def commands_of(steps: list[Step]) -> list[list[str]]:
    """Words of each command of all RUN instructions."""
    return [shlex.split(command) for step in steps if step.word == 'RUN'
            for command in re.split(r'&&|;|\|\|', step.rest)]


def apt_packages(steps: list[Step]) -> set[str]:
    return {word for command in commands_of(steps) if command[:2] == ['apt-get', 'install']
            for word in command[2:] if not word.startswith('-')}


def pip_requirements(steps: list[Step]) -> set[str]:
    return {word for command in commands_of(steps) if 'pip' in command and 'install' in command
            for word in command[command.index('install') + 1:] if not word.startswith('-')}


def name_of(requirement: str) -> str:
    return re.split(r'[<>=!~\[]', requirement)[0]


def of_setup() -> set[str]:
    """Names of all that setup.py asks for, extras too."""
    text = (SOURCES / 'setup.py').read_text()
    asked = text[text.index('install_requires'):text.index('zip_safe')]
    return {name_of(found) for found in re.findall(r"'([A-Za-z][\w.-]*(?:[<>=!~][^']*)?)'", asked)}


@pytest.fixture(params=FILES, ids=lambda path: path.name)
def steps(request: pytest.FixtureRequest) -> list[Step]:
    return steps_of(request.param.read_text())


def test_there_is_one_for_each_jetpack_and_the_desktop() -> None:
    assert [path.name.split('.')[0] for path in FILES] == ['desktop', 'jetpack6', 'jetpack7']


def test_the_reader_reads() -> None:
    found = steps_of("# a\nFROM x:1\nRUN apt-get install -y \\\n  # why\n"
                     "  a b && \\\n  pip install 'c>1'\n")
    assert [step.word for step in found] == ['FROM', 'RUN']
    assert apt_packages(found) == {'a', 'b'} and pip_requirements(found) == {'c>1'}


def test_bases_are_pinned(steps: list[Step]) -> None:
    assert steps[0].word == 'FROM'
    for step in steps:
        if step.word == 'FROM':
            image, _, tag = step.rest.split()[0].rpartition(':')
            assert image and tag not in ('', 'latest') and re.search(r'\d', tag)


def test_copied_sources_exist_and_make_the_package_whole(steps: list[Step]) -> None:
    copied = {source for step in steps if step.word in ('COPY', 'ADD')
              for source in step.rest.split()[:-1]}
    assert all((SOURCES / source).exists() for source in copied)
    assert {'setup.py', 'setup.cfg', 'package.xml', 'resource', 'config', 'launch',
            'lorat_ros', 'docker/entrypoint.sh'} == copied


def test_ros_packages_are_those_of_the_manifest(steps: list[Step]) -> None:
    distro = re.search(r'ROS_DISTRO=(\w+)', ' '.join(step.rest for step in steps))[1]
    manifest = ElementTree.parse(SOURCES / 'package.xml')
    asked = {entry.text.replace('_', '-') for entry in manifest.iter('exec_depend')}
    apt = apt_packages(steps)
    ros = {name.removeprefix(f'ros-{distro}-') for name in apt if name.startswith('ros-')}
    assert ros - {IN_ROS_BASE} <= asked and {IN_ROS_BASE, 'vision-msgs'} <= ros
    assert {name for name in apt if not name.startswith('ros-')} <= TOOLS
    text = ' '.join(step.rest for step in steps)
    assert f'/opt/ros/{distro}/setup.bash' in text and f' {UBUNTU[distro]} main' in text


def test_pip_packages_are_those_of_setup_py(steps: list[Step]) -> None:
    names = {name_of(requirement) for requirement in pip_requirements(steps)}
    assert names <= of_setup() | FOR_TENSORRT
    assert {'numpy', 'onnxruntime', 'tqdm', 'opencv-python-headless', *FOR_TENSORRT} <= names
    # The messages of Humble and Jazzy were built with NumPy 1; OpenCV 4.12 asks for NumPy 2.
    assert 'numpy>=1.26,<2' in pip_requirements(steps)
    assert 'opencv-python-headless>=4.5,<4.12' in pip_requirements(steps)


def test_the_usual_mistakes_are_not_made(steps: list[Step]) -> None:
    words = {step.word for step in steps}
    assert 'ADD' not in words and 'MAINTAINER' not in words
    for step in steps:
        if step.word == 'WORKDIR':
            assert step.rest.startswith('/')
        if step.word in ('CMD', 'ENTRYPOINT'):
            assert step.rest.startswith('[')
        if step.word == 'RUN':
            assert 'sudo' not in step.rest
            if 'apt-get install' in step.rest:
                assert 'apt-get update' in step.rest and 'rm -rf /var/lib/apt' in step.rest
                assert '-y --no-install-recommends' in step.rest
            if 'pip install' in step.rest:
                assert '--no-cache-dir' in step.rest


@pytest.mark.parametrize('path', FILES, ids=lambda path: path.name)
def test_each_tells_how_it_is_built_and_run(path: Path) -> None:
    head = path.read_text().split('FROM')[0]
    assert f'build -f docker/{path.name} -t lorat_ros:{path.name.split(".")[0]} .' in head
    assert f'-v lorat-cache:/cache lorat_ros:{path.name.split(".")[0]}' in head
    assert path.name in (SOURCES / 'docs' / 'jetson.md').read_text()


def test_the_entrypoint_is_a_script_that_bash_can_read() -> None:
    script = SOURCES / 'docker' / 'entrypoint.sh'
    assert script.read_text().rstrip().endswith('exec "$@"')
    if not shutil.which('bash'):
        pytest.skip('there is no bash here')
    subprocess.run(['bash', '-n', script], check=True)
