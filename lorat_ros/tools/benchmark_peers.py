# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""``lorat benchmark --peers``: OpenCV's trackers and our models, side by side in one run."""
from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import cv2
from tqdm import tqdm

from lorat_ros.boxes import BoxError
from lorat_ros.engines.session import EngineError
from lorat_ros.models.bundle import BundleError
from lorat_ros.tools.benchmark_figures import table, take_turns
from lorat_ros.tools.benchmark_machine import busy, describe_machine
from lorat_ros.tools.evaluate_plots import can_plot
from lorat_ros.tools.evaluate_report import assess, report_of, Verdict
from lorat_ros.tools.evaluate_run import Entry, Follower, identity, Run, run_clip
from lorat_ros.tools.frames import check_folders_of, FramesError
from lorat_ros.tools.peers import open_peer, PeerError, PEERS
from lorat_ros.tools.sequences import Clip, load_clips
from lorat_ros.tools.sequences_layouts import find_sources, LAYOUTS
from lorat_ros.tracking.tracker import ImageError, load_tracker

#: Heading, field of Figures, and how it is written.
COLUMNS = (('AUC', 'AUC', '.1f'), ('P20', 'P20', '.1f'), ('AO', 'AO', '.1f'),
           ('SR50', 'SR50', '.1f'), ('ROC', 'ROC', '.1f'), ('ms p50', 'ms', '.1f'),
           ('ms p95', 'ms_p95', '.1f'), ('CPU ms', 'cpu_ms', '.1f'))
OURS, THEIRS = '#D55E00', '#0072B2'


class Contender(NamedTuple):
    """Somebody who takes part."""

    label: str
    follower: Follower
    about: Mapping[str, Any]


def run(args: argparse.Namespace) -> int:
    """Run it; returns 0, 1 (something is wrong with a peer or a sequence) or 2."""
    try:
        check_folders_of(args.json, args.plot)
        if args.plot and not can_plot():
            raise FramesError('--plot needs matplotlib: pip install matplotlib')
        layout, sources = find_sources(args.peers)
        clips, complaints = load_clips(sources, args.peers)
        contenders, absentees = _contenders(args)
        complaints += absentees
        machine = describe_machine()
        entries = measure(contenders, clips)
        complaints += [f'{entry.label}: {line}' for entry in entries
                       for line in entry.complaints]
        clips = [clip for clip in clips if all(clip.name in entry.runs for entry in entries)]
        if not clips:
            raise FramesError('no sequence was run by all:\n' + '\n'.join(complaints))
        absent = LAYOUTS[layout].absent
        verdicts = [assess(entry, clips, absent) for entry in entries]
        print(text_of(verdicts, len(clips), args.threads, machine))
        if args.json:
            report = {**report_of(str(args.peers), layout, absent, verdicts, complaints),
                      'machine': machine, 'threads': args.threads, 'opencv': cv2.__version__}
            args.json.write_text(json.dumps(report, indent=1) + '\n', encoding='utf-8')
        if args.plot:
            write_plot(args.plot, verdicts, len(clips))
    except (FramesError, BoxError, BundleError, EngineError, OSError) as error:
        print(f'lorat benchmark: {error}', file=sys.stderr)
        return 2
    for line in complaints:
        print(f'lorat benchmark: {line}', file=sys.stderr)
    return 1 if complaints else 0


def _contenders(args: argparse.Namespace) -> tuple[list[Contender], list[str]]:
    """Everybody who can take part, peers first, and why the others cannot."""
    contenders, absentees = [], []
    for row in PEERS:
        try:
            contenders.append(Contender(row.label, open_peer(row, args.nanotrack),
                                        {'opencv': cv2.__version__}))
        except PeerError as error:
            absentees.append(f'{row.label} is left out: {error}')
    for model in dict.fromkeys(args.model or [None]):
        engine = args.engine[0] if args.engine else 'auto'
        tracker = load_tracker(model, engine, args.threads)
        contenders.append(Contender(tracker.bundle.name, tracker, identity(tracker)))
    return contenders, absentees


