# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Training data, losses and loop; needs torch, which no node does."""
