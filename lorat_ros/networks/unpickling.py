# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
A pickle reader that executes nothing.

A pickle is a program: it names functions and has them called. This reader knows a short
vocabulary, the one that tensors in plain containers are written with, and each word of it means
a function in here. Nothing is imported, no attribute is looked up, and of what was built only
lists and dicts are ever added to. Objects of the authors' training package become ``Foreign``,
which holds nothing and does nothing. Every other name is refused.

It builds on the pure Python unpickler of the standard library, whose table of opcodes can be
replaced; the one in C would reserve whatever memory a damaged file asks for.
"""
from __future__ import annotations

import pickle
import reprlib
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import Any, TypeAlias

import torch

from lorat_ros.networks.pure_unpickler import PureUnpickler, Readable


class Refused(ValueError):
    """A pickle that is not read on; the message says why, without the file's name."""


class Foreign:
    """Stands for what a checkpoint names and this package neither has nor wants."""

    __slots__ = ()

    def __new__(cls, *args: Any, **kwargs: Any) -> Foreign:
        return super().__new__(cls)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """Ignore whatever it is made of."""

    def __setitem__(self, key: Any, value: Any) -> None:
        """Ignore it."""

    def _ignore(self, *args: Any) -> None:
        """Ignore it."""

    append = extend = add = update = _ignore


class StorageKind:
    """A name such as ``torch.FloatStorage``: what the elements of a storage are."""

    __slots__ = ('dtype',)

    def __init__(self, dtype: torch.dtype) -> None:
        self.dtype = dtype


Storage: TypeAlias = torch.Tensor      # of one axis: all elements of a storage in their order


def _tensor(storage: Storage, offset: int, size: tuple[int, ...], stride: tuple[int, ...],
            *_: Any) -> torch.Tensor:
    """Lay a tensor over a storage; gradients, hooks and metadata are left out."""
    if not isinstance(storage, torch.Tensor) or storage.ndim != 1:
        raise Refused(f'a tensor is to be made of a {type(storage).__name__}, expected a storage')
    # Within the file's storage, of which this one may be a view; the bounds are checked.
    return storage.as_strided(size, stride, storage.storage_offset() + offset)


def _parameter(data: torch.Tensor, *_: Any) -> torch.Tensor:
    if not isinstance(data, torch.Tensor):
        raise Refused(f'a parameter is to be made of a {type(data).__name__}, expected a tensor')
    return data


def _default_dict(*_: Any) -> dict[Any, Any]:
    """Make a plain dict: the factory of missing values is of no use here."""
    return {}


def _ordered_dict(pairs: Iterable[Any] = ()) -> OrderedDict[Any, Any]:
    return OrderedDict((_key(key), value) for key, value in map(_plain, _plain(pairs)))


def _size(sides: Iterable[Any] = ()) -> tuple[Any, ...]:
    return tuple(_plain(sides))


def _plain(values: Any) -> Any:
    """Check that values lie in a list or tuple: a tensor may claim to have any number of them."""
    if type(values) not in (list, tuple):
        raise Refused(f'values come in a {type(values).__name__}, expected a list or tuple')
    return values


def shown(value: Any, longest: int = 40) -> str:
    """Write a value for an error: tuples of tuples of tuples could fill the memory with text."""
    return f'{reprlib.repr(value):.{longest}}'


def _key(key: Any) -> Any:
    """Check a key of a dict: hashing tuples in tuples in tuples would end the process."""
    if any(type(part) not in _PLAIN for part in (key if type(key) is tuple else (key,))):
        raise Refused(f'a key is a {type(key).__name__}, expected text or numbers')
    return key


_PLAIN = (str, bytes, int, float, bool, type(None), Foreign)
_ELEMENTS = {'Double': torch.float64, 'Float': torch.float32, 'Half': torch.float16,
             'BFloat16': torch.bfloat16, 'Long': torch.int64, 'Int': torch.int32,
             'Short': torch.int16, 'Char': torch.int8, 'Byte': torch.uint8, 'Bool': torch.bool}
