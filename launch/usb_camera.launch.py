# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Start a USB camera and the tracker on it; click on the target in rqt_image_view:

    ros2 launch lorat_ros usb_camera.launch.py video_device:=/dev/video0 rviz:=true

All arguments of tracker.launch.py are taken too; the camera's topics are `camera/image_raw` and
`camera/camera_info` within `namespace`.
"""
from __future__ import annotations

import os
from pathlib import Path

from ament_index_python.packages import get_packages_with_prefixes
from launch import LaunchContext, LaunchDescription
from launch.actions import DeclareLaunchArgument, IncludeLaunchDescription, OpaqueFunction
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node
from lorat_ros.ros.usb_camera import choose_driver, Driver, driver_parameters, read_settings

CAMERA = 'camera'  # the part of the namespace that is the camera's own
TRACKER = Path(__file__).resolve().parent / 'tracker.launch.py'

ARGUMENTS = (
    DeclareLaunchArgument('driver', default_value='auto',
                          description='v4l2_camera, usb_cam, or auto: the first of them that is '
                          'installed and decodes pixel_format'),
    DeclareLaunchArgument('video_device', default_value='/dev/video0',
                          description='device of the camera: `v4l2-ctl --list-devices`'),
    DeclareLaunchArgument('image_size', default_value='640x480',
                          description='WIDTHxHEIGHT in pixels, one that the camera offers: '
                          '`v4l2-ctl --list-formats-ext`'),
    DeclareLaunchArgument('frame_rate', default_value='30',
                          description='frames a second, such as 30 or 29.97'),
    DeclareLaunchArgument('pixel_format', default_value='yuyv',
                          description='what the camera sends: yuyv, uyvy, grey, or mjpeg (usb_cam '
                          'only), with which large images fit through USB 2'),
    DeclareLaunchArgument('camera_info_url', default_value='',
                          description='calibration, a YAML file or a URL of it such as '
                          'package://mine/camera.yaml; without it there is no ~/bearing'),
    DeclareLaunchArgument('frame_id', default_value='camera',
                          description="the camera's optical frame"),
)
SETTINGS = ('video_device', 'image_size', 'frame_rate', 'pixel_format', 'camera_info_url',
            'frame_id')


def driver(context: LaunchContext) -> Driver:
    """Return the driver to start; CameraError if there is none."""
    wanted, pixel_format = (LaunchConfiguration(name).perform(context)
                            for name in ('driver', 'pixel_format'))
    return choose_driver(wanted, pixel_format, get_packages_with_prefixes(),
                         os.environ.get('ROS_DISTRO', ''))


def parameters(context: LaunchContext) -> dict:
    """Return the driver's parameters; CameraError if an argument is not what it should be."""
    texts = (LaunchConfiguration(name).perform(context) for name in SETTINGS)
    return driver_parameters(driver(context), read_settings(*texts))


def check(context: LaunchContext) -> None:
    """Fail before anything is started, if the camera cannot be."""
    parameters(context)


def camera(context: LaunchContext) -> list[Node]:
    """Return the camera."""
    chosen, namespace = driver(context), LaunchConfiguration('namespace').perform(context)
    return [Node(package=chosen.package, executable=chosen.executable, name=chosen.package,
                 namespace=f'{namespace}/{CAMERA}' if namespace else CAMERA,
                 parameters=[parameters(context)], output='screen', emulate_tty=True)]


def generate_launch_description() -> LaunchDescription:
    """Return the camera and the tracker."""
    image = f'{CAMERA}/image_raw'
    return LaunchDescription([
        *ARGUMENTS,
        OpaqueFunction(function=check),
        # Before the camera: it makes room for large images, which is the sender's to have.
        IncludeLaunchDescription(
            PythonLaunchDescriptionSource(str(TRACKER)),
            launch_arguments=[('image', image), ('camera_info', f'{CAMERA}/camera_info'),
                              ('init_point', f'{image}_mouse_left')]),
        OpaqueFunction(function=camera),
    ])
