# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What is published from where it lies arrives as rclpy would have sent it."""
from __future__ import annotations

from typing import Any

import pytest
from builtin_interfaces.msg import Time
from lorat_ros.ros.images import compressed_message, image_message
from lorat_ros.ros.prepared import Prepared
from rclpy.node import Node
from std_msgs.msg import Header
from support.graph import picture
from support.listener import Listener


@pytest.mark.parametrize('message', [
    image_message(picture(), Header(frame_id='camera')),
    compressed_message(picture(), Header(frame_id='camera'), 90)], ids=['raw', 'compressed'])
def test_it_arrives_under_each_of_its_stamps(node: Node, message: Any) -> None:
    prepared = Prepared(message)
    with Listener() as ear:
        heard = ear.listen(type(message), '/image', 10)
        publisher = node.create_publisher(type(message), '/image', 10)
        assert ear.spin_until(lambda: publisher.get_subscription_count())
        stamps = [Time(sec=-7, nanosec=8), Time(sec=9)]
        for stamp in stamps:
            prepared.publish(publisher, stamp)
        assert ear.spin_until(lambda: len(heard) == 2)
    for got, stamp in zip(heard, stamps):
        message.header.stamp = stamp
        assert got == message


def test_what_the_middleware_refuses_is_an_error(node: Node) -> None:
    message = image_message(picture(), Header())
    prepared, publisher = Prepared(message), node.create_publisher(type(message), 'image', 10)
    prepared._rcl_publish = lambda *_: 1      # RCL_RET_ERROR
    with pytest.raises(RuntimeError, match='rcl_ret_t 1'):
        prepared.publish(publisher, Time())