#: All names a checkpoint may use, and what stands for each.
VOCABULARY: Mapping[tuple[str, str], Any] = MappingProxyType({
    **{('torch', f'{name}Storage'): StorageKind(dtype) for name, dtype in _ELEMENTS.items()},
    **{('torch', str(dtype).removeprefix('torch.')): dtype for dtype in _ELEMENTS.values()},
    ('torch._utils', '_rebuild_tensor'): _tensor,
    ('torch._utils', '_rebuild_tensor_v2'): _tensor,
    ('torch._utils', '_rebuild_parameter'): _parameter,
    ('torch', 'Size'): _size,
    ('torch', 'device'): Foreign,
    ('collections', 'OrderedDict'): _ordered_dict,
    ('collections', 'defaultdict'): _default_dict,
    # Sets, and factories of defaultdicts: of no use here.
    ('builtins', 'dict'): Foreign,
    ('builtins', 'list'): Foreign,
    ('builtins', 'set'): Foreign,
    ('builtins', 'frozenset'): Foreign,
    # Statistics of the training are often NumPy's; weights never are.
    **{(module, name): Foreign for name in ('scalar', '_reconstruct')
       for module in ('numpy.core.multiarray', 'numpy._core.multiarray')},
    ('_codecs', 'encode'): Foreign,      # their bytes, in old protocols
    ('numpy', 'dtype'): Foreign,
    ('numpy', 'ndarray'): Foreign,
})
TRAINING_PACKAGE = 'lib'      # of OSTrack and all that were built on it, LiteTrack and FARTrack
_OLD_NAMES = {'__builtin__': 'builtins', 'copy_reg': 'copyreg'}
_CALLABLE = (Foreign, _tensor, _parameter, _size, _ordered_dict, _default_dict)
_GROWING = (list, dict, OrderedDict, Foreign)
# Names that were registered elsewhere, and buffers of a size that nothing vouches for.
_UNUSED = (pickle.EXT1, pickle.EXT2, pickle.EXT4, pickle.BYTEARRAY8, pickle.NEXT_BUFFER,
           pickle.READONLY_BUFFER)


