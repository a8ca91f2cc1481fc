# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The command line: one file per subcommand of `lorat`, and what they share."""
