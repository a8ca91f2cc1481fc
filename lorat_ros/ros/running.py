# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""From the command line to an exit status, for nodes that have work to do and then end."""
from __future__ import annotations

import signal
import sys
from collections.abc import Callable
from typing import Optional, Protocol

import rclpy
from rclpy.executors import ExternalShutdownException


class FiniteNode(Protocol):
    """A node that works in `run` (spinning by itself) until it is done."""

    def run(self) -> int:
        """Work; returns the exit status."""

    def destroy_node(self) -> None:
        """Release everything; called also after an interruption."""


def run_to_end(make_node: Callable[[], FiniteNode], name: str,
               args: Optional[list[str]] = None) -> int:
    """
    Make the node and let it work.

    :returns: what ``run`` returns; 0 if it is interrupted (SIGINT, SIGTERM); 2, after one line
        on stderr, if it cannot start (ValueError or OSError).
    """
    rclpy.init(args=args)
    node = None
    try:
        node = make_node()
        return node.run()
    except (ValueError, OSError) as error:
        print(f'{name}: {error}', file=sys.stderr)
        return 2
    except (KeyboardInterrupt, ExternalShutdownException):
        return 0
    finally:
        # A second Ctrl-C shall not become a traceback while the first one is obeyed.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        if node is not None:
            node.destroy_node()
        rclpy.try_shutdown()
