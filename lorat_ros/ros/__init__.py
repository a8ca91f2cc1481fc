# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The only place that knows rclpy: nodes, messages, images, parameters, diagnostics."""
from lorat_ros.ros.shared_memory import complain_if_full

complain_if_full()  # here, because to import rclpy may be the end
