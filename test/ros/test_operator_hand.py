# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The hand that points for the pictures in docs/: what it says over real DDS, and when."""
from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
from builtin_interfaces.msg import Time
from geometry_msgs.msg import Point
from lorat_ros.ros.images import image_message
from lorat_ros.ros.messages import box_of
from lorat_ros.tools.operator_scenes import HEARD_NAME, POINTED_NAME
from sensor_msgs.msg import CameraInfo, Image
from std_msgs.msg import Header
from support.listener import Listener
from vision_msgs.msg import Detection2D
from visualization_msgs.msg import Marker


def test_it_clicks_and_draws_when_its_images_come(node_process: Callable,
                                                  tmp_path: Path) -> None:
    with Listener('lorat_tracker') as graph:
        clicks = graph.listen(Point, '~/init_point')
        boxes = graph.listen(Detection2D, '~/init_box')
        images = graph.node.create_publisher(Image, 'image', 10)
        infos = graph.node.create_publisher(CameraInfo, 'camera_info', 10)
        markers = graph.node.create_publisher(Marker, '~/marker', 10)
        hand = node_process([
            sys.executable, '-m', 'lorat_ros.ros.operator_hand', '--ros-args',
            '-p', f'output:={tmp_path}',
            '-p', 'click_at:=1', '-p', 'click_box:=[10.0,20.0,30.0,40.0]',
            '-p', 'box_at:=2', '-p', 'box:=[12.0,22.0,30.0,40.0]', '-p', 'box_sent_at:=4'])
        assert graph.spin_until(lambda: images.get_subscription_count()
                                and infos.get_subscription_count()
                                and markers.get_subscription_count()
                                and graph.node.count_publishers('lorat_tracker/init_box'))
        graph.spin(0.5)
        for second in range(6):
            header = Header(stamp=Time(sec=second + 1), frame_id='camera')
            picture = np.full((96, 128, 3), 20 * second, np.uint8)
            images.publish(image_message(picture, header))
            infos.publish(CameraInfo(header=header, width=128, height=96, k=[9.0] * 9))
            markers.publish(Marker(header=header, action=Marker.ADD,
                                   points=[Point(), Point(x=1.0, y=2.0, z=3.0)]))
            graph.spin(0.2)
        assert graph.spin_until(lambda: len(clicks) == 2 and len(boxes) == 1)
        assert [(c.x, c.y) for c in clicks] == [(10.0, 20.0), (40.0, 60.0)]
        assert boxes[0].header.stamp.sec == 3  # of the image it was drawn on, not of the newest
        assert tuple(box_of(boxes[0])) == (12.0, 22.0, 30.0, 40.0)
        graph.node.destroy_publisher(images)
        assert hand.wait(30) == 0
    heard = json.loads((tmp_path / HEARD_NAME).read_text())
    assert heard['stamps'] == {'click': 2 * 10**9, 'box': 3 * 10**9, 'sent': 5 * 10**9}
    assert heard['markers'][str(3 * 10**9)] == [[0, 0, 0], [1, 2, 3]]
    assert (heard['size'], heard['k'][0]) == ([128, 96], 9.0)
    assert all((tmp_path / POINTED_NAME.format(name)).is_file()
               for name in ('click', 'box', 'sent'))
