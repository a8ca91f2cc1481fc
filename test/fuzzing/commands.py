# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Targets that command the node: what people and detectors say, and MAVLink packets."""
from __future__ import annotations

import math
import os
import struct
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from builtin_interfaces.msg import Time
from lorat_ros.boxes import BoxError
from lorat_ros.engines.session import Handle, Value
from lorat_ros.mavlink.camera import Camera, Settings
from lorat_ros.mavlink.wire import Stream, Wire
from lorat_ros.models.bundle import Bundle
from lorat_ros.models.catalog import find_bundle
from lorat_ros.ros.health import Health
from lorat_ros.ros.images import image_message, ImageError
from lorat_ros.ros.init_request import InitRequest
from lorat_ros.ros.messages import box_of, nanoseconds, point_of, score_of
from lorat_ros.ros.pipeline import Frame, Pipeline
from lorat_ros.target.clicks import Clicks
from lorat_ros.target.frames import FrameBuffer
from lorat_ros.target.status import TargetStatus
from lorat_ros.target.target import Target as Life
from lorat_ros.target.target import TargetStep
from lorat_ros.tracking.tracker import Tracker
from sensor_msgs.msg import Image
from std_msgs.msg import Header
from vision_msgs.msg import Detection2D, ObjectHypothesisWithPose

COMMAND = struct.Struct('<BiI5d')      # which one, seconds, nanoseconds, five numbers
WIDTH, HEIGHT = 48, 32
_SPECIAL = (float('nan'), float('inf'), -float('inf'))


# -- the node's line --------------------------------------------------------------------------

class _Guessing:
    """A session whose answers are drawn at random, with what is no number among them."""

    engine, device, precision = 'guessing', 'cpu', 'fp32'

    def __init__(self) -> None:
        self.chance = np.random.default_rng(0)

    def run(self, role: str, inputs: Mapping[str, Value]) -> dict[str, Value]:
        if role == 'template':
            return {'template_tokens': Handle(None), 'template_keys': Handle(None)}
        score = self.chance.normal(-2, 4, (1, 10, 10)).astype(np.float32)
        boxes = self.chance.normal(0.5, 0.3, (1, 4, 10, 10)).astype(np.float32)
        if self.chance.random() < 0.1:
            boxes[0, :, 3, 3] = self.chance.choice(_SPECIAL)
            score[0, 3, 3] = self.chance.choice((*_SPECIAL, 50.0))
        similarity = self.chance.uniform(-1, 1, (1, 100, 26)).astype(np.float32)
        features = self.chance.normal(0, 1, (1, 100, 192)).astype(np.float32)
        if self.chance.random() < 0.1:
            similarity[0, 33], features[0, 33] = self.chance.choice(_SPECIAL, 2)
        return {'score': score, 'boxes': boxes, 'similarity': similarity, 'features': features}

    def close(self) -> None:
        """There is nothing."""


