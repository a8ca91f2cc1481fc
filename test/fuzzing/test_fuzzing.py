# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Some hundred odd inputs for every target, the same ones in every run."""
from __future__ import annotations

import random
import time

import pytest
from fuzzing.target import mutated, Target
from fuzzing.targets import TARGETS

INPUTS, SECONDS = 400, 3.0      # of each target: so many, or as many as fit into that time


@pytest.mark.parametrize('target', TARGETS.values(), ids=list(TARGETS))
def test_nothing_but_a_clear_refusal(target: Target, tmp_path):
    seeds = target.seeds(tmp_path)
    read = target.open(tmp_path)
    for seed in seeds:
        read(seed)
    chance, end = random.Random(target.name), time.monotonic() + SECONDS
    for number in range(INPUTS):
        data = mutated([seed or b'\0' for seed in seeds], chance)
        try:
            read(data)
        except Exception as error:
            path = tmp_path / 'input'
            path.write_bytes(data)
            raise AssertionError(f'input {number} of {target.name}, {data[:200]!r} … in {path}: '
                                 f'{type(error).__name__}: {error}') from error
        if time.monotonic() > end:
            break


def test_inputs_are_of_many_kinds_and_the_same_every_time():
    seeds = [b'abcdef', b'0123456789']
    made = [[mutated(seeds, chance) for _ in range(300)]
            for chance in (random.Random('a'), random.Random('a'))]
    assert made[0] == made[1]
    assert len(set(made[0])) > 200
    assert {len(one) > 10 for one in made[0]} == {len(one) < 6 for one in made[0]} == {True, False}


def test_a_picture_that_is_read_wrongly_is_noticed(monkeypatch, tmp_path):
    monkeypatch.setattr('lorat_ros.images._check_layout', lambda message, encoding: None)
    with pytest.raises(AssertionError, match='input .* of raw image'):
        test_nothing_but_a_clear_refusal(TARGETS['raw image'], tmp_path)
