# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Who runs a bundle's graphs."""
