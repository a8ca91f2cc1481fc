# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""`lorat demo` as a user runs it: real processes, real DDS, and an exit status one can trust."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from support.bundles import copy_of_default

from lorat_ros.tools.demo import _conclude, Clip
from lorat_ros.tools.demo_report import Limits
from lorat_ros.tools.demo_sheet import chosen, small_png
from lorat_ros.tools.graph import NEW_VARIABLE, OLD_VARIABLE, TRANSPORT_VARIABLE
from lorat_ros.tools.recording import FrameRecord, Recording, StatusRecord
from lorat_ros.tools.scene import cached_scene, Scene

LORAT = [sys.executable, '-m', 'lorat_ros.tools.cli', 'demo']


@pytest.fixture(scope='module')
def scene(cache: Path) -> Scene:
    return cached_scene(cache / 'lorat_ros' / 'scene')


@pytest.fixture(scope='module')
def short_clip(scene: Scene, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The scene's first 20 frames with their truth, as a user's folder."""
    folder = tmp_path_factory.mktemp('short')
    for frame in sorted(scene.images.iterdir())[:20]:
        (folder / frame.name).symlink_to(frame)
    np.savetxt(folder / 'groundtruth.txt', scene.boxes[:20], '%.3f', ',')
    return folder


def environment(cache: Path, **more: str) -> dict[str, str]:
    """What the demo is run in; the transport is the demo's own choice, as it is for users."""
    kept = {name: value for name, value in os.environ.items()
            if name not in (OLD_VARIABLE, NEW_VARIABLE, TRANSPORT_VARIABLE)}
    return {**kept, 'XDG_CACHE_HOME': str(cache), **more}


def demo(cache: Path, *arguments: str, **more: str) -> subprocess.CompletedProcess:
    """Run the demo to its end."""
    return subprocess.run([*LORAT, *arguments], env=environment(cache, **more), text=True,
                          capture_output=True, timeout=150)


def test_the_own_clip(cache: Path, tmp_path: Path) -> None:
    """The whole of it, frame by frame, so that a busy machine drops nothing."""
    done = demo(cache, '--lock-step', '--output', str(tmp_path))
    report = done.stdout + done.stderr
    assert done.returncode == 0, report
    summary = json.loads((tmp_path / 'summary.json').read_text())
    assert summary['passed'] and summary['failures'] == []
    assert (summary['frames_in'], summary['processed']) == (300, 300), report
    assert summary['overlap'] >= 0.6
    assert summary['losses'] >= 1
    assert {'crop', 'network', 'total'} <= summary['stages_ms'].keys()
    assert summary['engine']['model']
    assert 'mean overlap' in done.stdout and 'lost' in done.stdout
    video = cv2.VideoCapture(str(tmp_path / 'annotated.mp4'))
    assert video.get(cv2.CAP_PROP_FRAME_COUNT) > 250
    assert video.read()[1].shape == (480, 640, 3)
    sheet = cv2.imread(str(tmp_path / 'contact_sheet.png'))
    assert sheet.shape[1] == 1280 and sheet.std() > 20
    assert (tmp_path / 'contact_sheet.png').stat().st_size < 1_000_000
    # Frame 0 was the init frame: its box is the given one, not one that was searched for.
    first = (tmp_path / 'boxes.txt').read_text().splitlines()[1].split(',')
    assert np.allclose([float(v) for v in first[1:5]], summary['init_box'], atol=0.01)


def test_ones_own_video_with_truth(cache: Path, short_clip: Path, tmp_path: Path) -> None:
    (tmp_path / 'summary.json').write_text('of an earlier run')
    done = demo(cache, '--video', str(short_clip), '--lock-step', '--output', str(tmp_path),
                '--min-overlap', '0.999')
    assert done.returncode == 1  # nobody is as good as that
    assert 'mean overlap with the truth is' in done.stderr and '0.999' in done.stderr
    summary = json.loads((tmp_path / 'summary.json').read_text())
    assert summary['processed'] == 20 and summary['overlap_frames'] == 19
    assert len(summary['failures']) == 1


def test_a_tracker_that_cannot_start_fails_it(cache: Path, short_clip: Path,
                                              tmp_path: Path) -> None:
    """The bundle is whole, so it passes the check before; its graph is no graph."""
    def break_graph(manifest: dict) -> None:
        from lorat_ros.models.bundle import describe_file
        graph = tmp_path / 'copy' / 'search.onnx'
        graph.write_bytes(b'this is no graph')
        manifest['graphs']['search'].update(describe_file(graph))
    bundle = copy_of_default(tmp_path, break_graph)
    done = demo(cache, '--video', str(short_clip), '--model', str(bundle), '--output',
                str(tmp_path / 'out'))
    assert done.returncode == 1
    assert 'cannot configure' in done.stderr
    assert not (tmp_path / 'out' / 'summary.json').exists()


def test_frames_that_never_come_fail_it(cache: Path, short_clip: Path, tmp_path: Path) -> None:
    """A frame in mid-clip is no image: the publisher ends there, and the run is no success."""
    frames = tmp_path / 'frames'
    frames.mkdir()
    for frame in sorted(short_clip.glob('*.jpg'))[:10]:
        (frames / frame.name).symlink_to(frame)
    (frames / '000010.jpg').write_bytes(b'\xff\xd8 cut off')
    done = demo(cache, '--video', str(frames), '--init', '216,227,80,40', '--output',
                str(tmp_path / 'out'))
    assert done.returncode == 1
    assert '000010.jpg' in done.stderr


@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM])
def test_an_interruption_leaves_no_process(cache: Path, short_clip: Path, tmp_path: Path,
                                           number: signal.Signals) -> None:
    """Found by the output folder, which is among the recorder's arguments."""
    process = subprocess.Popen([*LORAT, '--video', str(short_clip), '--output', str(tmp_path),
                                '--rate', '2'], env=environment(cache), stdout=subprocess.PIPE,
                               stderr=subprocess.STDOUT, text=True, start_new_session=True)
    stamps = tmp_path / 'stamps.txt'
    end = time.monotonic() + 60
    while not (stamps.exists() and stamps.read_text()):
        assert process.poll() is None and time.monotonic() < end, process.communicate()[0]
        time.sleep(0.05)
    assert processes_with(str(tmp_path))
    process.send_signal(number)
    time.sleep(0.1)
    process.send_signal(number)  # an impatient user
    assert process.wait(40) == 130
    assert 'Traceback' not in process.communicate()[0]
    assert processes_with(str(tmp_path)) == []
    assert (tmp_path / 'recording.json').exists()  # what was heard is kept


