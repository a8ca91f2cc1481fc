# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The fixture that starts nodes is strict: it reports bad ends and leaves no process behind."""

from __future__ import annotations

import signal
import sys
from pathlib import Path

import pytest

pytest_plugins = ['pytester']
POLITE = """
import signal, sys
signal.signal(signal.SIGINT, lambda *_: sys.exit(0))
print('ready')
signal.pause()
"""
DEAF = """
import signal
signal.signal(signal.SIGINT, signal.SIG_IGN)
print('ready')
while True:
    signal.pause()
"""


def test_starts_listens_and_stops(node_process) -> None:
    process = node_process([sys.executable, '-c', POLITE])
    assert 'ready' in process.wait_for_output('ready')
    assert process.returncode is None
    assert process.stop() == 0


def test_says_when_a_process_ends_too_early(node_process) -> None:
    process = node_process([sys.executable, '-c', 'print("no camera"); raise SystemExit(4)'],
                           exit_codes=(4,))
    with pytest.raises(AssertionError, match='(?s)ended with 4 before it printed.*no camera'):
        process.wait_for_output('ready')


def test_kills_what_does_not_listen_and_says_so(node_process) -> None:
    process = node_process([sys.executable, '-c', DEAF], exit_codes=(-signal.SIGTERM,))
    process.wait_for_output('ready')
    with pytest.raises(AssertionError, match='(?s)did not stop within 0.5 s.*was killed.*ready'):
        process.stop(timeout=0.5)
    assert process.returncode == -signal.SIGTERM


def test_names_what_is_not_installed(node_process) -> None:
    with pytest.raises(FileNotFoundError, match="'no_such_node' is not installed.*make env"):
        node_process('no_such_node')


def test_a_bad_end_fails_the_test(pytester: pytest.Pytester) -> None:
    pytester.makeconftest((Path(__file__).parent / 'conftest.py').read_text())
    pytester.makepyfile("""
        import sys
        def test_with_a_node_that_crashes(node_process):
            node_process([sys.executable, '-c', 'raise SystemExit("camera on fire")']).wait()
        def test_that_fails(node_process):
            node_process([sys.executable, '-c', 'print("what it said")']).wait()
            assert False
    """)
    result = pytester.runpytest_subprocess('-p', 'no:cacheprovider')
    result.assert_outcomes(passed=1, errors=1, failed=1)
    result.stdout.fnmatch_lines(['*ended with 1, expected one of (0,)*', 'camera on fire'])
    result.stdout.fnmatch_lines(['*output of *', 'what it said'])
