# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The tracker as a process in a real graph: what goes in, and what comes out."""
from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
from geometry_msgs.msg import Point
from std_msgs.msg import Header
from diagnostic_msgs.msg import DiagnosticStatus
from lorat_ros.boxes import iou_xywh
from lorat_ros.ros.images import to_bgr
from lorat_ros.ros.messages import box_of, detection_message
from lorat_ros.ros.parameters import SPECS, Settable
from rclpy.parameter import parameter_value_to_python
from sensor_msgs.msg import CompressedImage, Image
from vision_msgs.msg import Detection2D, Detection2DArray
from support.graph import Client, value_of
from support.picture import HEIGHT, picture, TARGET, WIDTH

NAME = '/house/lorat_tracker'
# Every score is good enough: what the tests say must not hang on a model's taste.
AS_STARTED = {'score_lost': 0.0, 'score_recover': 0.0, 'coast_seconds': 0.0, 'reacquire': 'off',
              'init_point_size': 0.0, 'class_id': 'target',
              'debug_image.max_width': 0}


@pytest.fixture(scope='module')
def process(module_node):
    return module_node(
        'tracker_node', '--ros-args', '-r', '__ns:=/house', '-r', 'image:=/camera',
        '-p', 'score_lost:=0.0', '-p', 'score_recover:=0.0', '-p', 'image_timeout:=0.5',
        '-p', 'coast_seconds:=0.0', '-p', 'reacquire:=off',
        '-p', 'debug_image.max_rate:=1000.0')


@pytest.fixture(scope='module')
def graph(process) -> Iterator[Client]:
    client = Client(NAME, '/camera')
    client.wait_for_matches()
    yield client
    client.close()


@pytest.fixture
def client(graph: Client) -> Client:
    """The tracker without a target, with the parameters it was started with."""
    assert graph.set_parameters(AS_STARTED) == ''
    graph.enable(True)
    graph.reset()
    graph.wait_for_status(state='idle', enabled='true')
    graph.arrays.clear()
    graph.singles.clear()
    return graph


def near(box: tuple) -> bool:
    # Loose: how exact a model is, and with grey images too, is not what is tested here.
    return float(iou_xywh(np.array(box), np.array(TARGET))) > 0.2


# -- detections -------------------------------------------------------------------------------

def test_without_a_target_every_frame_gives_an_empty_array(client: Client) -> None:
    frame = client.frame()
    answer = client.exchange(frame)
    assert answer.header == frame.header
    assert list(answer.detections) == []
    assert client.singles == []


def test_a_detection_carries_header_box_id_and_score(client: Client) -> None:
    first = client.track(target_id='red thing')
    assert box_of(first) == pytest.approx(TARGET)
    frame = client.frame()
    [detection] = client.exchange(frame).detections
    assert detection.header == frame.header
    assert detection.id == 'red thing'
    assert near(box_of(detection))
    [result] = detection.results
    assert result.hypothesis.class_id == 'target'
    assert 0.0 <= result.hypothesis.score <= 1.0
    client.wait_until(lambda: detection in client.singles, '~/detection says the same')


def test_the_class_is_a_parameter(client: Client) -> None:
    client.track()
    assert client.set_parameter('class_id', 'boat') == ''
    [detection] = client.exchange(client.frame()).detections
    assert detection.results[0].hypothesis.class_id == 'boat'


def test_ids_are_made_where_none_is_given_and_new_for_every_target(client: Client) -> None:
    ids = [client.track().id for _ in range(3)]
    assert all(ids) and len(set(ids)) == 3


def test_stamps_that_jump_back_change_nothing(client: Client) -> None:
    target = client.track()
    for stamp in (5 * 10**9, 10**9, 0, 2 * 10**18):
        frame = client.frame(stamp=stamp)
        [detection] = client.exchange(frame).detections
        assert detection.id == target.id
        assert detection.header == frame.header


