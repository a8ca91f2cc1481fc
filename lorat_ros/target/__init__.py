# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The life of a target: when it is tracked, when it is lost. No ROS in here."""
