# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Checkpoint files: every container is read, nothing is ever executed, each fault is named."""
from __future__ import annotations

import argparse
import io
import pickle
import shutil
import struct
import sys
import tarfile
import types
import warnings
import zipfile
from collections import defaultdict, OrderedDict
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import example, given, HealthCheck, settings, strategies as st
from safetensors.torch import save_file

from lorat_ros.networks.checkpoints import check_tensors, CheckpointError, read_checkpoint

TENSORS = {'w': torch.arange(12.0).reshape(3, 4), 'b': torch.tensor([1, 2, 3])}


def zipped(path: Path, data: bytes, storage: bytes = bytes(48)) -> Path:
    """Write an archive as torch does, around any pickle."""
    with zipfile.ZipFile(path, 'w') as archive:
        archive.writestr('archive/data.pkl', data)
        archive.writestr('archive/byteorder', 'little')
        archive.writestr('archive/data/0', storage)
    return path


def legacy(path: Path, data: bytes) -> Path:
    """Write the pickles in a row that torch wrote before 1.6, around any fourth one."""
    system = {'protocol_version': 1001, 'little_endian': True, 'type_sizes': {}}
    path.write_bytes(b''.join(pickle.dumps(v, 2) for v in (0x1950A86A20F9469CFC6C, 1001, system))
                     + data + pickle.dumps([], 2))
    return path


def assert_same(found: dict, expected: dict) -> None:
    assert list(found) == list(expected)
    for name, value in expected.items():
        assert found[name].dtype == value.dtype
        assert torch.equal(found[name], value)


@pytest.mark.parametrize('as_zip', [True, False])
@pytest.mark.parametrize('protocol', [2, 4, 5])
def test_what_torch_saves_is_read(tmp_path, as_zip, protocol):
    base = torch.randn(6, 4, generator=torch.Generator().manual_seed(0))
    weights = OrderedDict(base=base, view=base[2:4].t(), half=base.half(), brain=base.bfloat16(),
                          long=torch.tensor(7), truth=torch.tensor([True, False]),
                          empty=torch.empty(0, 3), parameter=torch.nn.Parameter(base[:, 1]))
    torch.save(weights, tmp_path / 'x', pickle_protocol=protocol,
               _use_new_zipfile_serialization=as_zip)
    read = read_checkpoint(tmp_path / 'x')
    assert_same(read.tensors, weights)
    assert (read.entry, read.container) == ('', 'torch' if as_zip else 'torch before 1.6')
    # The type of a parameter is no business of a file's reader.
    assert type(read.tensors['parameter']) is torch.Tensor


@pytest.mark.parametrize('name', ['model.safetensors', 'model.bin', 'model.pth'])
def test_the_name_of_a_file_says_nothing(tmp_path, name):
    save_file(TENSORS, tmp_path / name)
    assert_same(dict(sorted(read_checkpoint(tmp_path / name).tensors.items())),
                dict(sorted(TENSORS.items())))
    torch.save(TENSORS, tmp_path / name)
    assert_same(read_checkpoint(str(tmp_path / name)).tensors, TENSORS)


@pytest.mark.parametrize('entry', ['net', 'model', 'state_dict'])
def test_the_weights_of_a_training_state_are_found(tmp_path, entry):
    parameter = torch.nn.Parameter(torch.ones(3))
    optimiser = torch.optim.AdamW([parameter])
    parameter.sum().backward()
    optimiser.step()
    state = {'epoch': 3, 'optimizer': optimiser.state_dict(), entry: {**TENSORS, 'alpha': 64},
             'none': None, 'sizes': torch.Size([1, 2]), 'where': torch.device('cpu'),
             'type': torch.float16, 'counts': defaultdict(list, {('a', 1): [1]}),
             'tags': {'x'}, 'ids': frozenset((1,)), 'loss': np.float64(0.5), 'curve': np.arange(3)}
    for as_zip in (True, False):
        torch.save(state, tmp_path / 'x', _use_new_zipfile_serialization=as_zip)
        read = read_checkpoint(tmp_path / 'x')
        assert read.entry == entry
        assert_same(read.tensors, {**TENSORS, 'alpha': torch.tensor(64)})


