# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Recipes: what they say, and what happens when they say what cannot be."""
from __future__ import annotations

import dataclasses
import json

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from lorat_ros.training.recipe import (build, known_recipes, read_recipe, RecipeError, summary_of,
                                       TrainConfig)

PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner,
                                                                max_size=3), max_leaves=5)
FIELDS = [field.name for field in dataclasses.fields(TrainConfig)]


@pytest.mark.parametrize('name', known_recipes())
def test_each_recipe_can_be_read_and_says_what_it_is(name):
    recipe = read_recipe(name)
    assert recipe.name == name
    assert json.loads(json.dumps(recipe.as_dict()))['train']['steps'] == recipe.train.steps
    assert 10 < len(summary_of(name)) < 130


def test_what_a_recipe_says_in_full_is_a_recipe(tmp_path):
    recipe = read_recipe('kestrel', ['train.steps=7', 'network.depth=2'])
    path = tmp_path / 'kestrel.yaml'
    path.write_text(yaml.safe_dump(recipe.as_dict()))
    assert read_recipe(str(path)) == recipe
    assert recipe.train.steps == 7 and recipe.settings.network.depth == 2


def test_numbers_as_people_write_them():
    changes = ['train.learning_rate=1e-4', 'train.ema=0', 'train.checkpointing=true',
               'train.schedule=cosine']
    train = read_recipe('kestrel', changes).train
    assert (train.learning_rate, train.ema) == (1e-4, 0.0) and isinstance(train.ema, float)
    assert train.checkpointing is True and train.schedule == 'cosine'


@pytest.mark.parametrize(('change', 'said'), [
    ('train.steps', "'train.steps' changes nothing: write NAME=VALUE"),
    ('=5', 'changes nothing'),
    ('train..steps=5', 'changes nothing'),
    ('train.steps=', 'train.steps is None, expected int'),
    ('train.steps=many', "train.steps is 'many', expected int"),
    ('train.steps=1.5', 'train.steps is 1.5, expected int'),
    ('train.steps=true', 'train.steps is True, expected int'),
    ('train.steps=0', 'train: steps is 0: give 1 or more'),
    ('train.checkpointing=1', 'train.checkpointing is 1, expected bool'),
    ('train.learning_rate=.nan', 'learning_rate is nan: give a number above 0'),
    ('train.learning_rate=-1', 'learning_rate is -1.0: give a number above 0'),
    ('train.ema=1', 'ema is 1.0: give 0 or more, below 1'),
    ('train.weight_decay=.inf', 'weight_decay is inf'),
    ('train.seed=-1', 'seed is -1: give 0 or more'),
    ('train.schedule=slope', "schedule is 'slope': give one of plateau, cosine, stair"),
    ('train.precision=fp8', "precision is 'fp8': give one of fp32, bf16, fp16"),
    ('train.step=5', r'train.step is unknown \(is steps meant\?\)'),
    ('train.steps.more=5', 'steps is a value of its own, it has no more'),
    ('train=5', 'train is 5, expected names and values'),
    ('nothing=5', 'nothing is unknown'),
    ('network=[1]', r'network is \[1\], expected names and values'),
    ('method=cake', "its method is 'cake', expected a line such as"),
    ('method=[kestrel]', 'its method is '),
    ('train.steps=[1', 'is no YAML'),
    ('network.search_size=96', r'network.search_size is 96 and pairs.search_size')])
def test_changes_that_cannot_be_say_so(change, said):
    with pytest.raises(RecipeError, match=said):
        read_recipe('kestrel', [change])


@pytest.mark.parametrize(('content', 'said'), [
    ('', 'expected names and values'),
    ('- method', 'expected names and values'),
    ('train: {steps: 5}', 'its method is None'),
    ('method: kestrel\n  train: [', 'is no YAML'),
    ('method: kestrel\ntrain: 7', 'train is 7, expected names and values'),
    ('method: kestrel\n5: 7', '5 is unknown'),
    (b'\xff\xfe\x00method', 'cannot be read'),
    (None, r'is unknown and no file: give one of')])
def test_files_that_are_no_recipes_say_so(tmp_path, content, said):
    path = tmp_path / 'mine.yaml'
    if content is not None:
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(RecipeError, match=said):
        read_recipe(str(path))


def test_a_folder_is_no_recipe_and_a_near_miss_is_named(tmp_path):
    with pytest.raises(RecipeError, match='cannot be read'):
        read_recipe(str(tmp_path))
    with pytest.raises(RecipeError, match=r'recipe kestral is unknown and no file \(is kestrel '):
        read_recipe('kestral')


@given(st.dictionaries(st.sampled_from(FIELDS) | st.text(max_size=6), PLAIN, max_size=4))
def test_whatever_train_says_is_a_configuration_or_one_clear_error(values):
    try:
        found = build(TrainConfig, values, 'train')
    except RecipeError as error:
        assert str(error).startswith('train')
    else:
        assert isinstance(found, TrainConfig)
        assert all(type(getattr(found, name)) is type(getattr(TrainConfig(), name))
                   for name in FIELDS)


@given(st.sampled_from([f'train.{name}' for name in FIELDS]) | st.text(max_size=12),
       st.text(max_size=12))
def test_any_change_is_taken_or_refused_in_one_clear_error(name, value):
    try:
        read_recipe('kestrel', [f'{name}={value}'])
    except RecipeError as error:
        assert str(error)
