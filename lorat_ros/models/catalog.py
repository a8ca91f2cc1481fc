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
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from lorat_ros.models.bundle import Bundle, BundleError, MANIFEST, read_bundle, read_manifest

DEFAULT_MODEL = 'kestrel-s'


@dataclass(frozen=True)
class Published:
    """What the authors of a tracker published of it; nothing of this was measured here."""

    name: str
    source: str
    parameters_m: float      # millions, as run (LoRA merged)
    gmacs: float             # a frame
    benchmark: str
    success: float           # success AUC on that benchmark, percent


_LORAT = 'LoRAT, ECCV 2024'
_LITETRACK = 'LiteTrack, ICRA 2024'
_FARTRACK = 'FARTrack, ICLR 2026'
PUBLISHED = (
    Published('LoRAT-B-224', _LORAT, 88.1, 29.8, 'VastTrack', 38.7),
    Published('LoRAT-B-378', _LORAT, 88.5, 96.5, 'VastTrack', 40.4),
    Published('LoRAT-L-224', _LORAT, 307.4, 102.9, 'VastTrack', 41.6),
    Published('LoRAT-L-378', _LORAT, 307.9, 325.0, 'VastTrack', 43.9),
    Published('LoRAT-g-224', _LORAT, 1144.2, 377.7, 'VastTrack', 43.0),
    Published('LoRAT-g-378', _LORAT, 1145.0, 1160.4, 'VastTrack', 46.0),
    Published('LiteTrack-B4', _LITETRACK, 35.8, 9.8, 'LaSOT', 62.5),
    Published('LiteTrack-B6', _LITETRACK, 50.0, 13.8, 'LaSOT', 64.6),
    Published('LiteTrack-B8', _LITETRACK, 64.2, 17.6, 'LaSOT', 66.4),
    Published('LiteTrack-B9', _LITETRACK, 71.3, 19.5, 'LaSOT', 67.0),
    Published('FARTrack-tiny', _FARTRACK, 7.0, 4.2, 'LaSOT', 63.2),
    Published('FARTrack-nano', _FARTRACK, 4.8, 2.8, 'LaSOT', 61.3),
    Published('FARTrack-pico', _FARTRACK, 3.0, 1.7, 'LaSOT', 58.6),
)


def shipped_folder() -> Path:
    """Folder of the bundles that come with the package."""
    return Path(str(resources.files('lorat_ros.models'))) / 'bundles'


def search_path() -> list[Path]:
    """Folders that are searched for bundles, first wins."""
    named = [Path(p).expanduser() for p in os.environ.get('LORAT_MODELS', '').split(os.pathsep)
             if p]
    data = Path(os.environ.get('XDG_DATA_HOME') or '~/.local/share').expanduser()
    return [*named, data / 'lorat_ros' / 'models', shipped_folder()]


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
