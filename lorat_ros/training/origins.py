# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Where the data of a run came from, under which terms, and how much of it was used."""
from __future__ import annotations

import csv
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

from lorat_ros.training.footage import DataError
from lorat_ros.training.items import Shelf
from lorat_ros.training.pool import Pool
from lorat_ros.training.sources import detect, Share

NOT_STATED = 'not stated'
#: What is known of data that has no index.csv: terms of the annotations and of the pictures.
TERMS = MappingProxyType({
    'COCO': 'annotations CC BY 4.0; images under their own Flickr terms'})
KINDS = ('clips', 'frames', 'labelled frames', 'stills', 'labelled objects', 'tracks')


@dataclass
class Origin:
    """What one source gave."""

    data: str                    # the path given with --data
    kind: str                    # of the reader, see lorat_ros.training.sources
    source: str
    licence: str
    counts: Counter[str] = field(default_factory=Counter)      # of KINDS

    def as_dict(self) -> dict[str, Any]:
        """As plain values."""
        return {'data': self.data, 'kind': self.kind, 'source': self.source,
                'licence': self.licence, **{k: self.counts[k] for k in KINDS if self.counts[k]}}


def index_of(pool: Path) -> dict[str, tuple[str, str]]:
    """
    Source and licence of each ``clips/NAME`` and ``stills/SOURCE`` that a pool's index names.

    Where the pictures of one source have several licences, all are named.
    """
    found: defaultdict[str, tuple[list[str], list[str]]] = defaultdict(lambda: ([], []))
    try:
        with (pool / 'index.csv').open(newline='', encoding='utf-8', errors='replace') as lines:
            for row in csv.DictReader(lines):
                place = '/'.join((row.get('path') or '').split('/')[:2])
                for known, name in zip(found[place], ('source_repo', 'licence')):
                    value = row.get(name) or NOT_STATED
                    if value not in known:
                        known.append(value)
    except OSError:
        return {}
    return {place: ('; '.join(sources), '; '.join(licences))
            for place, (sources, licences) in found.items()}


class _Shares:
    """Finds the share of the data that a folder of pictures belongs to."""

    def __init__(self, shares: Sequence[Share], unpacked: Path) -> None:
        self.unpacked = unpacked.resolve()
        self.known: dict[Path, tuple[str, str]] = {}
        for share in shares:
            try:
                kind = detect(share.path).name
            except DataError:        # gone since it was read
                kind = NOT_STATED
            text = str(share.path) if share.weight == 1 else f'{share.path}={share.weight:g}'
            self.known[share.path.resolve()] = (text, kind)

    def of(self, folder: Path) -> tuple[str, str]:
        for path, known in self.known.items():
            if folder == path or path in folder.parents:
                return known
        if self.unpacked in folder.parents:      # RUN/data/NAME-checksum/clips/CLIP
            stem = folder.relative_to(self.unpacked).parts[0].rpartition('-')[0]
            return next((known for path, known in self.known.items() if path.stem == stem),
                        (stem, 'recording'))
        # COCO's pictures lie beside what was given, if that is the file of annotations.
        return next((known for path, known in self.known.items()
                     if path.parent in (folder.parent, folder.parent.parent)),
                    (str(folder), NOT_STATED))


def _folder_of(pictures: Any) -> Path | None:
    folder = getattr(pictures, 'folder', None)
    return None if folder is None else Path(folder).resolve()


def origins_of(pool: Pool, shares: Sequence[Share], unpacked: Path) -> list[Origin]:
    """
    Account for everything in a pool, by source and licence.

    :param shares: that it was read from.
    :param unpacked: folder of the frames of recordings, see ``sources.read_data``.
    """
    known = _Shares(shares, unpacked)
    indices: dict[Path, Mapping[str, tuple[str, str]]] = {}
    found: dict[tuple[str, str, str], Origin] = {}
    labelled: dict[Path | None, tuple[str, int]] = {}
    for kind, shelves in (('clips', pool.clips), ('stills', pool.stills)):
        for shelf in shelves.values():
            if isinstance(shelf, Shelf):
                labelled[_folder_of(shelf.pictures)] = (kind, len(shelf))
    tracks: Counter[Path | None] = Counter()
    for group in pool.tracks.values():
        for track in group:
            tracks[_folder_of(getattr(track, 'pictures', None))] += 1
    for pictures in getattr(pool.images, 'parts', ()):
        folder = _folder_of(pictures)
        if folder is None:
            continue
        root = folder.parent.parent
        if root not in indices:
            indices[root] = index_of(root)
        data, reader = known.of(folder)
        source, licence = indices[root].get(f'{folder.parent.name}/{folder.name}', (
            NOT_STATED, TERMS.get(reader, NOT_STATED)))
        kind, count = labelled.get(folder, (
            'stills' if folder.parent.name == 'stills' else 'clips', 0))
        origin = found.setdefault((data, source, licence),
                                  Origin(data, reader, source, licence))
        if kind == 'clips':
            origin.counts.update({'clips': 1, 'frames': len(pictures), 'labelled frames': count,
                                  'tracks': tracks[folder]})
        else:
            origin.counts.update({'stills': len(pictures), 'labelled objects': count})
    return list(found.values())
