# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""All kinds of training data there are, told apart by what lies in their folders."""
from __future__ import annotations

import importlib
from argparse import Namespace
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import NamedTuple, Optional
from zlib import crc32

from lorat_ros.training import coco, datasets
from lorat_ros.training.convert import write_pool
from lorat_ros.training.footage import Clip, DataError, FileClip, Notes, Reading, StillSet
from lorat_ros.training.pool import add_folder, Pool, pool_clip, pool_folders, pool_stills
from lorat_ros.training.store import PictureError, Store


class Source(NamedTuple):
    """One kind of training data."""

    name: str
    is_it: Callable[[Path], bool]
    read: Callable[[Path, Reading, Notes], Iterator[Clip | StillSet]]


def is_bag(path: Path) -> bool:
    """Whether a path is a ROS 2 recording; asked without loading what reads one."""
    if path.is_dir():
        return (path / 'metadata.yaml').is_file() or \
            any(p.suffix in ('.mcap', '.db3') for p in path.iterdir())
    return path.suffix in ('.mcap', '.db3')


def read_bag(path: Path, reading: Reading, notes: Notes) -> Iterator[Clip]:
    """The targets in a ROS 2 recording; DataError where the package rosbags is missing."""
    try:
        bags = importlib.import_module('lorat_ros.training.bags')
    except ImportError as error:
        raise DataError(f'{path} is a ROS 2 recording, to read it takes {error.name}: '
                        'pip install rosbags') from None
    yield from bags.read_bag(path, reading, notes)


def is_pool(path: Path) -> bool:
    """A folder with ``stills`` or ``clips`` in it."""
    return (path / 'stills').is_dir() or (path / 'clips').is_dir()


def read_a_pool(path: Path, reading: Reading, notes: Notes) -> Iterator[FileClip | StillSet]:
    """All sets of stills and clips of a training pool, their pictures as they are."""
    for folder in pool_folders(path):
        read = pool_stills if folder.parent.name == 'stills' else pool_clip
        yield read(folder, reading.store, notes)


#: In the order in which they are tried: the least mistakable first.
SOURCES = (
    Source('recording', is_bag, read_bag),
    Source('pool', is_pool, read_a_pool),
    Source('COCO', coco.is_coco, coco.read_coco),
    Source('TrackingNet', datasets.is_trackingnet, datasets.read_trackingnet),
    Source('GOT-10k', datasets.is_got10k, datasets.read_got10k),
    Source('LaSOT', datasets.is_lasot, datasets.read_lasot),
    Source('folder', datasets.is_plain, datasets.read_plain),
)
EXPECTED = ('a training pool (stills/ and clips/), a ROS 2 recording (metadata.yaml, *.mcap, '
            '*.db3), COCO (annotations/instances_*.json), TrackingNet (anno/ and frames/), '
            'GOT-10k, LaSOT, or folders of frames with a groundtruth.txt')


def detect(path: Path) -> Source:
    """
    Tell what kind of data is at a path.

    :raises DataError: nothing there, or nothing known.
    """
    if not path.exists():
        raise DataError(f'{path} does not exist: expected {EXPECTED}')
    source = next((source for source in SOURCES if source.is_it(path)), None)
    if source is None:
        raise DataError(f'{path} is no training data that is known here: expected {EXPECTED}')
    return source


@dataclass(frozen=True)
class Share:
    """A path to train on, and how often what is in it is drawn, by comparison (usually 1)."""

    path: Path
    weight: float = 1.0


def share_of(text: str) -> Share:
    """
    Read ``PATH`` or ``PATH=WEIGHT``.

    :raises DataError: the weight is not above 0.
    """
    path, equals, tail = text.rpartition('=')
    if not equals or Path(text).exists():
        return Share(Path(text).expanduser())
    try:
        weight = float(tail)
    except ValueError:
        return Share(Path(text).expanduser())
    if not 0 < weight < float('inf'):
        raise DataError(f'{text}: the weight is {tail}, expected a number above 0')
    return Share(Path(path).expanduser(), weight)


def reading_of(args: Namespace, megabytes: float) -> Reading:
    """Read the way that ``lorat data`` and ``lorat train`` were told, keeping so many pictures."""
    return Reading(Store(megabytes), args.longest, args.image_topic, args.truth_topic,
                   args.target, args.tolerance, args.frames_only)


def unpack(bag: Path, reading: Reading, folder: Path, notes: Notes) -> Path:
    """
    Write a recording's frames as a pool below ``folder``, once; returns the pool.

    Another recording of the same name, or the same read otherwise, has a pool of its own.
    """
    how = (str(bag.resolve()), reading.longest, reading.image_topic, reading.truth_topic,
           reading.target, reading.tolerance, reading.frames_only)
    pool = folder / f'{bag.stem}-{crc32(repr(how).encode()):08x}'
    done = pool / 'complete'
    if not done.is_file():
        write_pool(read_bag(bag, reading, notes), pool, notes, 'recording', bag)
        pool.mkdir(parents=True, exist_ok=True)
        done.touch()
    return pool


def read_data(shares: Sequence[Share], reading: Reading, unpacked: Path, notes: Notes,
              leave_out: Iterable[str] = (), only_clips: Iterable[str] = (),
              tracks: Optional[Path] = None) -> Pool:
    """
    Make one pool of any mixture of data.

    :param unpacked: folder for the frames of recordings, which cannot be read out of order.
    :param leave_out: names of clips and sets of stills that are not taken; * and ? stand for
        anything and for one character.
    :param only_clips: if any, nothing is taken but these clips (to validate on).
    :param tracks: folder of self-labelled tracks of pools.
    :raises DataError: data that cannot be used, nothing to learn from, or a name that is not
        there: what is held out by a misspelt name would be trained on.
    """
    pool, leave_out, only = Pool(store=reading.store), set(leave_out), set(only_clips)
    missing = {*leave_out, *only}

    def among(name: str, patterns: set[str]) -> bool:
        fitting = {pattern for pattern in patterns if fnmatchcase(name, pattern)}
        missing.difference_update(fitting)
        return bool(fitting)

    def wanted(name: str, is_clip: bool) -> bool:
        left_out = among(name, leave_out)
        return not left_out and (not only or (is_clip and among(name, only)))
    try:
        for share in shares:
            path, source = share.path, detect(share.path)
            if source.name == 'recording':
                path = unpack(share.path, reading, unpacked, notes)
            if source.name in ('recording', 'pool'):
                for folder in pool_folders(path):
                    if wanted(folder.name, folder.parent.name == 'clips'):
                        add_folder(pool, folder, notes, tracks, share.weight)
                continue
            for found in source.read(path, reading, notes):
                if isinstance(found, StillSet) and wanted(found.name, False):
                    pool.add_stills(found, share.weight)
                elif isinstance(found, FileClip) and wanted(found.name, True):
                    pool.add_clip(found, share.weight)
    except PictureError as error:
        raise DataError(str(error)) from None
    if missing:
        raise DataError(f'{", ".join(sorted(missing))}: no clip and no set of stills of that name '
                        f'in {", ".join(str(s.path) for s in shares)}; give names as they are '
                        'there, or patterns such as david_*')
    if not len(pool.images):
        refused = '; '.join(notes.lines[:3])
        raise DataError(f'{", ".join(str(s.path) for s in shares)}: holds no images that can be '
                        f'used{f" ({refused})" if refused else ""}: expected {EXPECTED}')
    return pool
