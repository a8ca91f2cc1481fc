# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Which driver of USB cameras is started, and what it is told."""
from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given, strategies as st
from lorat_ros.ros.usb_camera import (CameraError, choose_driver, driver_parameters, DRIVERS,
                                      PIXEL_FORMATS, read_settings)

GIVEN = ('/dev/video0', '640x480', '30', 'yuyv', '', 'camera')


@pytest.mark.parametrize(('wanted', 'pixel_format', 'installed', 'chosen'), [
    ('auto', 'yuyv', ['rclpy', 'v4l2_camera', 'usb_cam'], 'v4l2_camera'),
    ('auto', 'yuyv', ['usb_cam'], 'usb_cam'),
    ('auto', 'mjpeg', ['v4l2_camera', 'usb_cam'], 'usb_cam'),  # the other decodes none
    ('usb_cam', 'yuyv', ['v4l2_camera', 'usb_cam'], 'usb_cam'),
    ('v4l2_camera', 'grey', ['v4l2_camera'], 'v4l2_camera'),
])
def test_the_first_that_is_installed_and_able(wanted: str, pixel_format: str, installed: list,
                                              chosen: str) -> None:
    assert choose_driver(wanted, pixel_format, installed, 'jazzy') is DRIVERS[chosen]


@pytest.mark.parametrize(('wanted', 'pixel_format', 'installed', 'distribution', 'said'), [
    ('auto', 'yuyv', ['rclpy'], 'jazzy', [
        'neither v4l2_camera nor usb_cam is installed',
        'sudo apt install ros-jazzy-v4l2-camera or sudo apt install ros-jazzy-usb-cam']),
    ('auto', 'yuyv', [], '', ['ros-$ROS_DISTRO-usb-cam']),
    ('auto', 'mjpeg', ['v4l2_camera'], 'humble', [
        'usb_cam is not installed', 'mjpeg', 'sudo apt install ros-humble-usb-cam']),
    ('usb_cam', 'yuyv', ['v4l2_camera'], 'kilted', [
        'usb_cam is not installed', 'sudo apt install ros-kilted-usb-cam']),
    ('v4l2_camera', 'mjpeg', ['v4l2_camera'], 'jazzy', [
        'v4l2_camera cannot decode pixel_format:=mjpeg', 'yuyv, uyvy, grey', 'driver:=usb_cam']),
    ('gscam', 'yuyv', ['gscam'], 'jazzy', ['driver:=gscam', 'auto, v4l2_camera, usb_cam']),
])
def test_what_cannot_be_started_says_what_to_do(wanted: str, pixel_format: str, installed: list,
                                                distribution: str, said: list) -> None:
    with pytest.raises(CameraError) as error:
        choose_driver(wanted, pixel_format, installed, distribution)
    assert all(text in str(error.value) for text in said)
    assert '\n' not in str(error.value)


def test_v4l2_camera_is_told_in_its_own_words() -> None:
    settings = read_settings('/dev/video2', '1280x720', '29.97', 'uyvy', 'package://a/b.yaml',
                             'eye')
    assert driver_parameters(DRIVERS['v4l2_camera'], settings) == {
        'video_device': '/dev/video2', 'image_size': [1280, 720], 'time_per_frame': [100, 2997],
        'pixel_format': 'UYVY', 'camera_frame_id': 'eye', 'camera_info_url': 'package://a/b.yaml'}


def test_usb_cam_is_told_in_its_own_words() -> None:
    settings = read_settings('/dev/video2', '1280x720', '60', 'mjpeg', '/home/me/my eye.yaml',
                             'eye')
    assert driver_parameters(DRIVERS['usb_cam'], settings) == {
        'video_device': '/dev/video2', 'image_width': 1280, 'image_height': 720,
        'framerate': 60.0, 'pixel_format': 'mjpeg2rgb', 'frame_id': 'eye', 'brightness': -1,
        'camera_info_url': 'file:///home/me/my%20eye.yaml'}


@pytest.mark.parametrize('driver', DRIVERS.values(), ids=DRIVERS)
def test_no_calibration_is_not_told(driver) -> None:
    assert 'camera_info_url' not in driver_parameters(driver, read_settings(*GIVEN))


def test_the_path_of_a_calibration_becomes_a_url(monkeypatch: pytest.MonkeyPatch,
                                                 tmp_path: Path) -> None:
    monkeypatch.setenv('HOME', '/home/me')
    monkeypatch.chdir(tmp_path)
    for place, url in (('~/eye.yaml', 'file:///home/me/eye.yaml'),
                       ('eye.yaml', f'file://{tmp_path}/eye.yaml'),
                       ('file:///eye.yaml', 'file:///eye.yaml')):
        assert read_settings(*GIVEN[:4], place, 'camera').camera_info_url == url


@pytest.mark.parametrize(('place', 'value', 'said'), [
    (1, '640', 'WIDTHxHEIGHT'), (1, '0x480', 'WIDTHxHEIGHT'), (1, '640x-1', 'WIDTHxHEIGHT'),
    (2, '0', 'above 0'), (2, '-5', 'above 0'), (2, 'fast', 'above 0'), (2, 'nan', 'above 0'),
    (2, '0.0', 'above 0'), (3, 'YUYV', 'grey, mjpeg, uyvy, yuyv'),
])
def test_bad_settings_are_refused(place: int, value: str, said: str) -> None:
    with pytest.raises(CameraError, match=said) as error:
        read_settings(*GIVEN[:place], value, *GIVEN[place + 1:])
    assert value in str(error.value)


@given(st.integers(1, 9999999), st.sampled_from(PIXEL_FORMATS), st.integers(1, 99999),
       st.integers(1, 99999))
def test_every_driver_is_told_the_same(rate: int, pixel_format: str, width: int,
                                       height: int) -> None:
    exact = Fraction(rate, 1000)
    settings = read_settings('/dev/video0', f'{width}x{height}', f'{rate / 1000:.3f}',
                             pixel_format, '', 'camera')
    for driver in DRIVERS.values():
        if pixel_format in driver.pixel_formats:
            told = driver_parameters(driver, settings)
            size = told.get('image_size') or [told['image_width'], told['image_height']]
            seconds, frames = told.get('time_per_frame') or (1, told['framerate'])
            assert size == [width, height]
            assert abs(frames / seconds - exact) < 1e-9 * exact
