# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A listener hears over real DDS, whatever its node's executor does, until it is closed."""
from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

import pytest
import rclpy
from lorat_ros.ros.listener import Listener
from lorat_ros.ros.taking import PlainTaker
from rclpy.impl.implementation_singleton import rclpy_implementation
from rclpy.node import Node
from rclpy.qos import QoSProfile
from rclpy.qos_overriding_options import QoSOverridingOptions
from std_msgs.msg import String
from support.graph import PATIENCE


class Ear:
    """What a listener heard, and what went wrong."""

    def __init__(self, node: Node) -> None:
        self.heard: list[str] = []
        self.infos: list[Mapping[str, Any]] = []
        self.errors: list[Exception] = []
        qos = QoSProfile(depth=10)
        self.publisher = node.create_publisher(String, 'words', qos)
        self.listener = Listener(node, String, 'words', qos, QoSOverridingOptions([]),
                                 PlainTaker(String), self._hear, self.errors.append)
        wait(lambda: self.publisher.get_subscription_count() == 1)

    def say(self, word: str) -> None:
        self.publisher.publish(String(data=word))

    def _hear(self, message: String, info: Mapping[str, Any], seconds: float) -> None:
        if message.data == 'bad':
            raise ValueError(message.data)
        assert 0 < seconds < PATIENCE
        self.heard.append(message.data)
        self.infos.append(info)


def wait(happens: Callable[[], bool]) -> None:
    give_up = time.monotonic() + PATIENCE
    while not happens():
        assert time.monotonic() < give_up
        time.sleep(0.01)


def test_it_hears_without_an_executor_and_survives_a_bad_message(node: Node) -> None:
    ear = Ear(node)
    for word in ('one', 'bad', 'two'):
        ear.say(word)
    wait(lambda: len(ear.heard) == 2)
    assert ear.heard == ['one', 'two']
    assert [str(error) for error in ear.errors] == ['bad']
    assert all(isinstance(info, Mapping) for info in ear.infos)
    ear.listener.close()


def test_nothing_is_heard_after_it_is_closed(node: Node) -> None:
    ear = Ear(node)
    ear.listener.close()
    assert node.count_subscribers('words') == 0
    ear.say('late')
    rclpy.spin_once(node, timeout_sec=0.2, executor=rclpy.executors.SingleThreadedExecutor(
        context=node.context))
    assert ear.heard == []
    again = Ear(node)
    again.say('again')
    wait(lambda: again.heard == ['again'])
    again.listener.close()
    assert ear.heard == []


def test_it_ends_with_its_context(node: Node) -> None:
    ear = Ear(node)
    node.context.shutdown()
    ear.listener.close()
    assert ear.errors == []


def test_a_context_that_ends_while_it_starts_is_no_failure(
        node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    """A signal may come between one line and the next; the thread then has nothing to say."""
    make, failures = rclpy_implementation.WaitSet, []

    def late(*args: Any) -> Any:
        node.context.shutdown()
        return make(*args)

    monkeypatch.setattr(rclpy_implementation, 'WaitSet', late)
    monkeypatch.setattr(threading, 'excepthook', failures.append)
    listener = Listener(node, String, 'words', QoSProfile(depth=10), QoSOverridingOptions([]),
                        PlainTaker(String), lambda *heard: None, failures.append)
    listener.close()
    assert not node.context.ok()
    assert failures == []


def test_an_error_of_a_context_that_lives_is_not_hidden(
        node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    failures: list[Any] = []

    def broken(*args: Any) -> Any:
        raise rclpy_implementation.RCLError('no memory')

    monkeypatch.setattr(rclpy_implementation, 'WaitSet', broken)
    monkeypatch.setattr(threading, 'excepthook', failures.append)
    listener = Listener(node, String, 'words', QoSProfile(depth=10), QoSOverridingOptions([]),
                        PlainTaker(String), lambda *heard: None, failures.append)
    listener.close()
    assert [str(failure.exc_value) for failure in failures] == ['no memory']
