# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What is filled into a form is the message that rclpy would have made."""
from __future__ import annotations

from builtin_interfaces.msg import Time
from hypothesis import given
from hypothesis import strategies as st
from lorat_ros.ros.forms import DetectionForms, DetectionWriter, numbers_of
from lorat_ros.ros.messages import detection_message, detections_message
from lorat_ros.ros.received import ReceivedHeader, ReceivedStamp
from rclpy.serialization import deserialize_message, serialize_message
from std_msgs.msg import Header
from vision_msgs.msg import Detection2D

TEXTS = st.text(st.characters(exclude_characters='\0', exclude_categories=['Cs']), max_size=12)
STAMPS = st.builds(ReceivedStamp, st.integers(-2**31, 2**31 - 1), st.integers(0, 2**32 - 1))
NUMBER = st.floats(-1e6, 1e6)
BOXES = st.tuples(NUMBER, NUMBER, st.floats(0.1, 1e5), st.floats(0.1, 1e5))


@given(TEXTS, TEXTS, TEXTS, st.lists(st.tuples(STAMPS, BOXES, st.floats(0, 1)), min_size=1,
                                     max_size=3))
def test_a_filled_form_is_the_message(frame_id: str, target_id: str, class_id: str,
                                      frames: list) -> None:
    forms = DetectionForms.of(frame_id, target_id, class_id)
    for stamp, box, score in frames:    # one after the other: nothing stays of the one before
        header = Header(stamp=Time(sec=stamp.sec, nanosec=stamp.nanosec), frame_id=frame_id)
        message = detection_message(header, box, score, target_id, class_id)
        numbers = numbers_of(box, score)
        for filled, expected in (
                (forms.detection.filled(stamp, numbers), message),
                (forms.array.filled(stamp, numbers), detections_message(header, message)),
                (forms.empty.filled(stamp), detections_message(header, None))):
            assert len(filled) == len(serialize_message(expected))
            assert deserialize_message(filled, type(expected)) == expected


def test_a_writer_writes_anew_what_its_forms_do_not_know() -> None:
    writer, stamp = DetectionWriter(), ReceivedStamp(1, 2)
    numbers = numbers_of((1.0, 2.0, 3.0, 4.0), 0.5)
    first = writer.forms(ReceivedHeader(stamp, 'left'), 'a', 'boat')
    assert writer.forms(ReceivedHeader(stamp, 'left'), 'a', 'boat') is first
    for frame_id, target_id, class_id in (('right', 'a', 'boat'), ('left', 'b', 'boat'),
                                          ('left', 'a', 'car'), ('left', 'a', 'boat')):
        forms = writer.forms(ReceivedHeader(stamp, frame_id), target_id, class_id)
        said = deserialize_message(forms.detection.filled(stamp, numbers), Detection2D)
        assert (said.header.frame_id, said.id, said.results[0].hypothesis.class_id) == (
            frame_id, target_id, class_id)
        assert said.header == ReceivedHeader(stamp, frame_id).message()
