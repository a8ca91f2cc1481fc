# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""``lorat evaluate``: one-pass evaluation of models on a folder of sequences with truth."""
from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from itertools import chain
from pathlib import Path
from typing import Optional

import cv2
from tqdm import tqdm

from lorat_ros.boxes import BoxError
from lorat_ros.engines.session import ENGINE_NAMES, EngineError, PRECISION_NAMES
from lorat_ros.models.bundle import BundleError
from lorat_ros.tools.evaluate_disturb import figures_of, REPEATS, run_disturbed
from lorat_ros.tools.evaluate_disturb import text_of as disturb_text
from lorat_ros.tools.evaluate_figures import ABSENT
from lorat_ros.tools.evaluate_plots import can_plot, MISSING, write_plots
from lorat_ros.tools.evaluate_report import assess, report_of, text_of, Verdict
from lorat_ros.tools.evaluate_run import Entry, identity, read_entry, run_model, Shelf
from lorat_ros.tools.evaluate_sheets import worst, write_sheet
from lorat_ros.tools.frames import check_folders_of, FramesError
from lorat_ros.tools.sequences import Clip, load_clips
from lorat_ros.tools.sequences_layouts import EXPECTED, find_sources, LAYOUTS
from lorat_ros.tracking.tracker import load_tracker

