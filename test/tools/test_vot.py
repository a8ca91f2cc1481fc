# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The entry point for the VOT toolkit, over a real process and the real protocol."""
from __future__ import annotations

import contextlib
import os
import subprocess
import sys

import cv2
import numpy as np
import pytest
from support.sequences import write_sequence

from lorat_ros.tools import vot
from lorat_ros.tools.sequences import load_clip, Source
from lorat_ros.tracking.tracker import load_tracker

trax = pytest.importorskip('trax', reason='vot-trax is not installed here (it has wheels for '
                                          'x86-64 only): pip install vot-trax')


@pytest.fixture(scope='module')
def clip(tmp_path_factory):
    folder = write_sequence(tmp_path_factory.mktemp('vot') / 'disc')
    return load_clip(Source('disc', folder / 'img', folder / 'groundtruth.txt'))


@contextlib.contextmanager
def client_of(*arguments: str):
    """Start the program as the toolkit does, and shake hands."""
    from trax.client import Client
    process = subprocess.Popen([sys.executable, '-m', 'lorat_ros.tools.vot', *arguments],
                               stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE, bufsize=0)
    try:
        client = Client(stream=(process.stdin.fileno(), process.stdout.fileno()),
                        log=lambda line: None)      # without one, its constructor fails
        yield client, process
        with contextlib.suppress(trax.TraxException):
            client.quit()
        process.stdin.close()
        process.wait(30)
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
        process.stdout.close()
        process.stderr.close()


def by_path(file):
    return trax.FileImage.create(str(file))


def by_buffer(file):
    return trax.BufferImage.create(file.read_bytes())


def by_memory(file):
    return trax.MemoryImage.create(cv2.cvtColor(cv2.imread(str(file)), cv2.COLOR_BGR2RGB))


@pytest.mark.parametrize('wrap', [by_path, by_memory, by_buffer])
def test_the_boxes_are_those_of_the_tracker(clip, wrap):
    tracker = load_tracker()
    frames = list(clip.frames())
    tracker.init(frames[0], clip.init_box)
    with client_of() as (client, process):
        assert client.tracker_name == 'kestrel-e' and client.region_formats == ['rectangle']
        start = trax.Rectangle.create(*clip.init_box)
        objects, _ = client.initialize({'color': wrap(clip.files[0])}, [(start, {})], {})
        assert tuple(objects[0][0].bounds()) == clip.init_box
        for image, file in zip(frames[1:], clip.files[1:]):
            result = tracker.update(image)
            (region, properties), = client.frame({'color': wrap(file)}, {}, [])[0]
            np.testing.assert_allclose(region.bounds(), result.box, atol=1e-3)
            assert float(properties['confidence']) == pytest.approx(result.score, abs=1e-4)
    assert process.returncode == 0


def test_a_new_target_in_the_same_process(clip):
    with client_of() as (client, process):
        for x, y, w, h in (clip.init_box, (10, 10, 20, 20)):
            region = trax.Rectangle.create(x, y, w, h)
            objects, _ = client.initialize({'color': by_path(clip.files[0])}, [(region, {})], {})
            assert objects[0][0].bounds()[0] == x
            client.frame({'color': by_path(clip.files[1])}, {}, [])
    assert process.returncode == 0


def test_a_target_outside_the_image_ends_it_with_the_reason(clip):
    with client_of() as (client, _):
        region = trax.Rectangle.create(5000, 10, 20, 20)
        with pytest.raises(trax.TraxException, match='does not overlap the 160x120 image'):
            client.initialize({'color': by_path(clip.files[0])}, [(region, {})], {})


def test_an_unknown_model_is_one_line():
    done = subprocess.run([sys.executable, '-m', 'lorat_ros.tools.vot', '--model', 'owl'],
                          capture_output=True, text=True, timeout=60, env=dict(os.environ))
    assert done.returncode == 2
    assert done.stderr.startswith('lorat vot: ') and 'Traceback' not in done.stderr


def test_without_the_package_the_cure_is_said(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, 'trax', None)
    assert vot.main([]) == 2
    assert 'pip install vot-trax' in capsys.readouterr().err
