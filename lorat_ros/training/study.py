# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Compare recipes on splits of a training pool: train every variant on every fold, judge, tabulate.

::

    python -m lorat_ros.training.study sources --data POOL --tracks TRACKS --output STUDY
    python -m lorat_ros.training.study ablation --data POOL --tracks TRACKS --output STUDY
    python -m lorat_ros.training.study sources --data POOL --tracks TRACKS --output CURVE
        --bundles early=RUN/early late=RUN/late --sequences FOLDER

The same command again goes on where it was interrupted. With ``--bundles`` nothing is trained:
these bundles are judged on all clips that the study judges on, and on sequences (``lorat
evaluate``) if there are some, to see whether both rise together. See
``lorat_ros.training.study_file`` for what a study says.
"""
from __future__ import annotations

import argparse
import signal
import sys
from pathlib import Path
from typing import Any

import cv2
from tqdm import tqdm

from lorat_ros.training.study_bundles import compare, named_bundles
from lorat_ros.training.study_cells import alone, Bench, CellError, finished, make
from lorat_ros.training.study_file import known_studies, read_study, Study, StudyError
from lorat_ros.training.study_table import write_study


def run_study(study: Study, bench: Bench, lock: int) -> list[str]:
    """
    Make all cells that are not finished, and the tables anew after each.

    :returns: what failed, a line each.
    """
    cells, results, failures = study.cells(), [], []
    known = [finished(study, bench, cell) for cell in cells]      # all are looked at before one
    with tqdm(total=len(cells), desc=study.name, unit='cell') as bar:
        for cell, result in zip(cells, known):
            bar.set_postfix_str(cell.name)
            try:
                results.append(result or make(study, bench, cell, lock))
                if result is None:
                    write_study(study, results, bench.output)
            except CellError as error:
                failures.append(str(error))
                tqdm.write(f'study: {error}', file=sys.stderr)
            bar.update()
    if results:
        print(write_study(study, results, bench.output))
    return failures


def interrupt(number: int, frame: Any) -> None:
    """SIGTERM ends a study as Ctrl-C does."""
    raise KeyboardInterrupt


def parser_of() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.split('\n\n')[0])
    parser.add_argument('study', help=f'one of {", ".join(known_studies())}, or the path of a '
                                      'YAML file')
    parser.add_argument('--data', type=Path, required=True, metavar='POOL')
    parser.add_argument('--output', type=Path, required=True, metavar='FOLDER',
                        help='for the runs and the tables; what is there is not made again')
    parser.add_argument('--tracks', type=Path, metavar='FOLDER',
                        help='self-labelled tracks of the pool')
    parser.add_argument('--processes', type=int, default=1, help='of each training run')
    parser.add_argument('--threads', type=int, default=1, help='of each process')
    parser.add_argument('--bundles', nargs='+', metavar='NAME=PATH',
                        help='judge these, in this order, instead of training')
    parser.add_argument('--sequences', type=Path, metavar='FOLDER',
                        help='with --bundles: judge on these, too (lorat evaluate)')
    return parser


def main(arguments: list[str] | None = None) -> int:
    """Command line; returns 0, 1 if a run failed, 2 for what cannot be, 130 if interrupted."""
    args = parser_of().parse_args(arguments)
    cv2.setNumThreads(1)
    signal.signal(signal.SIGTERM, interrupt)
    bench = Bench(args.data, args.output, args.tracks, args.processes, args.threads)
    try:
        if args.sequences and not args.bundles:
            raise StudyError('--sequences is for bundles that are there: give --bundles '
                             'NAME=PATH, or leave it out')
        study = read_study(args.study, args.data, args.tracks)
        with alone(args.output) as lock:
            if args.bundles:
                print(compare(study, bench, named_bundles(args.bundles), args.sequences))
                return 0
            failures = run_study(study, bench, lock)
    except ValueError as error:
        print(f'study: {error}', file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print('study: ended as asked; the same command goes on from there', file=sys.stderr)
        return 130
    if failures:
        print(f'study: {len(failures)} of {len(study.cells())} runs failed; the same command '
              'tries them again', file=sys.stderr)
    return int(bool(failures))


if __name__ == '__main__':
    sys.exit(main())
