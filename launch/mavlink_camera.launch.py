# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Make a running tracker a MAVLink camera for ground stations:

    ros2 launch lorat_ros mavlink_camera.launch.py url:=udpout:192.168.1.10:14550
"""
from __future__ import annotations

from typing import List  # noqa: UP035 (launch_ros knows no other spelling)

from launch import LaunchContext, LaunchDescription
from launch.actions import DeclareLaunchArgument, OpaqueFunction
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue

OF_NODE = " (empty: the node's own default)"

ARGUMENTS = (
    DeclareLaunchArgument('image', default_value='image',
                          description="topic of the camera's images, for their size and stamps "
                          'while no camera_info comes'),
    DeclareLaunchArgument('camera_info', default_value='camera_info',
                          description="topic of the camera's calibration"),
    DeclareLaunchArgument('url', default_value='',
                          description='udpin:HOST:PORT, udpout:HOST:PORT, tcp:HOST:PORT or a '
                          'serial device such as /dev/ttyUSB0,921600' + OF_NODE),
    DeclareLaunchArgument('system_id', default_value='',
                          description='MAVLink system id: that of the vehicle' + OF_NODE),
    DeclareLaunchArgument('component_id', default_value='',
                          description='MAVLink component id: 100 to 105' + OF_NODE),
    DeclareLaunchArgument('allowed_system_ids', default_value='',
                          description='whose commands are carried out, such as [1, 255]; [0] = all'
                          + OF_NODE),
    DeclareLaunchArgument('signing_key_file', default_value='',
                          description='file with the MAVLink 2 signing key; empty = no signing'),
    DeclareLaunchArgument('video_delay', default_value='',
                          description="seconds by which the operator's picture is behind the "
                          'camera' + OF_NODE),
    DeclareLaunchArgument('image_transport', default_value='',
                          description='raw or compressed' + OF_NODE),
    DeclareLaunchArgument('tracker', default_value='lorat_tracker',
                          description='name of the tracker node'),
    DeclareLaunchArgument('namespace', default_value='',
                          description='namespace of the node; that of the tracker'),
    DeclareLaunchArgument('log_level', default_value='info',
                          description='debug, info, warn, error or fatal'),
)

#: Arguments that stand for a parameter, with its type; passed on only where they were given.
PARAMETERS = {'url': str, 'system_id': int, 'component_id': int,
              'allowed_system_ids': List[int],  # noqa: UP006
              'signing_key_file': str, 'video_delay': float, 'image_transport': str,
              'tracker': str}


def camera(context: LaunchContext) -> list[Node]:
    """Return the node, with the parameters of those arguments that were given."""
    given = {name: ParameterValue(LaunchConfiguration(name), value_type=kind)
             for name, kind in PARAMETERS.items() if LaunchConfiguration(name).perform(context)}
    return [Node(
        package='lorat_ros', executable='mavlink_camera_node', output='screen', emulate_tty=True,
        namespace=LaunchConfiguration('namespace'), name='mavlink_camera', parameters=[given],
        remappings=[(name, LaunchConfiguration(name)) for name in ('image', 'camera_info')],
        ros_arguments=['--log-level', LaunchConfiguration('log_level')])]


def generate_launch_description() -> LaunchDescription:
    """Return the camera component."""
    return LaunchDescription([*ARGUMENTS, OpaqueFunction(function=camera)])
