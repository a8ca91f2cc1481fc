# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Bundles of all families, each made once."""
from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path

import pytest

from lorat_ros.models.bundle import Bundle, read_bundle
from lorat_ros.models.catalog import find_bundle


@pytest.fixture(scope='session')
def tiny_bundle(once: Callable[..., Path]) -> Callable[[str], Bundle]:
    """Return the small bundle of a family (kestrel: the shipped one), made for all workers."""
    def made(family: str) -> Bundle:
        if family == 'kestrel':
            return find_bundle()

        def make(folder: Path) -> None:
            from support import tiny_bundles      # imports torch, which not every test here needs
            tiny_bundles.tiny_bundle(family, folder)
        return read_bundle(once(f'tiny-{family}', make) / family)
    return functools.cache(made)
