# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A MAVLink camera that tracks: the protocol alone. No ROS in here; pymavlink is optional."""
