# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""That the tuning is taken, in a process of its own."""
from __future__ import annotations

import platform
import subprocess
import sys

import pytest

from lorat_ros.ros.malloc import SWEEP_AFTER, Sweeper

PROBE = '''
import resource
from lorat_ros.ros.malloc import keep_image_memory
tuned = keep_image_memory() if {tune} else None
def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(5):
        b'x' * (40 << 20)  # beyond what glibc learns to keep by itself
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
faults()
print(tuned, faults())
'''


def probe(tune: bool) -> tuple[str, int]:
    """What the function returned, and the page faults of 5 buffers of 10240 pages."""
    tuned, faults = subprocess.run(
        [sys.executable, '-c', PROBE.format(tune=tune)], check=True, capture_output=True,
        text=True).stdout.split()
    return tuned, int(faults)


@pytest.mark.skipif(platform.libc_ver()[0] != 'glibc', reason='only glibc has these settings')
def test_memory_of_the_size_of_an_image_is_kept() -> None:
    _, before = probe(False)
    tuned, after = probe(True)
    assert tuned == 'True'
    assert after < before / 20


GIVE_BACK = '''
from pathlib import Path
from lorat_ros.ros.malloc import give_back_memory, keep_image_memory
def resident():
    return int(Path('/proc/self/statm').read_text().split()[1])
keep_image_memory()
blocks = [b'x' * (1 << 20) for _ in range(64)]
end = b'x' * (1 << 20)
del blocks
kept = resident()
print(give_back_memory(), kept - resident())
'''


@pytest.mark.skipif(platform.libc_ver()[0] != 'glibc', reason='only glibc has these settings')
def test_what_was_kept_can_be_given_back() -> None:
    done, pages = subprocess.run([sys.executable, '-c', GIVE_BACK], check=True,
                                 capture_output=True, text=True).stdout.split()
    assert done == 'True'
    assert int(pages) > 60 << 8     # of 4 KB


TWO_THREADS = '''
import threading
from pathlib import Path
from lorat_ros.ros.malloc import keep_image_memory
def resident():
    return int(Path('/proc/self/statm').read_text().split()[1])
def use():
    blocks = [b'x' * (1 << 20) for _ in range(64)]
done, over = threading.Event(), threading.Event()
keep_image_memory()
first = threading.Thread(target=lambda: (use(), done.set(), over.wait()))
first.start()
done.wait()
before = resident()
second = threading.Thread(target=use)
second.start()
second.join()
print(resident() - before)
over.set()
'''


@pytest.mark.skipif(platform.libc_ver()[0] != 'glibc', reason='only glibc has these settings')
def test_what_one_thread_has_freed_serves_another() -> None:
    pages = subprocess.run([sys.executable, '-c', TWO_THREADS], check=True, capture_output=True,
                           text=True).stdout
    assert int(pages) < 8 << 8      # of 4 KB; with an arena for each thread it is 64 MB


def test_memory_is_swept_once_some_time_after_images_changed() -> None:
    now, swept = 100.0, []
    sweeper = Sweeper(lambda: swept.append(now), lambda: now)
    for kind, after in (('640x480 bgr8', 0.0), ('640x480 bgr8', SWEEP_AFTER - 0.1),
                        ('640x480 bgr8', 0.2), ('640x480 bgr8', 100.0)):
        now += after
        sweeper.saw(kind)
    assert swept == [pytest.approx(100.1 + SWEEP_AFTER)]


def test_images_that_change_all_the_time_put_no_sweep_off() -> None:
    now, swept = 0.0, []
    sweeper = Sweeper(lambda: swept.append(now), lambda: now)
    while now < 4 * SWEEP_AFTER:
        now += SWEEP_AFTER / 8
        sweeper.saw(f'{now}')
    assert 2 <= len(swept) <= 4