def processes_with(argument: str) -> list[int]:
    """Ids of the nodes that have this text among their arguments."""
    found = []
    for folder in Path('/proc').glob('[0-9]*'):
        try:
            command = (folder / 'cmdline').read_bytes().decode(errors='replace')
        except OSError:  # it has just ended
            continue
        if argument in command and 'lorat_ros.ros.' in command:
            found.append(int(folder.name))
    return found


@pytest.mark.parametrize(('arguments', 'complaint'), [
    (['--init', '1,2,3,4'], '--video PATH, which is missing'),
    (['--video', 'CLIP', '--init', '1,2,3'], 'expected x,y,w,h'),
    (['--video', 'CLIP', '--init', '700,2,30,30'], 'does not overlap'),
    (['--video', 'CLIP', '--truth', '/nowhere.txt'], '/nowhere.txt'),
    (['--video', 'CLIP', '--model', 'ostrich'], "'ostrich'"),
    (['--video', 'CLIP', '--rate', '-3'], 'fps is -3'),
    (['--video', 'CLIP/000000.jpg/x'], 'does not exist')])
def test_bad_arguments_are_said_before_anything_starts(
        cache: Path, short_clip: Path, tmp_path: Path, arguments: list[str],
        complaint: str) -> None:
    done = demo(cache, '--output', str(tmp_path / 'out'),
                *(argument.replace('CLIP', str(short_clip)) for argument in arguments))
    assert done.returncode == 2
    assert complaint in done.stderr.splitlines()[-1] and 'Traceback' not in done.stderr
    assert not (tmp_path / 'out' / 'logs').exists()


