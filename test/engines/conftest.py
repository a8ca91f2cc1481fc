# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Bundles of all families, each made once."""
from __future__ import annotations

import functools
from collections.abc import Callable

import pytest

from lorat_ros.models.bundle import Bundle


@pytest.fixture(scope='session')
def tiny_bundle(tmp_path_factory) -> Callable[[str], Bundle]:
    """Return the small bundle of a family; see ``support.tiny_bundles``."""
    from support import tiny_bundles      # imports torch, which not every test here needs
    folder = tmp_path_factory.mktemp('bundles')
    return functools.cache(lambda family: tiny_bundles.tiny_bundle(family, folder))
