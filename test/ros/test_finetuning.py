# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
The walk-through of docs/finetuning.md, on small data and upon a tiny base.

A recording becomes training data, LoRA adapts the base to it, the merged bundle goes into a real
node, and the node follows the recording's target over DDS.
"""
from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from lorat_ros import load_tracker
from lorat_ros.boxes import iou_xywh
from lorat_ros.models.bundle import read_bundle, sha256_of
from lorat_ros.ros.messages import box_of
from support.graph import Client
from support.recordings import moving_disc, write_recording

pytest.importorskip('torch', reason='fine-tuning needs torch: make env installs it')

from support.lorat_tiny import own_sizes, write_base

NAME, MODEL, FRAMES = '/lorat_tracker', 'my-lorat', 22
# Of the recipe: so small a network learns faster, and for a short time only.
SMALL = ['rank=8', 'alpha=8', 'train.learning_rate=5e-3', 'train.micro_batch=0',
         'train.precision=fp32', 'train.warmup_steps=5', 'draws.shift=1.0', 'draws.scale=0.15',
         'draws.look=0.0', 'draws.colour=0.1']


def lorat(*arguments: object) -> None:
    """Run `lorat` as a user does."""
    done = subprocess.run([str(Path(sys.executable).with_name('lorat')), *map(str, arguments)],
                          capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, f'{arguments}:\n{done.stdout}\n{done.stderr}'


@pytest.fixture(scope='module')
def shots() -> list[tuple[np.ndarray, tuple[float, ...]]]:
    """What the camera of the recording saw, and where the target was."""
    return [(image, box) for _, image, box in moving_disc(FRAMES)]


@pytest.fixture(scope='module')
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """From a recording to a bundle, by the commands of the walk-through."""
    folder = tmp_path_factory.mktemp('walk')
    bag = write_recording(folder / 'bag', frames=FRAMES)
    base = write_base(folder)
    lorat('data', bag, '--output', folder / 'footage')
    lorat('train', 'lorat', '--data', folder / 'footage', '--base', base, '--output',
          folder / 'run', '--name', MODEL, '--steps', 160, '--batch', 8, '--loaders', 0,
          '--set', *own_sizes(), *SMALL)
    return folder / 'run' / MODEL


def test_the_bundle_says_what_it_was_made_of(model: Path) -> None:
    said = read_bundle(model).manifest
    origin = said['provenance']
    base = next(model.parents[1].glob('dinov2_*.pth'))
    assert (said['name'], said['family'], origin['layout']) == (MODEL, 'lorat', 'delta')
    assert origin['base']['sha256'] == sha256_of(base) and origin['rank'] == 8
    assert origin['checkpoint']['sha256'] == sha256_of(model.parent / 'delta.safetensors')
    assert origin['recipe']['train']['steps'] == origin['steps'] == 160
    assert (model / 'MODEL_CARD.md').is_file() and (model.parent / 'samples.png').is_file()


def test_the_node_follows_the_target_with_it(model: Path, node_process, shots) -> None:
    node_process('tracker_node', '--ros-args', '-p', f'model:={model}', '-p', 'score_lost:=0.0',
                 '-p', 'score_recover:=0.0')
    here = load_tracker(model)
    client = Client(NAME)
    try:
        client.wait_for_matches()
        client.wait_for_health('engine', MODEL)
        client.send_box(shots[0][1], 'disc')
        client.exchange(client.frame(shots[0][0]))
        here.init(*shots[0])
        overlaps = []
        for image, truth in shots[1:]:
            [detection] = client.exchange(client.frame(image)).detections
            assert detection.id == 'disc'
            assert box_of(detection) == pytest.approx(here.update(image).box, abs=1e-2)
            overlaps.append(float(iou_xywh(box_of(detection), truth)))
    finally:
        client.close()
        here.close()
    assert np.mean(overlaps) > 0.3, overlaps
