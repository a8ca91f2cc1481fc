# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""From the command line to an exit status, for each of the package's nodes."""
from __future__ import annotations

import signal
import sys
from collections.abc import Callable, Sequence
from types import FrameType
from typing import Optional, Protocol

import rclpy
from rclpy.exceptions import ParameterException
from rclpy.executors import Executor, ExternalShutdownException, SingleThreadedExecutor
from rclpy.impl.implementation_singleton import rclpy_implementation

ENDINGS = (signal.SIGINT, signal.SIGTERM)
RCLError = rclpy_implementation.RCLError  # what rclpy raises, but does not export
#: What makes a node impossible and is explained by its own words: a parameter that cannot be
#: used, ours (ValueError) or rclpy's, a file that is not there, arguments that rcl does not take.
CANNOT_START = (ValueError, OSError, ParameterException, RCLError)


class FiniteNode(Protocol):
    """A node that works in `run` (spinning by itself) until it is done."""

    @property
    def executor(self) -> Optional[Executor]:
        """What it spins itself with."""

    def run(self) -> int:
        """Work; returns the exit status."""

    def destroy_node(self) -> None:
        """Release everything; called also after an interruption."""


class ServingNode(Protocol):
    """A node that serves until it is interrupted."""

    def autostart(self) -> None:
        """Begin, once the executor has it."""

    def close(self) -> None:
        """End its threads; called before it is destroyed."""

    def destroy_node(self) -> None:
        """Release everything; called also after an interruption."""


def run_to_end(make_node: Callable[[], FiniteNode], name: str,
               args: Optional[Sequence[str]] = None) -> int:
    """
    Make the node and let it work.

    :returns: what ``run`` returns; 0 if it is interrupted (SIGINT, SIGTERM); 2, after one line
        on stderr, if it cannot start (see :data:`CANNOT_START`).
    """
    interrupted, begun = [], False

    def interrupt(number: int, frame: Optional[FrameType]) -> None:
        interrupted.append(number)
        signal.default_int_handler(number, frame)

    signal.signal(signal.SIGINT, interrupt)
    node = None
    try:
        rclpy.init(args=args)
        begun = True
        node = make_node()
        return node.run()
    except (KeyboardInterrupt, ExternalShutdownException):
        return 0
    except Exception as error:
        # In the midst of a call rclpy makes an error of its own of a KeyboardInterrupt, or finds
        # its context gone.
        if isinstance(error, RuntimeError) and (interrupted or begun and not rclpy.ok()):
            return 0
        if not isinstance(error, CANNOT_START):
            raise
        print(f'{name}: {_one_line(error)}', file=sys.stderr)
        return 2
    finally:
        # A second Ctrl-C shall not become a traceback while the first one is obeyed.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        if node is not None:
            # Else it is cleaned up when its context is gone, and complains.
            if node.executor is not None:
                node.executor.shutdown()
            node.destroy_node()
        rclpy.try_shutdown()


def serve(make_node: Callable[[], ServingNode], name: str,
          args: Optional[Sequence[str]] = None) -> int:
    """
    Make the node and spin it until Ctrl-C or SIGTERM.

    :returns: 0; 1, after one line on stderr, if it cannot start (see :data:`CANNOT_START`).
    """
    # rclpy's own handlers end the spinning; Python's would raise in the midst of the clean-up, a
    # second Ctrl-C would print a traceback, and a second SIGTERM would cut the clean-up off.
    for number in ENDINGS:
        signal.signal(number, lambda *_: None)
    node = None
    try:
        rclpy.init(args=args)
        executor = SingleThreadedExecutor()
        node = make_node()
        executor.add_node(node)
        node.autostart()
        executor.spin()
    except Exception as error:
        if node is None and isinstance(error, CANNOT_START):
            print(f'{name} cannot start: {_one_line(error)}', file=sys.stderr)
            return 1
        if rclpy.ok():  # otherwise somebody ended it, perhaps while it was still starting
            raise
    finally:
        if node is not None:
            node.close()
            node.destroy_node()
        rclpy.try_shutdown()
        # While the interpreter ends it would restore the deadly defaults for our own handlers.
        for number in ENDINGS:
            signal.signal(number, signal.SIG_IGN)
    return 0


def _one_line(error: Exception) -> str:
    return ' '.join(str(error).split())
