# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Start the tracker on a camera:

    ros2 launch lorat_ros tracker.launch.py image:=/camera/image_raw
"""
from __future__ import annotations

import os
from pathlib import Path

from launch import LaunchContext, LaunchDescription
from launch.actions import DeclareLaunchArgument, OpaqueFunction, SetEnvironmentVariable
from launch.conditions import IfCondition
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue

CONFIG = Path(__file__).resolve().parents[1] / 'config'  # in the source tree as in share/
FROM_FILE = ' (empty: as in params_file)'

ARGUMENTS = (
    DeclareLaunchArgument('image', default_value='image',
                          description="topic of the camera's images (sensor_msgs/Image); with "
                          'image_transport compressed its sibling <image>/compressed is taken'),
    DeclareLaunchArgument('camera_info', default_value='camera_info',
                          description="topic of the camera's calibration "
                          '(sensor_msgs/CameraInfo); tracking works without it'),
    DeclareLaunchArgument('image_transport', default_value='',
                          description='raw or compressed' + FROM_FILE),
    DeclareLaunchArgument('init_box', default_value='~/init_box',
                          description='topic on which targets are given '
                          '(vision_msgs/Detection2D), such as that of a detector'),
    DeclareLaunchArgument('init_point', default_value='~/init_point',
                          description='topic of clicks on the target (geometry_msgs/Point), such '
                          'as /camera/image_raw_mouse_left of rqt_image_view'),
    DeclareLaunchArgument('candidates', default_value='~/candidates',
                          description="topic of a detector's boxes "
                          '(vision_msgs/Detection2DArray), for reacquire: candidates'),
    DeclareLaunchArgument('params_file', default_value=str(CONFIG / 'tracker.yaml'),
                          description='YAML file with all parameters of the node'),
    DeclareLaunchArgument('model', default_value='',
                          description='name or folder of a model bundle' + FROM_FILE),
    DeclareLaunchArgument('engine', default_value='',
                          description='auto, tensorrt, onnx, openvino or torch' + FROM_FILE),
    DeclareLaunchArgument('namespace', default_value='',
                          description='namespace of the node; one per camera'),
    DeclareLaunchArgument('node_name', default_value='lorat_tracker',
                          description='name of the node'),
    DeclareLaunchArgument('use_sim_time', default_value='',
                          description='true with a simulator or a bag that publishes /clock'
                          + FROM_FILE),
    DeclareLaunchArgument('autostart', default_value='',
                          description='false: wait for lifecycle transitions' + FROM_FILE),
    DeclareLaunchArgument('rviz', default_value='false',
                          description='true: show the debug image and the ray to the target in '
                          'RViz'),
    DeclareLaunchArgument('mavlink_url', default_value='',
                          description='be a MAVLink camera for ground stations too: '
                          'udpin:HOST:PORT, udpout:HOST:PORT, tcp:HOST:PORT or a serial device; '
                          'more settings in mavlink_camera.launch.py (empty: do not)'),
    DeclareLaunchArgument('log_level', default_value='info',
                          description='debug, info, warn, error or fatal'),
)

#: Arguments that stand for a parameter, with its type. They are passed on only where they were
#: given: an argument's default must not overrule the file.
PARAMETERS = {'image_transport': str, 'model': str, 'engine': str, 'use_sim_time': bool,
              'autostart': bool}

#: Topics that arguments name: of the camera, and of whoever points at the target.
CAMERA_TOPICS = ('image', 'camera_info')
POINTING_TOPICS = ('init_box', 'init_point', 'candidates')

#: The variable that names Fast DDS's profiles, up to Jazzy and since Kilted.
OLD_PROFILES, PROFILES = 'FASTRTPS_DEFAULT_PROFILES_FILE', 'FASTDDS_DEFAULT_PROFILES_FILE'
OLD_DISTRIBUTIONS = ('humble', 'iron', 'jazzy')

#: All threads share one heap of the C library: see lorat_ros/ros/malloc.py, which comes too late
#: for threads that an import has started.
TUNABLES = 'GLIBC_TUNABLES'
ONE_HEAP = 'glibc.malloc.arena_max=1'


def large_image_transport() -> list[SetEnvironmentVariable]:
    """Make room for large images, which mostly never arrive under Fast DDS's default.

    Whoever has named a profile or a transport has chosen: nothing is done then.
    """
    if any(os.environ.get(name) for name in (OLD_PROFILES, PROFILES,
                                             'FASTDDS_BUILTIN_TRANSPORTS')):
        return []
    name = OLD_PROFILES if os.environ.get('ROS_DISTRO') in OLD_DISTRIBUTIONS else PROFILES
    return [SetEnvironmentVariable(name, str(CONFIG / 'fastdds.xml'))]


def room_of_the_tracker(context: LaunchContext) -> dict[str, str]:
    """Return the variable that gives the tracker, which sends little, less room than a camera.

    Whoever has chosen another profile keeps it.
    """
    return {name: str(CONFIG / 'fastdds_tracker.xml') for name in (OLD_PROFILES, PROFILES)
            if context.environment.get(name) == str(CONFIG / 'fastdds.xml')}


def c_library_of_the_tracker(context: LaunchContext) -> dict[str, str]:
    """Return the variable that gives all threads one heap; what the user chose stays."""
    chosen = context.environment.get(TUNABLES, '')
    if ONE_HEAP.partition('=')[0] in chosen:
        return {}
    return {TUNABLES: ':'.join(filter(None, (chosen, ONE_HEAP)))}


def tracker(context: LaunchContext) -> list[Node]:
    """Return the node, with the parameters of those arguments that were given."""
    given = {name: ParameterValue(LaunchConfiguration(name), value_type=kind)
             for name, kind in PARAMETERS.items() if LaunchConfiguration(name).perform(context)}
    return [Node(
        package='lorat_ros', executable='tracker_node', output='screen', emulate_tty=True,
        namespace=LaunchConfiguration('namespace'), name=LaunchConfiguration('node_name'),
        additional_env=room_of_the_tracker(context) | c_library_of_the_tracker(context),
        parameters=[LaunchConfiguration('params_file'), given],
        remappings=[*((name, LaunchConfiguration(name)) for name in CAMERA_TOPICS),
                    *((f'~/{name}', LaunchConfiguration(name)) for name in POINTING_TOPICS)],
        ros_arguments=['--log-level', LaunchConfiguration('log_level')])]


def mavlink_camera(context: LaunchContext) -> list[Node]:
    """Return the node that speaks to ground stations, if a URL was given."""
    if not LaunchConfiguration('mavlink_url').perform(context):
        return []
    transport = LaunchConfiguration('image_transport').perform(context)
    return [Node(
        package='lorat_ros', executable='mavlink_camera_node', output='screen', emulate_tty=True,
        namespace=LaunchConfiguration('namespace'), name='mavlink_camera',
        parameters=[{
            'url': ParameterValue(LaunchConfiguration('mavlink_url'), value_type=str),
            'tracker': ParameterValue(LaunchConfiguration('node_name'), value_type=str),
            **({'image_transport': transport} if transport else {})}],
        remappings=[(name, LaunchConfiguration(name)) for name in CAMERA_TOPICS],
        ros_arguments=['--log-level', LaunchConfiguration('log_level')])]


def generate_launch_description() -> LaunchDescription:
    """Return the tracker, and RViz if asked for."""
    debug_image, marker = ([LaunchConfiguration('node_name'), topic]
                           for topic in ('/debug_image', '/marker'))
    return LaunchDescription([
        *ARGUMENTS,
        *large_image_transport(),
        OpaqueFunction(function=tracker),
        OpaqueFunction(function=mavlink_camera),
        Node(package='rviz2', executable='rviz2', output='log',
             namespace=LaunchConfiguration('namespace'),
             arguments=['-d', str(CONFIG / 'tracker.rviz')],
             remappings=[('/lorat_tracker/debug_image', debug_image),
                         ('/lorat_tracker/marker', marker)],
             condition=IfCondition(LaunchConfiguration('rviz'))),
    ])
