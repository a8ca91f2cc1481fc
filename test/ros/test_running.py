# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""How a node's program ends: by its own doing, by a signal, by an error."""
from __future__ import annotations

import subprocess
import sys

import pytest

#: A node of which only the end matters: {run} is the body of its `run`.
PROGRAM = '''
import signal, sys
import rclpy
from lorat_ros.ros.running import RCLError, run_to_end

class Node:
    executor = None
    def run(self):
        {run}
    def destroy_node(self):
        print('destroyed')

sys.exit(run_to_end(Node, 'node', []))
'''
#: What rclpy's C++ makes of a signal while it turns a message into an object of Python's.
SWALLOWED = '''
        try:
            signal.raise_signal(signal.SIGINT)
        except KeyboardInterrupt:
            raise RuntimeError('Unable to convert call argument') from None'''


def ended(run: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, '-c', PROGRAM.format(run=run)], text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=60)


@pytest.mark.parametrize('run', [
    'signal.raise_signal(signal.SIGINT)', SWALLOWED,
    'rclpy.shutdown(); raise RCLError("the context is invalid")',
    'rclpy.shutdown(); raise RuntimeError("its handle is gone")'])
def test_an_interrupted_node_ends_quietly(run: str) -> None:
    result = ended(run)
    assert (result.returncode, result.stdout) == (0, 'destroyed\n')


def test_a_signal_while_the_node_is_made_is_an_interruption_too() -> None:
    result = subprocess.run(
        [sys.executable, '-c', PROGRAM.format(run='return 1').replace('    executor = None', """
    executor = None
    def __init__(self):
        rclpy.shutdown()
        raise RCLError("the context is invalid")""")],
        text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=60)
    assert (result.returncode, result.stdout) == (0, '')


def test_what_goes_wrong_while_it_is_interrupted_is_not_hidden() -> None:
    result = ended("""
        try:
            signal.raise_signal(signal.SIGINT)
        finally:
            raise OSError('the disk is full')""")
    assert (result.returncode, 'the disk is full' in result.stdout) == (2, True)
    result = ended('rclpy.shutdown(); raise TypeError("a fault")')
    assert (result.returncode, 'TypeError: a fault' in result.stdout) == (1, True)


def test_what_cannot_go_on_says_why_in_one_line() -> None:
    result = ended('raise OSError("no such\\n clip")')
    assert result.returncode == 2
    assert sorted(result.stdout.splitlines()) == ['destroyed', 'node: no such clip']


def test_a_fault_of_the_program_is_not_hidden() -> None:
    result = ended('raise RuntimeError("a fault")')
    assert result.returncode == 1 and 'RuntimeError: a fault' in result.stdout
    assert 'destroyed' in result.stdout


def test_its_own_end_is_its_exit_status() -> None:
    assert ended('return 7').returncode == 7