class _Line:
    """A pipeline as the node builds it, and what must be true of all that leaves it."""

    def __init__(self, bundle: Bundle) -> None:
        self._session, self._clicks = _Guessing(), Clicks()
        self._health = Health()
        target = Life(Tracker(bundle, self._session), TargetStatus(0.35, 0.5), 'candidates')
        self.pipeline = Pipeline(target, self._on_step, lambda *shown: None, self._health,
                                 lambda: 10**10, FrameBuffer(2.0, 100_000))
        self._header: Header | None = None

    def obey(self, command: tuple) -> None:
        kind, seconds, nanosec, *numbers = command
        stamp = Time(sec=seconds, nanosec=nanosec)
        (self._init_box, self._candidates, self._click, self._frame, self._frame, self._frame,
         self._switch, self._bad_frame)[kind % 8](stamp, numbers)

    def _init_box(self, stamp: Time, numbers: list[float]) -> None:
        message = self._detection(stamp, numbers)
        self.pipeline.request_init(InitRequest(box_of(message), nanoseconds(stamp), message.id))

    def _candidates(self, stamp: Time, numbers: list[float]) -> None:
        found = [self._detection(stamp, numbers), self._detection(stamp, numbers[::-1])]
        self.pipeline.offer([box_of(one) for one in sorted(found, key=score_of, reverse=True)])

    def _click(self, stamp: Time, numbers: list[float]) -> None:
        with suppress(BoxError):
            box = self._clicks.take(numbers[0], numbers[1], 0.0)
            if box is not None:
                self.pipeline.request_init(InitRequest(box))

    def _frame(self, stamp: Time, numbers: list[float]) -> None:
        size = [2 + int(abs(n)) % 64 if math.isfinite(n) else 16 for n in numbers[:2]]
        self._session.chance = np.random.default_rng(abs(hash(numbers[2])) % 2**32)
        self._show(image_message(np.full((*size, 3), 128, np.uint8),
                                 Header(stamp=stamp, frame_id='camera')))

    def _bad_frame(self, stamp: Time, numbers: list[float]) -> None:
        message = Image(header=Header(stamp=stamp), height=4, width=4, step=12, encoding='bgr8')
        with suppress(ImageError):
            self._show(message)
            assert not self.pipeline.said.enabled, 'a frame without pixels was taken'

    def _switch(self, stamp: Time, numbers: list[float]) -> None:
        if numbers[0] > 0:
            self.pipeline.enable(numbers[1] > 0)
        elif numbers[1] > 0:
            self.pipeline.reset()
        else:
            self.pipeline.forget_frames()

    def _show(self, message: Image) -> None:
        self._header = message.header
        self._size = message.width, message.height
        frame = Frame(message, 0.0)
        self.pipeline.keep(frame)
        self.pipeline.process(frame)

    def _on_step(self, header: Header, step: TargetStep) -> None:
        assert header == self._header, 'published under the header of another frame'
        assert self.pipeline.said.enabled, 'published while paused'
        for box in (step.box, step.prediction):
            if box is None:
                continue
            assert all(map(math.isfinite, box)) and box[2] > 0 and box[3] > 0, box
            x, y, w, h = box
            assert x < self._size[0] and y < self._size[1] and x + w > 0 and y + h > 0, (
                f'{box} lies outside of an image of {self._size}')
        assert 0.0 <= step.score <= 1.0, step.score
        assert bool(step.target_id) == (step.state.value != 'idle')

    def _detection(self, stamp: Time, numbers: list[float]) -> Detection2D:
        message = Detection2D(header=Header(stamp=stamp), id='1' if numbers[4] > 0 else '')
        centre = point_of(message.bbox.center)
        centre.x, centre.y, message.bbox.size_x, message.bbox.size_y = numbers[:4]
        result = ObjectHypothesisWithPose()
        result.hypothesis.score = numbers[4]
        message.results.append(result)
        return message


def _line_seeds(folder: Path) -> list[bytes]:
    box = COMMAND.pack(0, 0, 0, 20.0, 12.0, 10.0, 8.0, 1.0)
    frames = [COMMAND.pack(3, 1 + n, 0, 30.0, 46.0, float(n), 0.0, 0.0) for n in range(3)]
    stamped = COMMAND.pack(0, 2, 0, 20.0, 12.0, 10.0, 8.0, 1.0)
    return [box + b''.join(frames), b''.join(frames) + stamped + frames[-1],
            frames[0] + COMMAND.pack(2, 0, 0, 3.0, 4.0, 0, 0, 0) * 2 + b''.join(frames),
            box + frames[0] + COMMAND.pack(1, 0, 0, 9.0, 9.0, 8.0, 8.0, 0.9) + frames[1],
            box + frames[0] + COMMAND.pack(6, 0, 0, 1.0, -1.0, 0, 0, 0) + frames[1],
            box + frames[0] + COMMAND.pack(7, 0, 0, 0, 0, 0, 0, 0) + frames[1]]


