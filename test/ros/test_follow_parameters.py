# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The follower's table of parameters and its annotated YAML.

Run as a program (with test/ on PYTHONPATH) it prints what config/follow.yaml must hold.
"""
from __future__ import annotations

import math
from dataclasses import fields
from pathlib import Path

import pytest
import yaml
from lorat_ros.ros.follow_parameters import PROMISE, settings_of, SPECS, WATCH_PERIOD
from lorat_ros.ros.parameters import Spec
from lorat_ros.target.follow import FollowSettings
from rclpy.parameter import Parameter
from support.parameter_file import parameter_file

YAML_FILE = Path(__file__).resolve().parents[2] / 'config' / 'follow.yaml'
HEAD = '''\
# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
#
# All parameters of follow_node with their defaults. After each description: what a value must be,
# and when it may be changed (read-only = at start). Numbers with a point need a point: 1.0, not
# 1. The node is off until the service ~/enable switches it on; docs/drone.md says what to check
# before. A parameter that is changed in flight makes the commands begin at zero again.
/**:
  ros__parameters:
'''
BY_NAME = {spec.name: spec for spec in SPECS}


def test_the_yaml_file_is_the_table() -> None:
    assert YAML_FILE.read_text() == parameter_file(HEAD, SPECS), (
        'config/follow.yaml differs from the table of parameters: '
        'PYTHONPATH=test python test/ros/test_follow_parameters.py > config/follow.yaml')
    values = yaml.safe_load(YAML_FILE.read_text())['/**']['ros__parameters']
    assert values == {spec.name: spec.start for spec in SPECS}


@pytest.mark.parametrize('spec', SPECS, ids=lambda spec: spec.name)
def test_every_default_is_allowed(spec: Spec) -> None:
    assert spec.complaint(Parameter(spec.name, value=spec.start)) == ''
    assert spec.description.endswith('.')


@pytest.mark.parametrize(('name', 'value'), [
    ('max_age', 0.2), ('yaw_gain', math.nan), ('max_forward', -1.0), ('approach', 'ram'),
    ('camera_rpy', [0.0, 0.0]), ('camera_rpy', [0.0, math.nan, 0.0]), ('max_forward', 2)])
def test_a_bad_value_is_refused(name: str, value: object) -> None:
    assert 'expected' in BY_NAME[name].complaint(Parameter(name, value=value))


def test_the_defaults_are_those_of_the_control_law_and_keep_the_promise() -> None:
    defaults = {spec.name: spec.start for spec in SPECS}
    assert settings_of(defaults.__getitem__) == FollowSettings()
    assert {field.name for field in fields(FollowSettings)} <= defaults.keys()
    assert BY_NAME['max_age'].high + WATCH_PERIOD < PROMISE


if __name__ == '__main__':
    print(parameter_file(HEAD, SPECS), end='')
