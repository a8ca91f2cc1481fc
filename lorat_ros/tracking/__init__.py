# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What a tracker does before and after its network, and the two calls around it."""