def test_lost_is_an_empty_array_and_silence_on_the_single_topic(client: Client) -> None:
    target = client.track()
    client.wait_for_status(state='tracking', id=target.id)
    assert client.set_parameter('score_recover', 1.0) == ''
    assert client.set_parameter('score_lost', 1.0) == ''
    client.singles.clear()
    assert not client.exchange(client.frame()).detections
    client.wait_for_status(state='lost', id=target.id)
    assert client.set_parameter('score_lost', 0.0) == ''
    assert not client.exchange(client.frame()).detections  # hysteresis: not yet
    assert client.singles == []
    assert client.set_parameter('score_recover', 0.0) == ''
    # As many good frames as the model wants: kestrel-e is content with one.
    assert client.exchange(client.frame()).detections[0].id == target.id
    client.wait_for_status(state='tracking', id=target.id)


def test_coasting_is_a_prediction_on_its_own_topic_until_the_target_is_lost(client: Client
                                                                            ) -> None:
    predictions: list[Detection2D] = []
    topic = client.node.create_subscription(Detection2D, f'{NAME}/prediction',
                                            predictions.append, 10)
    client.wait_until(lambda: client.node.count_publishers(f'{NAME}/prediction'), 'predictions')
    begin = 8000 * 10**9
    client.send_box(TARGET, target_id='seen')
    client.exchange(client.frame(stamp=begin))
    for name, value in (('coast_seconds', 0.5), ('score_recover', 1.0), ('score_lost', 1.0)):
        assert client.set_parameter(name, value) == ''
    client.singles.clear()
    for n in range(1, 5):  # the subscription may take a moment
        frame = client.frame(stamp=begin + n * 10**8)
        assert not client.exchange(frame).detections
        status = client.wait_for_status(state='coasting', id='seen')
        assert (status.level, status.message) == (DiagnosticStatus.WARN, 'coasting')
    client.wait_until(lambda: any(p.header == frame.header for p in predictions), 'a prediction')
    assert predictions[-1].id == 'seen' and near(box_of(predictions[-1]))
    predictions.clear()
    assert not client.exchange(client.frame(stamp=begin + 6 * 10**8)).detections
    client.wait_for_status(state='lost', id='seen')
    client.spin_for(0.2)
    assert predictions == [] and client.singles == []
    client.node.destroy_subscription(topic)


def test_a_camera_that_falls_silent_is_told_and_forgiven(client: Client) -> None:
    target = client.track()
    seen = client.wait_for_status(state='tracking', id=target.id)
    assert (seen.level, seen.message) == (DiagnosticStatus.OK, 'tracking')

    def warned() -> bool:
        status = client.statuses[-1]
        return status.level == DiagnosticStatus.WARN and \
            status.message.startswith('tracking, no image for ')
    client.wait_until(warned, 'a warning that the state is old')
    assert float(value_of(client.statuses[-1], 'frame_age')) > 0.3  # image_timeout, less the work
    client.exchange(client.frame())
    client.wait_until(lambda: client.statuses[-1].level == DiagnosticStatus.OK, 'all is well')
    # Images of which nothing can be made do not make it any younger.
    bad = broken(client, encoding='')

    def unusable() -> bool:
        client.send(bad)
        client.spin_for(0.1)
        return client.statuses[-1].message.startswith('tracking, no usable image for ')
    client.wait_until(unusable, 'a warning that nothing comes of the images')
    # Who has paused it does not wait for images.
    assert client.enable(False)
    client.wait_for_status(state='idle', enabled='false')
    assert client.statuses[-1].level == DiagnosticStatus.OK


def test_reset_forgets(client: Client) -> None:
    client.track()
    assert client.reset()
    client.wait_for_status(state='idle', id='', init='forgotten')
    assert not client.exchange(client.frame()).detections


def test_a_pause_publishes_nothing_and_ends_with_the_same_target(client: Client) -> None:
    target = client.track()
    assert client.enable(False)
    client.wait_for_status(state='idle', enabled='false')
    client.arrays.clear()
    for _ in range(3):
        client.send(client.frame())
        client.spin_for(0.1)
    assert client.arrays == []
    client.wait_until(lambda: not client.is_watched, 'it unsubscribes')
    client.wait_for_health('image input', 'not subscribed: paused')
    assert client.enable(True)
    assert client.is_watched
    assert client.exchange(client.frame()).detections[0].id == target.id


