# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""How benchmarks lay out their folders: a table of readers."""
from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

from lorat_ros.tools.frames import FramesError, images_in, natural_key, TRUTH_NAME
from lorat_ros.tools.sequences import Source

#: OTB sequences whose truth speaks of a part of the frames: numbers of the first and last one.
OTB_SPANS = MappingProxyType({'david': (300, 770), 'football1': (1, 74), 'freeman3': (1, 460),
                              'freeman4': (1, 283), 'diving': (1, 215)})
#: Parts of UAV123 that do not begin with the last frame of the part before.
UAV_FIRST = MappingProxyType({'bird1_2': 775, 'bird1_3': 1573, 'uav1_3': 2473})
#: Folders of frames within a sequence's folder; the second one is VOT's.
INSIDE = ('img', 'color')


class Layout(NamedTuple):
    """A benchmark's way to lay out its folder."""

    is_it: Callable[[Path], bool]
    sources: Callable[[Path], list[Source]]
    absent: str        # what its toolkit does with frames without target; see evaluate_figures


def _places(folder: Path, depth: int = 1) -> list[Path]:
    """The folder itself and the folders in it, down to a depth, in their natural order."""
    found = [folder]
    level = [folder]
    for _ in range(depth):
        level = [child for parent in level for child in sorted(parent.iterdir(), key=natural_key)
                 if child.is_dir() and not child.name.startswith('.')]
        found += level
    return found


def _frames_of(folder: Path) -> Path:
    return next((folder / name for name in INSIDE if (folder / name).is_dir()), folder)


def _any(names: tuple[str, ...], depth: int, folder: Path) -> bool:
    return any(True for place in _places(folder, depth) for name in names
               for _ in place.glob(name))


def _with_truth(folder: Path, pattern: str, depth: int = 1) -> Iterator[tuple[Path, list[Path]]]:
    """
    Folders that hold frames or truth, and their truth files.

    A folder of frames without truth is one of them: that its truth is missing shall be heard.
    """
    if list(folder.glob(pattern)):
        yield folder, sorted(folder.glob(pattern), key=natural_key)
        return
    for place in _places(folder, depth)[1:]:
        truth = sorted(place.glob(pattern), key=natural_key)
        if truth or (place.name not in INSIDE and images_in(_frames_of(place))):
            yield place, truth


def _plain(folder: Path) -> list[Source]:
    return [Source(place.name, _frames_of(place), place / TRUTH_NAME)
            for place, _ in _with_truth(folder, TRUTH_NAME)]


def _otb(folder: Path) -> list[Source]:
    found = []
    for place, files in _with_truth(folder, 'groundtruth_rect*.txt'):
        # Human4 brings an empty file beside the one that counts.
        truth = [f for f in files if f.stat().st_size] or [place / 'groundtruth_rect.txt']
        names = [place.name] if len(truth) == 1 else [f'{place.name}.{i + 1}'
                                                      for i in range(len(truth))]
        span = OTB_SPANS.get(place.name.lower())
        found += [Source(name, _frames_of(place), file, span) for name, file in zip(names, truth)]
    return found


def _got10k(folder: Path) -> list[Source]:
    listed = folder / 'list.txt'
    places = ([folder / name for name in listed.read_text().split()] if listed.is_file()
              else [place for place, _ in _with_truth(folder, TRUTH_NAME)])
    return [_got10k_source(place) for place in places]


def _got10k_source(place: Path) -> Source:
    """The toolkit goes by cover.label alone; absence.label is the next best."""
    plain = Source(place.name, _frames_of(place), place / TRUTH_NAME)
    cover, absence = place / 'cover.label', place / 'absence.label'
    if cover.is_file():
        return replace(plain, cover=(cover,))
    return replace(plain, absent=(absence,)) if absence.is_file() else plain


def _lasot(folder: Path) -> list[Source]:
    marks = ('full_occlusion.txt', 'out_of_view.txt')
    return [Source(place.name, _frames_of(place), place / TRUTH_NAME, origin=1,
                   absent=tuple(place / mark for mark in marks if (place / mark).is_file()))
            for place, _ in _with_truth(folder, TRUTH_NAME, depth=2)]


def _uav(annotations: str, folder: Path) -> list[Source]:
    frames, found = folder / 'data_seq' / 'UAV123', []
    files = sorted((folder / 'anno' / annotations).glob('*.txt'), key=natural_key)
    follows: dict[str, int] = {}       # long sequence to the last frame of its parts so far
    for file in files:
        name, first = file.stem, 1
        whole = frames / name
        part = re.fullmatch(r'(.+)_(\d+)', name)
        if part and not whole.is_dir():
            whole = frames / part[1]
            first = UAV_FIRST.get(name, follows.get(part[1], 1))
        lines = sum(1 for line in file.read_text().splitlines() if line.strip())
        follows[whole.name] = first + lines - 1
        found.append(Source(name, whole, file, (first, first + lines - 1)))
    return found


#: By name, in the order in which they are looked for: `plain` takes whatever is left.
LAYOUTS: Mapping[str, Layout] = MappingProxyType({
    'uav123': Layout(lambda folder: (folder / 'anno' / 'UAV123').is_dir(),
                     partial(_uav, 'UAV123'), 'skip'),
    'uav20l': Layout(lambda folder: (folder / 'anno' / 'UAV20L').is_dir(),
                     partial(_uav, 'UAV20L'), 'skip'),
    'got10k': Layout(partial(_any, ('cover.label', 'absence.label', 'meta_info.ini'), 1),
                     _got10k, 'skip'),
    'lasot': Layout(partial(_any, ('full_occlusion.txt', 'out_of_view.txt'), 2), _lasot, 'miss'),
    'otb': Layout(partial(_any, ('groundtruth_rect*.txt',), 1), _otb, 'skip'),
    'plain': Layout(partial(_any, (TRUTH_NAME,), 1), _plain, 'skip'),
})
EXPECTED = (f'folders with {TRUTH_NAME} and frames beside it or in img/, or a folder of OTB, '
            'GOT-10k, LaSOT or UAV123 as it is unpacked')


def find_sources(folder: Path, layout: str = 'auto') -> tuple[str, list[Source]]:
    """
    List the sequences of a folder.

    :param layout: a name from ``LAYOUTS``; 'auto' takes the first that recognises the folder.
    :returns: the layout's name, and where the sequences lie.
    :raises FramesError: there is none.
    """
    folder = folder.expanduser()
    if not folder.is_dir():
        raise FramesError(f'{folder} is not a folder: expected {EXPECTED}')
    folder = folder.resolve()
    if layout == 'auto':
        layout = next((name for name, row in LAYOUTS.items() if row.is_it(folder)), '')
    sources = LAYOUTS[layout].sources(folder) if layout else []
    if not sources:
        looked = f' in the layout {layout}' if layout else ''
        raise FramesError(f'{folder} holds no sequence{looked}: expected {EXPECTED}')
    return layout, _named_apart(sources)


def _named_apart(sources: list[Source]) -> list[Source]:
    """Results are kept by name, so two sequences must not share one."""
    names = [source.name for source in sources]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise FramesError(f'several sequences are called {twice[0]}: rename their folders')
    return sources
