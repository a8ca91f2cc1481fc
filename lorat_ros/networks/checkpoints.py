# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Reading checkpoint files without trusting them, and saying what is wrong with one."""
from __future__ import annotations

import struct
import zipfile
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open, SafetensorError

from lorat_ros.networks.torch_files import read_legacy, read_zip
from lorat_ros.networks.unpickling import Refused

SHOWN = 8      # names in an error
ENTRIES = ('net', 'model', 'state_dict')      # where training programs put the weights


class CheckpointError(ValueError):
    """A checkpoint that cannot be used; the message names the file's fault and the cure."""


class BaseNeeded(CheckpointError):
    """A checkpoint that builds upon another file, which was not given."""


@dataclass(frozen=True)
class Checkpoint:
    """The tensors of a checkpoint file."""

    path: Path
    tensors: Mapping[str, torch.Tensor]      # scalars of the file as tensors without axes
    entry: str                               # 'net' if they lay under that key; '' for the top
    container: str = 'safetensors'           # or 'torch', 'torch before 1.6'


def listed(names: Iterable[str]) -> str:
    """Write names in one line, the first few and the number of all."""
    names = sorted(names)
    more = f' and {len(names) - SHOWN} more' if len(names) > SHOWN else ''
    return ', '.join(names[:SHOWN]) + more


def check_tensors(found: Mapping[str, torch.Tensor], expected: Mapping[str, tuple[int, ...]],
                  what: str) -> None:
    """
    Check that a file holds exactly the tensors expected.

    :param what: what the file should be, for the error: 'a LoRAT-B delta'.
    :raises CheckpointError: tensors are missing, unexpected, or of another shape; all are listed.
    """
    faults = []
    if missing := expected.keys() - found.keys():
        faults.append(f'missing: {", ".join(sorted(missing))}')
    if unexpected := found.keys() - expected.keys():
        faults.append(f'unexpected: {", ".join(sorted(unexpected))}')
    wrong = {f'{name} is {tuple(found[name].shape)}, expected {shape}'
             for name, shape in expected.items()
             if name in found and tuple(found[name].shape) != shape}
    if wrong:
        faults.append(f'of a wrong shape: {", ".join(sorted(wrong))}')
    if faults:
        raise CheckpointError(f'this is not {what}, or not a whole one; {"; ".join(faults)}')


def read_checkpoint(path: Path | str) -> Checkpoint:
    """
    Read a checkpoint without executing anything of it; its kind is told by its content.

    Read are safetensors (LoRAT's ``model.bin`` is one, too) and what ``torch.save`` writes.
    Tensors may lie in the file: do not change it while they are in use.

    :raises CheckpointError: no such file, of another kind, damaged, without tensors, or one that
        wants to run code.
    """
    path = Path(path).expanduser()
    if path.is_dir():
        raise CheckpointError(f'{path} is a folder: give the checkpoint file in it')
    try:
        with path.open('rb') as file:
            head = file.read(512)
    except OSError as error:
        raise CheckpointError(f'{path} cannot be read: {error.strerror}') from None
    try:
        _refuse_strangers(head)
        container, read = next((name, read) for name, is_it, read in _CONTAINERS if is_it(head))
        entry, tensors = _weights_in(read(path))
    except Refused as error:
        raise CheckpointError(f'{path}: {error}') from None
    except zipfile.BadZipFile as error:
        raise CheckpointError(f'{path} is a truncated or damaged zip archive ({error}): download '
                              'it again') from None
    except MemoryError:
        raise CheckpointError(f'{path} does not fit into the memory of this machine, or is '
                              'damaged') from None
    except Exception as error:      # whatever a damaged file causes in the libraries that read it
        raise CheckpointError(f'{path} is damaged, or no checkpoint ({type(error).__name__}: '
                              f'{error}): expected safetensors or a file that torch.save wrote; '
                              'download it again') from None
    return Checkpoint(path, tensors, entry, container)


def _refuse_strangers(head: bytes) -> None:
    """Name what is often found under a checkpoint's name."""
    start = head.lstrip().lower()
    if not head:
        raise Refused('the file is empty: download it again')
    if start.startswith((b'<!doctype html', b'<html', b'<?xml')):
        raise Refused('this is a web page, not a checkpoint: the download failed. Google Drive '
                      'answers with a page when a file is large or asked for too often: download '
                      'it with a browser, or with gdown')
    if start.startswith(b'version https://git-lfs'):
        raise Refused('this is a pointer of Git LFS, not the checkpoint: run git lfs pull where '
                      'it was cloned, or download the file itself')
    if head[257:262] == b'ustar':
        raise Refused('this is a tar archive, of PyTorch before 0.4 or with files in it: unpack '
                      'it and give the checkpoint (what is called .pth.tar today is no archive)')


def _read_safetensors(path: Path) -> dict[str, torch.Tensor]:
    try:
        with safe_open(path, framework='pt', device='cpu') as file:
            return {name: file.get_tensor(name) for name in file.keys()}      # noqa: SIM118
    except SafetensorError as error:
        raise Refused(f'it is a truncated or damaged safetensors file ({error}): download it '
                      'again') from None


def _is_safetensors(head: bytes) -> bool:
    return (len(head) > 8 and head[8:9] == b'{'
            and struct.unpack('<Q', head[:8])[0] < 100_000_000)      # the format's own limit


#: What a file may be: name, how it is told, how it is read. The last one takes what is left.
_CONTAINERS: tuple[tuple[str, Callable[[bytes], bool], Callable[[Path], Any]], ...] = (
    ('safetensors', _is_safetensors, _read_safetensors),
    ('torch', lambda head: head.startswith(b'PK'), read_zip),
    ('torch before 1.6', lambda head: True, read_legacy),
)


def _weights_in(content: Any) -> tuple[str, dict[str, torch.Tensor]]:
    """Find the weights in what a file holds: at its top, or under one of ENTRIES."""
    if isinstance(content, Mapping):
        places = {name: content[name] for name in ENTRIES
                  if isinstance(content.get(name), Mapping)}
        for entry, place in {**places, '': content}.items():
            tensors = {name: value if isinstance(value, torch.Tensor) else torch.tensor(value)
                       for name, value in place.items() if isinstance(name, str)
                       and isinstance(value, (torch.Tensor, bool, int, float))}
            if any(value.ndim for value in tensors.values()):
                return entry, tensors
    found = (f'the entries {listed(map(str, content))}' if isinstance(content, Mapping)
             else f'a {type(content).__name__}')
    raise Refused(f'the file holds {found} and no weights: expected tensors by name, at its top '
                  f'or under one of {", ".join(ENTRIES)}')
