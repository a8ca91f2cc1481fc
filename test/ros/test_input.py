# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Why no image comes: what is said for what the graph shows."""
from __future__ import annotations

import pytest
from lorat_ros.ros.input import explain_silence
from rclpy.qos import QoSProfile, ReliabilityPolicy
from rclpy.topic_endpoint_info import TopicEndpointInfo

RAW, JPEG = 'sensor_msgs/msg/Image', 'sensor_msgs/msg/CompressedImage'
BEST_EFFORT, RELIABLE = ReliabilityPolicy.BEST_EFFORT, ReliabilityPolicy.RELIABLE


def publisher(kind: str = RAW, reliability: ReliabilityPolicy = RELIABLE,
              name: str = 'driver', namespace: str = '/cam') -> TopicEndpointInfo:
    return TopicEndpointInfo(node_name=name, node_namespace=namespace, topic_type=kind,
                             qos_profile=QoSProfile(depth=1, reliability=reliability))


@pytest.mark.parametrize(('arguments', 'said'), [
    (('raw', 'best_effort', [], []),
     ['no image on /t (sensor_msgs/msg/Image)', 'it has no publisher', 'no such images are on any',
      'Start the camera, remap `image`', 'ROS_DOMAIN_ID', 'FASTDDS_BUILTIN_TRANSPORTS']),
    (('raw', 'best_effort', [], ['/a', '/b']), ['such images are on: /a, /b']),
    (('raw', 'best_effort', [publisher(JPEG)], []),
     [f'/cam/driver publishes {JPEG} there', 'Set image_transport to compressed',
      'without /compressed']),
    (('compressed', 'best_effort', [publisher(RAW)], []), ['Set image_transport to raw']),
    (('raw', 'reliable', [publisher(RAW, BEST_EFFORT)], []),
     ['/cam/driver offers best_effort', 'asks for reliable',
      'Set image_reliability to auto or best_effort']),
    (('raw', 'reliable', [publisher(RAW, BEST_EFFORT), publisher(name='other', namespace='/')],
      []), ['/cam/driver, /other is there with a matching QoS (reliable)']),
    (('raw', 'best_effort', [publisher()], []),
     ['/cam/driver is there with a matching QoS (best_effort)', '`ros2 topic hz`',
      'config/fastdds.xml', 'LARGE_DATA']),
    (('raw', 'best_effort', [publisher(name='_NODE_NAME_UNKNOWN_')], []),
     ['a node whose name is not known yet is there']),
])
def test_the_cause_and_the_cure_are_named(arguments: tuple, said: list) -> None:
    text = explain_silence('/t', *arguments)
    for part in said:
        assert part in text
