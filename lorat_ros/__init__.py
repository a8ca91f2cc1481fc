# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Keep a robot's eyes on one thing: single-object tracking for ROS 2 and for plain Python.

    from lorat_ros import load_tracker
    tracker = load_tracker()
    tracker.init(first_image, (x, y, w, h))
    result = tracker.update(next_image)      # result.box, result.score

Importing this package loads neither ROS, torch, OpenCV nor an inference engine: names are
looked up when they are first used.
"""
from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = '0.1.0'

if TYPE_CHECKING:
    from lorat_ros.tracking.tracker import load_tracker, Tracker, TrackResult

_HOME_OF = {
    'load_tracker': 'lorat_ros.tracking.tracker',
    'Tracker': 'lorat_ros.tracking.tracker',
    'TrackResult': 'lorat_ros.tracking.tracker',
}

__all__ = ['TrackResult', 'Tracker', '__version__', 'load_tracker']


def __getattr__(name: str) -> Any:
    if name in _HOME_OF:
        return getattr(importlib.import_module(_HOME_OF[name]), name)
    raise AttributeError(f'module {__name__!r} has no attribute {name!r}')


def __dir__() -> list[str]:
    return sorted(__all__)
