# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Comparing with golden files: every array of a file, or a reason why not."""
from __future__ import annotations

from collections.abc import Mapping
from fnmatch import fnmatchcase
from pathlib import Path

import numpy as np

DATA = Path(__file__).resolve().parents[1] / 'data'
#: Reason for arrays that a test feeds instead of comparing.
INPUT = 'an input of the case'


def read(path: str) -> dict[str, np.ndarray]:
    """Arrays of ``test/data/<path>``."""
    with np.load(DATA / path) as arrays:
        return {name: arrays[name] for name in arrays.files}


def compare(path: str, found: Mapping[str, np.ndarray], tolerance: Mapping[str, float],
            not_compared: Mapping[str, str]) -> None:
    """
    Compare what was computed with a golden file, array by array.

    :param found: name in the file to the array as computed.
    :param tolerance: pattern of names to the largest absolute difference; the first that
        matches counts, and integers must always be equal.
    :param not_compared: pattern of names to the reason why it is not in ``found``.
    :raises AssertionError: an array differs; an array of the file is in neither list; a name or
        pattern matches none of the file's arrays; a reason is empty.
    """
    golden = read(path)
    assert found.keys() <= golden.keys(), f'{path} lacks {sorted(found.keys() - golden.keys())}'
    rest = [name for name in golden if name not in found]
    for pattern, reason in not_compared.items():
        assert reason and any(fnmatchcase(name, pattern) for name in rest), \
            f'{path}: {pattern!r} ({reason!r}) names no array that is not compared'
    forgotten = [name for name in rest
                 if not any(fnmatchcase(name, pattern) for pattern in not_compared)]
    assert not forgotten, f'{path}: {forgotten} neither compared nor given a reason'
    for name, value in found.items():
        _compare_array(f'{path}: {name}', np.asarray(value), golden[name], tolerance, name)


def _compare_array(place: str, found: np.ndarray, golden: np.ndarray,
                   tolerance: Mapping[str, float], name: str) -> None:
    assert found.shape == golden.shape, f'{place}: shape {found.shape}, expected {golden.shape}'
    if golden.dtype.kind in 'biu':
        np.testing.assert_array_equal(found, golden, err_msg=place)
        return
    limits = [value for pattern, value in tolerance.items() if fnmatchcase(name, pattern)]
    assert limits, f'{place}: no tolerance'
    np.testing.assert_allclose(found.astype(np.float64), golden.astype(np.float64), rtol=0,
                               atol=limits[0], err_msg=place)
