# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What was built: where it lies, and when its verdict counts."""
from __future__ import annotations

import errno
import os
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lorat_ros.engines import plan_cache
from lorat_ros.engines.plan_cache import CacheError, judge, Verdict
from lorat_ros.models.catalog import find_bundle

GOOD = Verdict(100, 0.98, 0.9, 0.1, 0.98, 60, 0.9, 'a clip')


@pytest.mark.parametrize(('change', 'passed'), [
    ({}, True), ({'crops': 99}, False), ({'median': 0.979}, False), ({'minimum': 0.899}, False),
    ({'median': float('nan')}, False), ({'score': 1.0}, True), ({'map': 0.97}, False),
    ({'tracked': 0.89}, False), ({'frames': 0}, False)])
def test_what_passes(change, passed):
    assert replace(GOOD, **change).passed is passed


@given(st.lists(st.floats(0, 1), min_size=1, max_size=40))
def test_the_verdict_sums_up_what_was_seen(overlaps):
    verdict = judge(overlaps, [0.1] * len(overlaps), overlaps, [1.0], 'a clip')
    assert verdict.crops == len(overlaps) and verdict.minimum == min(overlaps)
    assert verdict.median == pytest.approx(float(np.median(overlaps)))


def test_nothing_seen_is_no_proof():
    assert not judge([], [], [], [], '').passed


def test_a_verdict_is_kept(tmp_path):
    assert plan_cache.read_verdict(tmp_path) is None
    plan_cache.write_verdict(tmp_path / 'new', GOOD)
    assert plan_cache.read_verdict(tmp_path / 'new') == GOOD
    assert [path.name for path in (tmp_path / 'new').iterdir()] == ['gate.json']


@pytest.mark.parametrize('text', ['', '{}', '[]', '{"crops": 1}', 'null', '{"crops": "x"}',
    '{"crops": 100, "median": 1.0, "minimum": 1.0, "score": 0.0}'])      # of an older version
def test_a_garbled_verdict_is_none(tmp_path, text):
    (tmp_path / 'gate.json').write_text(text)
    assert plan_cache.read_verdict(tmp_path) is None


def test_the_folder_hangs_on_all_that_changes_the_answer(tmp_path, monkeypatch):
    bundle = find_bundle()
    place = plan_cache.folder_of(bundle, 'onnx', 'int8', '1', tmp_path)
    assert place.parent == tmp_path and place.name.startswith('kestrel-e-onnx-int8-')
    assert place == plan_cache.folder_of(bundle, 'onnx', 'int8', '1', tmp_path)
    graphs = {role: {**entry, 'sha256': '0' * 64}
              for role, entry in bundle.manifest['graphs'].items()}
    other = replace(bundle, manifest={**bundle.manifest, 'graphs': graphs})
    places = {place, *(plan_cache.folder_of(*arguments, tmp_path) for arguments in (
        (bundle, 'onnx', 'bf16', '1'), (bundle, 'openvino', 'int8', '1'),
        (bundle, 'onnx', 'int8', '2'), (other, 'onnx', 'int8', '1')))}
    assert len(places) == 5
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'cache'))
    assert plan_cache.cache_root() == tmp_path / 'cache' / 'lorat_ros' / 'engines'


@pytest.mark.parametrize(('listing', 'units'), [
    ('flags\t\t: fpu sse4_2 avx2 avx512_vnni avx512_bf16 ht\n', ['avx2', 'avx512_bf16',
                                                                'avx512_vnni']),
    ('Features\t: fp asimd asimddp i8mm crc32\n', ['asimd', 'asimddp', 'i8mm']), ('', [])])
def test_a_proof_holds_for_processors_that_calculate_alike(tmp_path, listing, units):
    (tmp_path / 'cpuinfo').write_text(listing)
    assert plan_cache.processor(tmp_path / 'cpuinfo').split()[1:] == units
    assert plan_cache.processor(tmp_path / 'nothing').split()[1:] == []


def test_a_folder_that_cannot_be_written_is_named_with_the_cure(tmp_path):
    (tmp_path / 'file').write_text('in the way')
    with pytest.raises(CacheError, match=r'/file/engines cannot be written \(Not a directory\): '
                       'make it writable, or choose another folder with engine_cache_dir'):
        plan_cache.write_verdict(tmp_path / 'file' / 'engines', GOOD)


def test_a_full_disk_is_named_and_leaves_nothing(tmp_path, monkeypatch):
    def full(_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    (tmp_path / 'search.plan').write_bytes(b'old')
    monkeypatch.setattr(os, 'fsync', full)
    with pytest.raises(CacheError, match=r'cannot be written \(No space left on device\): free'):
        plan_cache.write_file(tmp_path / 'search.plan', b'new')
    assert [path.name for path in tmp_path.iterdir()] == ['search.plan']
    assert (tmp_path / 'search.plan').read_bytes() == b'old'


BUILDER = '''
import sys, time
from pathlib import Path
from lorat_ros.engines.plan_cache import alone
with alone(Path(sys.argv[1]) / 'plan', lambda said: print(said, flush=True)):
    print('mine', flush=True)
    sys.stdin.read()
'''


def builder(folder) -> subprocess.Popen:
    return subprocess.Popen([sys.executable, '-c', BUILDER, str(folder)], text=True,
                            stdin=subprocess.PIPE, stdout=subprocess.PIPE)


@pytest.mark.parametrize('end', ['finishes', 'is killed'])
def test_of_two_builders_one_waits_and_a_killed_one_holds_nobody_up(tmp_path, end):
    first = builder(tmp_path)
    assert first.stdout.readline() == 'mine\n'
    second = builder(tmp_path)
    waiting = second.stdout.readline()
    assert waiting.startswith(f'process {first.pid} (since ') and waiting.endswith(
        'builds plan: waiting\n')
    assert second.poll() is None
    if end == 'is killed':
        first.kill()
    first.communicate()
    assert second.stdout.readline() == 'mine\n'
    second.communicate()
    assert second.returncode == 0
    said = []
    with plan_cache.alone(tmp_path / 'plan', said.append):
        assert not said
