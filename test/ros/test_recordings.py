# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What the node publishes, in the bytes that a recorder stores, is training data."""
from __future__ import annotations

import numpy as np
import pytest
from builtin_interfaces.msg import Time
from rclpy.serialization import serialize_message
from rosbags.rosbag2 import StoragePlugin, Writer
from std_msgs.msg import Header
from support.recordings import moving_disc

from lorat_ros.ros.images import compressed_message, image_message
from lorat_ros.ros.messages import detection_message, detections_message
from lorat_ros.training.bag_messages import COMPRESSED, DETECTION, DETECTIONS, RAW, typestore
from lorat_ros.training.bags import read_bag
from lorat_ros.training.footage import Notes, Reading
from lorat_ros.training.store import Store


@pytest.mark.parametrize('plugin', [StoragePlugin.MCAP, StoragePlugin.SQLITE3])
@pytest.mark.parametrize('kind', [RAW, COMPRESSED])
def test_messages_of_the_node_are_read_from_a_recording(kind, plugin, tmp_path):
    frames = list(moving_disc(5))
    with Writer(tmp_path / 'bag', version=9, storage_plugin=plugin) as writer:
        store = typestore()
        topics = {name: writer.add_connection(name, type_name, typestore=store)
                  for name, type_name in (('/camera', kind), ('/t/detection', DETECTION),
                                          ('/t/detections', DETECTIONS))}
        for stamp, image, box in frames:
            header = Header(frame_id='camera', stamp=Time(sec=stamp // 10**9,
                                                          nanosec=stamp % 10**9))
            seen = detection_message(header, box, 0.9, 'target', 'car')
            picture = image_message(image, header) if kind == RAW else \
                compressed_message(image, header, 95)
            for name, message in (('/camera', picture), ('/t/detection', seen),
                                  ('/t/detections', detections_message(header, seen))):
                writer.write(topics[name], stamp, serialize_message(message))
    notes = Notes()
    (clip,) = read_bag(tmp_path / 'bag', Reading(Store(0)), notes)
    shots = list(clip.shots(notes))
    assert len(shots) == 5 and not notes.lines
    for shot, (_, image, box) in zip(shots, frames):
        assert shot.box == pytest.approx(box)
        apart = np.abs(shot.picture.image.astype(int) - image).mean()
        assert apart == 0 if kind == RAW else apart < 4
