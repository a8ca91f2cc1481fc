# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Network definitions, their checkpoints and their export; needs torch, which no node does."""
