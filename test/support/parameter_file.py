# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What an annotated parameter file must hold, from the table that it is about."""
from __future__ import annotations

import textwrap
from collections.abc import Iterable

import yaml
from lorat_ros.ros.parameters import Spec


def parameter_file(head: str, specs: Iterable[Spec]) -> str:
    """The whole file: a head, and each parameter (no groups) under its description."""
    return head + ''.join(_entry(spec, '    ') for spec in specs)


def _entry(spec: Spec, indent: str) -> str:
    note = f'{spec.description} [{spec.expected}; {spec.settable.value}]'
    lines = textwrap.wrap(note, 96 - len(indent), break_long_words=False, break_on_hyphens=False)
    value = yaml.safe_dump(spec.start, default_flow_style=True).splitlines()[0]
    return ''.join(f'{indent}# {line}\n' for line in lines) + f'{indent}{spec.name}: {value}\n'
