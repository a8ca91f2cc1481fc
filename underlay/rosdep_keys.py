# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Does rosdep know every key of package.xml, in every distribution? Looks it up in rosdistro.

    git clone --depth 1 https://github.com/ros/rosdistro
    .venv/bin/python underlay/rosdep_keys.py rosdistro            # a table; 1 if a key is unknown
    .venv/bin/python underlay/rosdep_keys.py rosdistro --record   # and keep it for the tests

What is kept (test/data/rosdep/keys.json) is what the tests compare package.xml with, off line.
"""
from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from catkin_pkg.package import parse_package

ROOT = Path(__file__).resolve().parents[1]
RECORD = ROOT / 'test' / 'data' / 'rosdep' / 'keys.json'
#: ROS distribution to the Ubuntu that it is built for.
UBUNTU = {'humble': 'jammy', 'jazzy': 'noble', 'kilted': 'noble'}
TABLES = ('base', 'python')


def names_of(package: Any) -> list[str]:
    """All that a parsed package.xml depends on, whatever for."""
    kinds = ('build_depends', 'buildtool_depends', 'build_export_depends', 'exec_depends',
             'test_depends', 'doc_depends')
    return sorted({one.name for kind in kinds for one in getattr(package, kind)})


def rules_of(rosdistro: Path) -> dict[str, Any]:
    """Rosdep's rules by key, of the tables that hold for all systems."""
    rules: dict[str, Any] = {}
    for table in TABLES:
        rules.update(yaml.safe_load((rosdistro / 'rosdep' / f'{table}.yaml').read_text()))
    return rules


def resolve(rule: Any, codename: str, system: str = 'ubuntu') -> str | None:
    """
    What a rule asks for on a system, as 'apt: python3-numpy'; None: nothing is known for it.

    :param rule: by system; by version below that ('*': every other one); by installer below that.
    """
    found = rule.get(system) if isinstance(rule, Mapping) else None
    if isinstance(found, Mapping) and (codename in found or '*' in found):
        found = found[codename] if codename in found else found['*']
    if isinstance(found, list):
        return f'apt: {" ".join(found)}' if found else None
    if isinstance(found, Mapping) and len(found) == 1:
        (installer, wanted), = found.items()
        packages = wanted.get('packages') if isinstance(wanted, Mapping) else None
        return f'{installer}: {" ".join(packages)}' if packages else None
    return None


def released_in(rosdistro: Path, distribution: str) -> set[str]:
    """ROS packages that a distribution has as Debian packages."""
    text = (rosdistro / distribution / 'distribution.yaml').read_text()
    names: set[str] = set()
    for name, repository in yaml.load(text, yaml.CSafeLoader)['repositories'].items():
        release = repository.get('release') or {}
        if 'version' in release:
            names.update(release.get('packages') or [name])
    return names


def look_up(names: list[str], rosdistro: Path) -> dict[str, dict[str, str | None]]:
    """
    Look all names up.

    :returns: of each, for each distribution, what gives it there; None: nothing.
    """
    rules = rules_of(rosdistro)
    released = {one: released_in(rosdistro, one) for one in UBUNTU}
    return {name: {distribution: resolve(rules[name], codename) if name in rules else
                   f'apt: ros-{distribution}-{name.replace("_", "-")}'
                   if name in released[distribution] else None
                   for distribution, codename in UBUNTU.items()} for name in names}


def state_of(rosdistro: Path) -> str:
    """Commit and date of a checkout; 'unknown' where git cannot tell."""
    done = subprocess.run(['git', '-C', rosdistro, 'log', '-1', '--format=%h, %cs'],
                          capture_output=True, text=True)
    return done.stdout.strip() or 'unknown'


def main(arguments: list[str] | None = None) -> int:
    """Print a line per key and distribution; 0 if all are known, else 1."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('rosdistro', type=Path, help='a checkout of github.com/ros/rosdistro')
    parser.add_argument('--record', action='store_true', help='keep what was found for the tests')
    args = parser.parse_args(arguments)
    if not (args.rosdistro / 'rosdep' / 'python.yaml').is_file():
        parser.error(f'{args.rosdistro} has no rosdep/python.yaml: give a checkout of '
                     'https://github.com/ros/rosdistro')
    found = look_up(names_of(parse_package(str(ROOT))), args.rosdistro)
    for name, by in found.items():
        for distribution, what in by.items():
            print(f'{name:26} {distribution:7} {what or "UNKNOWN"}')
    if args.record:
        RECORD.parent.mkdir(parents=True, exist_ok=True)
        RECORD.write_text(json.dumps({'rosdistro': state_of(args.rosdistro), 'keys': found},
                                     indent=1) + '\n')
    return int(any(what is None for by in found.values() for what in by.values()))


if __name__ == '__main__':
    sys.exit(main())
