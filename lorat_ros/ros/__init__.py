# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The ROS 2 side: nodes, messages, images, parameters. Only this room knows rclpy."""
