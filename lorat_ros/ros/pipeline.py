# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The way of one frame through the node, from message to detection, in the worker's thread."""
from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, NamedTuple, Optional

import numpy as np
from sensor_msgs.msg import CompressedImage

from lorat_ros.boxes import Box, BoxError, check_box
from lorat_ros.ros.health import AGE, BESIDE, Health
from lorat_ros.ros.images import ImageError, to_bgr
from lorat_ros.ros.init_request import InitRequest
from lorat_ros.ros.input import ImageMessage
from lorat_ros.ros.malloc import Sweeper
from lorat_ros.ros.messages import nanoseconds
from lorat_ros.ros.received import AnyHeader, ReceivedCompressed
from lorat_ros.target.frames import CatchUp, Elapsed, FrameBuffer
from lorat_ros.target.target import Target, TargetStep

NO_INIT = 'none yet'
FORGOTTEN = 'forgotten on request'


class Frame(NamedTuple):
    """An image message, when it came (time.perf_counter), and the seconds that taking it took."""

    message: ImageMessage
    received: float
    taking: float = 0.0


class Said(NamedTuple):
    """What there is to say of the target, all of one moment.

    ``born`` is when the target was shown to us (monotonic seconds), None while there is none.
    """

    step: TargetStep = TargetStep()
    init: str = NO_INIT
    enabled: bool = True
    born: Optional[float] = None

    @property
    def age(self) -> float:
        """Seconds since the target was shown to us; 0.0 while there is none."""
        return 0.0 if self.born is None else time.monotonic() - self.born


