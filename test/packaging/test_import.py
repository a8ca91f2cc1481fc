# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""`import lorat_ros` is cheap: it pulls in neither torch, nor ROS, nor OpenCV, nor an engine."""

from __future__ import annotations

import json
import subprocess
import sys

HEAVY = {'torch', 'rclpy', 'cv2', 'onnxruntime', 'numpy'}
SECONDS = 0.3  # promised in the README
RUNS = 5
MEASURE = """
import json, sys, time
start = time.perf_counter()
import lorat_ros
print(json.dumps([time.perf_counter() - start, sorted(sys.modules)]))
"""


def test_import_is_light_and_quick() -> None:
    seconds, modules = [], set()
    for _ in range(RUNS):
        output = subprocess.run([sys.executable, '-c', MEASURE], capture_output=True, text=True,
                                check=True, timeout=60).stdout
        elapsed, loaded = json.loads(output)
        seconds.append(elapsed)
        modules |= {name.split('.')[0] for name in loaded}
    assert 'lorat_ros' in modules
    assert not modules & HEAVY
    assert min(seconds) < SECONDS
