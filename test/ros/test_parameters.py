# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The table of parameters, the annotated YAML, and what a value must be.

Run as a program it prints what config/tracker.yaml must hold.
"""
from __future__ import annotations

import math
import textwrap
from pathlib import Path

import pytest
import yaml
from lorat_ros.ros.parameters import SPECS, Spec
from rclpy.parameter import Parameter

YAML_FILE = Path(__file__).resolve().parents[2] / 'config' / 'tracker.yaml'
HEAD = '''\
# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
#
# All parameters of the node lorat_tracker with their defaults: copy this file and change what
# you need, or set single ones with `-p name:=value`. After each description: what a value must
# be, and when it may be changed (read-only = at start; set while unconfigured = before the
# lifecycle transition `configure`). Numbers with a point need a point: 1.0, not 1.
#
# QoS of single topics: qos_overrides.<full topic name>.<publisher|subscription>.<policy>, at
# start, with the policies history, depth and reliability (for the image also durability), e.g.
#   qos_overrides:
#     /lorat_tracker/detections: {publisher: {depth: 50}}
/**:
  ros__parameters:
'''
BY_NAME = {spec.name: spec for spec in SPECS}


def as_yaml(spec: Spec, indent: str) -> str:
    """One parameter with its description as a comment."""
    note = f'{spec.description} [{spec.expected}; {spec.settable.value}]'
    lines = textwrap.wrap(note, 96 - len(indent), break_long_words=False, break_on_hyphens=False)
    value = yaml.safe_dump(spec.start, default_flow_style=True).splitlines()[0]
    return ''.join(f'{indent}# {line}\n' for line in lines) + (
        f'{indent}{spec.name.split(".")[-1]}: {value}\n')


def rendered() -> str:
    """The whole file."""
    text, group = HEAD, ''
    for spec in SPECS:
        *groups, _ = spec.name.split('.')
        if groups and groups[0] != group:
            text += f'    {groups[0]}:\n'
        group = groups[0] if groups else ''
        text += as_yaml(spec, '      ' if group else '    ')
    return text


def flat(tree: dict, prefix: str = '') -> dict:
    """Names with points, as a node has them."""
    return {name: value for key, branch in tree.items() for name, value in (
        flat(branch, f'{prefix}{key}.') if isinstance(branch, dict) else {prefix + key: branch}
    ).items()}


def test_the_yaml_file_is_the_table() -> None:
    assert YAML_FILE.read_text() == rendered(), (
        'config/tracker.yaml differs from the table of parameters: '
        'python test/ros/test_parameters.py > config/tracker.yaml')


def test_the_yaml_file_holds_every_default_with_its_type() -> None:
    found = flat(yaml.safe_load(YAML_FILE.read_text())['/**']['ros__parameters'])
    expected = {spec.name: spec.start for spec in SPECS}
    assert found == expected
    assert {name: type(value) for name, value in found.items()} == {
        name: type(value) for name, value in expected.items()}


@pytest.mark.parametrize('spec', SPECS, ids=lambda spec: spec.name)
def test_every_default_is_allowed(spec: Spec) -> None:
    assert spec.complaint(Parameter(spec.name, value=spec.start)) == ''
    assert spec.description.endswith('.')


@pytest.mark.parametrize(('name', 'value', 'expectation', 'cure'), [
    ('threads', 0, 'integer from 1 to 64', 'by default it is 1'),
    ('threads', 65, 'integer from 1 to 64', 'by default it is 1'),
    ('threads', 1.0, 'expected integer', 'for example 1'),
    ('engine', 'tpu', 'one of auto, onnx', "by default it is 'auto'"),
    ('image_transport', 'theora', 'one of raw, compressed', "by default it is 'raw'"),
    ('score_lost', 1.5, 'from 0.0 to 1.0, or -1.0', 'by default it is -1.0'),
    ('score_lost', -0.5, 'from 0.0 to 1.0, or -1.0', 'by default it is -1.0'),
    ('score_lost', math.nan, 'from 0.0 to 1.0, or -1.0', 'by default it is -1.0'),
    ('score_lost', 1, 'expected double', 'write it with a decimal point'),
    ('image_timeout', 0.0, 'double from 0.1 to 3600.0', 'by default it is 2.0'),
    ('init_box', [1, 2, 3, 4], 'expected double array', 'write it with a decimal point'),
    ('init_box', [1.0, 2.0, 3.0], 'four finite numbers', 'by default it is [0.0, 0.0'),
    ('init_box', [1.0, 2.0, 0.0, 4.0], 'w and h above 0.0', 'by default it is [0.0, 0.0'),
    ('init_box', [math.inf, 2.0, 3.0, 4.0], 'four finite numbers', 'by default it is [0.0'),
    ('init_box', [], 'expected double array', 'for example [0.0, 0.0, 0.0, 0.0]'),
    ('model', 3, 'expected string', "for example ''"),
])
def test_a_bad_value_is_named_with_expectation_and_cure(name: str, value: object,
                                                       expectation: str, cure: str) -> None:
    parameter = Parameter(name, value=value)
    complaint = BY_NAME[name].complaint(parameter)
    assert complaint.startswith(f'parameter {name}: {parameter.value!r} is ')
    assert expectation in complaint
    assert cure in complaint


@pytest.mark.parametrize(('name', 'value'), [
    ('init_box', [-5.0, 2.5, 30.0, 40.0]), ('score_lost', 0.0), ('score_recover', 1.0),
    ('threads', 64), ('debug_image.max_rate', 0.1),
])
def test_a_good_value_passes(name: str, value: object) -> None:
    assert BY_NAME[name].complaint(Parameter(name, value=value)) == ''


if __name__ == '__main__':
    print(rendered(), end='')
