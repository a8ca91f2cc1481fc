# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
What it costs to take an image out of a subscription, in place and as rclpy does it, in turns.

    cd test && FASTDDS_DEFAULT_PROFILES_FILE=../config/fastdds.xml \
        ../.venv/bin/python -m support.taking_costs
"""
from __future__ import annotations

import time
from collections import deque

import numpy as np
import rclpy
from lorat_ros.ros.images import image_message
from lorat_ros.ros.malloc import keep_image_memory
from lorat_ros.ros.taking import PlaceTaker, PlainTaker
from sensor_msgs.msg import Image
from std_msgs.msg import Header

SIZES = ((640, 480), (1280, 720), (1920, 1080))
COUNT, SETTLING = 150, 30   # images for each of the two
KEPT = 20                   # images in memory, as in the node's frame buffer
ARRIVES = 0.02              # seconds


def measure(width: int, height: int) -> dict[str, float]:
    """Median processor milliseconds of each taker."""
    node = rclpy.create_node('costs')
    publisher = node.create_publisher(Image, 'image', 1)
    subscription = node.create_subscription(Image, 'image', lambda _: None, 1)
    while not publisher.get_subscription_count():
        time.sleep(0.01)
    message = image_message(np.zeros((height, width, 3), np.uint8), Header())
    takers = {taker.__name__: taker(Image) for taker in (PlaceTaker, PlainTaker)}
    took: dict[str, list[float]] = {name: [] for name in takers}
    kept: deque = deque(maxlen=KEPT)
    handle = subscription.handle
    with handle:
        for _ in range(COUNT):
            for name, taker in takers.items():
                publisher.publish(message)
                time.sleep(ARRIVES)
                begun = time.thread_time()
                taken = taker.take(handle)
                took[name].append(1e3 * (time.thread_time() - begun))
                kept.append(taken)
    assert None not in kept, 'images were lost: is the profile set?'
    node.destroy_node()
    return {name: float(np.median(values[SETTLING:])) for name, values in took.items()}


def main() -> None:
    """Print a table."""
    keep_image_memory()
    rclpy.init()
    for width, height in SIZES:
        found = measure(width, height)
        print(f'{width}x{height}  ' + '  '.join(f'{name} {ms:.2f} ms'
                                                for name, ms in found.items()))
    rclpy.shutdown()


if __name__ == '__main__':
    main()