# -- init boxes -------------------------------------------------------------------------------

def test_a_bad_box_does_not_push_a_good_one_away_that_waits(client: Client) -> None:
    client.send_box(TARGET, target_id='good')
    client.send_box((math.nan, 90, 48, 40), target_id='bad')
    client.wait_for_status(init='refused: init box')  # at once, without a frame
    assert client.exchange(client.frame()).detections[0].id == 'good'
    client.wait_for_status(init='accepted', id='good')


@pytest.mark.parametrize(('box', 'reason'), [
    ((math.nan, 90, 48, 40), 'not finite'),
    ((120, 90, math.inf, 40), 'not finite'),
    ((120, 90, 0, 40), 'greater than 0'),
    ((120, 90, 48, -3), 'greater than 0'),
    ((WIDTH + 5, 90, 48, 40), f'does not overlap the {WIDTH}x{HEIGHT} image'),
    ((-100, -100, 50, 50), 'does not overlap'),
])
def test_a_bad_box_is_refused_with_a_reason_and_the_target_stays(
        client: Client, process, box: tuple, reason: str) -> None:
    target = client.track()
    client.send_box(box, target_id='bad')
    [detection] = client.exchange(client.frame()).detections
    assert detection.id == target.id
    status = client.wait_for_status(init='refused', id=target.id, state='tracking')
    assert reason in value_of(status, 'init')
    process.wait_for_output(f'init box {value_of(status, "init")}')


def test_a_box_across_the_border_is_fine(client: Client) -> None:
    client.send_box((-20, 90, 48, 40), target_id='border')
    assert client.exchange(client.frame()).detections[0].id == 'border'
    client.wait_for_status(init='accepted')


def test_a_stamped_box_waits_for_its_frame(client: Client) -> None:
    client.send_box(TARGET, target_id='later', stamp=5000 * 10**9)
    assert not client.exchange(client.frame(stamp=4999 * 10**9)).detections
    client.wait_for_status(init='waiting', state='idle')
    frame = client.frame(stamp=5000 * 10**9)
    [detection] = client.exchange(frame).detections
    assert detection.id == 'later' and detection.header == frame.header


def test_a_box_is_for_the_frame_the_operator_saw_and_followed_where_it_is_now(client: Client
                                                                             ) -> None:
    """One second and 120 pixels lie between the click and the frame after it."""
    begin, (x, y, w, h) = 7000 * 10**9, TARGET
    for n in range(30):
        client.exchange(client.frame(np.roll(picture(), 4 * n - 60, axis=1),
                                     begin + n * 33_333_333))
    client.send_box((x - 60, y, w, h), target_id='then', stamp=begin)
    live = client.frame(np.roll(picture(), 60, axis=1), begin + 10**9)
    [detection] = client.exchange(live).detections
    assert detection.header == live.header and detection.id == 'then'
    assert float(iou_xywh(np.array(box_of(detection)), np.array((x + 60, y, w, h)))) > 0.5
    assert 'newer than its stamp' not in value_of(client.wait_for_status(init='accepted'), 'init')


def test_a_box_for_an_older_frame_says_by_how_much_it_is_late(client: Client, process
                                                                    ) -> None:
    client.send_box(TARGET, target_id='late', stamp=6000 * 10**9)
    assert client.exchange(client.frame(stamp=6000 * 10**9 + 250_000_000)).detections
    client.wait_for_status(init='0.250 s newer than its stamp')
    process.wait_for_output('on the oldest frame that is kept, 0.250 s newer')
    client.send_box(TARGET, target_id='too late', stamp=5900 * 10**9)
    client.exchange(client.frame(stamp=6000 * 10**9 + 300_000_000))
    status = client.wait_for_status(init='refused', id='late')
    # The stamps of the test before are of another time: with them the buffer began anew.
    assert 'expected at most 1.0 s: no older one has come' in value_of(status, 'init')


