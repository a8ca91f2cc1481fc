# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Running launch files where `launch` is installed."""
from __future__ import annotations

import importlib.util

import pytest

needs_launch = pytest.mark.skipif(
    importlib.util.find_spec('launch_ros') is None,
    reason='launch_ros is on no package registry: this runs where ROS 2 is installed')

#: A program for python -c: a launch file, then its arguments as NAME:=VALUE.
RUN = '''
import sys
from launch import LaunchService
from launch.actions import IncludeLaunchDescription
from launch.launch_description_sources import PythonLaunchDescriptionSource
path, *arguments = sys.argv[1:]
service = LaunchService()
service.include_launch_description(IncludeLaunchDescription(
    PythonLaunchDescriptionSource(path),
    launch_arguments=[argument.split(':=', 1) for argument in arguments]))
sys.exit(service.run())
'''