def test_writing_to_a_tensor_leaves_the_file_alone(tmp_path):
    torch.save(TENSORS, tmp_path / 'x')
    before = (tmp_path / 'x').read_bytes()
    read_checkpoint(tmp_path / 'x').tensors['w'].fill_(7)
    assert (tmp_path / 'x').read_bytes() == before


# Files of the authors' training programs.

@pytest.fixture
def training_state(monkeypatch) -> dict:
    """A training state with objects of a package that will not be there for reading."""
    body = ('def __init__(self, **kwargs): self.__dict__.update(kwargs)\n'
            'def __setstate__(self, state): raise SystemExit("executed")\n'
            'class Settings: __init__, __setstate__ = __init__, __setstate__\n'
            'class AverageMeter(list): pass\n'
            'class Table(dict): pass\n'
            'def make(*args): raise SystemExit("executed")\n'
            'class Odd:\n'
            '    def __reduce__(self): return make, (1, 2), {"a": 3}, iter([4]), iter([(5, 6)])\n')
    names = [module.rstrip('.') for module in ('lib.', 'lib.train.', 'lib.train.admin.',
                                               'lib.train.admin.settings.')]
    with monkeypatch.context() as patch:
        for name in names:
            patch.setitem(sys.modules, name, types.ModuleType(name))
        module = sys.modules[names[-1]]
        module.__dict__['__name__'] = names[-1]
        exec(body, module.__dict__)
        state = {'epoch': 1, 'net': TENSORS, 'constructor': module.Settings, 'settings':
                 module.Settings(env=module.Settings(path='/x'), size=(1, 2)),
                 'stats': OrderedDict(train=OrderedDict(loss=module.AverageMeter([1, 2]),
                                                        table=module.Table(a=1))),
                 'odd': module.Odd()}
        yield state


@pytest.mark.parametrize('as_zip', [True, False])
@pytest.mark.parametrize('protocol', [2, 4])
def test_objects_of_the_training_package_are_left_out(tmp_path, training_state, as_zip, protocol,
                                                      monkeypatch):
    torch.save(training_state, tmp_path / 'x.pth.tar', pickle_protocol=protocol,
               _use_new_zipfile_serialization=as_zip)
    for name in [name for name in sys.modules if name == 'lib' or name.startswith('lib.')]:
        monkeypatch.delitem(sys.modules, name)
    read = read_checkpoint(tmp_path / 'x.pth.tar')
    assert read.entry == 'net'
    assert_same(read.tensors, TENSORS)
    assert 'lib' not in {name.partition('.')[0] for name in sys.modules}


# Files that want to run code.

class Call:
    """Pickles as a call of any function."""

    def __init__(self, function, *args) -> None:
        self.how = function, args

    def __reduce__(self):
        return self.how


def by_name(module: str, name: str, argument: str) -> bytes:
    """A pickle of protocol 4 that calls a function by its name (STACK_GLOBAL)."""
    def text(value):
        return pickle.SHORT_BINUNICODE + bytes([len(value)]) + value.encode()
    return (pickle.PROTO + b'\x04' + text(module) + text(name) + pickle.STACK_GLOBAL
            + text(argument) + pickle.TUPLE1 + pickle.REDUCE + pickle.STOP)


