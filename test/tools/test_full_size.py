# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Official-format checkpoints of every LoRAT variant, at full size: imported, and tracking.

Up to 16 GB of memory, 15 GB of disk and a quarter of an hour, so `make test` leaves them out:
``make test TESTS='-m large'``.
"""
from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from support import goldens
from support.generator import frame, network_input
from support.lorat_checkpoints import write_base, write_delta

from lorat_ros.engines.session import open_session
from lorat_ros.models.bundle import read_bundle
from lorat_ros.networks.lorat import VARIANTS

pytestmark = [pytest.mark.large, pytest.mark.timeout(1800)]


def lorat(*arguments: str | Path) -> str:
    """Run the program; returns what it printed."""
    done = subprocess.run([sys.executable, '-m', 'lorat_ros.tools.cli', *map(str, arguments)],
                          capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def write_clip(folder: Path, frames: int) -> Path:
    """Write the first frames of the golden clip 'move'; its target starts at 120,80,48,36."""
    folder.mkdir()
    for index in range(frames):
        image, _ = frame('e2e.move', index, 240, 320, (120, 80), (6, 4), (48, 36))
        cv2.imwrite(str(folder / f'{index:05d}.png'), image[:, :, ::-1])
    return folder


@pytest.mark.parametrize('variant', VARIANTS)
def test_import_and_track(variant, tmp_path):
    clip, bundle = write_clip(tmp_path / 'clip', 3), tmp_path / 'bundle'
    base = write_base(tmp_path, variant)
    delta = write_delta(tmp_path, variant)
    said = lorat('import', delta, '--variant', variant, '--base', base, '--output', bundle,
                 '--frames', clip, '--init', '120,80,48,36')
    assert str(bundle) in said
    base.unlink()      # gigabytes, and no longer needed
    entry = read_bundle(bundle).manifest['graphs']['search']
    assert bool(entry.get('data')) == (VARIANTS[variant].width == 1536), 'g alone is over 1.8 GB'
    lorat('track', clip, '--init', '120,80,48,36', '--model', bundle, '--boxes',
          tmp_path / 'boxes.txt')
    boxes = np.loadtxt(tmp_path / 'boxes.txt', delimiter=',')
    assert boxes.shape == (3, 5) and np.isfinite(boxes).all()
    if variant == 'lorat-b-224':
        x1, y1, x2, y2 = goldens.read('lorat/e2e_B-224_move.npz')['boxes'][1]
        np.testing.assert_allclose(boxes[2, :4], (x1, y1, x2 - x1, y2 - y1), atol=1e-2)
    if variant == 'lorat-l-224':
        check_score_map(bundle, 'L-224')
    shutil.rmtree(bundle)      # pytest keeps the folders of three runs
    delta.unlink()


def check_score_map(bundle: Path, case: str) -> None:
    """Compare ONNX Runtime's answer with the golden one."""
    golden = goldens.read(f'lorat/model_{case}.npz')
    session = open_session(read_bundle(bundle), 'onnx')
    memory = session.run('template', {
        'image': network_input(f'input.z.{case}', (1, 3, 112, 112)),
        'mask': golden['mask'].astype(np.float32)})
    found = session.run('search', {'image': network_input(f'input.x.{case}', (1, 3, 224, 224)),
                                   **memory})
    np.testing.assert_allclose(found['score'], golden['merged/score_map'], atol=1e-4)
    np.testing.assert_allclose(found['boxes'], golden['merged/boxes'], atol=1e-5)
