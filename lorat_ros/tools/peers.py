# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The trackers of OpenCV behind the two calls of ours, to be measured beside our models."""
from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Optional

import cv2
import numpy as np

from lorat_ros.boxes import Box
from lorat_ros.tracking.tracker import ImageError, TrackResult

CURE = ('has no {name}: pip install --target contrib --no-deps "opencv-contrib-python-headless<5" '
        "and start with PYTHONPATH=contrib; in a folder of its own it is in nobody's way")
NOWHERE: Box = (np.nan, np.nan, np.nan, np.nan)


class PeerError(ValueError):
    """A peer cannot be had; the message says why and what to do."""


class Peer:
    """
    A tracker of OpenCV: ``init`` and ``update`` as ``Tracker`` has them.

    Those that have no score answer 1.0 where they say that they have found something. Where one
    says that it has not, the box is nan and the score 0.0.

    :param make: makes a new tracker, for one target.
    """

    def __init__(self, make: Callable[[], Any]) -> None:
        self._make = make
        self._tracker: Any = None

    def init(self, image: np.ndarray, box: Sequence[float]) -> None:
        """
        Take a target, (x, y, w, h) in pixels; OpenCV wants whole ones, within the image.

        :raises ImageError: OpenCV does not take it.
        """
        height, width = image.shape[:2]
        x, y = (max(0, round(v)) for v in box[:2])
        right, bottom = min(width, round(box[0] + box[2])), min(height, round(box[1] + box[3]))
        self._tracker = self._make()
        try:
            self._tracker.init(image, (x, y, max(1, right - x), max(1, bottom - y)))
        except cv2.error as error:
            raise ImageError(f'OpenCV refused the target {tuple(box)}: {error}') from error

    def update(self, image: np.ndarray) -> TrackResult:
        """
        Find it in the next image.

        :raises ImageError: OpenCV failed.
        """
        assert self._tracker is not None, 'init comes first'
        try:
            found, box = self._tracker.update(image)
        except cv2.error as error:
            raise ImageError(f'OpenCV failed: {error}') from error
        if not found:
            return _result(NOWHERE, 0.0)
        has_score = hasattr(self._tracker, 'getTrackingScore')
        x, y, w, h = (float(v) for v in box)
        return _result((x, y, w, h),
                       float(self._tracker.getTrackingScore()) if has_score else 1.0)


def _result(box: Box, score: float) -> TrackResult:
    return TrackResult(box=box, score=score, search_window=NOWHERE)


class Row(NamedTuple):
    """One peer: how it is made, and what must be there for it."""

    label: str
    maker: str  # the name in cv2
    needs_weights: bool = False


PEERS = (Row('OpenCV CSRT', 'TrackerCSRT_create'), Row('OpenCV KCF', 'TrackerKCF_create'),
         Row('OpenCV MIL', 'TrackerMIL_create'),
         Row('OpenCV Nano', 'TrackerNano_create', needs_weights=True))


def open_peer(row: Row, weights: Optional[Path]) -> Peer:
    """
    Return a peer that is ready to be measured.

    :param weights: folder with NanoTrack's `*backbone*.onnx` and `*head*.onnx`.
    :raises PeerError: this OpenCV lacks it, or its weights are not there.
    """
    create = getattr(cv2, row.maker, None)
    if create is None:
        raise PeerError(f'OpenCV {cv2.__version__} ' + CURE.format(name=row.label.split()[1]))
    if not row.needs_weights:
        return Peer(create)
    if weights is None:
        raise PeerError('its weights are not given: --nanotrack FOLDER, with the two ONNX files '
                        'of NanoTrack v2')
    parameters = cv2.TrackerNano_Params()
    parameters.backbone, parameters.neckhead = (
        str(_only(weights, pattern)) for pattern in ('*backbone*.onnx', '*head*.onnx'))
    try:
        create(parameters)
    except cv2.error as error:
        raise PeerError(f'OpenCV cannot load the weights in {weights}: {error}') from error
    return Peer(lambda: create(parameters))


def _only(folder: Path, pattern: str) -> Path:
    found = sorted(folder.glob(pattern))
    if len(found) != 1:
        raise PeerError(f'{folder} has {len(found)} files {pattern}, expected one')
    return found[0]
