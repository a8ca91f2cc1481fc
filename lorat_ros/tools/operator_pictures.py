# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Make the pictures of docs/operator.md again, from a real ROS graph that plays the rendered clip:

    python -m lorat_ros.tools.operator_pictures docs/images

Four processes: camera, tracker, recorder, and an operator's hand that clicks on the target and
later starts it anew with a box drawn on an image one second old. Prints what ``~/status`` said.
"""
from __future__ import annotations

import argparse
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Optional

import cv2
import numpy as np

from lorat_ros.tools.graph import Graph, GraphError, ros_is_there
from lorat_ros.tools.operator_scenes import (JPEG_QUALITY, life_sheet, load_run, moments,
                                             ray_sheet, Run, stamped_sheet, start_sheet)
from lorat_ros.tools.recording import READY
from lorat_ros.tools.scene import cached_scene, Scene

#: Frames of the clip: clicked on; a box is drawn on; and when that is sent, a second later.
CLICK_AT, BOX_AT, BOX_SENT_AT = 10, 235, 265
HORIZONTAL_FOV = 60.0  # degrees; the camera's calibration, for the ray
PATIENCE = 180.0  # seconds


def main(arguments: Optional[Sequence[str]] = None) -> int:
    """Run the graph and write the pictures; 0, 1 (the run went wrong) or 2 (no ROS)."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[1])
    parser.add_argument('folder', type=Path, help='where the pictures go; it is made')
    args = parser.parse_args(arguments)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # stop the nodes then, too
    if not ros_is_there():
        print('operator_pictures: this Python finds no ROS 2 (rclpy, vision_msgs): run `make '
              'env` and use .venv/bin/python, or source an installed ROS 2', file=sys.stderr)
        return 2
    scene = cached_scene()
    with tempfile.TemporaryDirectory() as scratch:
        try:
            _play(scene, Path(scratch))
            run = load_run(Path(scratch))
            _write(run, scene, args.folder)
        except (GraphError, ValueError, OSError) as error:
            print(f'operator_pictures: {error}', file=sys.stderr)
            return 1
    return 0


def _play(scene: Scene, folder: Path) -> None:
    """Run the graph until the clip has ended and both listeners have written."""
    with Graph(folder / 'logs') as graph:
        tracker = 'lorat_tracker'
        graph.start('tracker_node', {'image_reliability': 'reliable',
                                     'debug_image.max_rate': 1000.0})
        recorder = graph.start('recorder', {'output': str(folder)})
        hand = graph.start('operator_hand', {
            'output': str(folder), 'tracker': tracker,
            'click_at': CLICK_AT, 'click_box': scene.boxes[CLICK_AT].tolist(),
            'box_at': BOX_AT, 'box': scene.boxes[BOX_AT].tolist(), 'box_sent_at': BOX_SENT_AT})
        recorder.wait_for_text(READY, PATIENCE)
        graph.start('video_publisher', {
            'path': str(scene.images), 'lock_step': True, 'wait_for_subscribers': 2,
            'start_delay': 2.0, 'horizontal_fov': HORIZONTAL_FOV},
            {'detections': f'{tracker}/detections'})
        give_up = time.monotonic() + PATIENCE
        while recorder.status is None or hand.status is None:
            graph.check()
            if time.monotonic() > give_up:
                raise GraphError(f'the run has not ended after {PATIENCE:.0f} s:\n'
                                 f'{recorder.tail()}')
            time.sleep(0.1)
        graph.check()


def _write(run: Run, scene: Scene, folder: Path) -> None:
    at = moments(run)
    folder.mkdir(parents=True, exist_ok=True)
    for name, sheet in (('start', start_sheet(run, at, tuple(scene.boxes[CLICK_AT]))),
                        ('life', life_sheet(run, at)),
                        ('stamped', stamped_sheet(run, at, tuple(scene.boxes[BOX_AT]))),
                        ('ray', ray_sheet(run, at))):
        print(_save(folder / f'operator_{name}.jpg', sheet))
    begin = run.recording.history()[0].stamp
    for word in run.recording.history():
        values = ', '.join(f'{key}: {word.values[key]}' for key in ('id', 'score', 'reacquired')
                           if word.values.get(key))
        print(f'{(word.stamp - begin) / 1e9:6.2f} s  {word.state:9} {values}')


def _save(path: Path, image: np.ndarray) -> str:
    data = cv2.imencode('.jpg', image, (cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY))[1].tobytes()
    path.write_bytes(data)
    return f'{path}: {image.shape[1]} x {image.shape[0]}, {len(data) // 1000} kB'


if __name__ == '__main__':
    sys.exit(main())
