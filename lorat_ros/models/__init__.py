# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Model bundles: what a model is and where it is found; the shipped ones lie in ``bundles/``."""
