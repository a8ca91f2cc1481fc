# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
The tracker: ``init`` once, ``update`` for every frame.

The same two calls serve the node, the command line, evaluation and anyone's script.
"""
from __future__ import annotations

import copy
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np

from lorat_ros.boxes import Box, check_init_box
from lorat_ros.engines.session import open_session, Session
from lorat_ros.models.bundle import Bundle
from lorat_ros.models.catalog import find_bundle
from lorat_ros.tracking.crop_choice import open_sampler
from lorat_ros.tracking.family import Family, family_class
from lorat_ros.tracking.sampler import HostSampler, Sampler

UINT8 = np.dtype(np.uint8)      # to compare with the class makes one anew, for every frame


class ImageError(ValueError):
    """An image that cannot be tracked in; the message names what it is and what is expected."""


@dataclass(frozen=True)
class TrackResult:
    """Where the target is in one frame."""

    box: Box                    # (x, y, w, h) pixels, top-left corner and size
    score: float                # [0, 1]: how sure the model is that this is the target
    search_window: Box          # (x, y, w, h) pixels: where was looked; may leave the image
    #: Milliseconds: crop, of that normalise (the search region; 0.0 where a device does both at
    #: once), network, decode, total; and network_cpu, of the network's the time in which this
    #: thread had a processor (not what other threads of an engine did).
    timings: dict[str, float] = field(default_factory=dict)


def check_image(image: np.ndarray) -> np.ndarray:
    """
    Check that an image is (height, width, 3) uint8 with pixels in it.

    :raises ImageError: it is something else.
    """
    if not isinstance(image, np.ndarray):
        raise ImageError(f'image is a {type(image).__name__}, expected a NumPy array of uint8 '
                         'with shape (height, width, 3), BGR (was the file read at all?)')
    if image.dtype != UINT8 or image.ndim != 3 or image.shape[2] != 3:
        raise ImageError(f'image is {image.dtype} of shape {image.shape}, expected uint8 of shape '
                         '(height, width, 3), BGR: convert it, for example with cv2.cvtColor')
    if image.shape[0] == 0 or image.shape[1] == 0:
        raise ImageError(f'image has shape {image.shape}: it holds no pixels')
    return image


class Tracker:
    """Follows one target through images; see ``load_tracker``."""

    def __init__(self, bundle: Bundle, session: Session, sampler: Sampler | None = None) -> None:
        """
        Make a tracker without a target.

        :param sampler: cuts this tracker's crops; one of a device must make what this session
            takes; None: the host.
        """
        self.bundle = bundle
        self.session = session
        self._sampler = sampler = sampler or HostSampler()
        self.crops = sampler.where      # who cuts them: 'cpu', or the name of a device
        self._new_family = partial(family_class(bundle), bundle, sampler)
        self._family: Family | None = None

    @property
    def has_target(self) -> bool:
        """Whether ``init`` has been called since the start or the last ``reset``."""
        return self._family is not None

    def init(self, image: np.ndarray, box: Sequence[float]) -> None:
        """
        Take a target. If anything is wrong with it, the present target stays.

        :param image: (height, width, 3) uint8, BGR.
        :param box: (x, y, w, h) in pixels, top-left corner and size; may cross the border.
        :raises ImageError: not such an image.
        :raises lorat_ros.boxes.BoxError: not finite, of no size, or outside the image.
        """
        check_image(image)
        checked = check_init_box(box, (image.shape[1], image.shape[0]))
        family = self._new_family()
        inputs = family.start(image, checked)
        if inputs:
            family.remember(self.session.run('template', inputs))
        self._family = family

    def update(self, image: np.ndarray) -> TrackResult:
        """
        Find the target in the next frame. The frame's size may differ from the last one's.

        :param image: (height, width, 3) uint8, BGR.
        :raises ImageError: not such an image; the target stays.
        :raises RuntimeError: there is no target yet.
        """
        if self._family is None:
            raise RuntimeError('update() before init(): call init(image, (x, y, w, h)) first')
        check_image(image)
        start = time.perf_counter()
        inputs = self._family.look(image)
        cropped, processor = time.perf_counter(), time.thread_time()
        outputs = self.session.run(self._family.role, inputs)
        searched, processor = time.perf_counter(), time.thread_time() - processor
        answer = self._family.answer(outputs)
        end = time.perf_counter()
        timings = {'crop': 1e3 * (cropped - start), 'normalise': 1e3 * self._sampler.normalising,
                   'network': 1e3 * (searched - cropped), 'network_cpu': 1e3 * processor,
                   'decode': 1e3 * (end - searched), 'total': 1e3 * (end - start)}
        return TrackResult(answer.box, answer.score, answer.search_window, timings)

    def scout(self, box: Sequence[float]) -> Tracker:
        """
        Make a tracker of the same target that looks around a box from now on.

        What the scout sees changes nothing here; ``follow`` takes over what it knows. It shares
        the engine, so it must not be closed, nor used after this tracker is.

        :param box: (x, y, w, h) in pixels, finite and of some size.
        :raises RuntimeError: there is no target yet.
        """
        if self._family is None:
            raise RuntimeError('scout() before init(): call init(image, (x, y, w, h)) first')
        x, y, w, h = (float(value) for value in box)
        other = copy.copy(self)
        other._family = self._family.around((x, y, w, h))
        return other

    def follow(self, scout: Tracker) -> None:
        """Go on from where a scout is, with what it knows; the scout is not to be used again."""
        self._family = scout._family

    def reset(self) -> None:
        """Forget the target."""
        self._family = None

    def close(self) -> None:
        """Forget the target and give back the engine's memory."""
        self.reset()
        self.session.close()


def load_tracker(model: str | Path | None = None, engine: str = 'auto', threads: int = 1,
                 precision: str = 'auto', cache: str | Path | None = None, crops: str = 'auto'
                 ) -> Tracker:
    """
    Load a model and make a tracker of it.

    :param model: name or folder of a bundle; None = the shipped default.
    :param engine: 'auto', 'onnx', 'torch', …; see ``lorat_ros.engines.session.ENGINE_NAMES``.
    :param threads: CPU threads for one inference.
    :param precision: 'auto' is float32; 'bf16' and 'int8' must have been proven (``lorat build``).
    :param cache: folder of what ``lorat build`` made; None: the user's cache.
    :param crops: who cuts them: 'cpu', 'gpu' (the session's), or 'auto': the GPU where
        ``lorat benchmark --crops both`` has measured that it is faster.
    :raises lorat_ros.models.bundle.BundleError: the bundle is missing or damaged.
    :raises lorat_ros.engines.session.EngineError: no engine can run it here.

    ::

        tracker = load_tracker()
        tracker.init(image, (x, y, w, h))
        result = tracker.update(image)
    """
    bundle = find_bundle(model)
    family_class(bundle)      # what is wrong with it is said before minutes go into an engine
    session = open_session(bundle, engine, threads, precision, cache)
    return Tracker(bundle, session, open_sampler(crops, bundle, session, cache))
