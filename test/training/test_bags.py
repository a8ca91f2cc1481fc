# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Recordings, written by rosbags as rosbag2 writes them, and read back as training data."""
from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rosbags.rosbag2 import StoragePlugin
from support.recordings import (forget_definitions, moving_disc, Recorder, START, STEP,
                                VISION_MSGS_3, write_recording)

from lorat_ros.training.bag_messages import RAW, typestore, VISION_MSGS
from lorat_ros.training.bags import match, read_bag
from lorat_ros.training.footage import DataError, Notes, Reading
from lorat_ros.training.store import Store

PLUGINS = {'mcap': StoragePlugin.MCAP, 'sqlite3': StoragePlugin.SQLITE3}
MESSAGES = Path(__file__).resolve().parents[2] / 'underlay' / 'vision_msgs' / 'msg'


def read(path: Path, notes: Notes | None = None, **options) -> list:
    return list(read_bag(path, Reading(Store(0), **options), notes or Notes()))


def shots_of(path: Path, notes: Notes | None = None, **options) -> list:
    notes = notes or Notes()
    (clip,) = read(path, notes, **options)
    return list(clip.shots(notes))


@pytest.mark.skipif(not MESSAGES.is_dir(), reason='no checkout: the .msg files are not installed')
@pytest.mark.parametrize('name', VISION_MSGS)
def test_the_definitions_are_those_of_vision_msgs(name):
    lines = (re.sub(r'#.*', '', line).strip()
             for line in (MESSAGES / f'{name}.msg').read_text().splitlines())
    assert [' '.join(line.split()) for line in lines if line] == VISION_MSGS[name].split('\n')


@pytest.mark.parametrize('version', [3, 4])
@pytest.mark.parametrize('plugin', PLUGINS)
def test_images_and_boxes_come_back(plugin, version, tmp_path):
    path = write_recording(tmp_path / 'bag', PLUGINS[plugin], version)
    truth = list(moving_disc(8))
    shots = shots_of(path)
    assert len(shots) == 8
    for shot, (_, image, box) in zip(shots, truth):
        np.testing.assert_array_equal(shot.picture.image, image)
        assert shot.box == pytest.approx(box)


def test_a_recording_without_definitions(tmp_path):
    """Humble writes none; version 3 of vision_msgs has the bytes of version 4."""
    for version in (3, 4):
        path = write_recording(tmp_path / str(version), StoragePlugin.SQLITE3, version)
        forget_definitions(path)
        assert shots_of(path)[2].box == pytest.approx((25, 45, 31, 31))


@pytest.mark.parametrize('plugin', PLUGINS)
def test_the_storage_file_alone(plugin, tmp_path):
    path = write_recording(tmp_path / 'bag', PLUGINS[plugin])
    (path / 'metadata.yaml').unlink()
    assert len(shots_of(path)) == 8
    (file,) = path.iterdir()
    assert len(shots_of(file)) == 8


def test_both_versions_have_the_same_bytes():
    texts = []
    for version in (VISION_MSGS, VISION_MSGS_3):
        store = typestore(version)
        pose = store.types['vision_msgs/msg/Pose2D'](
            position=store.types['vision_msgs/msg/Point2D'](x=1.0, y=2.0), theta=0.5) \
            if 'Pose2D' in version else store.types['geometry_msgs/msg/Pose2D'](1.0, 2.0, 0.5)
        box = store.types['vision_msgs/msg/BoundingBox2D'](center=pose, size_x=3.0, size_y=4.0)
        texts.append(bytes(store.serialize_cdr(box, 'vision_msgs/msg/BoundingBox2D')))
    assert texts[0] == texts[1]


@pytest.mark.parametrize(('encoding', 'pixels'), [
    ('rgb8', lambda bgr: bgr[..., ::-1]), ('mono8', lambda bgr: bgr[..., 0]),
    ('mono16', lambda bgr: bgr[..., 0].astype('<u2') << 8),
    ('bgra8', lambda bgr: np.dstack([bgr, bgr[..., :1]])),
    ('rgba8', lambda bgr: np.dstack([bgr[..., ::-1], bgr[..., :1]]))])
def test_encodings(encoding, pixels, tmp_path):
    recorder = Recorder(tmp_path / 'bag')
    (_, bgr, box), *_ = frames = list(moving_disc(3))
    for stamp, image, box in frames:
        recorder.image(stamp, pixels(image), encoding)
        recorder.detection(stamp, box)
    recorder.close()
    expected = bgr if not encoding.startswith('mono') else np.dstack([bgr[..., 0]] * 3)
    np.testing.assert_array_equal(shots_of(tmp_path / 'bag')[0].picture.image, expected)


