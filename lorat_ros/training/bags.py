# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Reader of ROS 2 recordings (sqlite3 and mcap): images, and detections as the truth about them.

A box belongs to the image whose stamp is nearest to its own, if that is near enough and no other
box is nearer. Images are never all in memory: a recording is read from its beginning to its end.
"""
from __future__ import annotations

import re
import struct
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Optional

import apsw
import numpy as np
from rosbags.interfaces import Connection, MessageDefinitionFormat
from rosbags.rosbag2 import Reader, ReaderError
from rosbags.serde import SerdeError
from rosbags.typesys import get_types_from_msg, get_typestore, Stores

from lorat_ros.boxes import wh_of
from lorat_ros.images import encoded_to_bgr, ImageError, raw_to_bgr
from lorat_ros.training.bag_messages import (box_of, COMPRESSED, DETECTION, DETECTIONS,
                                             detections_of, identity_of, RAW, stamp_of, typestore)
from lorat_ros.training.footage import ABSENT, clean_boxes, DataError, Notes, Reading, Shot
from lorat_ros.training.store import shrink

STORED = ('.mcap', '.db3')
NO_TRUTH = ('boxes are needed to train on: record the detections of a tracker or detector with '
            'the images (`ros2 bag record`), or take the frames alone (`lorat data '
            '--frames-only`) and let a model label what moves in them (docs/training.md, clips '
            'without labels)')


@contextmanager
def opened(path: Path) -> Iterator[Reader]:
    """
    Open a recording.

    :raises DataError: it cannot be read.
    """
    loose = sorted(p for p in path.glob('*') if p.suffix in STORED) if path.is_dir() else []
    alone = len(loose) == 1 and not (path / 'metadata.yaml').is_file()
    try:
        reader = Reader(loose[0] if alone else path)
        reader.open()
    except Exception as error:       # rosbags passes on what YAML, SQLite and zstd raise
        raise DataError(f'{path} cannot be read as a ROS 2 recording ({error}): if the recorder '
                        'was cut off, `ros2 bag reindex` mends it') from None
    try:
        yield reader
    except (ReaderError, SerdeError, apsw.Error, EOFError, struct.error) as error:
        raise DataError(f'{path} ends in the middle or is damaged ({error}): `ros2 bag reindex` '
                        'may mend it') from None
    finally:
        reader.close()


def choose(reader: Reader, types: tuple[str, ...], asked: Optional[str], what: str, option: str,
           path: Path, nothing: str) -> Connection:
    """
    Choose a topic with messages of one of these types: the one that is asked for, or the only one.

    :raises DataError: there is none, or several and none was asked for.
    """
    found = {c.topic: c for c in reader.connections if c.msgtype in types}
    listed = ', '.join(f'{c.topic} ({c.msgtype.rsplit("/", 1)[-1]}, {c.msgcount} messages)'
                       for c in found.values())
    if asked is not None:
        if asked not in found:
            raise DataError(f'{path} has no {what} on the topic {asked!r}: {option} must be one '
                            f'of {listed or "none at all"}')
        return found[asked]
    used = {topic: c for topic, c in found.items() if c.msgcount}
    # A tracker's two topics tell the same; the array tells also when there was nothing.
    twins = [c for topic, c in used.items() if f'{topic}s' not in used]
    if not used:
        topics = ', '.join(f'{c.topic} ({c.msgtype})' for c in reader.connections)
        raise DataError(f'{path} has no {what}: {nothing}. It holds {topics or "no topic"}')
    if len(twins) > 1:
        raise DataError(f'{path} has several topics with {what}: choose with {option} one of '
                        f'{listed}')
    return twins[0]


def decoder(connection: Connection) -> Callable[[bytes], Any]:
    """What turns a message's bytes into an object, by the recording's own definition if it has."""
    definition = connection.msgdef
    if definition.format == MessageDefinitionFormat.MSG:
        store = get_typestore(Stores.EMPTY)
        store.register(get_types_from_msg(definition.data, connection.msgtype))
    else:
        store = typestore()
    return lambda data: store.deserialize_cdr(data, connection.msgtype)


def messages(reader: Reader, topic: Connection) -> Iterator[tuple[Connection, int, bytes]]:
    """All messages of a topic, whoever published them: connection, time of receipt, bytes."""
    return reader.messages([c for c in reader.connections
                            if (c.topic, c.msgtype) == (topic.topic, topic.msgtype)])


def stamp_in(data: bytes) -> int:
    """The stamp in the bytes of a message that begins with a header, nanoseconds."""
    order: Literal['little', 'big'] = 'little' if data[1] & 1 else 'big'
    seconds = int.from_bytes(data[4:8], order, signed=True)
    return seconds * 1_000_000_000 + int.from_bytes(data[8:12], order)


def match(images: np.ndarray, truths: np.ndarray, tolerance: int) -> np.ndarray:
    """
    Which truth belongs to each image, (images,) int; -1: none.

    :param images: stamps in nanoseconds, in any order; so are ``truths``.
    :param tolerance: at most so many nanoseconds may be between.
    """
    index = np.full(len(images), -1)
    if not len(images) or not len(truths):
        return index
    order = np.argsort(images, kind='stable')
    lined = images[order]
    right = np.clip(np.searchsorted(lined, truths), 0, len(lined) - 1)
    left = np.maximum(right - 1, 0)
    nearest = np.where(abs(lined[left] - truths) <= abs(lined[right] - truths), left, right)
    apart = abs(lined[nearest] - truths)
    # The nearest truth is written last, over those that are farther off.
    for number in np.argsort(-apart, kind='stable'):
        if apart[number] <= tolerance:
            index[order[nearest[number]]] = number
    return index


@dataclass
class Truths:
    """What the detections of a recording say."""

    stamps: np.ndarray                               # (n,) nanoseconds
    boxes: list[dict[str, Optional[np.ndarray]]]     # of each message: by id; None: no box

    def identities(self) -> Counter[str]:
        """How many boxes each id has."""
        return Counter(name for boxes in self.boxes for name, box in boxes.items()
                       if box is not None)


def read_truths(reader: Reader, topic: Connection, by_header: bool, name: str, notes: Notes
                ) -> Truths:
    """Read all detections; several of one id in one message tell nothing, and are noted."""
    read, stamps, found = decoder(topic), [], []
    unclear: Counter[str] = Counter()
    for _, received, data in messages(reader, topic):
        message = read(data)
        stamps.append(stamp_of(message) if by_header else received)
        boxes: dict[str, Optional[np.ndarray]] = {}
        for detection in detections_of(message):
            identity = identity_of(detection)
            if identity in boxes:
                unclear[identity] += 1
                boxes[identity] = None
            else:
                boxes[identity] = box_of(detection)
        found.append(boxes)
    for identity, count in unclear.items():
        notes.say(name, f'{count} messages of {topic.topic} hold several detections with the id '
                        f'{identity!r}: nothing tells which is the target, taken as unknown')
    return Truths(np.array(stamps, np.int64), found)


@dataclass
class BagClip:
    """One target of a recording."""

    name: str
    path: Path
    topic: str
    boxes: np.ndarray            # (images, 4) xywh in pixels; nan: absent or unknown
    span: tuple[int, int]        # first image and one past the last one
    longest: Optional[int]

    def shots(self, notes: Notes, every: int = 1) -> Iterator[Shot]:
        """Every ``every``-th frame; images that cannot be read are noted and left out."""
        bad: Counter[str] = Counter()
        of_boxes = Notes()
        with opened(self.path) as reader:
            topic = next(c for c in reader.connections if c.topic == self.topic)
            read = decoder(topic)
            to_bgr = encoded_to_bgr if topic.msgtype == COMPRESSED else raw_to_bgr
            for number, (_, _, data) in enumerate(messages(reader, topic)):
                if number >= self.span[1]:
                    break
                if number < self.span[0] or (number - self.span[0]) % every:
                    continue
                try:
                    image = np.ascontiguousarray(to_bgr(read(data)))
                except ImageError as error:
                    bad[error.kind] += 1
                    if bad[error.kind] == 1:
                        notes.say(self.name, f'image {number} of {self.topic} left out: {error}')
                    continue
                box = clean_boxes(self.boxes[number], wh_of(image), '', of_boxes)[0]
                yield Shot(shrink(image, self.longest), box)
        notes.counts['unreadable'] += bad.total()
        notes.counts.update(of_boxes.counts)
        for kind, count in bad.items():
            notes.say(self.name, f'{count} images left out in all ({kind})')
        for key, what in (('outside', 'lie outside the image: taken as absent'),
                          ('cut', 'overhang the image: cut at its border')):
            if of_boxes.counts[key]:
                notes.say(self.name, f'{of_boxes.counts[key]} boxes {what}')


def read_bag(path: Path, reading: Reading, notes: Notes) -> Iterator[BagClip]:
    """
    Find the targets in a recording, one clip each.

    :raises DataError: it cannot be read, topics are missing or to be chosen, nothing matches.
    """
    name = path.stem if path.is_file() else path.resolve().name
    with opened(path) as reader:
        images = choose(reader, (RAW, COMPRESSED), reading.image_topic, 'images',
                        '--image-topic', path, 'record a camera (sensor_msgs/Image or '
                        'sensor_msgs/CompressedImage)')
        if reading.frames_only:
            count = sum(1 for _ in messages(reader, images))
            yield BagClip(name, path, images.topic, np.full((count, 4), np.nan), (0, count),
                          reading.longest)
            return
        topic = choose(reader, (DETECTION, DETECTIONS), reading.truth_topic, 'detections',
                       '--truth-topic', path, NO_TRUTH)
        found = [(stamp_in(data), received) for _, received, data in messages(reader, images)]
        first = next((stamp_in(data) for _, _, data in messages(reader, topic)), 0)
        by_header = bool(first) and bool(found) and bool(found[0][0])
        if not by_header:
            notes.say(name, 'images or detections have no stamps: paired by the time at which '
                            'they were received')
        truths = read_truths(reader, topic, by_header, name, notes)
    stamps = np.array([pair[0 if by_header else 1] for pair in found], np.int64)
    index = match(stamps, truths.stamps, round(reading.tolerance * 1e9))
    if (index < 0).all():
        raise DataError(f'{path}: none of {len(stamps)} images on {images.topic} has a detection '
                        f'on {topic.topic} within {reading.tolerance} s: are these of the same '
                        'camera and clock? --tolerance allows more')
    notes.counts['without truth'] += int((index < 0).sum())
    if (index < 0).any():
        notes.say(name, f'{int((index < 0).sum())} of {len(stamps)} images have no detection '
                        f'within {reading.tolerance} s: taken as unknown')
    yield from _targets(name, path, images.topic, truths, index, reading, notes)


def _targets(name: str, path: Path, topic: str, truths: Truths, index: np.ndarray,
             reading: Reading, notes: Notes) -> Iterator[BagClip]:
    identities = truths.identities()
    if reading.target is not None and reading.target not in identities:
        raise DataError(f'{path}: no detection has the id {reading.target!r}, found are '
                        f'{dict(identities)}: choose one of these with --id, or none')
    wanted = list(identities) if reading.target is None else [reading.target]
    for identity in wanted:
        boxes = np.array([ABSENT if number < 0 or (box := truths.boxes[number].get(identity))
                          is None else box for number in index], np.float64).reshape(-1, 4)
        known = np.flatnonzero(np.isfinite(boxes).all(1))
        own = name if len(wanted) == 1 else f'{name}-{re.sub("[^A-Za-z0-9_.-]", "_", identity)}'
        if len(known) < 2:
            notes.refuse(own, f'the id {identity!r} has a box in {len(known)} images, expected 2 '
                              'or more')
            continue
        # Of several targets each is shown only while it is there.
        span = (0, len(boxes)) if len(wanted) == 1 else (int(known[0]), int(known[-1]) + 1)
        yield BagClip(own, path, topic, boxes, span, reading.longest)
    if not wanted:
        raise DataError(f'{path}: no detection in it has a box of some size: {NO_TRUTH}')
