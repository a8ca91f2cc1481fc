# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""``--init`` and ``--truth``: how a command line names the target of a clip."""
from __future__ import annotations

import argparse
from typing import NamedTuple, Optional

import numpy as np

from lorat_ros.boxes import Box, check_init_box
from lorat_ros.tools.frames import find_truth, first_box, Frames, FramesError, parse_box, \
    read_boxes


class ClipTarget(NamedTuple):
    """The box in the first frame, and those of all frames, if they are known."""

    init_box: Box
    truth: Optional[np.ndarray]  # (n, 4) xywh, nan where the target is absent


def add_target_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare both arguments."""
    parser.add_argument('--init', metavar='x,y,w,h', help='the target in the first frame, pixels; '
                        'default: first line of the truth; --init=-5,y,w,h if x is negative')
    parser.add_argument('--truth', metavar='FILE', help='boxes of all frames, x,y,w,h a line; '
                        'default: groundtruth.txt in or beside the video, if it is there')


def target_of(frames: Frames, init: Optional[str], truth_path: Optional[str]) -> ClipTarget:
    """
    Find the target of a clip from the two arguments, or from the truth that lies with it.

    :raises FramesError: there is neither, or one of them cannot be read.
    :raises BoxError: the box lies outside the first frame.
    """
    path = truth_path or find_truth(frames.path)
    truth = read_boxes(path) if path else None
    if init:
        box = parse_box(init)
    elif truth is not None:
        box = first_box(truth, str(path))
    else:
        raise FramesError('no target: give --init x,y,w,h (pixels of the first frame), or '
                          '--truth FILE')
    return ClipTarget(check_init_box(box, frames.size_wh), truth)