def test_a_box_whose_frame_never_comes_is_refused(client: Client) -> None:
    target = client.track()
    client.send_box(TARGET, stamp=2 * 10**18)

    def refused() -> bool:
        answer = client.exchange(client.frame())
        return value_of(client.statuses[-1], 'init').startswith('refused') \
            and answer.detections[0].id == target.id
    client.wait_until(refused, 'the box is refused')
    client.wait_for_status(init='give the stamp of an image, or 0')


def test_a_click_or_two_start_a_target(client: Client) -> None:
    clicks = client.node.create_publisher(Point, f'{NAME}/init_point', 10)
    client.wait_until(lambda: clicks.get_subscription_count(), 'clicks are heard')
    x, y, w, h = TARGET
    clicks.publish(Point(x=x + w, y=y))
    client.wait_for_status(init='waiting for the opposite corner: the first is x 168.0 y 90.0')
    clicks.publish(Point(x=math.nan, y=y))
    client.wait_for_status(init='refused: click (nan, 90.0) is not finite')
    clicks.publish(Point(x=x, y=y + h))
    client.wait_for_status(init='waiting for a frame: box x 120.0 y 90.0 w 48.0 h 40.0')
    [detection] = client.exchange(client.frame()).detections
    assert box_of(detection) == pytest.approx(TARGET)
    assert client.set_parameter('init_point_size', 40.0) == ''
    clicks.publish(Point(x=x + w / 2, y=y + h / 2))
    client.wait_for_status(init='waiting for a frame: box x 124.0 y 90.0 w 40.0 h 40.0')
    assert client.exchange(client.frame()).detections[0].id != detection.id
    client.node.destroy_publisher(clicks)


@pytest.mark.parametrize('way', ['search', 'candidates'])
def test_a_target_that_was_lost_is_found_elsewhere_under_its_id(client: Client, way: str) -> None:
    """It jumps to the other end of the image, out of what the tracker looks at."""
    boxes = client.node.create_publisher(Detection2DArray, f'{NAME}/candidates', 1)
    client.wait_until(lambda: boxes.get_subscription_count(), 'candidates are heard')
    assert client.set_parameters({'reacquire': way, 'score_recover': 0.5, 'score_lost': 0.35,
                                  'coast_seconds': 0.2}) == ''
    here, there = (np.zeros((480, 640, 3), np.uint8) + 90 for _ in range(2))
    x, y, w, h = (int(v) for v in TARGET)
    here[40:40 + h, 40:40 + w] = there[400:400 + h, 560:560 + w] = picture()[y:y + h, x:x + w]
    client.send_box((40, 40, w, h), target_id='mine')
    client.exchange(client.frame(here))
    assert client.exchange(client.frame(here)).detections[0].id == 'mine'
    offered = Detection2DArray()
    for wrong in ((math.nan, 5.0, 9.0, 9.0), (0.0, 0.0, 0.0, 0.0)):
        offered.detections.append(detection_message(Header(), wrong, 0.9, '', ''))
    offered.detections.append(detection_message(Header(), (555.0, 395.0, 60.0, 50.0), 0.5, '',
                                                'robot'))

    def back() -> object:
        boxes.publish(offered)
        return client.exchange(client.frame(there)).detections
    assert not client.exchange(client.frame(there)).detections
    client.wait_for_status(state='lost', id='mine', reacquired='0')
    [detection] = client.wait_until(back, 'it is found again')
    assert detection.id == 'mine'
    found = np.array(box_of(detection))
    assert float(iou_xywh(found, np.array((560.0, 400.0, w, h)))) > 0.5
    client.wait_for_status(state='tracking', id='mine', reacquired=f'1, last by {way}')
    client.node.destroy_publisher(boxes)


# -- images -----------------------------------------------------------------------------------

def broken(client: Client, **changes: object) -> Image:
    message = client.frame()
    for name, value in changes.items():
        setattr(message, name, value)
    return message


