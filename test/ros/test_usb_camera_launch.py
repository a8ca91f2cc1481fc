# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""usb_camera.launch.py: read as a text everywhere, run where `launch` is installed."""
from __future__ import annotations

import ast
import inspect
import os
import signal
import sys
from pathlib import Path

from lorat_ros.ros.usb_camera import read_settings
from support.graph import Client
from support.launching import needs_launch, RUN

LAUNCH_FILE = Path(__file__).resolve().parents[2] / 'launch' / 'usb_camera.launch.py'
#: Stands for a driver: says what it was told, and waits.
DRIVER = """#!{python}
import os, signal, sys
print('profile', os.environ.get('FASTDDS_DEFAULT_PROFILES_FILE'))
print('arguments', *sys.argv[1:])
for before, argument in zip(sys.argv, sys.argv[1:]):
    if before == '--params-file':
        print(open(argument).read())
print('driver is up', flush=True)
try:
    signal.pause()
except KeyboardInterrupt:
    pass
"""


def test_every_argument_has_a_description_and_every_setting_is_an_argument() -> None:
    tree = ast.parse(LAUNCH_FILE.read_text())
    declared = {ast.literal_eval(call.args[0]) for call in ast.walk(tree)
                if isinstance(call, ast.Call) and getattr(call.func, 'id', '') ==
                'DeclareLaunchArgument' and {'default_value', 'description'} <= {
                    keyword.arg for keyword in call.keywords}}
    settings = next(ast.literal_eval(node.value) for node in tree.body
                    if isinstance(node, ast.Assign) and node.targets[0].id == 'SETTINGS')
    assert list(settings) == list(inspect.signature(read_settings).parameters)
    assert declared == {'driver', *settings}


def test_the_tracker_is_included_where_show_args_sees_it() -> None:
    """Not in a function: what that returns is not shown."""
    tree = ast.parse(LAUNCH_FILE.read_text())
    inside = {node.id for function in tree.body if isinstance(function, ast.FunctionDef)
              and function.name != 'generate_launch_description'
              for node in ast.walk(function) if isinstance(node, ast.Name)}
    assert not inside & {'DeclareLaunchArgument', 'IncludeLaunchDescription'}


def installed(prefix: Path, package: str, executable: str) -> dict[str, str]:
    """The environment in which a package seems installed whose executable is DRIVER."""
    for path in (prefix / 'share/ament_index/resource_index/packages' / package,
                 prefix / 'share' / package / 'package.xml',
                 prefix / 'lib' / package / executable):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(DRIVER.format(python=sys.executable))
    path.chmod(0o755)
    before = os.environ.get('AMENT_PREFIX_PATH', sys.prefix)
    return {'AMENT_PREFIX_PATH': f'{prefix}{os.pathsep}{before}'}


@needs_launch
def test_camera_and_tracker_meet(node_process, tmp_path: Path) -> None:
    environment = installed(tmp_path, 'usb_cam', 'usb_cam_node_exe')
    environment['FASTDDS_DEFAULT_PROFILES_FILE'] = ''
    launch = node_process([sys.executable, '-c', RUN, str(LAUNCH_FILE), 'namespace:=front',
                           'pixel_format:=mjpeg', 'image_size:=1280x720', 'frame_rate:=29.97'],
                          environment=environment)
    launch.wait_for_output('driver is up')
    assert 'pixel_format: mjpeg2rgb' in launch.output and 'framerate: 29.97' in launch.output
    assert '__ns:=/front/camera' in launch.output
    assert 'fastdds.xml' in launch.output  # the sender's setting is the one that counts
    client = Client('/front/lorat_tracker', '/front/camera/image_raw')
    client.wait_for_matches()
    client.wait_until(lambda: client.node.count_subscribers(
        '/front/camera/image_raw_mouse_left') == 1, 'clicks are heard')
    client.wait_until(lambda: client.node.count_subscribers(
        '/front/camera/camera_info') == 1, 'the calibration is heard')
    client.close()
    launch.signal(signal.SIGINT, group=True)
    assert launch.wait(30) == 0
    assert 'Traceback' not in launch.output


@needs_launch
def test_without_a_driver_nothing_is_started(node_process, tmp_path: Path) -> None:
    launch = node_process([sys.executable, '-c', RUN, str(LAUNCH_FILE)], exit_codes=(1,))
    assert launch.wait(30) == 1
    assert 'neither v4l2_camera nor usb_cam is installed' in launch.output
    assert 'sudo apt install ros-' in launch.output
    assert 'Traceback' not in launch.output and 'lorat_tracker' not in launch.output