class Pipeline:
    """Turns frames into detections, and takes in what people ask for meanwhile.

    One lock makes a frame's step and its publication one thing: when a request returns, nothing
    that precedes it is published any more. :attr:`said` is replaced as a whole and read without
    the lock.

    :param target: whose life this is; nobody else may step it.
    :param publish: gets header and step of each processed frame at once.
    :param show: gets image, header and step after that, for whoever wants to look.
    :param health: where times and counts go.
    :param now: the node's clock in nanoseconds, to tell the age of an image.
    :param frames: where frames are kept for boxes that belong to an older one; None keeps none.
    """

    def __init__(self, target: Target, publish: Callable[[AnyHeader, TargetStep], None],
                 show: Callable[[np.ndarray, AnyHeader, TargetStep], None], health: Health,
                 now: Callable[[], int], frames: Optional[FrameBuffer[Frame]] = None) -> None:
        self._target, self._publish, self._show = target, publish, show
        self._health, self._now = health, now
        self._frames = FrameBuffer(0.0, 0) if frames is None else frames
        self._catch_up, self._elapsed = CatchUp(self._frames), Elapsed()
        self._lock, self._sweeper = threading.Lock(), Sweeper()
        self._request: Optional[InitRequest] = None
        self.said = Said()

    def keep(self, frame: Frame) -> None:
        """Take note of a frame when it arrives, whether it will be processed or not."""
        self._frames.add(_stamp_of(frame), len(frame.message.data), frame)

    def forget_frames(self) -> None:
        """Forget the frames of the past: nobody sees them any more."""
        self._frames.clear()

    def request_init(self, request: InitRequest) -> None:
        """Ask for a new target; the latest request counts whose box can be one at all."""
        with self._lock:
            try:
                check_box(request.box)  # whether it overlaps, only the image can tell
            except BoxError as error:
                self._say(init=f'refused: {error}')
                return
            self._request = request
            self._say(init=f'waiting for a frame: {request}')

    def reset(self, init: str = FORGOTTEN) -> None:
        """Forget the target, and the request for one; ``init`` is said of that."""
        with self._lock:
            self._request = None
            self._catch_up.end()
            self._target.reset()
            self._say(step=TargetStep(), init=init, born=None)

    def set_thresholds(self, score_lost: float, score_recover: float) -> None:
        """Change what counts as lost and as found again."""
        with self._lock:
            self._target.set_thresholds(score_lost, score_recover)

    def set_habits(self, coast_seconds: float, reacquire: str) -> None:
        """Change how long a target that is not seen is coasting, and how it is looked for."""
        with self._lock:
            self._target.set_coast_seconds(coast_seconds)
            self._target.set_reacquire(reacquire)

    def offer(self, boxes: Sequence[Box]) -> None:
        """Take in where a detector sees something, best first, to find a lost target again."""
        with self._lock:
            self._target.offer(boxes)

    def tell(self, init: str) -> None:
        """Say something of the present wish for a target."""
        with self._lock:
            self._say(init=init)

    def enable(self, enabled: bool) -> None:
        """Pause or go on; nothing is published while paused."""
        with self._lock:
            self._say(enabled=enabled)

    def process(self, frame: Frame) -> None:
        """Take one frame its whole way. Raises what the frame does not survive."""
        if not self.said.enabled:  # nobody wants to know what is in it
            self._health.count_unwanted()
            return
        started, header = time.perf_counter(), frame.message.header
        stamp = nanoseconds(header.stamp)
        image = to_bgr(frame.message)
        converted = time.perf_counter()
        with self._lock:
            if not self.said.enabled:  # since a moment ago
                self._health.count_unwanted()
                return
            step, changes = self._advance(image, stamp)
            self._say(step=step, **changes)
            tracked = time.perf_counter()
            self._publish(header, step)
        done = time.perf_counter()
        age, network = (self._now() - stamp) / 1e6, step.timings.get('network')
        kind = f'{image.shape[1]}x{image.shape[0]} {_encoding_of(frame.message)}'
        self._health.count_processed(
            {'take': 1e3 * frame.taking, 'convert': 1e3 * (converted - started), **step.timings,
             'publish': 1e3 * (done - tracked), 'frame': 1e3 * (done - started),
             'waited': 1e3 * (started - frame.received),
             **({AGE: age} if age >= 0 and stamp else {}),
             **({BESIDE: age - network} if network and age >= network and stamp
                and step.box is not None else {})}, kind)
        self._show(image, header, step)
        self._sweeper.saw(kind)

    def _advance(self, image: np.ndarray, stamp: int) -> tuple[TargetStep, dict[str, Any]]:
        """Return the frame's step, and what else has changed of :attr:`said`."""
        request, changes = self._request, {}
        if request is not None and not request.waits_for(stamp):
            self._request = None
            return self._start(request, image, stamp)
        if request is not None and request.is_stale:
            self._request = None
            changes['init'] = f'refused: {request.why_stale(stamp)}'
        return self._step(image, stamp), changes

    def _step(self, image: np.ndarray, stamp: int) -> TargetStep:
        """Look for the target on the live frame, and before that on those it is behind."""
        for frame in self._catch_up.frames_before(stamp):
            with suppress(ImageError):  # a live frame of this kind is complained about
                past = to_bgr(frame.message)
                self._target.step(past, self._elapsed.until(_stamp_of(frame)))
        return self._target.step(image, self._elapsed.until(stamp))

    def _start(self, request: InitRequest, image: np.ndarray, stamp: int
               ) -> tuple[TargetStep, dict[str, Any]]:
        """Take the target on the frame the operator saw; it is at most as new as the live one."""
        past = self._frames.between(request.stamp, stamp) if request.stamp else []
        shown = past[0][0] if past else stamp
        try:
            how_late = request.how_late(shown, self._frames.oldest, self._frames.had_older)
            seen = to_bgr(past[0][1].message) if past else image
            step = self._target.start(seen, request.box, request.target_id)
        except (BoxError, ImageError) as error:  # whatever is wrong with the new, the old goes on
            return self._step(image, stamp), {'init': f'refused: {error}'}
        except Exception as error:
            self._say(init=f'refused: {error}')
            raise
        self._catch_up.end()
        self._elapsed.until(shown)
        if past:
            self._catch_up.begin(shown)
            step = self._step(image, stamp)
        return step, {'born': time.monotonic(),
                      'init': f'accepted: {request} as id {step.target_id!r}{how_late}'}

    def _say(self, **changes: Any) -> None:
        self.said = self.said._replace(**changes)


def _stamp_of(frame: Frame) -> int:
    return nanoseconds(frame.message.header.stamp)


def _encoding_of(message: ImageMessage) -> str:
    if isinstance(message, (CompressedImage, ReceivedCompressed)):
        return message.format
    return message.encoding
