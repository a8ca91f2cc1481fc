# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The whole graph on every middleware that is installed; `lorat demo` judges what comes of it."""
from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

import pytest
from ament_index_python import get_resources

from lorat_ros.tools.scene import cached_scene

#: Middleware to what it needs besides itself: a program that has to run meanwhile.
MIDDLEWARES = {'rmw_fastrtps_cpp': None, 'rmw_cyclonedds_cpp': None,
               'rmw_zenoh_cpp': ('rmw_zenoh_cpp', 'rmw_zenohd')}
FRAMES = 20
CONFIG = Path(__file__).resolve().parents[2] / 'config'
ASK = 'import rclpy; print(rclpy.get_rmw_implementation_identifier())'


def start_of(program: tuple[str, str]) -> list[str]:
    """The command that starts a program of a ROS package."""
    places = [Path(prefix, 'lib', *program)
              for prefix in os.environ['AMENT_PREFIX_PATH'].split(os.pathsep)]
    found = next((place for place in places if place.is_file()), None)
    if found is None:
        pytest.skip(f'{"/".join(program)} is not there')
    return [str(found)]


@pytest.fixture(params=MIDDLEWARES)
def middleware(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch,
               tmp_path: Path) -> Iterator[str]:
    """Name of an installed middleware, chosen for whatever is started now."""
    name, program = request.param, MIDDLEWARES[request.param]
    if name not in get_resources('rmw_typesupport'):
        pytest.skip(f'{name} is not installed: apt install ros-$ROS_DISTRO-'
                    f'{name.replace("_", "-")}')
    monkeypatch.setenv('RMW_IMPLEMENTATION', name)
    monkeypatch.setenv('CYCLONEDDS_URI', (CONFIG / 'cyclonedds.xml').as_uri())
    if program is None:
        yield name
        return
    with (tmp_path / 'router.log').open('wb') as log:
        router = subprocess.Popen(start_of(program), stdin=subprocess.DEVNULL, stdout=log,
                                  stderr=subprocess.STDOUT)
    try:
        yield name
    finally:
        router.terminate()
        router.wait(15)


def test_cyclone_has_room_for_an_image() -> None:
    root = ElementTree.parse(CONFIG / 'cyclonedds.xml').getroot()
    (room,) = root.iter('{https://cdds.io/config}SocketReceiveBufferSize')
    # Not as `min`: without as much Cyclone DDS would not start at all.
    assert room.attrib.keys() == {'max'}
    assert int(room.attrib['max'].removesuffix('MB')) * 1_000_000 > 1280 * 720 * 3


def test_the_graph_follows_a_target(middleware: str, cache: Path, tmp_path: Path) -> None:
    said = subprocess.run([sys.executable, '-c', ASK], capture_output=True, text=True, timeout=60)
    assert said.stdout.strip() == middleware, said.stderr
    scene = cached_scene(cache / 'lorat_ros' / 'scene')
    clip = tmp_path / 'clip'
    clip.mkdir()
    for frame in sorted(scene.images.iterdir())[:FRAMES]:
        (clip / frame.name).symlink_to(frame)
    truth = scene.truth_path.read_text().splitlines()[:FRAMES]
    (clip / 'groundtruth.txt').write_text('\n'.join(truth) + '\n')
    done = subprocess.run(
        [sys.executable, '-m', 'lorat_ros.tools.cli', 'demo', '--video', str(clip), '--lock-step',
         '--output', str(tmp_path / 'out')], capture_output=True, text=True, timeout=150)
    assert done.returncode == 0, done.stdout + done.stderr
    summary = json.loads((tmp_path / 'out' / 'summary.json').read_text())
    assert (summary['frames_in'], summary['processed']) == (FRAMES, FRAMES)
    assert summary['overlap'] > 0.6