def attacks(marker: Path) -> dict[str, tuple[bytes, str]]:
    """Pickles that would make the file `marker`, with what the error must name."""
    import os
    command = f'touch {marker}'
    code = f'open({str(marker)!r}, "w")'

    def dump(value, protocol=2):
        return pickle.dumps(value, protocol)

    tensor = dump(Call(torch._utils._rebuild_tensor_v2, Call(os.system, command), 0, (2,), (1,)))
    # A call by attributes: getattr(__import__('os'), 'system')(command).
    chain = dump(Call(getattr, Call(__import__, 'os'), 'system'))
    text = command.encode()
    return {
        'os.system': (dump({'w': Call(os.system, command)}), r'(posix|nt)\.system'),
        'exec': (dump(Call(exec, code)), r'builtins\.exec'),
        'exec, protocol 4': (dump(Call(exec, code), 4), r'builtins\.exec'),
        'eval in a list': (dump([1, Call(eval, code)]), r'builtins\.eval'),
        'in a tensor': (tensor, r'(posix|nt)\.system'),
        'posix.system by GLOBAL': (b'cposix\nsystem\n(V' + text + b'\ntR.', r'posix\.system'),
        'os.system by INST': (b'(V' + text + b'\nios\nsystem\n.', r'os\.system'),
        'os.system by OBJ': (b'(cos\nsystem\nV' + text + b'\no.', r'os\.system'),
        'STACK_GLOBAL': (by_name('posix', 'system', command), r'posix\.system'),
        'a dotted name': (by_name('collections', 'OrderedDict.fromkeys', command),
                          r'collections\.OrderedDict\.fromkeys'),
        'getattr chain': (chain, r'builtins\.getattr'),
        'subclass of an allowed name': (by_name('torch', 'load', command), r'torch\.load'),
        'torch.jit': (by_name('torch.jit', 'load', command), r'torch\.jit\.load'),
        'hub': (by_name('torch.hub', 'load', command), r'torch\.hub\.load'),
        'rebuild from a type': (by_name('torch._tensor', '_rebuild_from_type_v2', command),
                                r'torch\._tensor\._rebuild_from_type_v2'),
        'copyreg': (by_name('copyreg', '_reconstructor', command), r'copyreg\._reconstructor'),
        'copyreg of old': (by_name('copy_reg', '__newobj__', command), r'copyreg\.__newobj__'),
        'functools': (by_name('functools', 'partial', command), r'functools\.partial'),
        'operator': (by_name('operator', 'attrgetter', command), r'operator\.attrgetter'),
        'numpy': (by_name('numpy', 'load', command), r'numpy\.load'),
        'no package of theirs': (by_name('library', 'run', command), r'library\.run'),
        'registered elsewhere': (b'\x80\x02\x82\x01.', 'damaged'),
        'attributes of a tensor': (
            dump(OrderedDict()).rstrip(b'.') + b'0]}b.', 'attributes to a list'),
        'a call of data': (b'\x80\x02]q\x00(tR.', 'calls a list'),
        'a call of what a call made': (b'\x80\x02clib.x\nY\n)R)R.', 'calls a Foreign'),
        # An OrderedDict that is told to be a __setstate__ of its own, then given a state.
        "a method of one's own": (
            b'\x80\x02ccollections\nOrderedDict\n)R}U\x0c__setstate__cposix\nsystem\nsb'
            b'U' + bytes([len(text)]) + text + b'b.', r'posix\.system'),
    }


NAMES = sorted(attacks(Path('marker')))


@pytest.mark.parametrize('wrap', [zipped, legacy, lambda path, data: path.write_bytes(data)],
                         ids=['zip', 'legacy', 'bare'])
@pytest.mark.parametrize('name', NAMES)
def test_what_wants_to_run_code_is_refused(tmp_path, name, wrap):
    marker = tmp_path / 'marker'
    data, named = attacks(marker)[name]
    wrap(tmp_path / 'evil.pth', data)
    with pytest.raises(CheckpointError, match=named) as error:
        read_checkpoint(tmp_path / 'evil.pth')
    assert str(tmp_path / 'evil.pth') in str(error.value)
    if 'asks for' in str(error.value):
        assert 'was not opened' in str(error.value)
    assert not marker.exists()


def test_the_attacks_are_real(tmp_path):
    """Python's own unpickler does execute them: the test above would notice."""
    for name in ('os.system', 'exec', 'posix.system by GLOBAL', 'STACK_GLOBAL',
                 'os.system by INST'):
        marker = tmp_path / 'marker'
        pickle.loads(attacks(marker)[name][0])
        assert marker.exists(), name
        marker.unlink()