HELP = 'measure a model on sequences with known truth'
JSON_NAME = 'evaluation.json'


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the subcommand."""
    parser.add_argument('folder', type=Path, help=f'sequences: {EXPECTED}')
    parser.add_argument('--layout', default='auto', choices=('auto', *LAYOUTS),
                        help='how the folder is laid out (default: what it looks like)')
    parser.add_argument('--only', metavar='A,B', help='only the sequences of these names')
    parser.add_argument('--model', action='append', metavar='M', help='name or folder of a '
                        'bundle; may be repeated (default: the shipped one)')
    parser.add_argument('--boxes', action='append', default=[], type=Path, metavar='FOLDER',
                        help='score what another tracker left in FOLDER/SEQUENCE.txt, '
                        'x,y,w,h[,score] a line; may be repeated; without --model nothing is run')
    parser.add_argument('--engine', default='auto', choices=ENGINE_NAMES)
    parser.add_argument('--precision', default='auto', choices=PRECISION_NAMES)
    parser.add_argument('--threads', type=int, default=1, help='CPU threads (default: 1)')
    parser.add_argument('--results', type=Path, metavar='FOLDER', help='keep the boxes in '
                        'FOLDER/MODEL/SEQUENCE.txt, x,y,w,h,score a line')
    parser.add_argument('--reuse', action='store_true', help='do not run again what the same '
                        'model has left in --results, for example before an interruption')
    parser.add_argument('--absent', choices=tuple(ABSENT), help='whether frames without target '
                        'are skipped or count as missed in success and precision (default: as '
                        "the layout's benchmark has it)")
    parser.add_argument('--json', type=Path, metavar='FILE', help='write all figures here')
    parser.add_argument('--output', type=Path, metavar='FOLDER', help=f'write {JSON_NAME}, '
                        'success and precision plots and sheets of the worst moments here')
    parser.add_argument('--disturb', action='store_true', help='hide the target and let the view '
                        'jump by a fixed schedule, and tell how honest and how quick to find it '
                        'again the life of a target is')
    parser.add_argument('--reacquire', default='auto', choices=('off', 'search', 'auto'),
                        help="with --disturb: as the node's parameter (default: %(default)s)")
    parser.add_argument('--repeats', type=int, default=REPEATS, metavar='N', help='with '
                        '--disturb: play every sequence so often, each time with all that '
                        'happens at other moments (default: %(default)s)')
    parser.add_argument('--worst', type=int, default=5, metavar='N', help='of how many sequences '
                        'there are sheets for every model (default: %(default)s)')


def run(args: argparse.Namespace) -> int:
    """Run the subcommand; returns 0, 1 (something is wrong with a sequence) or 2."""
    cv2.setNumThreads(args.threads)
    try:
        _check(args)
        layout, clips, complaints = _read(args)
        if args.disturb:
            return _disturb(args, clips, complaints)
        entries = _entries(args, clips)
        complaints += [line for entry in entries for line in entry.complaints]
        clips = common(clips, entries)
        if not clips:
            raise FramesError('no sequence is left to measure:\n' + '\n'.join(complaints))
        absent = args.absent or LAYOUTS[layout].absent
        verdicts = [assess(entry, clips, absent) for entry in entries]
        print(text_of(verdicts, layout, absent))
        report = report_of(str(args.folder), layout, absent, verdicts, complaints)
        for path in filter(None, (args.json, args.output and args.output / JSON_NAME)):
            path.write_text(json.dumps(report, indent=1) + '\n', encoding='utf-8')
        if args.output:
            _draw(args.output, verdicts, clips, args.worst)
    except (FramesError, BoxError, BundleError, EngineError, OSError) as error:
        print(f'lorat evaluate: {error}', file=sys.stderr)
        return 2
    for line in complaints:
        print(f'lorat evaluate: {line}', file=sys.stderr)
    return 1 if complaints else 0


def _check(args: argparse.Namespace) -> None:
    """What would be a pity to hear of after hours."""
    if args.reuse and not args.results:
        raise FramesError('--reuse needs --results FOLDER: that is where the boxes lie')
    if args.repeats < 1:
        raise FramesError(f'--repeats {args.repeats}, expected 1 or more')
    if args.disturb and (args.boxes or args.results or args.output):
        raise FramesError('--disturb runs models live and keeps nothing but --json: leave out '
                          '--boxes, --results and --output')
    if args.output and not can_plot():
        raise FramesError(MISSING)
    if args.output:
        args.output.mkdir(parents=True, exist_ok=True)
    check_folders_of(args.json)


def _disturb(args: argparse.Namespace, clips: Sequence[Clip], complaints: Sequence[str]) -> int:
    """Print the table of disturbed sequences of every model; returns the exit status."""
    report = []
    for model in args.model or [None]:
        tracker = load_tracker(model, args.engine, args.threads, args.precision)
        name = tracker.bundle.name
        with tqdm(total=args.repeats * sum(map(len, clips)), desc=name, unit='frame',
                  disable=None) as bar:
            lives = run_disturbed(tracker, clips, args.reacquire, args.repeats, bar.update)
        tracker.close()
        names = [clip.name for clip in clips]
        print(disturb_text(names, lives, f'{name}, reacquire {args.reacquire}'))
        report.append({'model': name, 'reacquire': args.reacquire, 'repeats': args.repeats,
                       'all': figures_of(chain.from_iterable(lives)),
                       'sequences': {n: figures_of(each) for n, each in zip(names, lives)}})
    if args.json:
        args.json.write_text(json.dumps(report, indent=1) + '\n', encoding='utf-8')
    for line in complaints:
        print(f'lorat evaluate: {line}', file=sys.stderr)
    return 1 if complaints else 0


def _read(args: argparse.Namespace) -> tuple[str, list[Clip], list[str]]:
    """The layout, the sequences that can be run, and what is wrong with any of them."""
    layout, sources = find_sources(args.folder, args.layout)
    if args.only:
        wanted = args.only.split(',')
        unknown = [name for name in wanted if name not in {s.name for s in sources}]
        if unknown:
            raise FramesError(f'--only {unknown[0]}: there is no such sequence, but '
                              f'{", ".join(s.name for s in sources[:8])} …')
        sources = [source for source in sources if source.name in wanted]
    clips, complaints = load_clips(sources, args.folder)
    return layout, clips, complaints


def _entries(args: argparse.Namespace, clips: Sequence[Clip]) -> list[Entry]:
    """Run the models and read the boxes, in the order of the command line, models first."""
    models: list[Optional[str]] = list(args.model or ([] if args.boxes else [None]))
    entries: list[Entry] = []
    for model in models:
        tracker = load_tracker(model, args.engine, args.threads, args.precision)
        label = apart(tracker.bundle.name, entries)
        shelf = Shelf(args.results / label, identity(tracker)) if args.results else None
        entries.append(run_model(tracker, label, clips, shelf, args.reuse))
        tracker.close()
    for folder in args.boxes:
        folder = folder.expanduser()
        entries.append(read_entry(folder, apart(folder.resolve().name, entries), clips))
    return entries


def apart(name: str, entries: Sequence[Entry]) -> str:
    """A label that none of the entries has yet: the name, or with a number behind it."""
    taken = {entry.label for entry in entries}
    return next(label for label in (name, *(f'{name}-{i}' for i in range(2, len(taken) + 3)))
                if label not in taken)


def common(clips: Sequence[Clip], entries: Sequence[Entry]) -> list[Clip]:
    """The sequences that every entry has: means over different ones would not compare."""
    return [clip for clip in clips if all(clip.name in entry.runs for entry in entries)]


def _draw(folder: Path, verdicts: Sequence[Verdict], clips: Sequence[Clip], count: int) -> None:
    write_plots(folder, {v.entry.label: v.mean_curve for v in verdicts},
                {v.entry.label: v.mean for v in verdicts}, len(clips))
    by_name = {clip.name: clip for clip in clips}
    for verdict in verdicts:
        sheets = folder / 'worst' / verdict.entry.label
        sheets.mkdir(parents=True, exist_ok=True)
        for old in sheets.glob('*.jpg'):
            old.unlink()
        areas = [(name, figures.AUC) for name, figures in verdict.figures.items()]
        for rank, name in enumerate(worst(areas, count), 1):
            write_sheet(sheets / f'{rank:02d}_{name}.jpg', by_name[name], verdict.entry,
                        verdict.judged[name])
