# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
The files that ``torch.save`` writes, read without ``torch.load``.

Two containers: a zip archive with the pickle in ``data.pkl`` and each storage in a member of its
own (since PyTorch 1.6), and before that five pickles in a row, followed by the storages. The
pickles go through ``unpickling.Unpickler``. Storages in an archive stay in the file and are
mapped into memory, so the weights of a large base are read when they are used.
"""
from __future__ import annotations

import io
import mmap
import struct
import zipfile
from pathlib import Path
from typing import Any

import torch

from lorat_ros.networks.unpickling import Refused, shown, Storage, StorageKind, Unpickler

LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
LEGACY_PROTOCOL = 1001
_LOCAL_HEADER = struct.Struct('<26xHH')      # of a member: lengths of its name and extra field


def _mapped(path: Path) -> mmap.mmap:
    with path.open('rb') as file:
        # Private: what is written to a tensor stays in memory and never reaches the file.
        return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY)


def _bytes_of(count: Any, kind: StorageKind) -> int:
    if type(count) is not int or count < 0:
        raise Refused(f'a storage has {shown(count, 20)} elements, expected a number of them')
    return count * kind.dtype.itemsize


def _elements(data: mmap.mmap, kind: StorageKind, start: int, count: int) -> Storage:
    """Elements of a storage that lies in the file from a byte on."""
    end = start + _bytes_of(count, kind)
    if end > len(data):
        raise Refused(f'a storage of {count} elements reaches over the end of the file: it is '
                      'truncated or damaged, get it again')
    if count == 0:
        return torch.empty(0, dtype=kind.dtype)
    if start % kind.dtype.itemsize:      # torch itself aligns to 64 bytes
        return torch.frombuffer(bytearray(data[start:end]), dtype=kind.dtype)
    return torch.frombuffer(data, dtype=kind.dtype, count=count, offset=start)


def read_zip(path: Path) -> Any:
    """
    Read an archive of ``torch.save``.

    :raises Refused: TorchScript, compressed, big-endian, or a pickle that wants more than data.
    :raises zipfile.BadZipFile: truncated or damaged.
    """
    data = _mapped(path)
    with zipfile.ZipFile(path) as archive:
        members = {info.filename: info for info in archive.infolist()}
        # Every member lies in one folder, named after the file as it was saved.
        folders = {name.rpartition('data.pkl')[0] for name in members
                   if name == 'data.pkl' or name.endswith('/data.pkl')}
        if len(folders) != 1:
            raise Refused(f'it is a zip archive with {len(folders)} data.pkl in it, and torch '
                          'writes exactly 1: if a checkpoint is in it, unpack that')
        folder = folders.pop()
        if any(name == f'{folder}constants.pkl' or name.startswith(f'{folder}code/')
               for name in members):
            raise Refused('it is a TorchScript program, which is code, and was not opened: get '
                          "the checkpoint (a state_dict) from the model's authors")
        if any(info.compress_type != zipfile.ZIP_STORED for info in members.values()):
            raise Refused('it is a compressed zip archive, and torch compresses none: unpack it, '
                          'and give the checkpoint that is in it')
        if f'{folder}byteorder' in members and archive.read(f'{folder}byteorder') != b'little':
            raise Refused('its numbers are big-endian: save it again on a little-endian machine')
        pickled = archive.read(f'{folder}data.pkl')

    def storage(pid: tuple[Any, ...]) -> Storage:
        kind, key, _, count = pid[:4]
        info = members.get(f'{folder}data/{key}')
        if info is None:
            raise Refused(f'its storage {key!r:.20} is missing: it is damaged, get it again')
        header = info.header_offset
        start = header + 30 + sum(_LOCAL_HEADER.unpack(data[header:header + 30]))
        if _bytes_of(count, kind) > info.file_size:
            raise Refused(f'its storage {key!r:.20} has {info.file_size} bytes, expected '
                          f'{_bytes_of(count, kind)}: it is damaged, get it again')
        return _elements(data, kind, start, count)

    return Unpickler(io.BytesIO(pickled), storage).load()


def read_legacy(path: Path) -> Any:
    """
    Read the pickles and storages of ``torch.save`` before PyTorch 1.6.

    :raises Refused: not such a file, or a pickle that wants more than data.
    """
    data = _mapped(path)
    found: dict[str, Storage] = {}
    promised = 0

    def no_storage(pid: tuple[Any, ...]) -> Storage:
        raise Refused('it refers to a storage before it says of what version it is')

    def storage(pid: tuple[Any, ...]) -> Storage:
        """Make it, to be filled when the pickle has been read: the numbers come behind it."""
        nonlocal promised
        kind, key, _, count, view = pid
        if key not in found:
            promised += _bytes_of(count, kind)
            if promised > len(data):
                raise Refused(f'its storages are larger than the file of {len(data)} bytes: it '
                              'is truncated or damaged, get it again')
            found[key] = torch.zeros(count, dtype=kind.dtype)
        if view is None:
            return found[key]
        _, offset, length = view
        return found[key].narrow(0, offset, length)

    if Unpickler(data, no_storage).load() != LEGACY_MAGIC:
        raise Refused('it is a Python pickle, but not one that torch.save wrote')
    if Unpickler(data, no_storage).load() != LEGACY_PROTOCOL:
        raise Refused(f"its format is not torch's {LEGACY_PROTOCOL}: save it again with "
                      'PyTorch 1.6 or later')
    system = Unpickler(data, no_storage).load()
    if not isinstance(system, dict) or system.get('little_endian') is not True:
        raise Refused('its numbers are big-endian: save it again on a little-endian machine')
    result = Unpickler(data, storage).load()
    keys = Unpickler(data, no_storage).load()
    if not isinstance(keys, list) or set(map(type, keys)) - {str}:
        raise Refused('it does not list its storages: it is damaged, get it again')
    for key in keys:
        _fill(data, found, key)
    if missing := found.keys() - set(keys):
        raise Refused(f'{len(missing)} of its storages are missing: it is damaged, get it again')
    return result


def _fill(data: mmap.mmap, found: dict[str, Storage], key: str) -> None:
    """Read the elements of a storage: their number in eight bytes, then themselves."""
    if key not in found:
        raise Refused(f'its storage {key!r:.20} belongs to nothing: it is damaged, get it again')
    target = found[key]
    (count,) = struct.unpack('<q', data.read(8))
    if count != len(target):
        raise Refused(f'its storage {key!r:.20} has {count} elements, expected {len(target)}')
    target.copy_(_elements(data, StorageKind(target.dtype), data.tell(), count))
    data.seek(count * target.dtype.itemsize, io.SEEK_CUR)