def _line(folder: Path) -> Callable[[bytes], None]:
    bundle = find_bundle()      # reads all its bytes

    def read(data: bytes) -> None:
        line = _Line(bundle)
        for place in range(0, len(data) - COMMAND.size + 1, COMMAND.size)[:10]:
            kind, seconds, nanosec, *numbers = COMMAND.unpack_from(data, place)
            line.obey((kind, abs(seconds) % 2**31, nanosec % 10**9, *numbers))
    return read


# -- MAVLink ----------------------------------------------------------------------------------

class _Memo:
    """A link whose packets are given and whose answers are counted."""

    packets, fixed, is_open, name = True, (), True, 'memo'

    def __init__(self) -> None:
        self.coming: list[tuple[bytes, str]] = []
        self.sent = 0

    def receive(self) -> list[tuple[bytes, str]]:
        coming, self.coming = self.coming, []
        return coming

    def send(self, data: bytes, address: str) -> None:
        assert 0 < len(data) < 300
        self.sent += 1


class _Obedient:
    """Does all that the camera asks of a tracker, if it can be done at all."""

    def track(self, target: Any) -> None:
        assert all(0.0 <= share <= 1.0 for share in target if isinstance(share, float)), target

    def stop(self) -> None:
        """Nothing is tracked."""


class _Guarded:
    """Is behind a key that the fuzzer does not have: nothing that it makes up may get here."""

    def __init__(self) -> None:
        self.asked: list[Any] = []

    def track(self, target: Any) -> None:
        self.asked.append(target)

    def stop(self) -> None:
        self.asked.append('stop')


def _packets(folder: Path) -> list[bytes]:
    os.environ['MAVLINK20'] = '1'      # read by pymavlink when it is imported
    from pymavlink.dialects.v20 import common
    codec = common.MAVLink(None, 255, 190)

    def packed(message: Any) -> bytes:
        codec.seq = (codec.seq + 1) % 256
        return bytes(message.pack(codec))

    heartbeat = packed(common.MAVLink_heartbeat_message(6, 8, 0, 0, 0, 3))
    commands = [packed(common.MAVLink_command_long_message(1, 100, number, 0, *params))
                for number, params in ((2004, (0.5, 0.5, 0.1, 0, 0, 0, 0)),
                                       (2005, (0.2, 0.2, 0.6, 0.7, 0, 0, 0)),
                                       (2010, (0,) * 7), (511, (275, 1e5, 0, 0, 0, 0, 0)),
                                       (512, (259, 0, 0, 0, 0, 0, 0)), (521, (1,) + (0,) * 6))]
    as_int = packed(common.MAVLink_command_int_message(1, 100, 0, 2005, 0, 0, .1, .2, .3, .4,
                                                       0, 0, 0))
    codec.signing.secret_key, codec.signing.sign_outgoing = b'another key'.ljust(32), True
    codec.signing.timestamp = 10**14
    signed = packed(common.MAVLink_command_long_message(1, 100, 2010, 0, *(0,) * 7))
    return [heartbeat + commands[0], *commands, as_int, b''.join(commands),
            commands[1][:20] + commands[1], signed, commands[0] + signed]


def _packet(folder: Path) -> Callable[[bytes], None]:
    def read(data: bytes) -> None:
        link, wire = _Memo(), Wire(1, 100)
        camera = Camera(link, wire, _Obedient(), Settings())
        guarded = _Guarded()
        locked = Camera(link, Wire(1, 100, b'the key'.ljust(32)), guarded,
                        Settings(allowed_systems=()))
        for now in (0.0, 0.1):
            for one in (camera, locked):
                link.coming = [(data, 'somebody')]
                one.step(now)
        assert locked.peers == 0 and guarded.asked == []
        assert link.sent < 2000, f'{link.sent} packets in answer to {len(data)} bytes'
        stream = Stream(wire)
        for place in range(0, len(data), 7):
            stream.feed(data[place:place + 7], place / 10)
    return read


TARGETS = {'line of the node': (_line_seeds, _line), 'MAVLink packets': (_packets, _packet)}
