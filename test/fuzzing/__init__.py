# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Inputs that nobody would send, for everything that reads what others wrote.

``make test`` feeds every target a few hundred; ``python -m fuzzing.run`` (docs/reliability.md)
as many as one likes, guided by coverage.
"""