def test_no_target_is_said(cache: Path, short_clip: Path, tmp_path: Path) -> None:
    (tmp_path / '0.jpg').symlink_to(short_clip / '000000.jpg')
    done = demo(cache, '--video', str(tmp_path), '--output', str(tmp_path / 'out'))
    assert done.returncode == 2
    assert '--init x,y,w,h' in done.stderr


@pytest.mark.parametrize(('count', 'lost'), [(1, []), (5, [2]), (300, []), (300, [200, 201, 202]),
                                             (300, list(range(300)))])
def test_pictures_of_the_sheet(count: int, lost: list[int]) -> None:
    places = chosen(list(range(count)), lost)
    assert len(places) == min(count, 12)
    assert not lost or lost[len(lost) // 2] in places
    gaps = np.diff(sorted(places))
    assert gaps.size == 0 or gaps.max() <= 2 * count / 12 + 1


@pytest.fixture
def recorded(tmp_path: Path) -> Path:
    """What a good run of five frames leaves behind, before its conclusion."""
    stamps = [10, 20, 30, 40, 50]
    frames = [FrameRecord(stamp, (10.0, 10.0, 20.0, 20.0), 0.9) for stamp in stamps]
    Recording(frames, [StatusRecord(15, 'tracking')], pictures=stamps).save(tmp_path)
    video = cv2.VideoWriter(str(tmp_path / 'annotated.mp4'), cv2.VideoWriter_fourcc(*'mp4v'),
                            30.0, (64, 48))
    for level in stamps:
        video.write(np.full((48, 64, 3), level, np.uint8))
    video.release()
    return tmp_path


def conclude(folder: Path) -> int:
    return _conclude(Clip(folder, 30.0, 5, (10.0, 10.0, 20.0, 20.0), None, Limits()), folder,
                     [10, 20, 30, 40, 50])


def test_a_run_with_its_pictures_passes(recorded: Path,
                                        capsys: pytest.CaptureFixture) -> None:
    assert conclude(recorded) == 0
    assert cv2.imread(str(recorded / 'contact_sheet.png')).shape[1] == 1280
    assert json.loads((recorded / 'summary.json').read_text())['passed']
    assert 'passed' in capsys.readouterr().out


@pytest.mark.parametrize(('damage', 'missing'), [
    (lambda folder: (folder / 'annotated.mp4').unlink(), ['annotated.mp4', 'contact_sheet.png']),
    (lambda folder: (folder / 'annotated.mp4').write_bytes(b''),
     ['annotated.mp4', 'contact_sheet.png']),
    (lambda folder: (folder / 'annotated.mp4').write_bytes(b'no video'), ['contact_sheet.png']),
    (lambda folder: Recording([FrameRecord(s, (1.0, 1.0, 9.0, 9.0), 0.9)
                               for s in (10, 20, 30, 40, 50)]).save(folder),
     ['contact_sheet.png'])], ids=['no video', 'empty video', 'broken video', 'no pictures'])
def test_a_run_without_its_pictures_fails(
        recorded: Path, damage: Callable[[Path], object], missing: list[str],
        capsys: pytest.CaptureFixture) -> None:
    damage(recorded)
    assert conclude(recorded) == 1
    failures = json.loads((recorded / 'summary.json').read_text())['failures']
    assert len(failures) == len(missing)
    said = capsys.readouterr().err
    for name, failure in zip(missing, failures):
        assert f'{recorded / name} is missing or empty' in failure and failure in said


def test_a_small_png_looks_the_same() -> None:
    noisy = np.random.default_rng(0).normal(120, 3, (120, 160, 3)).astype(np.uint8)
    small = small_png(noisy)
    assert len(small) < 0.6 * len(cv2.imencode('.png', noisy)[1])
    decoded = cv2.imdecode(np.frombuffer(small, np.uint8), cv2.IMREAD_COLOR)
    assert np.abs(decoded.astype(int) - noisy).max() <= 4
