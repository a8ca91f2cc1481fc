# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Curves of whatever a method measures, as a table and as a picture."""
from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lorat_ros.training.curves import Curves, POINTS, smoothed
from lorat_ros.training.saving import SaveError


def filled(folder, names=('total', 'whatever'), steps=30):
    curves = Curves(folder)
    for step in range(1, steps + 1):
        curves.add(step, {name: step / (n + 1) for n, name in enumerate(names)})
    curves.add(steps, {'held_out': 0.25})
    return curves


def test_what_is_written_is_read_and_cut(tmp_path):
    filled(tmp_path).write()
    again = Curves(tmp_path)
    assert again.names() == ['held_out', 'total', 'whatever']
    steps, values = again.of('whatever')
    assert steps.tolist() == list(range(1, 31)) and values == pytest.approx(steps / 2)
    assert [list(part) for part in again.of('held_out')] == [[30], [0.25]]
    again.cut(12)
    again.write()
    assert Curves(tmp_path).of('total')[0].tolist() == list(range(1, 13))


def test_each_figure_has_a_picture_of_its_own_and_speeds_have_none(tmp_path):
    sizes = []
    for names in (('total',), ('total', 'rate', 'loading'), ('total', 'a', 'b', 'c', 'd')):
        curves = filled(tmp_path, names)
        curves.rows[30].pop('held_out')
        curves.write()
        sizes.append(cv2.imread(str(tmp_path / 'curves.png')).shape[:2])
    assert sizes[0] == sizes[1]
    assert sizes[2][0] == 2 * sizes[0][0] and sizes[2][1] == 4 * sizes[0][1]      # five in fours


def test_lines_that_are_none_are_left_out(tmp_path):
    (tmp_path / 'curves.csv').write_text('step,total\n1,0.5\n2,ab\nx,1\n3,\n4,0.25,9\n5\n')
    curves = Curves(tmp_path)
    assert curves.rows[1] == {'total': 0.5} and 2 not in curves.rows
    curves.write()
    assert (tmp_path / 'curves.csv').read_text().startswith('step,total\n1,0.5\n')


def test_a_full_disk_leaves_the_curves_that_were_there(tmp_path):
    filled(tmp_path).write()
    before = (tmp_path / 'curves.csv').read_bytes()
    (tmp_path / 'curves.csv.part').symlink_to('/dev/full')
    with pytest.raises(SaveError, match=r'curves\.csv could not be written'):
        filled(tmp_path, steps=3000).write()
    assert (tmp_path / 'curves.csv').read_bytes() == before


@given(st.integers(1, 5000))
def test_a_smoothed_curve_keeps_its_course(count):
    steps, values = smoothed(np.arange(1, count + 1), np.arange(1, count + 1) * 2.0)
    assert len(steps) == len(values) <= POINTS
    assert values == pytest.approx(2 * steps)
    assert steps[0] <= 51 and steps[-1] >= count - 51
