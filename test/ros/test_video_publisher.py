# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The clip as a camera, over real DDS: every frame, its pixels, its stamp, and the end."""

from __future__ import annotations

import json
import re
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from rcl_interfaces.srv import DescribeParameters
from rclpy.qos import qos_profile_sensor_data, ReliabilityPolicy
from sensor_msgs.msg import CameraInfo, CompressedImage, Image
from support.listener import Listener
from vision_msgs.msg import Detection2DArray

COUNT = 25


@pytest.fixture(scope='module')
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Frames of 640 x 480 noise whose top left pixel is their index."""
    folder = tmp_path_factory.mktemp('clip')
    rng = np.random.default_rng(0)
    for index in range(COUNT):
        image = rng.integers(0, 255, (480, 640, 3), np.uint8)
        image[0, 0] = index
        assert cv2.imwrite(str(folder / f'{index}.png'), image)
    return folder


def options(clip: Path, **parameters: object) -> list[str]:
    """Arguments of the executable."""
    arguments = ['--ros-args']
    for name, value in {'path': f'"{clip}"', 'rate': 30.0, 'wait_for_subscribers': 1,
                        'start_delay': 1.0, **parameters}.items():
        arguments += ['-p', f'{name}:={str(value).lower() if isinstance(value, bool) else value}']
    return arguments


def stamp_of(message: Image) -> int:
    return message.header.stamp.sec * 10**9 + message.header.stamp.nanosec


def test_every_frame_arrives_once_and_in_order(node_process: Callable, clip: Path,
                                               tmp_path: Path) -> None:
    stamps = tmp_path / 'stamps.txt'
    with Listener() as ear:
        images = ear.listen(Image, 'image')
        node = node_process('video_publisher', *options(
            clip, frame_id='eye', stamps_file=f'"{stamps}"'))
        assert ear.spin_until(lambda: node.returncode is not None)
        ear.spin_until(lambda: len(images) == COUNT, 5)
    assert node.returncode == 0
    assert [image.data[0] for image in images] == list(range(COUNT))
    assert {(i.width, i.height, i.step, i.encoding, i.header.frame_id) for i in images} == {
        (640, 480, 1920, 'bgr8', 'eye')}
    for index in (0, COUNT - 1):
        expected = cv2.imread(str(clip / f'{index}.png'))
        pixels = np.frombuffer(images[index].data, np.uint8).reshape(480, 640, 3)
        assert np.array_equal(pixels, expected)
    written = [tuple(map(int, line.split())) for line in stamps.read_text().splitlines()]
    assert written == [(index, stamp_of(image)) for index, image in enumerate(images)]
    assert len({stamp for _, stamp in written}) == COUNT and written == sorted(written)


def test_it_can_offer_best_effort_as_cameras_do(node_process: Callable, clip: Path) -> None:
    """What is lost on the way is not ours to test: only that it offers it, and is heard."""
    with Listener() as ear:
        images = ear.listen(Image, 'image', qos_profile_sensor_data)
        node_process('video_publisher', *options(clip, reliability='best_effort', loop=True))
        assert ear.spin_until(lambda: images)
        offered = {info.qos_profile.reliability
                   for info in ear.node.get_publishers_info_by_topic('image')}
    assert offered == {ReliabilityPolicy.BEST_EFFORT}


def test_nothing_is_published_before_somebody_listens(node_process: Callable, clip: Path) -> None:
    node = node_process('video_publisher', *options(clip))
    node.wait_for_output('waiting: 0 of 1 subscribers to /image')
    with Listener() as ear:
        images = ear.listen(Image, 'image')
        assert ear.spin_until(lambda: len(images) == COUNT)
    assert images[0].data[0] == 0
    assert node.wait() == 0


def test_siblings_share_the_header_and_follow_a_remap(node_process: Callable, clip: Path) -> None:
    with Listener() as ear:
        images = ear.listen(Image, 'front/rgb')
        jpegs = ear.listen(CompressedImage, 'front/rgb/compressed')
        infos = ear.listen(CameraInfo, 'camera_info')
        node_process('video_publisher', *options(
            clip, wait_for_subscribers=2, compressed=True, horizontal_fov=90.0, loop=True),
            '-r', 'image:=front/rgb')
        assert ear.spin_until(lambda: all(len(heard) > 10 for heard in (images, jpegs, infos)))
    # JPEG and calibration belong to a frame by their whole header, which is that of the frame.
    for heard in (jpegs, infos):
        headers = {stamp_of(message): message.header for message in heard}
        common = [image for image in images if stamp_of(image) in headers]
        assert len(common) > 5
        assert all(headers[stamp_of(image)] == image.header for image in common)
    decoded = cv2.imdecode(np.frombuffer(jpegs[3].data, np.uint8), cv2.IMREAD_COLOR)
    assert decoded.shape == (480, 640, 3)
    assert (infos[0].width, infos[0].height) == (640, 480)
    assert np.allclose(infos[0].k, (320, 0, 320, 0, 320, 240, 0, 0, 1))  # 90 degrees wide
    assert np.allclose(np.reshape(infos[0].p, (3, 4))[:, :3], np.reshape(infos[0].k, (3, 3)))


def test_a_loop_goes_on_until_it_is_interrupted(node_process: Callable, clip: Path) -> None:
    with Listener() as ear:
        images = ear.listen(Image, 'image')
        node = node_process('video_publisher', *options(clip, loop=True, rate=60.0))
        assert ear.spin_until(lambda: len(images) == COUNT + 5)
        stamps = [stamp_of(image) for image in images]
        assert stamps == sorted(set(stamps))
        steps = np.diff([int(image.data[0]) for image in images])
        assert (steps > 0).sum() > COUNT // 2 and (steps < 0).sum() == 1  # up, back once, up
        assert node.stop() == 0
    assert 'Traceback' not in node.output


def test_ctrl_c_twice_while_it_waits(node_process: Callable, clip: Path) -> None:
    node = node_process('video_publisher', *options(clip))
    node.wait_for_output('waiting: 0 of 1')
    node.signal(signal.SIGINT)
    node.signal(signal.SIGINT)
    assert node.wait() == 0
    assert 'Traceback' not in node.output


def test_lock_step_waits_for_each_answer(node_process: Callable, clip: Path) -> None:
    with Listener() as ear:
        images = ear.listen(Image, 'image')
        answers = ear.node.create_publisher(Detection2DArray, 'detections', 10)
        node_process('video_publisher', *options(clip, lock_step=True, lock_step_timeout=30.0))
        for index in range(COUNT):
            assert ear.spin_until(lambda wanted=index + 1: len(images) == wanted)
            ear.spin(0.05)
            assert len(images) == index + 1  # not before it is answered
            answers.publish(Detection2DArray(header=images[-1].header))


BAD = (
    ({'path': '""'}, 'parameter path'), ({'path': '/nowhere'}, '/nowhere does not exist'),
    ({'rate': -1.0}, 'parameter rate: -1.0'),
    ({'reliability': 'maybe'}, 'expected string, one of reliable, best_effort'),
    ({'rate': 30}, 'parameter rate: 30 is integer, expected double from 0.0 to 10000.0; write it '
                   'with a decimal point'),
    ({'loop': '"yes"'}, "parameter loop: 'yes' is string, expected bool"),
    ({'use_sim_time': 3}, 'use_sim_time'),
    ({'horizontal_fov': 180.0}, 'parameter horizontal_fov'),
    ({'stamps_file': '/nowhere/stamps.txt', 'wait_for_subscribers': 0}, '/nowhere/stamps.txt'))
#: Runs main with one list of arguments after the other: each start would cost a second.
ONE_BY_ONE = '''
import json, sys
from lorat_ros.ros.video_publisher import main
for arguments in json.loads(sys.argv[1]):
    print('<<', main(arguments), '>>', flush=True)
'''


@pytest.fixture(scope='module')
def complaints(module_node: Callable, clip: Path, tmp_path_factory: pytest.TempPathFactory
               ) -> list[tuple[str, str]]:
    """For each bad list of arguments the exit status and what was printed before it."""
    program = tmp_path_factory.mktemp('program') / 'one_by_one.py'
    program.write_text(ONE_BY_ONE)
    wishes = [*(options(clip, **parameters) for parameters, _ in BAD),
              ['--ros-args', '--params-file', '/no/such/file.yaml']]
    process = module_node([sys.executable, str(program), json.dumps(wishes)])
    assert process.wait(60) == 0
    return [(status, said) for said, status in re.findall(
        '(.*?)<< (.*?) >>', process.output, re.DOTALL)]


@pytest.mark.parametrize('number', range(len(BAD)), ids=[complaint for _, complaint in BAD])
def test_bad_parameters_are_named(complaints: list[tuple[str, str]], number: int) -> None:
    status, said = complaints[number]
    assert status == '2' and BAD[number][1] in said
    assert 'Traceback' not in said


def test_a_parameter_file_that_is_not_there_is_named(complaints: list[tuple[str, str]]) -> None:
    assert len(complaints) == len(BAD) + 1
    status, said = complaints[-1]
    assert status == '2' and '/no/such/file.yaml' in said
    assert 'Traceback' not in said


def test_the_status_is_that_of_the_process(node_process: Callable) -> None:
    node = node_process('video_publisher', exit_codes=(2,))
    assert node.wait(30) == 2
    assert 'parameter path' in node.output and 'Traceback' not in node.output


def test_its_parameters_are_declared_from_the_table(node_process: Callable, clip: Path) -> None:
    node = node_process('video_publisher', *options(clip))
    node.wait_for_output('waiting: 0 of 1')
    with Listener() as ear:
        client = ear.node.create_client(DescribeParameters, 'video_publisher/describe_parameters')
        assert client.wait_for_service(30)
        future = client.call_async(DescribeParameters.Request(names=['rate', 'jpeg_quality']))
        assert ear.spin_until(future.done)
        rate, quality = future.result().descriptors
    assert rate.read_only and rate.floating_point_range[0].to_value == 10000.0
    assert not quality.read_only and quality.integer_range[0].to_value == 100
