# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The slot of one and the thread behind it."""
from __future__ import annotations

import os
import sys
import threading

import pytest
from lorat_ros.ros.worker import Mailbox, Worker

PATIENCE = 20.0


def test_the_newest_replaces_what_waits() -> None:
    mailbox: Mailbox[int] = Mailbox()
    assert [mailbox.put(item) for item in (1, 2, 3)] == [False, True, True]
    assert mailbox.take() == 3
    assert mailbox.put(4) is False
    assert mailbox.take() == 4


def test_closing_wakes_the_taker_and_delivers_nothing_more() -> None:
    mailbox: Mailbox[int] = Mailbox()
    taken: list = []
    taker = threading.Thread(target=lambda: taken.append(mailbox.take()))
    taker.start()
    assert mailbox.close() is False
    taker.join(PATIENCE)
    assert taken == [None]
    mailbox.put(1)
    assert mailbox.take() is None


def test_while_it_works_only_the_newest_is_kept() -> None:
    started, go_on, done = threading.Event(), threading.Event(), threading.Event()
    worked: list[int] = []

    def work(item: int) -> None:
        worked.append(item)
        started.set()
        assert go_on.wait(PATIENCE)
        if item == 9:
            done.set()
    worker = Worker(work, on_error=lambda error: None)
    worker.give(0)
    assert started.wait(PATIENCE)
    dropped = [worker.give(item) for item in range(1, 10)]
    assert dropped == [False] + [True] * 8
    go_on.set()
    assert done.wait(PATIENCE)
    worker.stop()
    assert worked == [0, 9]


def test_an_error_ends_nothing_but_that_item() -> None:
    errors: list[Exception] = []
    done = threading.Event()

    def work(item: str) -> None:
        if item == 'bad':
            raise ValueError(item)
        done.set()

    seen = threading.Event()

    def on_error(error: Exception) -> None:
        errors.append(error)
        seen.set()
    worker = Worker(work, on_error)
    worker.give('bad')
    assert seen.wait(PATIENCE)
    worker.give('good')
    assert done.wait(PATIENCE)
    worker.stop()
    assert [str(error) for error in errors] == ['bad']


def test_an_error_in_the_complaint_ends_nothing_either(capsys: pytest.CaptureFixture) -> None:
    done = threading.Event()

    def work(item: str) -> None:
        if item == 'bad':
            raise ValueError(item)
        done.set()

    complained = threading.Event()

    def on_error(error: Exception) -> None:
        complained.set()
        raise RuntimeError('the log is full')
    worker = Worker(work, on_error)
    worker.give('bad')
    assert complained.wait(PATIENCE)
    worker.give('good')
    assert done.wait(PATIENCE)
    worker.stop()
    assert 'the log is full' in capsys.readouterr().err


def test_after_stop_nothing_is_worked_on() -> None:
    worked: list[int] = []
    worker = Worker(worked.append, on_error=lambda error: None)
    assert worker.stop() is False
    worker.give(1)
    assert worked == []
    assert 'tracking' not in [thread.name for thread in threading.enumerate()]


@pytest.mark.skipif(sys.platform != 'linux', reason='elsewhere niceness is of the whole process')
def test_a_nice_one_stands_back_alone() -> None:
    own = os.getpriority(os.PRIO_PROCESS, 0)
    found: list[int] = []
    done = threading.Event()

    def work(item: str) -> None:
        found.append(os.getpriority(os.PRIO_PROCESS, threading.get_native_id()))
        done.set()
    worker = Worker(work, lambda error: None, 'nice', niceness=19)
    worker.give('')
    assert done.wait(PATIENCE)
    worker.stop()
    assert found == [19] and os.getpriority(os.PRIO_PROCESS, 0) == own


def test_what_waits_at_the_end_is_said_to_be_dropped() -> None:
    started, go_on = threading.Event(), threading.Event()

    def work(item: int) -> None:
        started.set()
        assert go_on.wait(PATIENCE)
    worker = Worker(work, on_error=lambda error: None)
    worker.give(1)
    assert started.wait(PATIENCE)
    assert worker.give(2) is False
    threading.Timer(0.05, go_on.set).start()
    assert worker.stop() is True
    assert worker.stop() is False  # only once