@pytest.mark.parametrize(('changes', 'error'), [
    ({'width': 0}, 'image is 0x240 bgr8, expected at least 1x1'),
    ({'height': 0, 'width': 0, 'step': 0}, 'image is 0x0 bgr8'),
    ({'step': WIDTH}, f'has step {WIDTH}, expected at least {3 * WIDTH}'),
    ({'step': 3 * WIDTH + 1}, f'bytes of data, expected {(3 * WIDTH + 1) * HEIGHT}'),
    ({'data': b'\x01\x02\x03'}, 'has 3 bytes of data'),
    ({'encoding': 'bayer_rggb12'}, "encoding 'bayer_rggb12', expected one of bgr8, rgb8"),
    ({'encoding': ''}, "encoding '', expected one of"),
])
def test_a_bad_image_is_named_and_the_target_stays(client: Client, changes: dict,
                                                   error: str) -> None:
    target = client.track()
    client.send(broken(client, **changes))
    client.wait_for_health('image input', error)
    assert client.exchange(client.frame()).detections[0].id == target.id


def encoded(client: Client, encoding: str) -> Image:
    """The test picture in an encoding; grey ones show only its brightness."""
    image = picture()
    grey = cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)
    yuv = cv2.cvtColor(image, cv2.COLOR_BGR2YUV)
    chroma = np.where(np.arange(WIDTH) % 2 == 0, yuv[..., 1], yuv[..., 2])
    pixels, step = {
        'bgr8': (image, 3), 'rgb8': (image[..., ::-1], 3),
        'bgra8': (np.dstack([image, grey]), 4), 'rgba8': (np.dstack([image[..., ::-1], grey]), 4),
        'mono8': (grey, 1), 'mono16': (grey.astype('>u2') * 256, 2),
        'yuv422': (np.dstack([chroma, yuv[..., 0]]), 2),
        'yuv422_yuy2': (np.dstack([yuv[..., 0], chroma]), 2),
    }[encoding]
    message = Image(header=client.header(), height=HEIGHT, width=WIDTH, encoding=encoding,
                    step=step * WIDTH, is_bigendian=1)
    message.data.frombytes(np.ascontiguousarray(pixels).tobytes())
    return message


def test_encoding_and_size_may_change_in_mid_stream(client: Client) -> None:
    target = client.track()
    for encoding in ('rgb8', 'bgra8', 'rgba8', 'mono8', 'mono16', 'yuv422', 'yuv422_yuy2',
                     'bgr8'):
        [detection] = client.exchange(encoded(client, encoding)).detections
        assert detection.id == target.id
        assert near(box_of(detection)), encoding
    for width, height in ((640, 480), (200, 160), (WIDTH, HEIGHT)):
        [detection] = client.exchange(client.frame(picture(width, height))).detections
        assert detection.id == target.id


# -- what is seen from outside ----------------------------------------------------------------

def test_the_debug_image_shows_the_frame_under_its_header(client: Client) -> None:
    raw: list[Image] = []
    jpeg: list[CompressedImage] = []
    topics = [client.node.create_subscription(Image, f'{NAME}/debug_image', raw.append, 1),
              client.node.create_subscription(
                  CompressedImage, f'{NAME}/debug_image/compressed', jpeg.append, 1)]
    client.track()

    def seen() -> bool:
        client.exchange(client.frame())
        return bool(raw) and bool(jpeg)
    client.wait_until(seen, 'debug images')
    # Only then is it sure that the next one comes on both.
    frame = client.frame()
    client.exchange(frame)
    client.wait_until(lambda: raw[-1].header == jpeg[-1].header == frame.header, 'this frame')
    image = to_bgr(raw[-1])
    assert image.shape == (HEIGHT, WIDTH, 3)
    assert (image != picture()).any(axis=2).sum() > 100  # something is drawn
    assert (image == picture()).all(axis=2).mean() > 0.5  # on this frame
    assert np.abs(to_bgr(jpeg[-1]).astype(int) - image).mean() < 8
    assert client.set_parameter('debug_image.max_width', 160) == ''
    client.exchange(client.frame())
    client.wait_until(lambda: raw[-1].width == 160 and raw[-1].height == 120, 'a smaller one')
    for topic in topics:
        client.node.destroy_subscription(topic)


