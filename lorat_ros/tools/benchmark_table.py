# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Rows for the table in docs/jetson.md, from what ``lorat benchmark --json`` wrote.

``python -m lorat_ros.tools.benchmark_table results/*.json``
"""
from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

HEADINGS = ('board', 'L4T', 'power mode', 'TensorRT', 'model', 'engine', 'total ms, p50 / p95',
            'fps', 'of the roofline')


def rows_of(report: Mapping[str, Any]) -> Iterator[list[str]]:
    """
    Cells of each model and engine in a report, in the order of ``HEADINGS``.

    :raises KeyError: it is not a report of ``lorat benchmark``.
    """
    machine = report['machine']
    jetson = machine.get('jetson') or {}
    board = [jetson.get('board') or machine.get('gpu') or machine['cpu'],
             jetson.get('l4t') or '-', jetson.get('power_mode') or '-',
             machine['versions'].get('tensorrt') or '-']
    for model in report['models']:
        for engine, found in model['engines'].items():
            total, share = found['stages_ms']['total'], found.get('share_of_roofline')
            yield [*board, model['name'], engine, f'{total["p50"]:.2f} / {total["p95"]:.2f}',
                   f'{found["fps"]:.0f}', f'{100 * share:.0f} %' if share else '-']


def markdown(reports: Sequence[Mapping[str, Any]]) -> str:
    """Write the table as Markdown."""
    lines = [list(HEADINGS), ['---'] * len(HEADINGS),
             *(row for report in reports for row in rows_of(report))]
    return '\n'.join('| ' + ' | '.join(cell.replace('|', '/') for cell in line) + ' |'
                     for line in lines)


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the table; returns 0, or 2 after one line about a file that is no report."""
    parser = argparse.ArgumentParser(prog='benchmark_table', description=__doc__)
    parser.add_argument('reports', nargs='+', type=Path, metavar='FILE')
    reports = []
    for path in parser.parse_args(arguments).reports:
        try:
            reports.append(json.loads(path.read_text(encoding='utf-8')))
            list(rows_of(reports[-1]))
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            print(f'benchmark_table: {path} is no report of `lorat benchmark --json` of this '
                  f'version ({error!r}): measure again', file=sys.stderr)
            return 2
    print(markdown(reports))
    return 0


if __name__ == '__main__':
    sys.exit(main())