def test_compressed_images_and_a_small_picture(tmp_path):
    recorder = Recorder(tmp_path / 'bag')
    for stamp, image, box in moving_disc(3):
        recorder.compressed(stamp, image)
        recorder.detection(stamp, box)
    recorder.close()
    shot = shots_of(tmp_path / 'bag', longest=80)[0]
    assert shot.picture.image.shape == (60, 80, 3) and shot.picture.scale == (0.5, 0.5)
    assert shot.box == pytest.approx((15, 45, 31, 31))


def test_absent_unknown_late_and_twice(tmp_path):
    recorder, notes = Recorder(tmp_path / 'bag'), Notes()
    for number, (stamp, image, box) in enumerate(moving_disc(8)):
        recorder.image(stamp, image)
        if number == 1:
            recorder.detections((stamp, []))                       # seen to be absent
        elif number == 2:
            recorder.detections((stamp + STEP * 2 // 5, [('a', box)]))   # 20 ms late
        elif number == 4:
            recorder.detections((stamp, [('a', box), ('a', box)]))
        elif number == 5:
            recorder.detections((stamp, [('a', (np.nan, 1, 2, 3))]))
        elif number != 3:                                          # of 3 nothing is told
            recorder.detections((stamp, [('a', box)]))
    recorder.close()
    boxes = np.array([shot.box for shot in shots_of(tmp_path / 'bag', notes)])
    known = np.isfinite(boxes).all(1)
    assert known.tolist() == [True, False, True, False, False, False, True, True]
    text = '\n'.join(notes.lines)
    assert "1 messages of /truth/detections hold several detections with the id 'a'" in text
    assert '1 of 8 images have no detection within 0.02 s' in text


def test_each_id_is_a_clip_or_one_is_chosen(tmp_path):
    path, notes = tmp_path / 'walk', Notes()
    recorder = Recorder(path)
    for number, (stamp, image, box) in enumerate(moving_disc(8)):
        recorder.image(stamp, image)
        found = [('car', box)] + ([('man/2', (5, 5, 20, 40))] if 2 <= number < 5 else [])
        recorder.detections((stamp, [*found, ('once', (1, 1, 9, 9))] if number == 3 else found))
    recorder.close()
    clips = {clip.name: clip for clip in read(path, notes)}
    assert set(clips) == {'walk-car', 'walk-man_2'}
    assert len(list(clips['walk-man_2'].shots(notes))) == 3
    assert "walk-once: left out: the id 'once' has a box in 1 images" in '\n'.join(notes.lines)
    (clip,) = read(path, target='man/2')
    assert clip.name == 'walk' and len(list(clip.shots(notes))) == 8
    with pytest.raises(DataError, match="no detection has the id 'cat', found are .*'car': 8"):
        read(path, target='cat')


def test_several_topics_are_listed_and_one_is_chosen(tmp_path):
    recorder = Recorder(tmp_path / 'bag')
    for stamp, image, box in moving_disc(3):
        recorder.image(stamp, image)
        recorder.image(stamp, image[:, ::-1], topic='/rear/image')
        recorder.detection(stamp, box, '/a')
        recorder.detection(stamp, (1, 2, 30, 40), '/b')
    recorder.close()
    with pytest.raises(DataError, match=r'--image-topic one of /camera/image_raw \(Image, 3 mess'
                                        r'ages\), /rear/image'):
        read(tmp_path / 'bag')
    with pytest.raises(DataError, match='choose with --truth-topic one of /a'):
        read(tmp_path / 'bag', image_topic='/rear/image')
    with pytest.raises(DataError, match="no images on the topic '/front'"):
        read(tmp_path / 'bag', image_topic='/front')
    shot = shots_of(tmp_path / 'bag', image_topic='/rear/image', truth_topic='/b')[0]
    assert shot.box == pytest.approx((1, 2, 30, 40))


def test_of_a_trackers_two_topics_the_array_is_taken(tmp_path):
    recorder = Recorder(tmp_path / 'bag')
    for number, (stamp, image, box) in enumerate(moving_disc(4)):
        recorder.image(stamp, image)
        recorder.detections((stamp, [('t', box)] if number else []), '/tracker/detections')
        if number:
            recorder.detection(stamp, box, '/tracker/detection')
    recorder.close()
    assert [bool(np.isfinite(s.box).all()) for s in shots_of(tmp_path / 'bag')] == \
        [False, True, True, True]


def test_no_truth_is_said_with_the_cure(tmp_path):
    recorder = Recorder(tmp_path / 'bag')
    for stamp, image, _ in moving_disc(2):
        recorder.image(stamp, image)
    recorder.close()
    with pytest.raises(DataError, match='has no detections: boxes are needed .*record the detec'
                                        'tions.*or take the frames alone'):
        read(tmp_path / 'bag')
    assert len(shots_of(tmp_path / 'bag', frames_only=True)) == 2


def test_truth_that_is_too_far_off(tmp_path):
    recorder = Recorder(tmp_path / 'bag')
    for stamp, image, box in moving_disc(2):
        recorder.image(stamp, image)
        recorder.detection(stamp + STEP * 48 // 100, box)
    recorder.close()
    with pytest.raises(DataError, match=r'none of 2 images on /camera/image_raw has a detection'):
        read(tmp_path / 'bag')
    assert len(read(tmp_path / 'bag', tolerance=0.03)) == 1


def test_without_stamps_the_time_of_receipt_counts(tmp_path):
    recorder, notes = Recorder(tmp_path / 'bag'), Notes()
    for stamp, image, box in moving_disc(4):
        recorder.image(0, image, received=stamp)
        recorder.detections((0, [('', box)]), received=stamp + 1000)
    recorder.close()
    boxes = [shot.box for shot in shots_of(tmp_path / 'bag', notes)]
    np.testing.assert_allclose(boxes, [box for _, _, box in moving_disc(4)])
    assert 'paired by the time at which they were received' in notes.lines[0]


def test_bad_images_are_left_out_by_name(tmp_path):
    recorder, notes = Recorder(tmp_path / 'bag'), Notes()
    for number, (stamp, image, box) in enumerate(moving_disc(4)):
        if number == 2:
            recorder.write('/camera/image_raw', RAW, recorder.make(
                RAW, header=recorder.header(stamp), height=120, width=160, encoding='bgr8',
                is_bigendian=0, step=480, data=np.zeros(99, np.uint8)), stamp)
        else:
            recorder.image(stamp, image)
        recorder.detection(stamp, box)
    recorder.close()
    assert len(shots_of(tmp_path / 'bag', notes)) == 3
    assert 'image 2 of /camera/image_raw left out: image of 160x120 bgr8 has 99' in notes.lines[0]
    assert notes.counts['unreadable'] == 1


def test_what_is_no_recording_is_said(tmp_path):
    (tmp_path / 'bag.mcap').write_bytes(b'no recording')
    with pytest.raises(DataError, match=r'bag\.mcap cannot be read as a ROS 2 recording'):
        read(tmp_path / 'bag.mcap')


@pytest.mark.parametrize('plugin', PLUGINS)
def test_a_recording_cut_off_is_said(plugin, tmp_path):
    path = write_recording(tmp_path / 'bag', PLUGINS[plugin], frames=40)
    (file,) = (p for p in path.iterdir() if p.suffix != '.yaml')
    file.write_bytes(file.read_bytes()[:file.stat().st_size // 2])
    with pytest.raises(DataError, match='`ros2 bag reindex`'):
        shots_of(path)


@given(st.lists(st.integers(0, 400), max_size=12), st.lists(st.integers(0, 400), max_size=12),
       st.integers(0, 30))
def test_match_takes_the_nearest_within_the_tolerance(images, truths, tolerance):
    stamps, told = START + np.array(images, np.int64), START + np.array(truths, np.int64)
    index = match(stamps, told, tolerance)
    taken = index[index >= 0]
    assert len(set(taken.tolist())) == len(taken)            # a box is of one image
    for image, number in enumerate(index):
        if number >= 0:
            apart = abs(stamps[image] - told[number])
            assert apart <= tolerance
            assert apart == abs(stamps - told[number]).min()          # no image is nearer to it
    for number, truth in enumerate(told):
        distances = abs(stamps - truth)
        if len(stamps) and distances.min() <= tolerance and number not in taken:
            # Passed over only for one that is no farther from the same image.
            image = next(i for i in np.flatnonzero(distances == distances.min()) if index[i] >= 0)
            assert abs(told[index[image]] - stamps[image]) <= distances.min()
