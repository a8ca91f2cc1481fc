# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The published trackers in the node: frames go in over DDS, the golden boxes come out."""
from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from lorat_ros.models.catalog import DEFAULT_MODEL
from lorat_ros.networks.export import export_bundle
from lorat_ros.networks.fartrack_variants import describe
from lorat_ros.ros.messages import box_of
from support import goldens
from support.fartrack_runs import generated
from support.generator import frame
from support.graph import Client
from support.litetrack_golden import bgr_frame, INIT_BOX

NAME = '/lorat_tracker'
START, VELOCITY, SIZE = (120, 80), (6, 4), (48, 36)      # of the golden clip 'move'


def clip(index: int) -> np.ndarray:
    """Frame of the golden clip, BGR."""
    image, _ = frame('e2e.move', index, 240, 320, START, VELOCITY, SIZE)
    return np.ascontiguousarray(image[:, :, ::-1])


@pytest.fixture
def client_of(node_process) -> Iterator[Callable[[Path], Client]]:
    """Start the node with a model, every score good enough, and talk to it."""
    clients = []

    def start(model: Path) -> Client:
        node_process('tracker_node', '--ros-args', '-p', f'model:={model}',
                     '-p', 'score_lost:=0.0', '-p', 'score_recover:=0.0', '-p', 'threads:=2')
        clients.append(Client(NAME))
        clients[-1].wait_for_matches()
        return clients[-1]
    yield start
    for client in clients:
        client.close()


def test_fartrack_in_the_node(client_of, tmp_path: Path) -> None:
    about = {**describe('fartrack-pico'), 'name': 'fartrack-pico', 'family': 'fartrack'}
    export_bundle(generated('fartrack-pico'), tmp_path / 'pico', about, lambda part: None)
    client = client_of(tmp_path / 'pico')
    golden = goldens.read('fartrack/e2e.npz')['sparse_pico_boxes']
    client.wait_for_health('engine', 'fartrack-pico')
    client.send_box(INIT_BOX, 'golden')
    client.exchange(client.frame(bgr_frame(0)))
    for index in range(1, 7):      # the first through one graph, the others through the other
        [detection] = client.exchange(client.frame(bgr_frame(index))).detections
        assert box_of(detection) == pytest.approx(golden[index - 1], abs=1e-2)


def test_lorat_in_the_node_and_another_model_after_it(client_of, lorat_b_224: Path) -> None:
    client = client_of(lorat_b_224)
    golden = goldens.read('lorat/e2e_B-224_move.npz')
    client.wait_for_health('engine', 'lorat-b-224')
    client.send_box((*START, *SIZE), 'golden')
    client.exchange(client.frame(clip(0)))
    for index in range(1, 7):
        [detection] = client.exchange(client.frame(clip(index))).detections
        x1, y1, x2, y2 = golden['boxes'][index - 1]
        assert box_of(detection) == pytest.approx((x1, y1, x2 - x1, y2 - y1), abs=1e-2)
        assert detection.results[0].hypothesis.score == pytest.approx(
            golden['confidence'][index - 1], abs=1e-4)
        assert detection.id == 'golden'
    assert client.transition('deactivate') and client.transition('cleanup')
    assert client.set_parameter('model', DEFAULT_MODEL) == ''
    assert client.transition('configure') and client.transition('activate')
    client.wait_for_health('engine', DEFAULT_MODEL)
    client.wait_for_matches()
    first = client.track((*START, *SIZE))
    assert first.results[0].hypothesis.score > 0