def test_a_file_made_malicious_afterwards(tmp_path):
    torch.save(TENSORS, tmp_path / 'good.pth')
    marker = tmp_path / 'marker'
    with zipfile.ZipFile(tmp_path / 'good.pth') as good, \
            zipfile.ZipFile(tmp_path / 'evil.pth', 'w') as evil:
        for info in good.infolist():
            data = good.read(info)
            if info.filename.endswith('data.pkl'):      # first the attack, then the good weights
                data = (attacks(marker)['os.system'][0][:-1] + pickle.POP + data)
            evil.writestr(info, data)
    with pytest.raises(CheckpointError, match='system'):
        read_checkpoint(tmp_path / 'evil.pth')
    assert not marker.exists()


def test_torchscript_is_refused(tmp_path):
    with warnings.catch_warnings():      # that it is on its way out
        warnings.simplefilter('ignore')
        torch.jit.trace(torch.nn.Linear(2, 2), torch.rand(1, 2)).save(tmp_path / 'x.pt')
    with pytest.raises(CheckpointError, match='TorchScript program, which is code'):
        read_checkpoint(tmp_path / 'x.pt')


@pytest.mark.parametrize('as_zip', [True, False])
def test_a_whole_network_is_refused(tmp_path, as_zip):
    torch.save(torch.nn.Linear(2, 2), tmp_path / 'x.pt', _use_new_zipfile_serialization=as_zip)
    with pytest.raises(CheckpointError, match=r'torch\.nn\.modules\.linear\.Linear'):
        read_checkpoint(tmp_path / 'x.pt')


# Whatever the bytes are.

def check_any_bytes(folder: Path, data: bytes) -> None:
    """Reading gives tensors or a CheckpointError; nothing is written, nothing is imported."""
    path, modules = folder / 'any', set(sys.modules)
    path.write_bytes(data)
    try:
        read_checkpoint(path)
    except CheckpointError as error:
        assert str(path) in str(error)
    assert [p.name for p in folder.iterdir()] == ['any']
    assert not {m for m in set(sys.modules) - modules if m.partition('.')[0] in ('lib', 'os')}


@pytest.fixture
def alone(tmp_path_factory):
    """A folder with nothing else in it."""
    folder = tmp_path_factory.mktemp('any')
    yield folder
    shutil.rmtree(folder)


def sample_files() -> dict[str, bytes]:
    """A valid file of each container."""
    files = {}
    for name, as_zip in (('zip', True), ('legacy', False)):
        buffer = io.BytesIO()
        torch.save({'net': TENSORS, 'epoch': 1}, buffer, _use_new_zipfile_serialization=as_zip)
        files[name] = buffer.getvalue()
    header = b'{"w":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}'
    files['safetensors'] = struct.pack('<Q', len(header)) + header + bytes(8)
    return files


QUICK = settings(max_examples=150, deadline=None, derandomize=True,
                 suppress_health_check=[HealthCheck.function_scoped_fixture])


@QUICK
@given(data=st.binary(max_size=200), start=st.sampled_from([
    b'', b'\x80\x02', b'\x80\x04\x95', b'PK\x03\x04', b'c', bytes([20] + [0] * 7) + b'{"']))
@example(data=b'', start=b'(')
# Tuples in tuples, deep enough to overrun the stack when they are hashed as a key.
@example(data=b'})' + b'\x85' * 300_000 + b'Ns.', start=b'\x80\x02')
@example(data=b'(' + b')' + b'\x85' * 300_000 + b'\x91.', start=b'\x80\x04')
# Memory promised by nothing: a slot of the memo, and a buffer.
@example(data=b'Nr\xff\xff\xff\x7f.', start=b'\x80\x02')
@example(data=b'\x96' + struct.pack('<Q', 1 << 44) + b'.', start=b'\x80\x05')
def test_random_bytes_never_do_anything(alone, data, start):
    check_any_bytes(alone, start + data)


@QUICK
@given(kind=st.sampled_from(sorted(sample_files())), changes=st.lists(
    st.tuples(st.integers(0, 2 ** 16), st.integers(0, 255)), min_size=1, max_size=6),
    cut=st.integers(0, 2 ** 16))