def test_diagnostics_tell_engine_stages_and_input(client: Client) -> None:
    client.track()
    client.exchange(client.frame())
    engine = client.wait_for_health('engine', 'onnx')
    assert value_of(engine, 'model')
    assert value_of(engine, 'device') == 'cpu'
    image = client.wait_for_health('image input', f'{WIDTH}x{HEIGHT} bgr8')
    assert value_of(image, 'topic') == '/camera'
    assert int(value_of(image, 'received')) >= int(value_of(image, 'processed')) > 0
    assert value_of(image, 'publishers') == '/house/client'
    for stage in ('convert', 'crop', 'network', 'decode', 'frame'):
        p50, p95 = (float(v) for v in value_of(engine, f'{stage} p50/p95 [ms]').split('/'))
        assert 0.0 <= p50 <= p95


def test_the_offered_reliability_is_taken(client: Client) -> None:
    status = client.wait_for_health('image input', 'reliable')
    assert value_of(status, 'qos').startswith('reliable')


def test_a_silent_publisher_is_named_with_the_cure(client: Client, process) -> None:
    status = client.wait_for_health('image input', 'no image on /camera')
    assert '/house/client is there with a matching QoS' in status.message
    assert 'fastdds.xml' in status.message
    process.wait_for_output('/house/client is there with a matching QoS')


def test_no_torch_in_the_process(client: Client, process) -> None:
    client.track()
    maps = Path(f'/proc/{process.process.pid}/maps').read_text()
    assert 'onnxruntime' in maps
    assert 'torch' not in maps
    assert value_of(client.wait_for_health('engine', 'onnx'), 'torch loaded') == 'False'


# -- parameters -------------------------------------------------------------------------------

def test_the_declared_parameters_are_those_of_the_table(client: Client) -> None:
    own = [name for name in client.parameters()
           if not name.startswith(('qos_overrides.', 'use_sim_time', 'start_type_description'))]
    assert sorted(own) == sorted(spec.name for spec in SPECS)
    names = [spec.name for spec in SPECS]
    for spec, descriptor in zip(SPECS, client.descriptors(names)):
        assert descriptor.description == spec.description
        assert descriptor.type == spec.type.value
        assert descriptor.read_only == (spec.settable is Settable.AT_START)
        assert spec.expected in descriptor.additional_constraints
        ranges = [*descriptor.integer_range, *descriptor.floating_point_range]
        assert [(r.from_value, r.to_value) for r in ranges] == (
            [] if spec.low is None else [(spec.low, spec.high)])
    given = {'score_lost': 0.0, 'score_recover': 0.0, 'image_timeout': 0.5, 'coast_seconds': 0.0,
             'reacquire': 'off', 'debug_image.max_rate': 1000.0}
    for spec, value in zip(SPECS, client.values(names)):
        found = parameter_value_to_python(value)
        expected = given.get(spec.name, spec.default)
        assert (tuple(found) if isinstance(expected, tuple) else found) == expected


def test_a_bare_off_that_yaml_reads_as_false_is_the_word(client: Client) -> None:
    assert client.set_parameter('reacquire', 'search') == ''
    assert client.set_parameter('reacquire', False) == ''
    assert parameter_value_to_python(client.values(['reacquire'])[0]) == 'off'
    assert 'expected string, one of off' in client.set_parameter('reacquire', True)


def test_qos_overrides_are_parameters(client: Client) -> None:
    names = client.parameters()
    assert f'qos_overrides.{NAME}/detections.publisher.depth' in names
    assert 'qos_overrides./camera.subscription.reliability' in names


@pytest.mark.parametrize(('name', 'value', 'reason'), [
    ('score_lost', 1.5, 'expected double: from 0.0 to 1.0'),
    ('score_lost', 1, 'write it with a decimal point'),
    ('debug_image.jpeg_quality', 0, 'expected integer from 1 to 100'),
    ('score_lost', 0.5, 'raise score_recover or lower score_lost'),
    ('model', 'other', 'deactivate and cleanup'),
    ('threads', 2, 'deactivate and cleanup'),
    ('autostart', False, 'read-only'),
])
def test_a_bad_parameter_is_refused_and_the_target_stays(client: Client, name: str,
                                                        value: object, reason: str) -> None:
    target = client.track()
    assert reason in client.set_parameter(name, value)
    assert client.exchange(client.frame()).detections[0].id == target.id