def measure(contenders: Sequence[Contender], clips: Sequence[Clip]) -> list[Entry]:
    """
    Run all over all sequences: in each the order is another, so that a machine that becomes
    slower meanwhile does so for all.

    A sequence in which one of them fails is a complaint of its entry.
    """
    by_label = {contender.label: contender for contender in contenders}
    runs: dict[str, dict[str, Run]] = {label: {} for label in by_label}
    complaints: dict[str, list[str]] = {label: [] for label in by_label}
    total = len(by_label) * sum(map(len, clips))
    with tqdm(total=total, unit='frame', disable=None) as bar:
        for number, clip in enumerate(clips):
            for label in take_turns(list(by_label), number):
                bar.set_description(f'{clip.name}, {label}')
                try:
                    runs[label][clip.name] = run_clip(by_label[label].follower, clip, bar.update)
                except (FramesError, ImageError, EngineError) as error:
                    complaints[label].append(f'{clip.name}: {error}')
    return [Entry(label, contender.about, runs[label], tuple(complaints[label]))
            for label, contender in by_label.items()]


def text_of(verdicts: Sequence[Verdict], sequences: int, threads: int,
            machine: Mapping[str, Any]) -> str:
    """Write the table for a terminal, the most accurate first."""
    lines = [['mean of ' + str(sequences), *(heading for heading, _, _ in COLUMNS)]]
    for verdict in sorted(verdicts, key=lambda v: -v.mean.AUC):
        values = ((getattr(verdict.mean, field), form) for _, field, form in COLUMNS)
        lines.append([verdict.entry.label, *(format(value, form) if math.isfinite(value) else '-'
                                             for value, form in values)])
    load, cores = machine.get('load'), machine.get('cores')
    about = (f'{machine.get("cpu")}, {threads} thread(s), OpenCV {cv2.__version__}, load '
             f'{load if load is None else round(load, 1)} when it began')
    return '\n'.join([about, *(['the machine was busy'] if busy(load, cores) else []),
                      'shares in percent; docs/evaluation.md defines the columns; ROC 50: the '
                      'score says nothing', table(lines)])


def _is_close_to(verdict: Verdict, other: Verdict) -> bool:
    """Whether the other's mark is where the label of this one would begin."""
    return (1 < other.mean.cpu_ms / max(verdict.mean.cpu_ms, 1e-9) < 1.6
            and abs(other.mean.AUC - verdict.mean.AUC) < 8)


def write_plot(path: Path, verdicts: Sequence[Verdict], sequences: int) -> None:
    """
    Draw success AUC against CPU milliseconds a frame: up and to the left is better.

    :raises OSError: it cannot be written.
    """
    from matplotlib.figure import Figure
    from matplotlib.ticker import LogLocator, NullLocator, StrMethodFormatter
    figure = Figure(figsize=(7, 4.5), layout='constrained')
    axes = figure.subplots()
    for verdict in verdicts:
        ours = 'opencv' not in verdict.entry.about
        aside = -8 if ours and any(_is_close_to(verdict, other) for other in verdicts) else 8
        axes.scatter(verdict.mean.cpu_ms, verdict.mean.AUC, s=60, zorder=3,
                     color=OURS if ours else THEIRS, marker='D' if ours else 'o')
        axes.annotate(verdict.entry.label, (verdict.mean.cpu_ms, verdict.mean.AUC),
                      xytext=(aside, 5 if ours else -12), textcoords='offset points',
                      ha='left' if aside > 0 else 'right', weight='bold' if ours else None)
    axes.set(xscale='log', xlabel='CPU ms a frame (median), one run, taking turns',
             ylabel=f'success AUC, mean over {sequences} sequences, %', ylim=(0, 100))
    axes.margins(x=0.3)
    axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(StrMethodFormatter('{x:g}'))
    axes.grid(True, color='0.9')
    axes.spines[['top', 'right']].set_visible(False)
    figure.savefig(path, dpi=100)