def test_random_changes_never_do_anything(alone, kind, changes, cut):
    data = bytearray(sample_files()[kind])
    for place, value in changes:
        data[place % len(data)] = value
    check_any_bytes(alone, bytes(data[:cut % len(data)] if cut % 3 == 0 else data))


@QUICK
@given(data=st.binary(max_size=120), where=st.integers(0, 2 ** 16), name=st.sampled_from(NAMES))
def test_pickles_with_an_attack_in_them_never_do_anything(alone, data, where, name):
    pickled = attacks(alone / 'marker')[name][0]
    where %= len(pickled)
    check_any_bytes(alone, zipped(alone / 'any', pickled[:where] + data + pickled[where:])
                    .read_bytes())


# Other faults.

def damaged(folder: Path) -> dict[str, tuple[Path | bytes, str]]:
    """Contents of files that are no checkpoints, with what the error must say."""
    def saved(value) -> bytes:
        buffer = io.BytesIO()
        torch.save(value, buffer)
        return buffer.getvalue()

    def squeezed() -> bytes:
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, 'w', zipfile.ZIP_DEFLATED) as archive:
            archive.writestr('model/data.pkl', b'x' * 1000)
        return buffer.getvalue()

    def tarred() -> bytes:
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode='w') as archive:
            archive.addfile(tarfile.TarInfo('storages'))
        return buffer.getvalue()

    old = io.BytesIO()
    torch.save(TENSORS, old, _use_new_zipfile_serialization=False)
    other = io.BytesIO()
    with zipfile.ZipFile(other, 'w') as archive:
        archive.writestr('readme.txt', 'hello')
    return {
        'empty': (b'', 'is empty'),
        'web page': (b'\n<!DOCTYPE html><html><title>Google Drive</title>', 'web page.*gdown'),
        'lfs': (b'version https://git-lfs.github.com/spec/v1\noid sha256:0', 'git lfs pull'),
        'tar': (tarred(), 'tar archive'),
        'truncated zip': (saved(TENSORS)[:-100], 'truncated or damaged zip'),
        'truncated legacy': (old.getvalue()[:-20], 'truncated or damaged'),
        'truncated safetensors': (sample_files()['safetensors'][:-2], 'damaged safetensors'),
        'compressed': (squeezed(), 'compressed'),
        'another zip': (other.getvalue(), '0 data.pkl in it'),
        'text': (b'hello, world', 'no checkpoint'),
        'an image': (b'\xff\xd8\xff\xe0' + bytes(100), 'no checkpoint'),
        'no tensors': (saved({'epoch': 1, 'net': {}}), 'entries epoch, net and no weights'),
        'a list': (saved([TENSORS['w']]), 'a list and no weights'),
        'a pickle': (pickle.dumps({'w': 1}, 2), 'not one that torch.save wrote'),
        'arguments': (saved({'args': argparse.Namespace(), **TENSORS}), 'argparse.Namespace'),
    }


@pytest.mark.parametrize('name', sorted(damaged(Path())))
def test_what_is_wrong_with_a_file_is_said(tmp_path, name):
    data, words = damaged(tmp_path)[name]
    (tmp_path / 'x.pth').write_bytes(data)
    with pytest.raises(CheckpointError, match=f'x.pth.*{words}'):
        read_checkpoint(tmp_path / 'x.pth')


def test_a_folder_or_nothing_at_all(tmp_path):
    with pytest.raises(CheckpointError, match='is a folder'):
        read_checkpoint(tmp_path)
    with pytest.raises(CheckpointError, match='No such file'):
        read_checkpoint(tmp_path / 'nothing')


@pytest.mark.parametrize(('storage', 'words'), [
    ('(U\x07storagectorch\nFloatStorage\nU\x010U\x03cpuM\xe7\x03t', 'has 48 bytes, expected 3996'),
    ('(U\x07storagectorch\nFloatStorage\nU\x019U\x03cpuK\x03t', 'is missing'),
    ('(U\x07storageNU\x010U\x03cpuK\x03t', 'storage of None'),
    ('(U\x07storagectorch\nFloatStorage\nK\x07U\x03cpuK\x03t', 'with a int'),
    ('(U\x06modulectorch\nFloatStorage\nU\x010U\x03cpuK\x03t', 'whole network'),
    ('U\x0210', 'expected a storage')])
