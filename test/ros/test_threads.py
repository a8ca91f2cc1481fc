# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Names of threads reach the system."""
from __future__ import annotations

import sys
import threading
from pathlib import Path

import pytest
from lorat_ros.ros.threads import tell_name


@pytest.mark.skipif(sys.platform != 'linux', reason='only Linux has /proc')
def test_the_system_knows_a_thread_by_its_name() -> None:
    found = []

    def work() -> None:
        tell_name()
        found.append(Path(f'/proc/self/task/{threading.get_native_id()}/comm').read_text())

    for name in ('tracking', 'a name longer than Linux keeps', 'säge'):
        thread = threading.Thread(target=work, name=name)
        thread.start()
        thread.join()
    assert found == ['tracking\n', 'a name longer t\n', 's?ge\n']
