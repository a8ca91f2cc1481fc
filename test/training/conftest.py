# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What tests of training share."""
from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch


@pytest.fixture(scope='module')
def one_thread() -> Iterator[None]:
    """Small networks are slower on several threads; afterwards it is as it was."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
