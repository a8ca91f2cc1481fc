# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Threads that the system knows by their names, so that `top -H` tells them apart."""
from __future__ import annotations

import threading
from contextlib import suppress
from pathlib import Path

LONGEST = 15  # bytes of a name that Linux keeps


def tell_name() -> None:
    """Tell Linux the name of the calling thread, as Python does from 3.14 on."""
    with suppress(OSError):     # another system
        Path(f'/proc/self/task/{threading.get_native_id()}/comm').write_text(
            threading.current_thread().name[:LONGEST], encoding='ascii', errors='replace')
