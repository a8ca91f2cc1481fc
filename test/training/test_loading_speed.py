# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""How fast pairs are drawn is measured by one command."""
from __future__ import annotations

import re

from support.pools import write_pool

from lorat_ros.training import loading_speed


def test_a_figure_and_one_clear_line(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(loading_speed, 'PAIRS', 6)
    folder = write_pool(tmp_path / 'pool')
    assert loading_speed.main([str(folder), '--memory', '0.0002']) == 0
    said = re.search(r': (\d+) pairs a second and core, 22 pictures, (\d+) MB',
                     capsys.readouterr().out)
    assert int(said[1]) > 0 and int(said[2]) == 0
    assert loading_speed.main([str(tmp_path / 'nowhere')]) == 2
    assert 'nowhere does not exist' in capsys.readouterr().err
