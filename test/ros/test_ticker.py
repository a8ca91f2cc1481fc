# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A thread beside the executor that looks after things, and its end."""
from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from lorat_ros.ros.ticker import Ticker

SOON = 0.01
PATIENCE = 20.0


class Node:
    """As much of a node as a ticker needs."""

    def __init__(self) -> None:
        self.alive, self.errors = True, list[str]()
        self.context = SimpleNamespace(ok=lambda: self.alive)

    def get_logger(self) -> SimpleNamespace:
        return SimpleNamespace(error=self.errors.append)


@pytest.fixture
def node() -> Node:
    return Node()


@pytest.fixture
def made(node: Any) -> Iterator[Callable[[Callable[[], None]], Ticker]]:
    """Make tickers that end with the test."""
    tickers: list[Ticker] = []

    def make(work: Callable[[], None]) -> Ticker:
        tickers.append(Ticker(node, work, SOON))
        return tickers[-1]

    yield make
    for ticker in tickers:
        ticker.close()


def wait_for(condition: Callable[[], Any]) -> None:
    give_up = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < give_up
        time.sleep(SOON)


def test_works_again_and_again_in_a_thread_of_its_own(made: Any) -> None:
    threads: list[threading.Thread] = []
    made(lambda: threads.append(threading.current_thread()))
    wait_for(lambda: len(threads) >= 3)
    assert len(set(threads)) == 1
    assert threads[0] is not threading.current_thread()


def test_nothing_is_done_after_it_was_closed_and_closing_twice_is_once(made: Any) -> None:
    begun, go_on, done = threading.Event(), threading.Event(), list[bool]()

    def work() -> None:
        begun.set()
        go_on.wait(PATIENCE)
        done.append(True)

    ticker = made(work)
    assert begun.wait(PATIENCE)
    threading.Timer(0.05, go_on.set).start()    # while it is being closed
    ticker.close()
    ticker.close()
    assert done == [True]       # what was begun is finished first
    time.sleep(5 * SOON)
    assert done == [True]


def test_what_goes_wrong_is_logged_and_ends_nothing(made: Any, node: Node) -> None:
    count: list[bool] = []

    def work() -> None:
        count.append(True)
        raise ValueError(f'number {len(count)}')

    made(work)
    wait_for(lambda: len(node.errors) >= 2)
    assert 'ValueError: number 1' in node.errors[0]
    assert 'ValueError: number 2' in node.errors[1]


def test_it_ends_with_the_context_and_what_that_breaks_is_no_error(made: Any, node: Node) -> None:
    count: list[bool] = []

    def work() -> None:
        count.append(True)
        node.alive = False
        raise RuntimeError('no context')

    made(work)
    wait_for(lambda: count)
    time.sleep(5 * SOON)
    assert count == [True]
    assert not node.errors
