# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Model bundles: a folder with ``model.json`` and one ONNX graph per role.

``model.json`` says everything that is needed to run the model and to judge it: family, variant,
sizes, post-processing, thresholds, checksums, provenance, licence, scores. docs/models.md
describes every field.
"""
from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

MANIFEST = 'model.json'
FORMAT = 1
_NEEDED = {'format': int, 'name': str, 'family': str, 'variant': str, 'graphs': dict,
           'licence': str, 'score': dict}
_OF_A_FILE = {'file': str, 'bytes': int, 'sha256': str}


class BundleError(ValueError):
    """A bundle that cannot be used; the message names the file, what is wrong and the cure."""


@dataclass(frozen=True)
class Bundle:
    """A checked model bundle; nothing of it is loaded yet."""

    path: Path
    manifest: Mapping[str, Any]       # the whole of model.json
    graphs: Mapping[str, Path]        # role ('search', 'template') to ONNX file

    @property
    def name(self) -> str:
        """Name under which the bundle is found, for example ``kestrel-s``."""
        return self.manifest['name']

    @property
    def family(self) -> str:
        """Family: decides what happens before and after the network."""
        return self.manifest['family']

    @property
    def variant(self) -> str:
        """Variant within the family."""
        return self.manifest['variant']

    @property
    def score_lost(self) -> float:
        """Score in [0, 1] below which the target counts as lost."""
        return float(self.manifest['score']['lost'])

    @property
    def score_recover(self) -> float:
        """Score in [0, 1] from which a lost target counts as found again."""
        return float(self.manifest['score']['recover'])

    @property
    def return_frames(self) -> int:
        """Frames in a row with ``score_recover`` that bring a lost target back."""
        return self.manifest['score'].get('frames', 2)

    def handed_over(self, role: str) -> frozenset[str]:
        """Outputs of a graph that only another graph reads; engines keep them to themselves."""
        return frozenset(self.manifest['graphs'][role].get('hands_over', ()))


def sha256_of(path: Path) -> str:
    """SHA-256 of a file, as hexadecimal digits."""
    digest = hashlib.sha256()
    with path.open('rb') as data:
        for block in iter(lambda: data.read(1 << 20), b''):
            digest.update(block)
    return digest.hexdigest()


def describe_file(path: Path) -> dict[str, Any]:
    """Entry of a file in ``model.json``: name, size in bytes, SHA-256."""
    return {'file': path.name, 'bytes': path.stat().st_size, 'sha256': sha256_of(path)}


def _check_file(folder: Path, entry: Mapping[str, Any]) -> Path:
    path = folder / entry['file']
    again = 'copy or import the bundle anew'
    if not path.is_file():
        raise BundleError(f'{path} is missing, {MANIFEST} names it: {again}')
    size = path.stat().st_size
    if size != entry['bytes']:
        raise BundleError(f'{path} has {size} bytes, expected {entry["bytes"]}: it is '
                          f'{"truncated" if size < entry["bytes"] else "not the file"} that '
                          f'{MANIFEST} describes; {again}')
    found = sha256_of(path)
    if found != entry['sha256']:
        raise BundleError(f'{path} has checksum {found[:12]}, expected {entry["sha256"][:12]}: '
                          f'it was changed or damaged; {again}')
    return path


def read_manifest(folder: Path) -> dict[str, Any]:
    """
    Read and check ``model.json`` alone.

    :raises BundleError: missing, not JSON, fields missing or of a wrong type, unknown format.
    """
    path = folder / MANIFEST
    if not path.is_file():
        raise BundleError(f'{folder} is no model bundle: it holds no {MANIFEST}; give a folder '
                          'that `lorat models` lists, or a name from there')
    try:
        manifest = json.loads(path.read_text(encoding='utf-8'))
    except ValueError as error:
        raise BundleError(f'{path} is not valid JSON ({error}): copy or import the bundle '
                          'anew') from None
    if not isinstance(manifest, dict):
        raise BundleError(f'{path} holds a {type(manifest).__name__}, expected an object with '
                          f'the fields {", ".join(_NEEDED)}')
    for field, kind in _NEEDED.items():
        if not isinstance(manifest.get(field), kind):
            raise BundleError(f'{path}: field {field!r} is {manifest.get(field)!r}, expected '
                              f'{kind.__name__}; see docs/models.md')
    if manifest['format'] != FORMAT:
        raise BundleError(f'{path} has format {manifest["format"]}, this version reads '
                          f'{FORMAT}: update lorat_ros or import the checkpoint anew')
    score = manifest['score']
    for field in ('lost', 'recover'):
        value = score.get(field)
        if not isinstance(value, (int, float)) or not 0 <= value <= 1:
            raise BundleError(f'{path}: score.{field} is {value!r}, expected a number in [0, 1]')
    if not isinstance(score.get('frames', 2), int) or score.get('frames', 2) < 1:
        raise BundleError(f'{path}: score.frames is {score["frames"]!r}, expected a whole number '
                          'above 0')
    if score['lost'] > score['recover']:
        raise BundleError(f'{path}: score.lost {score["lost"]} is above score.recover '
                          f'{score["recover"]}, expected it at or below')
    if 'search' not in manifest['graphs']:
        raise BundleError(f'{path} names the graphs {sorted(manifest["graphs"])}, expected one '
                          "of role 'search'")
    for role, entry in manifest['graphs'].items():
        _check_entry(path, f'graphs.{role}', entry)
        for number, extra in enumerate(entry.get('data', ())):
            _check_entry(path, f'graphs.{role}.data[{number}]', extra)
    return manifest


def _check_entry(path: Path, where: str, entry: Any) -> None:
    if not isinstance(entry, dict):
        raise BundleError(f'{path}: {where} is {entry!r}, expected an object with '
                          f'{", ".join(_OF_A_FILE)}')
    for field, kind in _OF_A_FILE.items():
        if not isinstance(entry.get(field), kind):
            raise BundleError(f'{path}: {where}.{field} is {entry.get(field)!r}, expected '
                              f'{kind.__name__}; see docs/models.md')
    if Path(entry['file']).name != entry['file']:
        raise BundleError(f'{path}: {where}.file is {entry["file"]!r}, expected the name of a '
                          'file beside it')


def read_bundle(folder: Path | str) -> Bundle:
    """
    Read a bundle and check its files against their checksums.

    :raises BundleError: anything missing, truncated, changed or of an unknown format.
    """
    folder = Path(folder)
    manifest = read_manifest(folder)
    graphs = {}
    for role, entry in manifest['graphs'].items():
        graphs[role] = _check_file(folder, entry)
        for extra in entry.get('data', ()):      # weights beside a graph of over 1.8 GB
            _check_file(folder, extra)
    return Bundle(folder, manifest, graphs)


def write_manifest(folder: Path, manifest: Mapping[str, Any]) -> None:
    """Write ``model.json`` and check that it can be read again."""
    text = json.dumps(manifest, indent=2, ensure_ascii=False) + '\n'
    (folder / MANIFEST).write_text(text, encoding='utf-8')
    read_manifest(folder)