def test_a_storage_that_is_none(tmp_path, storage, words):
    zipped(tmp_path / 'x.pth', b'\x80\x02' + storage.encode('latin1') + b'Q.')
    with pytest.raises(CheckpointError, match=words):
        read_checkpoint(tmp_path / 'x.pth')


@pytest.mark.parametrize('size', ['K\x05\x85K\x05\x85', 'J\xff\xff\xff\x7f\x85K\x01\x85'])
def test_a_tensor_beyond_its_storage(tmp_path, size):
    zipped(tmp_path / 'x.pth', b'\x80\x02ctorch._utils\n_rebuild_tensor\n((U\x07storage'
           b'ctorch\nFloatStorage\nU\x010U\x03cpuK\x0ctQK\x00' + size.encode('latin1') + b'tR.')
    with pytest.raises(CheckpointError, match='out of bounds'):
        read_checkpoint(tmp_path / 'x.pth')


STORAGE = b'(U\x07storagectorch\nFloatStorage\nU\x010U\x03cpuK\x0ctQ'
#: A tuple of two that are tuples of two …: short to write, endless to read out.
ENDLESS = b')' + b'2\x86' * 60
MANY = b'ctorch._utils\n_rebuild_tensor\n(' + STORAGE + b'K\x00J\xa0\x86\x01\x00\x85K\x00\x85tR'


@pytest.mark.parametrize(('data', 'words'), [
    (b'(' + ENDLESS + b'tQ.', 'it refers to'),
    (b'(U\x07storage' + ENDLESS + b'U\x010U\x03cpuK\x0ctQ.', 'it holds a storage of'),
    (b'(U\x07storagectorch\nFloatStorage\nU\x010U\x03cpu' + ENDLESS + b'tQ.', 'a storage has'),
    (b'clib.x\nY\n' + MANY + b'R.', 'arguments come in a Tensor'),
    (b'ccollections\nOrderedDict\n(](' + MANY + b'etR.', 'values come in a Tensor')])
def test_little_that_pretends_to_be_much_is_not_unfolded(tmp_path, data, words):
    zipped(tmp_path / 'x.pth', b'\x80\x02' + data)
    with pytest.raises(CheckpointError, match=words) as error:
        read_checkpoint(tmp_path / 'x.pth')
    assert len(str(error.value)) < 500


def test_a_storage_that_is_a_view_of_another(tmp_path):
    class Pickler(pickle.Pickler):
        def persistent_id(self, obj):
            return obj.pid if isinstance(obj, Stored) else None

    class Stored:
        pid = ('storage', torch.FloatStorage, '0', 'cpu', 6, ('v', 2, 3))

    buffer = io.BytesIO()
    Pickler(buffer, 2).dump({'w': Call(torch._utils._rebuild_tensor, Stored(), 1, (2,), (1,))})
    data = legacy(tmp_path / 'x', buffer.getvalue()).read_bytes()
    values = struct.pack('<q', 6) + np.arange(6, dtype='<f4').tobytes()
    (tmp_path / 'x').write_bytes(data.removesuffix(pickle.dumps([], 2)) + pickle.dumps(['0'], 2)
                                 + values)
    assert read_checkpoint(tmp_path / 'x').tensors['w'].tolist() == [3, 4]


def test_missing_unexpected_and_misshapen_tensors_are_listed():
    expected = {'w': (3, 4), 'b': (4,), 'c': (1,)}
    with pytest.raises(CheckpointError) as error:
        check_tensors({**TENSORS, 'x': TENSORS['w']}, expected, 'a test')
    for words in ('not a test', 'missing: c', 'unexpected: x', 'b is (3,), expected (4,)'):
        assert words in str(error.value)
    check_tensors(TENSORS, {'w': (3, 4), 'b': (3,)}, 'a test')
