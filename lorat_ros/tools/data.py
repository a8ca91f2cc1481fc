# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""``lorat data``: make training data of recordings, data sets and folders of frames."""
from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import cv2
from tqdm import tqdm

HELP = 'make training data of recordings and data sets'
SHOWN = 12                     # lines of what was noticed; all of them are in notes.txt
COUNTS = (('clips', 'clips'), ('frames', 'frames'), ('boxes', 'frames with a box'),
          ('absent', 'frames whose truth says absent'),
          ('without truth', 'images without truth'), ('stills', 'stills'),
          ('objects', 'objects in stills'), ('masks', 'masks'), ('crowds', 'crowds left out'),
          ('tiny', 'boxes too small to train on'), ('cut', 'boxes cut at the border'),
          ('outside', 'boxes outside the image'),
          ('bad boxes', 'boxes of no use'), ('missing frames', 'boxes without a frame'),
          ('missing pictures', 'pictures missing'), ('unreadable', 'pictures unreadable'),
          ('there already', 'clips or sets that were there already'),
          ('refused', 'clips or sets refused'))


def add_reading_arguments(parser: argparse.ArgumentParser | argparse._ArgumentGroup) -> None:
    """Declare the arguments that say how data is read."""
    parser.add_argument('--longest', type=int, default=400, metavar='PIXELS',
                        help='of the longer side: larger pictures are shrunk (default: 400)')
    parser.add_argument('--image-topic', metavar='TOPIC',
                        help='of recordings with several topics of images')
    parser.add_argument('--truth-topic', metavar='TOPIC',
                        help='of recordings with several topics of detections')
    parser.add_argument('--id', dest='target', metavar='ID',
                        help='of the target in detections (default: a clip for each id)')
    parser.add_argument('--tolerance', type=float, default=0.02, metavar='SECONDS',
                        help="between an image's stamp and its detection's (default: 0.02)")
    parser.add_argument('--frames-only', action='store_true',
                        help='of recordings take the images without any truth')


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the subcommand."""
    parser.add_argument('paths', type=Path, nargs='+', metavar='PATH',
                        help='ROS 2 recordings, GOT-10k, LaSOT, TrackingNet, COCO, folders of '
                             'frames with a groundtruth.txt (see docs/data.md)')
    parser.add_argument('--output', type=Path, required=True, metavar='POOL',
                        help='training pool that is made, or added to')
    parser.add_argument('--every', type=int, default=1, metavar='N',
                        help='take every N-th frame of clips (default: all)')
    parser.add_argument('--licence', default='not stated', metavar='TEXT',
                        help='terms of the data, for index.csv and model cards')
    add_reading_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Run the subcommand; returns the exit status (2: nothing could be made)."""
    # Here, so that `lorat --help` and `lorat train` without data need none of it.
    from lorat_ros.training.contact import draw_contact
    from lorat_ros.training.convert import write_pool
    from lorat_ros.training.footage import DataError, Notes
    from lorat_ros.training.sources import detect, reading_of
    cv2.setNumThreads(1)
    notes, written = Notes(), []
    try:
        check(args)
        reading = reading_of(args, 0)       # each picture is read once: none is worth keeping
        sources = [(path, detect(path)) for path in args.paths]
        for path, source in sources:
            print(f'{path}: {source.name}', flush=True)
            with tqdm(desc='writing', unit='picture') as bar:
                def counted(items: Iterable[Any], bar: tqdm[Any] = bar) -> Iterator[Any]:
                    for item in items:
                        yield item
                        bar.update()
                try:
                    written += write_pool(
                        source.read(path, reading, notes), args.output, notes, source.name,
                        path.resolve(), args.licence, args.every, counted)
                except DataError as error:
                    notes.refuse(path, str(error))
        if written:
            draw_contact(written, args.output / 'contact.png')
    except (DataError, OSError) as error:
        print(f'lorat data: {error}', file=sys.stderr)
        return 2
    report(notes, args.output)
    if not written and not notes.counts['there already']:
        print('lorat data: nothing could be made of it', file=sys.stderr)
        return 2
    print(f'look at {args.output / "contact.png"}, then: lorat train kestrel --data '
          f'{args.output} --output RUN')
    return 0


def check(args: argparse.Namespace) -> None:
    """DataError for numbers that make no sense."""
    from lorat_ros.training.footage import DataError
    for name, least in (('longest', 64), ('every', 1)):
        if (value := getattr(args, name)) < least:
            raise DataError(f'--{name} is {value}, expected {least} or more')
    if not 0 <= args.tolerance < 10:
        raise DataError(f'--tolerance is {args.tolerance}, expected 0 to 10 seconds')


def report(notes: Any, output: Path) -> None:
    """Print how much there was and what was noticed."""
    for key, text in COUNTS:
        if notes.counts[key]:
            print(f'{notes.counts[key]:9d} {text}')
    for line in notes.lines[:SHOWN]:
        print(f'  {line}')
    if notes.lines and output.is_dir():
        path = output / 'notes.txt'
        with path.open('a', encoding='utf-8') as file:
            file.writelines(f'{line}\n' for line in notes.lines)
        more = len(notes.lines) - SHOWN
        print(f'  {f"… and {more} more, " if more > 0 else ""}all in {path}')