class Unpickler(PureUnpickler):
    """Reads one pickle; ``load`` raises ``Refused`` or what a damaged pickle causes."""

    dispatch = {code: method for code, method in PureUnpickler.dispatch.items()
                if bytes([code]) not in _UNUSED}

    def __init__(self, file: Readable, storage: Callable[[tuple[Any, ...]], Storage]) -> None:
        """
        Prepare to read.

        :param file: at the beginning of the pickle; afterwards behind its end.
        :param storage: makes a storage of what the pickle says of it (kind, key, …).
        """
        super().__init__(file, encoding='utf-8')
        self._storage = storage

    def find_class(self, module: str, name: str) -> Any:
        """Look a name up in the vocabulary; nothing is imported."""
        module = _OLD_NAMES.get(module, module)
        if module.partition('.')[0] == TRAINING_PACKAGE:
            return Foreign
        if (module, name) not in VOCABULARY:
            raise Refused(f'it asks for {module}.{name}, and weights need nothing of the kind: '
                          'such a file can run code of its maker when it is opened, and was not '
                          'opened; get it from its authors, or as safetensors')
        return VOCABULARY[module, name]

    def persistent_load(self, pid: Any) -> Storage:
        """Make the storage that a pickle refers to."""
        if not isinstance(pid, tuple) or len(pid) < 5 or pid[0] != 'storage':
            what = pid[0] if isinstance(pid, tuple) and pid else pid
            raise Refused(f'it refers to {shown(what)}, expected a storage of numbers; a whole '
                          'network was saved, not its state_dict')
        if not isinstance(pid[2], str):
            raise Refused(f'it names a storage with a {type(pid[2]).__name__}, expected text')
        if not isinstance(pid[1], StorageKind):
            raise Refused(f'it holds a storage of {shown(pid[1])}, expected one of '
                          f'{", ".join(_ELEMENTS)}')
        return self._storage(pid[1:])

    def _call(self, function: Any, args: tuple[Any, ...],
              kwargs: Mapping[str, Any] = MappingProxyType({})) -> None:
        # By identity: what compares equal to a word of the vocabulary is not one.
        if not any(function is word for word in _CALLABLE):
            raise Refused(f'it calls a {type(function).__name__}, which is no function')
        if type(args) is not tuple:      # a tensor may claim to have any number of them
            raise Refused(f'arguments come in a {type(args).__name__}, expected a tuple')
        self.append(function(*args, **kwargs))

    def load_reduce(self) -> None:
        """REDUCE: call a function of the vocabulary."""
        args = self.stack.pop()
        self._call(self.stack.pop(), args)

    def load_newobj(self) -> None:
        """NEWOBJ: make an object, which is a call like any other here."""
        self.load_reduce()

    def load_newobj_ex(self) -> None:
        """NEWOBJ_EX: the same with named arguments."""
        kwargs = self.stack.pop()
        args = self.stack.pop()
        self._call(self.stack.pop(), args, kwargs)

    def load_inst(self) -> None:
        """INST: a name and a call in one."""
        module, name = (self.readline()[:-1].decode('ascii') for _ in range(2))
        self._call(self.find_class(module, name), tuple(self.pop_mark()))

    def load_obj(self) -> None:
        """OBJ: a call of what lies on the stack."""
        args = self.pop_mark()
        self._call(args.pop(0), tuple(args))

    def load_build(self) -> None:
        """BUILD: attributes of an object; none is kept, and none is ever looked at."""
        self.stack.pop()
        if type(self.stack[-1]) not in (Foreign, OrderedDict):
            raise Refused(f'it gives attributes to a {type(self.stack[-1]).__name__}')

    def _grow(self, target: Any, keys: Iterable[Any] = ()) -> None:
        """Check what is added to, and under which keys."""
        if type(target) not in _GROWING:
            raise Refused(f'it adds to a {type(target).__name__}, expected a list or dict')
        for key in keys:
            _key(key)

    def load_append(self) -> None:
        """APPEND: one value to a list."""
        self._grow(self.stack[-2])
        super().load_append()

    def load_appends(self) -> None:
        """APPENDS: all values since the mark."""
        self._grow(self.metastack[-1][-1])
        super().load_appends()

    def load_setitem(self) -> None:
        """SETITEM: one value of a dict."""
        self._grow(self.stack[-3], self.stack[-2:-1])
        super().load_setitem()

    def load_setitems(self) -> None:
        """SETITEMS: all values since the mark."""
        self._grow(self.metastack[-1][-1], self.stack[::2])
        super().load_setitems()

    def load_dict(self) -> None:
        """DICT: a dict of what lies on the stack."""
        self._grow({}, self.stack[::2])
        super().load_dict()

    def load_additems(self) -> None:
        """ADDITEMS: to a set; sets are left empty."""
        self.pop_mark()

    def load_empty_set(self) -> None:
        """EMPTY_SET: no weights lie in one."""
        self.append(Foreign())

    def load_frozenset(self) -> None:
        """FROZENSET: the same."""
        self.pop_mark()
        self.append(Foreign())

    dispatch.update({code[0]: method for code, method in (
        (pickle.REDUCE, load_reduce), (pickle.NEWOBJ, load_newobj),
        (pickle.NEWOBJ_EX, load_newobj_ex), (pickle.INST, load_inst), (pickle.OBJ, load_obj),
        (pickle.BUILD, load_build), (pickle.APPEND, load_append), (pickle.APPENDS, load_appends),
        (pickle.SETITEM, load_setitem), (pickle.SETITEMS, load_setitems),
        (pickle.DICT, load_dict), (pickle.ADDITEMS, load_additems),
        (pickle.EMPTY_SET, load_empty_set), (pickle.FROZENSET, load_frozenset))})
