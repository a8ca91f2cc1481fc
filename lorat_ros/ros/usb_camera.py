# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Drivers of USB cameras, told alike: which of them to start, and what each calls its settings.

Nothing of ROS is imported: ``launch/usb_camera.launch.py`` says what is installed. Names and
types are those of v4l2_camera 0.5 and newer, and of usb_cam 0.7 and newer.
"""
from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from fractions import Fraction
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple, Union

AUTO = 'auto'
PACKAGE_NAME = 'ros-{distribution}-{package}'
Value = Union[str, int, float, list[int]]


class CameraError(ValueError):
    """No driver can be started like this; the message says why and what to do."""


class CameraSettings(NamedTuple):
    """What is asked of a camera, whatever drives it."""

    video_device: str
    width: int
    height: int
    frame_rate: Fraction  # per second
    pixel_format: str  # a key of the driver's pixel_formats
    camera_info_url: str  # empty = not calibrated
    frame_id: str


class Driver(NamedTuple):
    """A package that publishes `image_raw` and `camera_info` of a V4L2 device."""

    package: str
    executable: str
    pixel_formats: Mapping[str, str]  # what the camera sends: what this driver calls it
    parameters: Callable[[CameraSettings, str], dict[str, Value]]


def _v4l2_camera(settings: CameraSettings, pixel_format: str) -> dict[str, Value]:
    period = 1 / settings.frame_rate
    return {'image_size': [settings.width, settings.height],
            'time_per_frame': [period.numerator, period.denominator],
            'pixel_format': pixel_format, 'camera_frame_id': settings.frame_id}


def _usb_cam(settings: CameraSettings, pixel_format: str) -> dict[str, Value]:
    return {'image_width': settings.width, 'image_height': settings.height,
            'framerate': float(settings.frame_rate), 'pixel_format': pixel_format,
            'frame_id': settings.frame_id,
            'brightness': -1}  # leave it alone: the driver's own default darkens many cameras


#: In the order of preference. v4l2_camera decodes no MJPEG.
DRIVERS = MappingProxyType({driver.package: driver for driver in (
    Driver('v4l2_camera', 'v4l2_camera_node',
           MappingProxyType({'yuyv': 'YUYV', 'uyvy': 'UYVY', 'grey': 'GREY'}), _v4l2_camera),
    Driver('usb_cam', 'usb_cam_node_exe',
           MappingProxyType({'yuyv': 'yuyv2rgb', 'uyvy': 'uyvy2rgb', 'mjpeg': 'mjpeg2rgb',
                             'grey': 'mono8'}), _usb_cam))})
PIXEL_FORMATS = tuple(sorted({name for driver in DRIVERS.values()
                              for name in driver.pixel_formats}))


def read_settings(video_device: str, image_size: str, frame_rate: str, pixel_format: str,
                  camera_info_url: str, frame_id: str) -> CameraSettings:
    """
    Return the settings that these texts of a command line mean.

    :param image_size: as `640x480`.
    :param frame_rate: frames a second, as `30` or `29.97`.
    :param camera_info_url: a URL as camera_info_manager takes it, or the path of a YAML file.
    :raises CameraError: one of them is not what it should be.
    """
    size = re.fullmatch(r'([1-9]\d{0,4})x([1-9]\d{0,4})', image_size)
    if not size:
        raise CameraError(f'image_size:={image_size} is no size: expected WIDTHxHEIGHT in '
                          'pixels, such as 640x480')
    if not re.fullmatch(r'\d{1,4}(\.\d{1,3})?', frame_rate) or not Fraction(frame_rate):
        raise CameraError(f'frame_rate:={frame_rate} is no rate: expected frames a second above '
                          '0, such as 30 or 29.97')
    if pixel_format not in PIXEL_FORMATS:
        raise CameraError(f'pixel_format:={pixel_format} is not known: expected one of '
                          f'{", ".join(PIXEL_FORMATS)}')
    return CameraSettings(video_device, int(size[1]), int(size[2]), Fraction(frame_rate),
                          pixel_format, _url(camera_info_url), frame_id)


def _url(place: str) -> str:
    if not place or '://' in place:
        return place
    return Path(place).expanduser().absolute().as_uri()


def choose_driver(wanted: str, pixel_format: str, installed: Collection[str],
                  distribution: str) -> Driver:
    """
    Return the driver to start.

    :param wanted: `auto` (the first that is installed and decodes the format) or a package.
    :param installed: names of packages; others than drivers do not matter.
    :param distribution: of ROS, for the advice; empty = not known.
    :raises CameraError: there is none; the message has the command that installs one.
    """
    if wanted != AUTO and wanted not in DRIVERS:
        raise CameraError(f'driver:={wanted} is not known: expected one of '
                          f'{", ".join([AUTO, *DRIVERS])}')
    candidates = list(DRIVERS.values()) if wanted == AUTO else [DRIVERS[wanted]]
    able = [driver for driver in candidates if pixel_format in driver.pixel_formats]
    if not able:
        others = ', '.join(driver.package for driver in DRIVERS.values()
                           if pixel_format in driver.pixel_formats)
        raise CameraError(f'{wanted} cannot decode pixel_format:={pixel_format}: expected one of '
                          f'{", ".join(candidates[0].pixel_formats)}, or driver:={others}')
    for driver in able:
        if driver.package in installed:
            return driver
    advice = ' or '.join(f'sudo apt install {_debian(driver.package, distribution)}'
                         for driver in able)
    names = ' nor '.join(driver.package for driver in able)
    raise CameraError(f'{"neither " if len(able) > 1 else ""}{names} is '
                      f'{"" if len(able) > 1 else "not "}installed, which could drive a camera '
                      f'with pixel_format:={pixel_format}: {advice}')


def _debian(package: str, distribution: str) -> str:
    return PACKAGE_NAME.format(distribution=distribution or '$ROS_DISTRO',
                               package=package.replace('_', '-'))


def driver_parameters(driver: Driver, settings: CameraSettings) -> dict[str, Value]:
    """Return the parameters that make this driver do what is asked."""
    parameters = {'video_device': settings.video_device,
                  **driver.parameters(settings, driver.pixel_formats[settings.pixel_format])}
    if settings.camera_info_url:
        parameters['camera_info_url'] = settings.camera_info_url
    return parameters
