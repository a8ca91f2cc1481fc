# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Which models there are and where they are found.

A bundle is looked for, by name, in the folders of ``LORAT_MODELS`` (separated as in ``PATH``),
in ``~/.local/share/lorat_ros/models`` (``XDG_DATA_HOME`` is honoured), and among those shipped
with the package. What contains a slash is the path of a folder, and taken as it is.
"""
from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from types import MappingProxyType

from lorat_ros.models.bundle import Bundle, BundleError, MANIFEST, read_bundle, read_manifest

DEFAULT_MODEL = 'kestrel-e'


@dataclass(frozen=True)
class Published:
    """What the authors of a tracker published of it; nothing of this was measured here."""

    name: str
    family: str
    variant: str
    parameters_m: float            # millions, as run (LoRA merged)
    gmacs: float                   # a frame, of the authors' network
    scores: Mapping[str, float]    # percent; empty: configured, never published


@dataclass(frozen=True)
class Source:
    """Where a family of published trackers comes from."""

    paper: str
    licence: str      # of the weights, as far as it is known

    def __str__(self) -> str:
        return f'{self.paper}: {self.licence}'


SOURCES: Mapping[str, Source] = MappingProxyType({
    'lorat': Source('LoRAT, ECCV 2024', 'not stated by the authors, neither for code nor for '
                    'weights; the DINOv2 base is Apache-2.0'),
    'litetrack': Source('LiteTrack, ICRA 2024', 'MIT for the code; nothing is said of the '
                        'weights'),
    'fartrack': Source('FARTrack, ICLR 2026', 'unclear: the repository holds the text of '
                       'Apache-2.0, its README adds "not for commercial use": ask the authors'),
})


def _lorat(size: str, parameters_m: float, gmacs: float, *scores: float) -> Published:
    names = ('VastTrack SUC', 'VastTrack P', 'VastTrack P_norm')
    return Published(f'LoRAT-{size}', 'lorat', size.lower(), parameters_m, gmacs,
                     MappingProxyType(dict(zip(names, scores))))


def _other(name: str, parameters_m: float, gmacs: float, *scores: float) -> Published:
    family, variant = name.lower().split('-')
    names = ('GOT-10k AO', 'LaSOT AUC', 'TrackingNet AUC')
    return Published(name, family, variant, parameters_m, gmacs,
                     MappingProxyType(dict(zip(names, scores))))


PUBLISHED = (
    _lorat('S-224', 22.2, 8.0),
    _lorat('S-378', 22.4, 28.2),
    _lorat('B-224', 88.1, 29.8, 38.7, 37.8, 41.1),
    _lorat('B-378', 88.5, 96.5, 40.4, 40.7, 43.4),
    _lorat('L-224', 307.4, 102.9, 41.6, 42.3, 45.0),
    _lorat('L-378', 307.9, 325.0, 43.9, 45.8, 47.7),
    _lorat('g-224', 1144.2, 377.7, 43.0, 44.7, 47.2),
    _lorat('g-378', 1145.0, 1160.4, 46.0, 48.8, 50.4),
    _other('LiteTrack-B4', 35.8, 9.8, 65.2, 62.5, 79.9),
    _other('LiteTrack-B6', 50.0, 13.8, 68.7, 64.6, 80.8),
    _other('LiteTrack-B8', 64.2, 17.6, 70.4, 66.4, 81.4),
    _other('LiteTrack-B9', 71.3, 19.5, 72.2, 67.0, 82.4),
    _other('FARTrack-tiny', 7.0, 4.2, 70.6, 63.2, 80.7),
    _other('FARTrack-nano', 4.8, 2.8, 69.9, 61.3, 79.1),
    _other('FARTrack-pico', 3.0, 1.7, 62.8, 58.6, 75.6),
)


def published_of(family: str, variant: str) -> Published | None:
    """Return what was published of a variant, if anything."""
    return next((p for p in PUBLISHED if (p.family, p.variant) == (family, variant)), None)


def shipped_folder() -> Path:
    """Folder of the bundles that come with the package."""
    return Path(str(resources.files('lorat_ros.models'))) / 'bundles'


def users_folder() -> Path:
    """Folder where the user's own bundles are kept; may not be there yet."""
    data = Path(os.environ.get('XDG_DATA_HOME') or '~/.local/share').expanduser()
    return data / 'lorat_ros' / 'models'


def search_path() -> list[Path]:
    """Folders that are searched for bundles, first wins."""
    named = [Path(p).expanduser() for p in os.environ.get('LORAT_MODELS', '').split(os.pathsep)
             if p]
    return [*named, users_folder(), shipped_folder()]


def installed() -> list[Path]:
    """Folders of all bundles on the search path; a name found earlier hides a later one."""
    found: dict[str, Path] = {}
    for folder in search_path():
        if folder.is_dir():
            for path in sorted(p.parent for p in folder.glob(f'*/{MANIFEST}')):
                found.setdefault(path.name, path)
    return list(found.values())


def list_bundles() -> tuple[list[Bundle], list[str]]:
    """Every bundle that can be read, and the reasons why others cannot."""
    bundles, problems = [], []
    for path in installed():
        try:
            bundles.append(Bundle(path, read_manifest(path), {}))
        except BundleError as error:
            problems.append(str(error))
    return bundles, problems


def find_bundle(model: str | Path | None = None) -> Bundle:
    """
    Find and check a bundle.

    :param model: a name, a folder, or None (or '') for the shipped default, whatever else is
        installed under its name.
    :raises BundleError: not found (the names that exist are listed), or not usable.
    """
    if not model:
        return read_bundle(shipped_folder() / DEFAULT_MODEL)
    wanted = str(model)
    as_folder = Path(wanted).expanduser()
    if os.sep in wanted:      # a name alone is never a folder: the working directory is chance
        if not as_folder.is_dir():
            raise BundleError(f'model folder {wanted} does not exist: give the folder that holds '
                              f'{MANIFEST}, or a name from `lorat models`')
        return read_bundle(as_folder)
    for folder in search_path():
        if (folder / wanted / MANIFEST).is_file():
            return read_bundle(folder / wanted)
    names = ', '.join(sorted(p.name for p in installed())) or 'none'
    raise BundleError(f'model {wanted!r} is not installed (installed: {names}): give one of '
                      'these names or the folder of a bundle; LORAT_MODELS adds folders to the '
                      'search')
