# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Both ways to take a message over real DDS give the same, and say the same of it."""
from __future__ import annotations

import time
from typing import Any

import numpy as np
import pytest
from builtin_interfaces.msg import Time
from lorat_ros.images import ImageError
from lorat_ros.ros import taking
from lorat_ros.ros.arrivals import Arrivals
from lorat_ros.ros.images import compressed_message, image_message, to_bgr
from lorat_ros.ros.messages import header_message
from lorat_ros.ros.received import LayoutError, ReceivedImage
from lorat_ros.ros.taking import PlaceTaker, PlainTaker, taker_of
from rclpy.node import Node
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Header
from support.graph import PATIENCE, picture

HEADER = Header(stamp=Time(sec=7, nanosec=8), frame_id='optical')


def taken(taker: Any, subscription: Any) -> Any:
    """What there is to take, as soon as it is there."""
    give_up = time.monotonic() + PATIENCE
    while (found := taker.take(subscription)) is None:
        assert time.monotonic() < give_up
        time.sleep(0.01)
    return found


@pytest.mark.parametrize('message', [
    image_message(picture(), HEADER), compressed_message(picture(), HEADER, 90)],
    ids=['raw', 'compressed'])
@pytest.mark.parametrize('kind_of_taker', [PlaceTaker, PlainTaker])
def test_what_was_published_is_taken(node: Node, message: Any, kind_of_taker: type) -> None:
    kind = type(message)
    taker, arrivals = kind_of_taker(kind), Arrivals()
    publisher = node.create_publisher(kind, 'image', 10)
    subscription = node.create_subscription(kind, 'image', lambda _: None, 10)
    give_up = time.monotonic() + PATIENCE
    while not publisher.get_subscription_count():
        assert time.monotonic() < give_up
        time.sleep(0.01)
    handle = subscription.handle
    with handle:
        assert taker.take(handle) is None
        publisher.publish(message)
        got, info = taken(taker, handle)
        assert arrivals.missed(info) == 0
        assert header_message(got.header) == HEADER
        np.testing.assert_array_equal(to_bgr(got), to_bgr(message))
        # Two are lost on their way, and the third one's number says so.
        for _ in range(3):
            publisher.publish(message)
        for _ in range(2):
            taken(PlainTaker(kind), handle)
        _, info = taken(taker, handle)
        assert arrivals.missed(info) == 2
        assert taker.take(handle) is None


@pytest.mark.parametrize('kind_of_taker', [PlaceTaker, PlainTaker])
def test_one_taker_serves_one_subscription_after_the_other(node: Node, kind_of_taker: type
                                                           ) -> None:
    """As after a pause."""
    taker = kind_of_taker(Image)
    for number in range(3):
        message = image_message(picture(), Header(stamp=Time(sec=number, nanosec=1)))
        publisher = node.create_publisher(Image, f'image{number}', 10)
        subscription = node.create_subscription(Image, f'image{number}', lambda _: None, 10)
        give_up = time.monotonic() + PATIENCE
        while not publisher.get_subscription_count():
            assert time.monotonic() < give_up
            time.sleep(0.01)
        publisher.publish(message)
        with subscription.handle:
            got, _ = taken(taker, subscription.handle)
        assert header_message(got.header) == message.header
        node.destroy_subscription(subscription)


def test_in_place_is_preferred_where_it_is_possible(monkeypatch: pytest.MonkeyPatch) -> None:
    assert isinstance(taker_of(Image), PlaceTaker)
    assert isinstance(taker_of(CompressedImage), PlaceTaker)

    def refuse(kind: type) -> None:
        raise LayoutError('another one')
    monkeypatch.setattr(taking, 'Layout', refuse)
    assert isinstance(taker_of(Image), PlainTaker)


def test_what_the_middleware_cannot_read_is_an_image_error(node: Node) -> None:
    subscription = node.create_subscription(Image, 'image', lambda _: None, 10)
    taker = PlaceTaker(Image)
    handle = subscription.handle
    with handle:
        taker._rcl_take = lambda *_: 1      # RCL_RET_ERROR
        with pytest.raises(ImageError, match='could not be taken') as refused:
            taker.take(handle)
    assert refused.value.kind == 'not a message'


def test_what_is_taken_in_place_outlives_its_subscription(node: Node) -> None:
    publisher = node.create_publisher(Image, 'image', 10)
    subscription = node.create_subscription(Image, 'image', lambda _: None, 10)
    while not publisher.get_subscription_count():
        time.sleep(0.01)
    publisher.publish(image_message(picture(), HEADER))
    handle = subscription.handle
    with handle:
        got, _ = taken(PlaceTaker(Image), handle)
    node.destroy_subscription(subscription)
    assert isinstance(got, ReceivedImage)
    np.testing.assert_array_equal(to_bgr(got), picture())
