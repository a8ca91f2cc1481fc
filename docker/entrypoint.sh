#!/bin/bash
# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
# Runs a command with ROS 2 and this package on its paths; what is built stays in the volume /cache.
set -e
source "/opt/ros/${ROS_DISTRO}/setup.bash"
source /ws/install/setup.bash
export PATH="/ws/install/lorat_ros/lib/lorat_ros:${PATH}"
export FASTRTPS_DEFAULT_PROFILES_FILE="${FASTRTPS_DEFAULT_PROFILES_FILE:-/ws/install/lorat_ros/share/lorat_ros/config/fastdds.xml}"
exec "$@"
